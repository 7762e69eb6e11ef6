/* lb.h -- backends and the choice among them: the inside of <weir/lb.h>.
 *
 * A backend is counted by itself and outlives the set it came from; its identity is its address. The set is an immutable, counted snapshot: picking takes
 * the current one, a resolver strand replaces it. */
#ifndef LB_LB_H
#define LB_LB_H

#include <weir/lb.h>

#include "base/arena.h"
#include "net/addr.h"

struct backend {
    uint32_t    refs;
    struct addr addr;
    char        name[ADDR_TEXT]; /* the address as text, for logs */
};

/* What a request has tried so far, so that the next pick passes over it. */
enum { TRIED_MAX = 8 };
struct tried {
    struct backend *list[TRIED_MAX]; /* each holds a reference */
    unsigned        count;
};
void tried_done(struct tried *t);

/* The sketch's calls are made of these: the proxy layer passes the session's `tried`. 0, WEIR_EDNS, WEIR_ENOUPSTREAM. The reference to `*out` is held by `tried`. Never blocks. */
int lb_choose(struct weir_lb *lb, struct tried *tried, struct backend **out);

struct weir_lb *lb_new(const struct weir_lb_config *config);
void            lb_add(struct weir_lb *lb, const char *addr);
void            lb_free(struct weir_lb **lb);

/* The first thing wrong with its configuration, or NULL. */
const char *lb_error(const struct weir_lb *lb);

/* Makes the first set (host names are looked up: blocks, on the calling thread) and, once workers run, starts the strand that looks them up again every 30 s. A failed look-up is a warning in the log. */
int  lb_resolve(struct weir_lb *lb);
int  lb_start(struct weir_lb *lb);
void lb_stop(struct weir_lb *lb);

#endif
