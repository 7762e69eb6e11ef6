/* set.c -- references to backends and sets: whoever drops the last one frees. */
#include "lb/set.h"

#include <stdlib.h>

static bool count_down(uint32_t *refs)
{
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static struct backend *backend_new(const struct addr *addr)
{
    struct backend *b = malloc(sizeof *b);

    if (b == NULL)
        return NULL;
    *b = (struct backend){ .refs = 1, .addr = *addr };
    addr_print(addr, b->name);
    if (addr->kind == ADDR_UNIX)
        b->addr.path = b->name + strlen(b->name) - strlen(addr->path);
    return b;
}

void backend_drop(struct backend *b)
{
    if (count_down(&b->refs))
        free(b);
}

void set_drop(struct backend_set *set)
{
    if (set == NULL || !count_down(&set->refs))
        return;
    for (unsigned i = 0; i < set->count; i++)
        backend_drop(set->list[i]);
    free(set);
}

static struct backend *find(const struct backend_set *set, const struct addr *addr)
{
    for (unsigned i = 0; set != NULL && i < set->count; i++)
        if (addr_eq(&set->list[i]->addr, addr))
            return set->list[i];
    return NULL;
}

/* The backend of an address: of the set being made (configured twice: twice its turn), of the
 * one before, or a new one. With a reference for the caller. */
static struct backend *obtain(const struct addr *addr, const struct backend_set *made,
                              const struct backend_set *before)
{
    struct backend *b = find(made, addr);

    if (b == NULL)
        b = find(before, addr);
    if (b == NULL)
        return backend_new(addr);
    count_up(&b->refs);
    return b;
}

struct backend_set *set_new(const struct addr *addrs, unsigned count, bool unresolved,
                            const struct backend_set *before)
{
    struct backend_set *set = malloc(sizeof *set + count * sizeof(struct backend *));

    if (set == NULL)
        return NULL;
    *set = (struct backend_set){ .refs = 1, .unresolved = unresolved };
    for (unsigned i = 0; i < count; i++) {
        struct backend *b = obtain(&addrs[i], set, before);

        if (b == NULL) {
            set_drop(set);
            return NULL;
        }
        set->list[set->count++] = b;
    }
    return set;
}

bool set_is(const struct backend_set *set, const struct addr *addrs, unsigned count,
            bool unresolved)
{
    if (set->count != count || set->unresolved != unresolved)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!addr_eq(&set->list[i]->addr, &addrs[i]))
            return false;
    return true;
}
