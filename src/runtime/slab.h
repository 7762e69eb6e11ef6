/* slab.h -- objects of one type that are never unmapped: whoever holds an old pointer or index
 * reads an object of that type, and its generation tells whether it is still the same (RUNTIME.md
 * R1).
 *
 * Objects are named by an index as well. A free object keeps all its fields but `item`: what a late
 * waker may still touch is initialised once, when its chunk is made, and never stored again. */
#ifndef RUNTIME_SLAB_H
#define RUNTIME_SLAB_H

#include <stdatomic.h>

#include "runtime/spin.h"

/* The first member of each object. */
struct slab_item {
    struct slab_item *next; /* while free */
    uint32_t index;
};

enum { SLAB_CHUNK = 256, SLAB_MAGAZINE = 64 };

struct slab {
    size_t size; /* of an object */
    uint32_t max;
    void (*init)(void *object); /* once, on zeroed memory */
    char **chunks;              /* a directory large enough for `max`, touched as it fills */
    _Atomic uint32_t made;      /* objects in chunks */
    struct spin lock;           /* guards the rest */
    struct slab_item *depot;
};

/* A worker's own free objects. */
struct slab_magazine {
    struct slab_item *first;
    unsigned count;
};

int slab_start(struct slab *s, size_t size, uint32_t max, void (*init)(void *));
void slab_stop(struct slab *s); /* unmaps all */

/* An object, or NULL at the bound or without memory. `m` may be NULL (not a worker). */
void *slab_get(struct slab *s, struct slab_magazine *m);
void slab_put(struct slab *s, struct slab_magazine *m, void *object);

/* The object of an index that was handed out once. */
static inline void *slab_at(const struct slab *s, uint32_t index)
{
    return s->chunks[index / SLAB_CHUNK] + (size_t)(index % SLAB_CHUNK) * s->size;
}

#endif
