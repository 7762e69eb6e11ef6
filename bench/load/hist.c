/* hist.c -- see hist.h. */
#include "load/hist.h"

#include <math.h>

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift = 0;

    if (ns >> HIST_MAX_BITS)
        ns = (1ull << HIST_MAX_BITS) - 1;
    if (ns >> (HIST_SUB_BITS + 1))
        shift = 63 - (unsigned)__builtin_clzll(ns) - HIST_SUB_BITS;
    return (shift << HIST_SUB_BITS) + (unsigned)(ns >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift = bucket >> (HIST_SUB_BITS + 1) ? (bucket >> HIST_SUB_BITS) - 1 : 0;

    return (((uint64_t)bucket - ((uint64_t)shift << HIST_SUB_BITS) + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->buckets[bucket_of(ns)]++;
    h->count++;
    h->sum += ns;
    if (ns > h->max)
        h->max = ns;
}

uint64_t hist_at(const struct hist *h, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)h->count), seen = 0;

    if (h->count == 0)
        return 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0)
            return bucket_end(i) < h->max ? bucket_end(i) : h->max;
    }
    return h->max;
}
