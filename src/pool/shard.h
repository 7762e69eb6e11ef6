/* shard.h -- the part of the pool that belongs to one worker: inside src/pool only.
 *
 * The lock guards all of it but `seen`, and the lists of its connections. Linking and arming a
 * slot, popping and taking it, and the unlinking by whoever won it are each one critical section
 * (RUNTIME.md, D17): so a connection that is linked is idle, or its winner is waiting for the
 * lock. */
#ifndef POOL_SHARD_H
#define POOL_SHARD_H

#include <stdatomic.h>

#include "pool/pool.h"
#include "runtime/lock.h"

enum {
    SHARD_BUCKETS = 1024,
    SHARD_SPARES = 64,                      /* nodes kept for peers without a connection */
    CACHE_LINE = 64,
    KEY_HOST_AT = 1 + 2 + 4 + 2             /* where the host begins in a key (key.c) */
};

/* A peer in a shard: kept while a connection, idle or not, refers to it. */
struct pool_node {
    struct pool_node *next;  /* in its bucket */
    struct link       idle;  /* struct upstream.by_peer, newest first */
    struct link       spare; /* in shard.spares while nothing refers to it */
    unsigned          refs;
    uint64_t          hash;
    size_t            len;
    char              bytes[];
};

struct shard {
    _Alignas(CACHE_LINE) struct spin lock;
    bool              draining;
    unsigned          spare_count;
    struct link       by_age; /* struct upstream.by_age, newest first */
    struct link       spares; /* newest first */
    struct pool_stats counts; /* also how many are idle */
    struct pool_node *buckets[SHARD_BUCKETS];

    /* What others look at before they lock. */
    struct {
        _Alignas(CACHE_LINE) atomic_uint idle;
        atomic_uint places;     /* kept here for connections that were taken (pool.c) */
        _Atomic int64_t oldest; /* idle_since of the oldest; INT64_MAX: none is idle */
    } seen;
};

void shard_init(struct shard *sh);
void shard_done(struct shard *sh); /* frees nodes */

/* The node of a peer with one reference more, for a connection that was opened; NULL without
 * memory. Locks. */
struct pool_node *shard_hold(struct shard *sh, const struct peer_key *key);
void              shard_drop(struct shard *sh, struct pool_node *node);

/* With the lock held: puts a connection in front of the lists, takes it out; takes a place. */
void shard_link(struct shard *sh, struct upstream *up);
void shard_unlink(struct shard *sh, struct upstream *up);

bool shard_take_place(struct shard *sh); /* false: it has kept none */

/* Take an idle connection out that they win: the newest to this peer, whose place is kept; the
 * oldest of all. NULL: none could be won. They lock. */
struct upstream *shard_pop(struct shard *sh, const struct peer_key *key);
struct upstream *shard_pop_oldest(struct shard *sh);

#endif
