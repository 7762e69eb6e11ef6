/* sem.h -- a counting semaphore that parks the coroutine, not the thread. Fair, and cancellable. */
#ifndef RUNTIME_SEM_H
#define RUNTIME_SEM_H

#include "runtime/permits.h"

struct co_sem {
    struct spin spin;
    struct permits permits;
};

void co_sem_init(struct co_sem *s, uint64_t permits);

/* false: there is none to be had at once. Never blocks; on any thread. */
bool co_sem_try(struct co_sem *s);

/* Blocks until it has a permit: 0, or the deadline's error, or WEIR_ECANCELED. */
must_use int co_sem_take(struct co_sem *s, struct deadline until);

/* `n` permits more. Never blocks; on any thread. */
void co_sem_give(struct co_sem *s, uint64_t n);

#endif
