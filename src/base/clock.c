/* clock.c -- the two clocks, and the calendar without libc's locks and time zones. */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * WEIR_SEC + ts.tv_nsec;
}

int64_t clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The calendar repeats every 400 years, which have 146097 days. Years are counted from March, so
 * that the leap day is the last of its year and the lengths of months follow a straight line. */
void civil_of(int64_t seconds, struct civil *out)
{
    int64_t days = div_floor(seconds, 86400);
    uint32_t second = (uint32_t)(seconds - days * 86400);
    int64_t shifted = days + 719468; /* from 0000-03-01 */
    int64_t era = div_floor(shifted, 146097);
    uint32_t day_of_era = (uint32_t)(shifted - era * 146097);
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month = (5 * day_of_year + 2) / 153; /* 0: March */

    *out = (struct civil){
        .year = era * 400 + year_of_era + (month >= 10),
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (uint8_t)(second / 3600),
        .minute = (uint8_t)(second / 60 % 60),
        .second = (uint8_t)(second % 60),
        .weekday = (uint8_t)((days % 7 + 11) % 7), /* 1970-01-01 was a Thursday */
    };
}

int64_t civil_seconds(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = div_floor(year, 400);
    uint32_t year_of_era = (uint32_t)(year - era * 400);
    uint32_t month = c->month > 2 ? c->month - 3u : c->month + 9u;
    uint32_t day_of_year = (153 * month + 2) / 5 + c->day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * 146097 + day_of_era - 719468;

    return days * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
}

static char *put_digits(char *at, uint32_t n, unsigned width)
{
    for (unsigned i = width; i-- > 0; n /= 10)
        at[i] = (char)('0' + n % 10);
    return at + width;
}

void clock_rfc3339(int64_t wall, char out[RFC3339_LEN])
{
    int64_t seconds = div_floor(wall, WEIR_SEC);
    struct civil c;
    char *at = out;

    civil_of(seconds, &c); /* 64 bits of nanoseconds: the years 1677 to 2262 */
    at = put_digits(at, (uint32_t)c.year, 4);
    *at++ = '-';
    at = put_digits(at, c.month, 2);
    *at++ = '-';
    at = put_digits(at, c.day, 2);
    *at++ = 'T';
    at = put_digits(at, c.hour, 2);
    *at++ = ':';
    at = put_digits(at, c.minute, 2);
    *at++ = ':';
    at = put_digits(at, c.second, 2);
    *at++ = '.';
    at = put_digits(at, (uint32_t)((wall % WEIR_SEC + WEIR_SEC) % WEIR_SEC / WEIR_MS), 3);
    *at = 'Z';
}
