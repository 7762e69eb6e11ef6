/* set.c -- sets, and references to backends: whoever drops the last one frees. */
#include "lb/set.h"

#include <stdlib.h>

static struct backend *backend_new(const struct addr *addr)
{
    struct backend *b = malloc(sizeof *b);

    if (b == NULL)
        return NULL;
    *b = (struct backend){ .refs = 1, .addr = *addr, .healthy = true };
    addr_print(addr, b->name);
    if (addr->kind == ADDR_UNIX)
        b->addr.path = b->name + strlen(b->name) - strlen(addr->path);
    b->plain_key = peer_key_plain(&b->addr);
    if (b->plain_key == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

void backend_drop(struct backend *b)
{
    if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    free(b->plain_key);
    free(b);
}

/* The set has a reference of its own, so none is the last. */
void set_settle(struct backend_set *set)
{
    for (unsigned i = 0; set != NULL && i < set->count; i++) {
        struct backend *b = set->list[i];

        __atomic_fetch_sub(&b->refs, b->unlent, __ATOMIC_RELAXED);
        b->unlent = 0;
    }
}

void set_free(struct backend_set *set)
{
    if (set == NULL)
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
    backend_hold(b);
    return b;
}

struct backend_set *set_new(const struct addr *addrs, unsigned count, bool unresolved,
                            const struct backend_set *before)
{
    struct backend_set *set = malloc(sizeof *set + 2 * count * sizeof(struct backend *));

    if (set == NULL)
        return NULL;
    *set = (struct backend_set){ .unresolved = unresolved, .up = set->list + count };
    for (unsigned i = 0; i < count; i++) {
        struct backend *b = obtain(&addrs[i], set, before);

        if (b == NULL) {
            set_free(set);
            return NULL;
        }
        set->list[set->count++] = b;
    }
    set_sort(set);
    return set;
}

bool set_has(const struct backend_set *set, const struct backend *b)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->list[i] == b)
            return true;
    return false;
}

void set_sort(struct backend_set *set)
{
    set->up_count = 0;
    for (unsigned i = 0; i < set->count; i++)
        if (set->list[i]->healthy)
            set->up[set->up_count++] = set->list[i];
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
