/* accept.h -- from a listening socket to a connection of a worker (RUNTIME.md S11). */
#ifndef SERVER_ACCEPT_H
#define SERVER_ACCEPT_H

#include "server/front.h"

/* The services that accept, and what they have in common. One a process. */
struct acceptor {
    struct front *fronts;
    pthread_mutex_t lock; /* pausing and resuming; never held over anything that waits */
    unsigned workers;
    _Atomic uint32_t load[1024]; /* connections of each worker */
    atomic_uint starved;         /* gates paused for want of a descriptor */
    bool stuck;                  /* the last try came after some time; under `lock` */
    atomic_bool ending;
    bool uneven;        /* for the benchmark: 7 of 8 connections go to worker 0 */
    atomic_uint placed; /* then: how many */
    void (*wake)(void); /* tells the main thread: a gate starved, or the last connection ended */
};
extern struct acceptor acceptor;

/* Begins to accept on all gates. `fronts` are prepared. 0, or an error. */
int accept_start(struct front *fronts, unsigned workers, void (*wake)(void));

/* Lets starved gates try again. `stuck`: some time has passed, and no connection has ended. */
void accept_retry(bool stuck);

/* Ends accepting, and closes the gates. From the main thread; returns when no worker accepts any
 * more. */
void accept_stop(void);

/* Connections that are open. */
uint64_t accept_open(void);

#endif
