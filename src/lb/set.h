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

#endif
