/* set.h -- backends and the immutable sets of them: inside src/lb only. */
#ifndef LB_SET_H
#define LB_SET_H

#include "lb/lb.h"

/* One is made for each change of what names resolve to; it holds a reference to each of its
 * backends. */
struct backend_set {
    uint32_t        refs; /* atomic */
    bool            unresolved; /* a name has no address */
    unsigned        count;
    struct backend *list[];
};

/* With one reference. An address that `before` (NULL: none) has keeps its backend. NULL without
 * memory. */
struct backend_set *set_new(const struct addr *addrs, unsigned count, bool unresolved,
                            const struct backend_set *before);
void                set_drop(struct backend_set *set);

/* Would set_new make the same again? */
bool set_is(const struct backend_set *set, const struct addr *addrs, unsigned count,
            bool unresolved);

/* One reference more; from any thread. */
static inline void count_up(uint32_t *refs)
{
    __atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
}

void backend_drop(struct backend *b);

#endif
