/* pool.h -- idle upstream connections, shared by all workers.
 *
 * Each worker has a shard: the connections whose descriptors are in its epoll. A request takes the
 * newest one of its own shard, then of the others'. While a connection is idle nobody owns it: the
 * event, its timeout, a taker and an eviction compete for its slot (runtime/slot.h), and the winner
 * unlinks it. One that closes or talks while idle leaves at once. The number of idle connections of
 * the process is bounded; the oldest goes first. */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <weir/peer.h>

#include "base/list.h"
#include "http/h1.h"
#include "runtime/slab.h"

struct pool_node;

/* The whole identity of a peer: two connections are interchangeable only if all of it is equal.
 * Text is serialised with lengths, and compared in full. */
struct peer_key {
    uint64_t hash;
    size_t   len;
    char     bytes[1024]; /* longer ones: WEIR_EINVALID */
};

/* 0 or WEIR_EINVALID (too long). All of `peer` but its times and its address counts; an absent text
 * is the same as an empty one. */
must_use int peer_key_make(struct peer_key *key, const struct addr *addr,
                           const struct weir_peer *peer);

/* Does its address alone make its key? Then all those with this address have the same one:
 * peer_key_plain, malloc'ed, the caller's; NULL without memory. */
static inline bool peer_is_plain(const struct weir_peer *peer)
{
    return !peer->tls && peer->sni.len == 0 && peer->group.len == 0 && peer->bind.len == 0;
}
struct peer_key *peer_key_plain(const struct addr *addr);

/* An upstream connection: the pool's part around the connection. Made by upstream_open, or taken
 * from the pool; a request that has it owns it. */
struct upstream {
    _Alignas(64) struct slab_item item;
    struct h1_conn    h1;
    struct addr       addr;     /* a path is the node's */
    struct pool_node *node;     /* its peer, in the shard of its worker */
    struct link       by_peer, by_age;
    int64_t           idle_since;
    weir_dur          idle_timeout;
    struct slot_ref   ref;
    uint32_t          requests; /* served so far: counted by pool_give */
};

/* `max_idle` for the process (0: nothing is kept). Call once workers run: 0 or WEIR_ENOMEM.
 * pool_stop after rt_stop, when nobody holds a connection; after pool_drain, or what is still
 * idle loses its descriptor. */
must_use int pool_start(unsigned max_idle);
void         pool_stop(void);

/* An idle connection to this peer, ready for its next exchange (h1_next), or NULL. It is yours:
 * give it back or close it. `careful`: look with a peek whether it is still usable (requests
 * that cannot be repeated). Never blocks. */
struct upstream *pool_take(const struct peer_key *key, bool careful);

/* Gives `*up` back for reuse and clears it; the pool owns it from here on, and may close it at
 * once. The caller knows that it may be used again (h1_reusable). Never blocks. */
void pool_give(struct upstream **up);

/* Opens a new connection. Blocks. `from` and errors as net_connect. Its limits are the defaults of
 * CONVENTIONS; who has others sets up->h1.limits. `idle_timeout`: how long it stays in the pool;
 * WEIR_FOREVER: no limit. */
must_use int upstream_open(const struct peer_key *key, const struct addr *addr,
                           const struct addr *from, weir_dur idle_timeout, struct deadline until,
                           struct upstream **out);

/* Closes and frees `*up`, and clears it (NULL: nothing). Never blocks. */
void upstream_close(struct upstream **up);

/* What is left of `*up` when its stream has been taken over by somebody else; clears it. */
void upstream_let_go(struct upstream **up);

/* Closes all idle connections, and what is given back from now on (shutdown). From a worker. One
 * that its peer or its timeout has just won is closed by who won it, perhaps a moment later. */
void pool_drain(void);

/* Numbers since the start, shared connections and their streams included: made; taken from the
 * pool; closed to keep the bound; closed by their idle timeout; closed because the peer closed them
 * or talked. All as they are in one moment, so that `idle` is never above the bound. From any
 * thread. */
struct pool_stats {
    uint64_t opened, reused, evicted, expired, closed_by_peer;
    unsigned idle;
};
void pool_stats(struct pool_stats *out);

#endif
