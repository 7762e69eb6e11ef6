/* parts.h -- the inside of a balancer, shared by the files of src/lb.
 *
 * Set-up is the main thread's. Once workers run, one strand keeps the balancer: it looks names up
 * again, checks backends, and is the only one to change the set, always under the lock. Choosing
 * takes the lock for a few instructions. */
#ifndef LB_PARTS_H
#define LB_PARTS_H

#include <stdatomic.h>

#include "base/faults.h"
#include "base/random.h"
#include "lb/set.h"
#include "runtime/co.h"
#include "runtime/event.h"
#include "runtime/spin.h"

/* What the user configured, and for a name what it resolved to last. */
struct entry {
    char *text;
    struct addr_spec spec; /* points into `text` */
    struct addr *known;    /* malloc'ed */
    unsigned known_count;
};

/* A coroutine that does one check at a time. */
struct checker {
    struct weir_lb *lb;
    struct backend *job; /* with a reference; NULL: it waits for one */
    struct event given;
    struct task task;
};

/* Checks at once, of one balancer: enough that all of a thousand black-holed backends are looked at
 * within a minute by the default timeout, and few enough to be no load. */
enum { CHECKERS = 16 };

struct health {
    struct weir_lb_health config; /* with all defaults */
    struct event changed;         /* a check is over, or the set is another one */
    unsigned started;             /* of `checkers`: as many as were ever needed at once */
    struct checker checkers[CHECKERS];
    struct random random;
};

struct weir_lb {
    struct entry *entries;
    unsigned entry_count, name_count;
    struct faults faults;

    struct spin lock; /* guards the next three */
    struct backend_set *set;
    unsigned turn;

    struct health health;
    atomic_bool stopping;
    _Atomic(strand_ref) strand; /* that keeps it; 0: none or not yet */
};

/* names.c: a task that looks names up every 30 s. Returns when it is cancelled. */
int names_keep(void *lb);

/* health.c: what is wrong with a configuration of checks, and its defaults; and a task that checks
 * backends when they are due, until it is cancelled. */
void health_configure(struct weir_lb *lb, const struct weir_lb_health *config);
int  health_keep(void *lb);

#endif
