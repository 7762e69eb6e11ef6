/* log_ring.h -- lines on their way to one file: a bounded ring of bytes, many writers, one reader.
 *
 * A writer holds the lock for a memcpy only, and a line that does not fit is counted, never waited
 * for. The reader takes whole lines, in place. */
#ifndef SERVER_LOG_RING_H
#define SERVER_LOG_RING_H

#include <pthread.h>
#include <sys/uio.h>

#include "base/base.h"

struct log_ring {
    pthread_mutex_t lock;
    char *bytes;
    size_t cap;          /* a power of two */
    uint64_t head, tail; /* bytes ever written, ever dropped */
    uint64_t lost;       /* lines, since ring_lost was last asked */
};

/* What the reader should know about a line that came: nothing, that the ring was empty before
 * it, or that it made the ring half full. */
enum ring_news { RING_SAME, RING_FIRST, RING_HALF };

/* `cap` is a power of two. 0 or WEIR_ENOMEM. */
must_use int ring_init(struct log_ring *r, size_t cap);
void ring_done(struct log_ring *r);

/* Adds a line that ends with its newline, or counts it as lost. */
enum ring_news ring_put(struct log_ring *r, weir_str line);

/* Reader: what is there, in one or two pieces; their number (0: empty). It stays until dropped. */
int ring_peek(struct log_ring *r, struct iovec out[2]);
void ring_drop(struct log_ring *r, size_t n);

/* Reader: lines lost since the last call. */
uint64_t ring_lost(struct log_ring *r);

#endif
