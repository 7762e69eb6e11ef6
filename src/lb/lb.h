/* lb.h -- backends and the choice among them: the inside of <weir/lb.h>.
 *
 * A backend is counted by itself and outlives the set it came from; its identity is its address.
 * The set is an immutable, counted snapshot: choosing takes the current one, a resolver strand
 * replaces it. */
#ifndef LB_LB_H
#define LB_LB_H

#include <weir/lb.h>

#include "net/addr.h"

struct backend {
    uint32_t    refs; /* atomic */
    struct addr addr; /* a path is part of `name` */
    char        name[ADDR_TEXT]; /* the address as text, for logs */
};

/* What a request has tried so far, so that the next choice passes over it. Zeroed at the start
 * of a request; tried_done drops the references at its end. */
enum { TRIED_MAX = 8 };
struct tried {
    struct backend *list[TRIED_MAX]; /* each holds a reference */
    unsigned        count;
};
void tried_done(struct tried *t);

/* The next backend in turn that was not tried yet. 0; WEIR_ENOUPSTREAM: all there are were
 * tried, or TRIED_MAX of them; WEIR_EDNS: there are none, and at least one name has no address.
 * The reference to `*out` is held by `tried`. Never blocks. From any thread, until lb_free. */
must_use int lb_choose(struct weir_lb *lb, struct tried *tried, struct backend **out);

/* Set-up, on one thread: everything is copied, errors are kept for lb_error. lb_new: NULL
 * without memory only. lb_free: after rt_stop; backends that are held live on. */
struct weir_lb *lb_new(const struct weir_lb_config *config);
void            lb_add(struct weir_lb *lb, const char *addr);
void            lb_free(struct weir_lb **lb);

/* The first thing wrong with its configuration, as a sentence that names the call and the index,
 * or NULL. Lives as long as the balancer. */
const char *lb_error(const struct weir_lb *lb);

/* Makes the first set: host names are looked up, which blocks (the calling thread, or
 * coroutine). A failed look-up is a warning in the log, and the addresses known before stay. 0
 * or WEIR_ENOMEM. Not while the strand of lb_start runs. */
must_use int lb_resolve(struct weir_lb *lb);

/* Once workers run: starts the strand that looks names up again every 30 s, if there are any. 0,
 * WEIR_ESTACKS, WEIR_ENOMEM. lb_stop tells it to end; it has ended when rt_stop returns. Neither
 * blocks. */
must_use int lb_start(struct weir_lb *lb);
void         lb_stop(struct weir_lb *lb);

/* How names are looked up: `resolve` of net/resolve.h, or what a test puts here. */
extern int (*lb_lookup)(const char *host, uint16_t port, struct addr *out, unsigned max,
                        const char **why);

#endif
