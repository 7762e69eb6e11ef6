/* demand.c -- see demand.h. */
#include "load/demand.h"

#include "common/tool.h"

#include <math.h>

/* xorshift64*: seeded, so that a run can be repeated. */
static uint64_t random_next(struct demand *d)
{
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return d->random * 2685821657736338717ull;
}

/* Greater than 0, at most 1. */
static double random_share(struct demand *d)
{
    return ((double)(random_next(d) >> 11) + 1) / (double)(1ull << 53);
}

static struct class *choose_class(struct demand *d)
{
    struct options *o = d->options;
    uint64_t n;

    if (o->class_count == 1)
        return &o->classes[0];
    n = random_next(d) % o->weights;
    for (unsigned i = 0;; i++) {
        if (n < o->classes[i].weight)
            return &o->classes[i];
        n -= o->classes[i].weight;
    }
}

static void advance(struct demand *d)
{
    double step = d->options->poisson ? -log(random_share(d)) * d->distance : d->distance;

    step += d->fraction;
    d->fraction = step - floor(step);
    d->due += (uint64_t)step;
}

void demand_begin(struct demand *d, struct options *options, uint64_t requests, uint64_t span,
                  uint64_t now)
{
    *d = (struct demand){
        .options = options,
        .requests = requests ? requests : UINT64_MAX,
        .end = span ? now + span : UINT64_MAX,
        .due = now,
        .distance = options->rate ? (double)NS_PER_SEC / (double)options->rate : 0,
        .random = (options->seed + 1) * 0x9e3779b97f4a7c15ull,
    };
    if (options->rate)
        advance(d);
}

bool demand_take(struct demand *d, uint64_t now, uint64_t active, struct request *out)
{
    if (demand_over(d, now) || active >= d->options->busy)
        return false;
    if (d->options->rate) {
        if (d->due > now)
            return false;
        out->start = d->due;
        advance(d);
    } else {
        out->start = now;
    }
    out->class = choose_class(d);
    d->taken++;
    return true;
}

uint64_t demand_next(const struct demand *d, uint64_t now)
{
    if (demand_over(d, now))
        return UINT64_MAX;
    if (d->options->rate == 0)
        return d->end; /* until then a response makes room for the next request, not the clock */
    return d->due > now ? d->due : UINT64_MAX;
}

bool demand_over(const struct demand *d, uint64_t now)
{
    return d->taken >= d->requests || (d->options->rate ? d->due : now) >= d->end;
}

uint64_t demand_stop(struct demand *d, uint64_t now)
{
    uint64_t missed = 0;

    while (d->options->rate && d->due <= now && !demand_over(d, now)) {
        advance(d);
        d->taken++;
        missed++;
    }
    d->end = 0;
    return missed;
}
