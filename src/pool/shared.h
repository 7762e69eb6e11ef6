/* shared.h -- upstream connections that many requests use at once: HTTP/2, each request a stream.
 *
 * A connection belongs to the process, not to a worker or a request: it is one strand (http/h2.h),
 * and requests of all workers open streams on it, as many as its peer allows. A new one is opened
 * only when all are full, by one request at a time: the others wait for it. What a peer turns out
 * to speak is remembered, for a while, so that an HTTP/1 peer is not asked each time. */
#ifndef POOL_SHARED_H
#define POOL_SHARED_H

#include "http/h2.h"
#include "pool/pool.h"

/* What a request for this peer has to do. */
enum shared_turn {
    SHARED_STREAM, /* `*out` is its stream */
    SHARED_OPEN,   /* open a connection, then call shared_publish, shared_h1 or shared_failed */
    SHARED_H1,     /* it speaks HTTP/1 */
    SHARED_ONLY_H1 /* it has asked for HTTP/1 where it could have had HTTP/2: offer nothing else */
};

/* Blocks while another request opens a connection, until the deadline. A turn, or an error: the
 * deadline's, that of the other's attempt, WEIR_ECANCELED, WEIR_ENOMEM. */
int shared_obtain(const struct peer_key *key, struct deadline until, struct h2_stream **out);

/* The connection `*up` speaks HTTP/2: it is shared from here on (and cleared), with a stream for
 * the caller. Those who wait go on waiting until its peer has told how many streams it takes.
 * `silence`: see h2_client_watch. 0 or WEIR_ENOMEM: then it is closed. Also without a turn
 * (`turn`). */
struct shared_terms {
    bool https, turn;
    weir_dur silence;
};
must_use int shared_publish(const struct peer_key *key, struct upstream **up,
                            const struct shared_terms *terms, struct h2_stream **out);

/* It speaks HTTP/1. With a turn. */
void shared_h1(const struct peer_key *key);

/* It said so on a connection of HTTP/2 (WEIR_EUPH1). */
void shared_only_h1(const struct peer_key *key);

/* It could not be opened: those who wait fail as well, unless the cause lies with who tried: that
 * it is cancelled, or had little time. With a turn. */
void shared_failed(const struct peer_key *key, int err);

/* Shutdown: what is idle is closed, the others when their last stream has ended. From a worker.
 * shared_start: the next server of a process. */
void shared_drain(void);
void shared_start(void);

/* Requests that wait now for a connection that another one opens. */
unsigned shared_waiting(void);

/* Streams opened on a connection that was there. */
void shared_stats(uint64_t *reused);

#endif
