/* overflow.h -- a stack overflow ends the process with a message that says whose code it was.
 *
 * A fault in the guard of a coroutine's stack is reported on stderr, then abort; other faults go
 * to the handler that was there before (a sanitizer's, the embedding program's, the default). A
 * system call that is handed memory in a guard fails with EFAULT instead. */
#ifndef RUNTIME_OVERFLOW_H
#define RUNTIME_OVERFLOW_H

#include "base/base.h"

/* Each worker thread gets a signal stack of its own. Its memory is asked for before the thread is
 * started: NULL if there is none. */
must_use void *overflow_new(void);
void overflow_free(void **memory);

/* On the thread; the first call also installs the handlers for SIGSEGV and SIGBUS. overflow_disarm,
 * on the same thread, restores the signal stack that was there before. */
void overflow_arm(void *memory);
void overflow_disarm(void *memory);

/* Whose code runs on this thread: two static strings ("proxy balancer", "request_filter"). Called
 * in the handler, so it only reads memory. Set before the first overflow_arm; may be NULL. */
extern void (*overflow_label)(const char **who, const char **what);

#endif
