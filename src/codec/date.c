/* date.c -- each form is a pattern in which a letter stands for what is there:
 *
 *   W L  weekday of three letters, in full      d _  day of two digits, padded with a blank
 *   M    month                                  y Y  year of two digits, of four
 *   h m s  two digits each                      Z    "GMT"
 *
 * All else stands for itself. */
#include "codec/date.h"

#include "base/clock.h"

static const char weekdays[7][10] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static const char imf_fixdate[] = "W, d M Y h:m:s Z";

static char *put_digits(char *at, uint32_t n, unsigned width)
{
    for (unsigned i = width; i-- > 0; n /= 10)
        at[i] = (char)('0' + n % 10);
    return at + width;
}

static char *put_piece(char *at, char kind, const struct civil *c)
{
    switch (kind) {
    case 'W':
        memcpy(at, weekdays[c->weekday], 3);
        return at + 3;
    case 'M':
        memcpy(at, months[c->month - 1], 3);
        return at + 3;
    case 'd':
        return put_digits(at, c->day, 2);
    case 'Y':
        return put_digits(at, (uint32_t)c->year, 4);
    case 'h':
        return put_digits(at, c->hour, 2);
    case 'm':
        return put_digits(at, c->minute, 2);
    case 's':
        return put_digits(at, c->second, 2);
    case 'Z':
        memcpy(at, "GMT", 3);
        return at + 3;
    default:
        *at = kind;
        return at + 1;
    }
}

/* 0000-01-01 00:00:00 and 9999-12-31 23:59:59 */
static const int64_t first_second = INT64_C(-62167219200), last_second = INT64_C(253402300799);

void http_date_print(int64_t seconds, char out[HTTP_DATE_LEN])
{
    struct civil c;
    char *at = out;

    civil_of(MIN(MAX(seconds, first_second), last_second), &c);
    for (const char *p = imf_fixdate; *p != '\0'; p++)
        at = put_piece(at, *p, &c);
}

/* `width` digits from the front of `*in`, or -1. */
static int take_digits(weir_str *in, unsigned width)
{
    int n = 0;

    if (in->len < width)
        return -1;
    for (unsigned i = 0; i < width; i++) {
        if (in->ptr[i] < '0' || in->ptr[i] > '9')
            return -1;
        n = n * 10 + (in->ptr[i] - '0');
    }
    in->ptr += width;
    in->len -= width;
    return n;
}

static bool take_text(weir_str *in, const char *text, size_t len)
{
    if (in->len < len || memcmp(in->ptr, text, len) != 0)
        return false;
    in->ptr += len;
    in->len -= len;
    return true;
}

/* The number of the name at the front of `*in`, or -1. `len` 0: the whole name. */
static int take_weekday(weir_str *in, size_t len)
{
    for (int i = 0; i < 7; i++) {
        if (take_text(in, weekdays[i], len > 0 ? len : strlen(weekdays[i])))
            return i;
    }
    return -1;
}

static int take_month(weir_str *in)
{
    for (int i = 0; i < 12; i++) {
        if (take_text(in, months[i], 3))
            return i + 1;
    }
    return -1;
}

static int take_padded_day(weir_str *in)
{
    return take_text(in, " ", 1) ? take_digits(in, 1) : take_digits(in, 2);
}

struct parsed {
    struct civil civil;
    bool         short_year;
};

/* What `kind` stands for, from the front of `*in`. */
static bool take_piece(weir_str *in, char kind, struct parsed *out)
{
    struct civil *c = &out->civil;
    int n;

    switch (kind) {
    case 'W':
    case 'L':
        n = take_weekday(in, kind == 'W' ? 3 : 0);
        c->weekday = (uint8_t)n;
        return n >= 0;
    case 'd':
    case '_':
        n = kind == 'd' ? take_digits(in, 2) : take_padded_day(in);
        c->day = (uint8_t)n;
        return n >= 1 && n <= 31;
    case 'M':
        n = take_month(in);
        c->month = (uint8_t)n;
        return n >= 1;
    case 'Y':
    case 'y':
        n = take_digits(in, kind == 'Y' ? 4 : 2);
        c->year = n;
        out->short_year = kind == 'y';
        return n >= 0;
    case 'h':
        n = take_digits(in, 2);
        c->hour = (uint8_t)n;
        return n >= 0 && n <= 23;
    case 'm':
        n = take_digits(in, 2);
        c->minute = (uint8_t)n;
        return n >= 0 && n <= 59;
    case 's':
        n = take_digits(in, 2);
        c->second = (uint8_t)n;
        return n >= 0 && n <= 60; /* 60: a leap second */
    case 'Z':
        return take_text(in, "GMT", 3);
    default:
        return take_text(in, &kind, 1);
    }
}

static bool take_all(weir_str in, const char *pattern, struct parsed *out)
{
    for (const char *p = pattern; *p != '\0'; p++) {
        if (!take_piece(&in, *p, out))
            return false;
    }
    return in.len == 0;
}

/* Two digits mean the year of that ending that is at most 50 years ahead of now. */
static void complete_year(struct civil *c, int64_t now)
{
    struct civil latest;

    civil_of(MIN(MAX(now, first_second), last_second), &latest);
    latest.year = MIN(latest.year + 50, 9999);
    c->year += latest.year / 100 * 100;
    if (civil_seconds(c) > civil_seconds(&latest) && c->year >= 100)
        c->year -= 100;
}

bool http_date_parse(weir_str text, int64_t now, int64_t *seconds)
{
    static const char *const forms[] = {
        imf_fixdate,
        "L, d-M-y h:m:s Z", /* RFC 850 */
        "W M _ h:m:s Y",      /* asctime */
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct parsed parsed = { .short_year = false };
        struct civil day;

        if (!take_all(text, forms[i], &parsed))
            continue;
        if (parsed.short_year)
            complete_year(&parsed.civil, now);
        /* The leap second aside, a date that exists comes back as it was. */
        *seconds = civil_seconds(&parsed.civil);
        civil_of(*seconds - parsed.civil.second, &day);
        return day.day == parsed.civil.day && day.weekday == parsed.civil.weekday;
    }
    return false;
}
