/* blocking.h -- code that must block (files, the name service) runs on helper threads while its
 * coroutine is parked. */
#ifndef RUNTIME_BLOCKING_H
#define RUNTIME_BLOCKING_H

#include "base/base.h"

/* Runs fn(arg) on a helper thread and returns its result. Not cancellable: what fn writes to may be
 * the caller's stack. WEIR_ENOMEM if no thread can be had. */
int blocking_run(int (*fn)(void *), void *arg);

#endif
