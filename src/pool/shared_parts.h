/* shared_parts.h -- what the files of the shared upstream connections share.
 *
 * All of it is under the lock of its part of the table: a connection is taken, becomes idle and
 * leaves the table in critical sections, so whoever finds it there may use it. */
#ifndef POOL_SHARED_PARTS_H
#define POOL_SHARED_PARTS_H

#include "base/list.h"
#include "pool/shared.h"
#include "runtime/event.h"
#include "runtime/spin.h"

/* Who waits for a connection that another request opens. On its stack. */
struct waiter {
    struct link link; /* peer.waiters */
    struct event event;
    bool over; /* the attempt is */
    int err;   /* why it failed */
};

struct peer {
    struct peer *next;
    struct link conns, waiters;
    unsigned opening;
    int64_t h1_until;
    bool only_h1; /* until then, even if it would negotiate otherwise */
    uint64_t hash;
    size_t len;
    char bytes[];
};

struct shared {
    struct link link; /* peer.conns, the one used last first */
    struct peer *peer;
    struct h2_conn *h2;
    struct stream net;
    struct slot_ref ref;
    weir_dur idle_timeout;
    bool idle;    /* armed: nobody serves it */
    bool settled; /* how many streams it takes is known: others than its maker may use it */
    bool turn;    /* it is the attempt that others wait for */
};

struct part {
    struct spin lock;
    struct peer *peers;
    unsigned known;
};

/* shared_peers.c: who is known. The lock is the caller's. find: or NULL. make: found or made, NULL
 * without memory. forget: those who are known for nothing. attempt_over: one that others wait for;
 * they look again, or fail with `err`. each_conn: takes the locks itself. */
struct part *peers_part(uint64_t hash);
struct peer *peers_find(struct part *part, const struct peer_key *key);
struct peer *peers_make(struct part *part, const struct peer_key *key);
void peers_forget(struct part *part);
void peers_attempt_over(struct peer *p, int err);
void peers_each_conn(void (*fn)(struct shared *c));

/* shared_conn.c: one connection. make: of `*up`, which is cleared then; NULL without memory.
 * insert: into the table, with a first stream; false without memory: then end it. start_serving: by
 * a strand of its own. open: a stream on it, or NULL; under the lock. */
struct shared *shared_make(struct upstream **up, const struct shared_terms *terms);
bool shared_insert(struct part *part, const struct peer_key *key, struct shared *c,
                   struct h2_stream **out);
void shared_end(struct shared *c);
void shared_start_serving(struct shared *c);
struct h2_stream *shared_open(struct shared *c);

#endif
