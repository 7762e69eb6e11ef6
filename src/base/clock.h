/* clock.h -- time: monotonic nanoseconds for deadlines, wall-clock nanoseconds since 1970 for
 * logs. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

int64_t clock_now(void);  /* CLOCK_MONOTONIC */
int64_t clock_wall(void); /* CLOCK_REALTIME */

enum { RFC3339_LEN = 24 }; /* 2026-11-23T09:00:00.000Z, without a NUL */

/* Writes `wall` as UTC with milliseconds (RFC 3339), RFC3339_LEN bytes. */
void clock_rfc3339(int64_t wall, char out[RFC3339_LEN]);

/* A moment as UTC shows it in the Gregorian calendar, also before its invention. */
struct civil {
    int64_t year;
    uint8_t month, day; /* from 1 */
    uint8_t hour, minute, second;
    uint8_t weekday; /* 0: Sunday */
};

/* Seconds since 1970 to a calendar date and back. civil_seconds does not look at the weekday, and
 * carries what is too large (second 60, day 31 of a month of 30) over into the next unit. */
void    civil_of(int64_t seconds, struct civil *out);
int64_t civil_seconds(const struct civil *c);

#endif
