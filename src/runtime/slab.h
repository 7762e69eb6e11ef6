/* slab.h -- objects of one type that are never unmapped: whoever holds an old pointer or index
 * reads an object of that type, and its generation tells whether it is still the same (RUNTIME.md
 * R1).
 *
 * Objects are named by an index as well. A free object keeps all its fields but `item`: what a late
 * waker may still touch is initialised once, and never stored again.
 *
 * Where the type allows it (`retire`), free objects give their memory back all the same, a unit of
 * neighbours at a time. Then they read as zeros, until they are initialised once more. Two things
 * make that safe: zero is a state that no late waker or contender acts on, and the unit's *floor*
 * is kept: the highest generation (or number) that any of its objects had, with which all of them
 * begin again. So to who holds an old handle they are other objects, as ever. */
#ifndef RUNTIME_SLAB_H
#define RUNTIME_SLAB_H

#include <stdatomic.h>

#include "base/list.h"
#include "runtime/spin.h"

/* The first member of each object. */
struct slab_item {
    struct slab_item *next; /* while free */
    uint32_t index;
};

/* Objects are of 64 bytes or a multiple of it, so a unit is whole pages. */
enum { SLAB_UNIT = 64, SLAB_CHUNK = 4 * SLAB_UNIT, SLAB_MAGAZINE = 64 };

struct slab_unit {
    uint64_t floor;
    uint32_t next; /* cold: the number of the next one, + 1 */
    uint32_t free; /* slab_trim counts here */
};

struct slab_type {
    size_t size;
    uint32_t max;
    /* On zeroed memory; NULL: it stays so. `floor`: 0, or what retire said. */
    void (*init)(void *object, uint64_t floor);
    /* Makes sure that nothing refers to a free object but who would find it changed. Its floor.
     * NULL: memory is never given back. */
    uint64_t (*retire)(void *object);
};

struct slab {
    struct link all; /* the slabs that give memory back */
    struct slab_type type;
    char **chunks;           /* a directory large enough for `max`, touched as it fills */
    struct slab_unit *units; /* the same */
    _Atomic uint32_t made;   /* objects in chunks */
    struct spin lock;        /* guards the rest */
    struct slab_item *depot;
    uint32_t kept;  /* in the depot */
    uint32_t cold;  /* the first unit without memory, + 1 */
    uint32_t colds; /* how many are */
};

/* A worker's own free objects. */
struct slab_magazine {
    struct slab_item *first;
    unsigned count;
};

/* slab_start and slab_stop while no other thread knows the slab. */
must_use int slab_start(struct slab *s, const struct slab_type *type);
void slab_stop(struct slab *s); /* unmaps all */

/* An object, or NULL at the bound or without memory. `m` may be NULL (not a worker). */
void *slab_get(struct slab *s, struct slab_magazine *m);
void slab_put(struct slab *s, struct slab_magazine *m, void *object);
void slab_flush(struct slab *s, struct slab_magazine *m); /* all of a magazine to the depot */

/* A `retire` for objects that nobody knows any more once they are free. */
uint64_t slab_forgotten(void *object);

/* Of all slabs: gives back the memory of units of which all objects are in the depot. Looks at
 * every free object (some 10 ns each), so only after a peak. One caller at a time. */
void slabs_trim(void);

/* Objects that are handed out, or in a magazine. */
uint32_t slab_used(struct slab *s);

/* The object of an index that was handed out once. */
static inline void *slab_at(const struct slab *s, uint32_t index)
{
    return s->chunks[index / SLAB_CHUNK] + (size_t)(index % SLAB_CHUNK) * s->type.size;
}

#endif
