/* demo_latency.c -- how long answers took: counted in buckets of 6 %, from a microsecond on, so
 * that a demo that runs for days needs no more memory than one of a second. */
#include "demo.h"

enum { OCTAVE = DEMO_OCTAVE, BUCKETS = DEMO_BUCKETS };

static unsigned bucket_of(int64_t ns)
{
    uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
    unsigned octave, i;

    if (us < OCTAVE)
        return (unsigned)us;
    octave = 63u - (unsigned)__builtin_clzll(us) - 4; /* so that us >> octave is 16 to 31 */
    i = (octave + 1) * OCTAVE + (unsigned)(us >> octave) - OCTAVE;
    return i < BUCKETS ? i : BUCKETS - 1;
}

/* The middle of a bucket. */
static int64_t latency_of(unsigned i)
{
    unsigned octave = i / OCTAVE;
    uint64_t us = octave == 0 ? i : (uint64_t)(OCTAVE + i % OCTAVE) << (octave - 1);

    return (int64_t)(us * 1000 + (octave == 0 ? 500 : 500ull << (octave - 1)));
}

void demo_latencies_add(struct demo_latencies *l, int64_t ns)
{
    l->buckets[bucket_of(ns)]++;
    l->count++;
    if (ns > l->slowest)
        l->slowest = ns;
}

int64_t demo_latencies_share(const struct demo_latencies *l, double share)
{
    uint64_t seen = 0;
    int64_t latency;

    for (unsigned i = 0; i < BUCKETS && l->count > 0; i++) {
        seen += l->buckets[i];
        latency = latency_of(i);
        if ((double)seen >= share * (double)l->count)
            return latency < l->slowest ? latency : l->slowest;
    }
    return 0;
}
