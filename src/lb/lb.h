/* lb.h -- backends and the choice among them: the inside of <weir/lb.h>.
 *
 * A backend is counted by itself and outlives the set it came from; its identity is its address.
 * Choosing takes the next of the healthy ones under a lock held for a few instructions; one strand
 * for each balancer looks names up and checks backends. */
#ifndef LB_LB_H
#define LB_LB_H

#include <weir/lb.h>

#include "base/faults.h"
#include "pool/pool.h"

struct backend {
    uint32_t    refs;            /* atomic */
    uint32_t    unlent;          /* of them; under the balancer's lock, as the next two */
    bool        healthy;         /* under the balancer's lock, as the next */
    uint64_t    requests;        /* how often it was chosen */
    uint64_t    failures;        /* atomic: backend_failed */
    struct addr addr;            /* a path is part of `name` */
    char        name[ADDR_TEXT]; /* the address as text, for logs */
    struct peer_key *plain_key;  /* in the pool, of a peer that is plain */

    /* Of its checks; the balancer's strand only. */
    bool        checked, checking; /* ever; now */
    unsigned    streak;            /* results in a row that speak against `healthy` */
    int64_t     due;               /* when the next one begins; 0: not known yet */
};

/* Counts a try that failed by the backend's fault. From any thread that holds a reference. */
void backend_failed(struct backend *b);

/* What a request has tried so far, so that the next choice passes over it. With a count of 0 at the
 * start of a request; tried_done drops the references at its end. */
enum { TRIED_MAX = 8 };
struct tried {
    struct backend *list[TRIED_MAX]; /* each holds a reference */
    unsigned        count;
};
void tried_done(struct tried *t);

/* The next healthy backend in turn that was not tried yet. 0; WEIR_ENOUPSTREAM: there is none, or
 * TRIED_MAX were tried; WEIR_EDNS: there are none at all, and at least one name has no address.
 * The reference to `*out` is held by `tried`. Never blocks. From any thread, until lb_free. */
must_use int lb_choose(struct weir_lb *lb, struct tried *tried, struct backend **out);

/* Set-up, on one thread: everything is copied, errors are kept for lb_error. lb_new: NULL
 * without memory only. lb_free: after rt_stop; backends that are held live on. */
struct weir_lb *lb_new(const struct weir_lb_config *config);
void            lb_add(struct weir_lb *lb, const char *addr);
void            lb_free(struct weir_lb **lb);

/* Appends all that is wrong with its configuration: sentences that name the call and the index. */
void lb_faults(const struct weir_lb *lb, struct faults *out);

/* Looks all names up, and appends those without an address; nothing else changes. Blocks. Instead
 * of lb_resolve. */
void lb_test(struct weir_lb *lb, struct faults *out);

/* Makes the first set: host names are looked up, which blocks (the calling thread, or
 * coroutine). A failed look-up is a warning in the log, and the addresses known before stay. 0
 * or WEIR_ENOMEM. Not while the strand of lb_start runs. */
must_use int lb_resolve(struct weir_lb *lb);

/* Once workers run, after lb_resolve: starts the strand that looks names up again every 30 s and
 * checks backends, if there is something to do. 0, WEIR_ESTACKS, WEIR_ENOMEM. lb_stop tells it to
 * end, also a check under way; it has ended when rt_stop returns. Neither blocks. */
must_use int lb_start(struct weir_lb *lb);
void         lb_stop(struct weir_lb *lb);

/* How names are looked up: `resolve` of net/resolve.h, or what a test puts here. */
extern int (*lb_lookup)(const char *host, uint16_t port, struct addr *out, unsigned max,
                        const char **why);

/* How a backend is checked, in a coroutine: a connect, or what a test puts here. 0, the error that
 * the backend is down with; or WEIR_ECANCELED, WEIR_ENOMEM, WEIR_EDESCRIPTORS, WEIR_EINTERNAL,
 * which tell nothing. */
extern int (*lb_check)(const struct addr *to, weir_dur timeout);

#endif
