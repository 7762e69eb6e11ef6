/* events.h -- what the main thread waits for while the workers serve: signals, and being woken. */
#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include <signal.h>
#include <stdatomic.h>

#include "base/base.h"

enum event {
    EVENT_STOP = 1,   /* SIGTERM, or weir_server_stop */
    EVENT_END = 2,    /* SIGINT: at once */
    EVENT_REOPEN = 4, /* SIGUSR1 */
    EVENT_WOKEN = 8,  /* events_wake */
};

struct events {
    int wake;    /* an eventfd */
    int signals; /* a signalfd; -1: signals are the program's own */
    atomic_bool stop;
    bool stop_seen;
    sigset_t old_mask;
    struct sigaction old_pipe;
};

/* From here on events_wake and events_stop work. 0 or WEIR_EINTERNAL (no descriptor is left). */
must_use int events_init(struct events *e);

/* Takes over the signals of the process: to be called before threads are started. The calling
 * thread is the one that waits. 0 or WEIR_EINTERNAL. */
must_use int events_take_signals(struct events *e);

/* Gives the signals back and closes what events_init opened. */
void events_done(struct events *e);

/* Ends a wait, now or the next one. From any thread or signal handler. */
void events_wake(struct events *e);

/* Causes EVENT_STOP, once. From any thread or signal handler. */
void events_stop(struct events *e);

/* Waits for at most `ms` milliseconds (-1: for ever). What happened, or 0. */
unsigned events_wait(struct events *e, int ms);

#endif
