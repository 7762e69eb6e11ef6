/* clock.h -- time. Monotonic nanoseconds for deadlines, wall-clock nanoseconds since 1970 for logs. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

int64_t clock_now(void);   /* CLOCK_MONOTONIC */
int64_t clock_wall(void);  /* CLOCK_REALTIME */

enum { RFC3339_LEN = 24 }; /* 2026-11-23T09:00:00.000Z, without a NUL */

/* Writes `wall` as UTC with milliseconds (RFC 3339), RFC3339_LEN bytes. */
void clock_rfc3339(int64_t wall, char out[RFC3339_LEN]);

#endif
