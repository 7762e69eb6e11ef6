/* list.h -- an intrusive, circular, doubly linked list. A head is a link of its own; a link that is
 * in no list points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct link {
    struct link *next, *prev;
};

static inline void link_init(struct link *l)
{
    l->next = l->prev = l;
}

static inline bool link_alone(const struct link *l)
{
    return l->next == l;
}

static inline void link_before(struct link *where, struct link *l)
{
    l->next = where;
    l->prev = where->prev;
    where->prev->next = l;
    where->prev = l;
}

static inline void link_after(struct link *where, struct link *l)
{
    link_before(where->next, l);
}

static inline void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

#endif
