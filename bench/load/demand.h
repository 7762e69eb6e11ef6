/* demand.h -- which request is to be sent next, and since when it should have been.
 *
 * Closed loop: another one as soon as fewer than `busy` are under way. Open loop: at fixed points
 * of time; when no connection is free the point stays, and the latency is measured from it, so
 * that a slow proxy cannot slow down its own test (no "coordinated omission"). */
#ifndef BENCH_DEMAND_H
#define BENCH_DEMAND_H

#include "load/options.h"

struct request {
    struct class *class;
    uint64_t start; /* the intended one */
};

struct demand {
    struct options *options;
    uint64_t requests; /* to be sent in all; UINT64_MAX = no bound */
    uint64_t end;      /* none is due from here on; UINT64_MAX = no bound */
    uint64_t taken;
    uint64_t due;    /* open loop: the next one's point of time */
    double distance; /* open loop: the mean in ns */
    double fraction; /* of a ns, carried over so that even distances do not drift */
    uint64_t random;
};

/* A phase of `requests` or `span` ns begins at `now`; 0 = no such bound. */
void demand_begin(struct demand *d, struct options *options, uint64_t requests, uint64_t span,
                  uint64_t now);

/* The next request, if one is due. `active`: how many are under way. */
bool demand_take(struct demand *d, uint64_t now, uint64_t active, struct request *out);

/* When there will be one that is not due yet: a point of time, or UINT64_MAX. */
uint64_t demand_next(const struct demand *d, uint64_t now);

/* Whether none will come any more. */
bool demand_over(const struct demand *d, uint64_t now);

/* Ends it early. How many were due and never taken. */
uint64_t demand_stop(struct demand *d, uint64_t now);

#endif
