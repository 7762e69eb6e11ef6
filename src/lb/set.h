/* set.h -- backends and sets of them: inside src/lb only. */
#ifndef LB_SET_H
#define LB_SET_H

#include "lb/lb.h"

/* One is made for each change of what names resolve to; it holds a reference to each of its
 * backends, and belongs to its balancer, whose lock guards it. */
struct backend_set {
    bool             unresolved; /* a name has no address */
    unsigned         count;
    unsigned         up_count;
    struct backend **up;     /* the healthy ones, in the order of `list`: a choice is one index */
    struct backend  *list[]; /* all, in the order of the configuration */
};

/* An address that `before` (NULL: none) has keeps its backend, and with it its health. NULL without
 * memory. */
struct backend_set *set_new(const struct addr *addrs, unsigned count, bool unresolved,
                            const struct backend_set *before);
void                set_free(struct backend_set *set);

/* Would set_new make the same again? */
bool set_is(const struct backend_set *set, const struct addr *addrs, unsigned count,
            bool unresolved);

bool set_has(const struct backend_set *set, const struct backend *b);

/* Gathers the healthy ones again, after one of them has changed. */
void set_sort(struct backend_set *set);

/* One reference more; from any thread. */
static inline void backend_hold(struct backend *b)
{
    __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
}

void backend_drop(struct backend *b);

/* The same for a request, under the balancer's lock: references are counted many at a time, and
 * lent one by one. What was not lent, set_settle takes back, when the set is to go. */
static inline void backend_lend(struct backend *b)
{
    enum { MANY = 1024 };

    if (b->unlent == 0) {
        __atomic_fetch_add(&b->refs, MANY, __ATOMIC_RELAXED);
        b->unlent = MANY;
    }
    b->unlent--;
}

void set_settle(struct backend_set *set); /* NULL: none */

#endif
