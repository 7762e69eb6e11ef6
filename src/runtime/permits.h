/* permits.h -- a number of permits and the line of those who wait for one: what semaphores and
 * channels are made of.
 *
 * Fair: who comes later queues behind who waits. A permit that is given goes to the first in line,
 * who finds it whatever woke him; who was given one and was cancelled meanwhile passes it on
 * (RUNTIME.md R3, D4), so none is lost; once it is closed he keeps it. The owner guards it by a
 * spinlock, which it holds for every call here, so that several lines and the data beside them
 * change in one step. */
#ifndef RUNTIME_PERMITS_H
#define RUNTIME_PERMITS_H

#include "runtime/deadline.h"
#include "runtime/spin.h"

struct permit_waiter;

struct permits {
    uint64_t free;
    struct permit_waiter *first, *last;
    bool closed;
};

/* Takes one, at once or not at all: false if there is none, or others wait. */
bool permits_try(struct permits *p);

/* Blocks until it has one: 0, or the deadline's error, WEIR_ECANCELED, WEIR_ECLOSED; a deadline in
 * the past makes it look once. The lock is given up while it waits, and held again on return. */
int permits_take(struct permits *p, struct spin *lock, struct deadline until);

/* One more. Never blocks; on any thread. */
void permits_give(struct permits *p);

/* All who wait get WEIR_ECLOSED, and so does who finds no permit from now on. */
void permits_close(struct permits *p);

#endif
