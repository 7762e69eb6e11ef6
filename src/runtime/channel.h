/* channel.h -- a bounded queue of items of one size, between any number of senders and receivers.
 * First in, first out; senders and receivers are served in the order in which they came. */
#ifndef RUNTIME_CHANNEL_H
#define RUNTIME_CHANNEL_H

#include "runtime/permits.h"

enum { CHANNEL_ITEM = 256 }; /* bytes of an item at most: they are copied under a spinlock */

struct channel;

/* An open, empty channel for up to `capacity` items (1 to 2^24) of `size` bytes (1 to
 * CHANNEL_ITEM), or NULL without memory. */
struct channel *channel_new(size_t capacity, size_t size);

/* Nobody uses it any more. What is in it is gone. Clears `*ch`. */
void channel_free(struct channel **ch);

/* Copies the item in, and blocks while the channel is full: 0, or WEIR_ECLOSED, the deadline's
 * error, WEIR_ECANCELED; then nothing was sent. A deadline in the past makes it look once. */
must_use int channel_send(struct channel *ch, const void *item, struct deadline until);

/* Copies the oldest item out, and blocks while there is none: 0, or WEIR_ECLOSED once it is closed
 * and empty, the deadline's error, WEIR_ECANCELED; then none was taken. */
must_use int channel_receive(struct channel *ch, void *item, struct deadline until);

/* The same without waiting, on any thread: 0, WEIR_ECLOSED, or WEIR_ETIMEOUT if they would have to
 * wait. Never block. */
must_use int channel_try_send(struct channel *ch, const void *item);
must_use int channel_try_receive(struct channel *ch, void *item);

/* No more is sent; what is in it can still be received. Ends all waits. Never blocks; on any
 * thread. */
void channel_close(struct channel *ch);

#endif
