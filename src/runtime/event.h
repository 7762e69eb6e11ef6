/* event.h -- "something has happened": set by anyone, waited for by one coroutine.
 *
 * What happened stays visible elsewhere (a queue, a flag); the event only ends the waiting. Setting
 * it twice before the waiter looks is the same as once. */
#ifndef RUNTIME_EVENT_H
#define RUNTIME_EVENT_H

#include <stdatomic.h>

#include "runtime/deadline.h"

struct event {
    _Atomic uintptr_t word;  /* EVENT_SET, or the coroutine that waits, or 0 */
    _Atomic uint64_t number; /* of its park */
};

static inline void event_init(struct event *e)
{
    atomic_init(&e->word, 0);
    atomic_init(&e->number, 0);
}

/* From any thread or coroutine; never blocks. The memory must live until it returns. */
void event_set(struct event *e);

/* Blocks until the event is set (0, and it is clear again), the deadline (its err), or cancelling
 * (WEIR_ECANCELED). One waiter at a time. */
int event_wait(struct event *e, struct deadline until);

#endif
