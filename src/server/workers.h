/* workers.h -- errands of the main thread on the workers. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include "base/base.h"

/* Runs fn(arg) on the stack of worker `id` and waits until it has returned. Not from a worker. */
void workers_run(unsigned id, void (*fn)(void *), void *arg);

/* Waits until each of `count` workers has come round to do an errand: whatever they had begun
 * with the epoll events of the turn before is over then. */
void workers_pass(unsigned count);

#endif
