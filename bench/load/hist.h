/* hist.h -- a histogram of durations: log-linear buckets, 128 to each power of two, so that any
 * percentile is right within 1 %, from a nanosecond to an hour, in constant memory. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum { HIST_SUB_BITS = 7, HIST_MAX_BITS = 42 };
enum { HIST_BUCKETS = (HIST_MAX_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS };

struct hist {
    uint64_t count, sum, max;
    uint32_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);

/* The duration that `share` (0 to 1) of all entries do not exceed: a bucket's upper end, but never
 * more than the greatest entry. 0 if there is none. */
uint64_t hist_at(const struct hist *h, double share);

#endif
