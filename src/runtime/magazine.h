/* magazine.h -- free things of one kind (stacks, buffers): a magazine of each worker, which needs
 * no lock, before a depot shared by all. Both give back the newest first, as that is still in a
 * cache.
 *
 * Between them things move in batches of half a magazine, so that a worker that only takes and one
 * that only gives meet at the lock once in a while. The items lie in the free things themselves. */
#ifndef RUNTIME_MAGAZINE_H
#define RUNTIME_MAGAZINE_H

#include "runtime/spin.h"

enum { MAGAZINE_SIZE = 32 };

struct item {
    struct item *next;
    struct item *batch; /* of the first of a batch in the depot: the next batch */
    unsigned count;     /* and how many this one has */
};

struct magazine {
    struct item *first;
    unsigned count;
};

struct depot {
    struct spin lock;
    struct item *batches;
    unsigned kept;  /* items in all batches */
    unsigned least; /* the lowest `kept` since depot_surplus was called */
};

/* A free item, or NULL if magazine and depot are empty. */
struct item *magazine_take(struct magazine *m, struct depot *d);
void magazine_put(struct magazine *m, struct depot *d, struct item *item);
void magazine_flush(struct magazine *m, struct depot *d);

/* How many items, beyond `keep`, nobody needed since the last call. */
unsigned depot_surplus(struct depot *d, unsigned keep);
unsigned depot_kept(struct depot *d);

/* Takes a batch out for good, to give back its memory: the items are linked by `next`. NULL:
 * empty. */
struct item *depot_batch(struct depot *d);

#endif
