/* lock.h -- a mutex that parks the coroutine, not the thread. Fair: handed over to the longest
 * waiter. Not cancellable (RUNTIME.md S3). */
#ifndef RUNTIME_LOCK_H
#define RUNTIME_LOCK_H

#include "runtime/spin.h"

struct co_waiter;

struct co_mutex {
    struct spin spin; /* guards the rest, for a few instructions */
    bool held;
    struct co_waiter *first, *last;
};

void co_lock(struct co_mutex *m);
void co_unlock(struct co_mutex *m);

#endif
