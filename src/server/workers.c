/* workers.c -- a message there, a semaphore back. */
#include "server/workers.h"

#include <semaphore.h>
#include <time.h>

#include "runtime/runtime.h"

struct errand {
    void (*fn)(void *);
    void *arg;
    sem_t done;
};

static void run(void *arg)
{
    struct errand *e = arg;

    e->fn(e->arg);
    sem_post(&e->done);
}

void workers_run(unsigned id, void (*fn)(void *), void *arg)
{
    struct errand e = { .fn = fn, .arg = arg };

    sem_init(&e.done, 0, 0);
    while (rt_post(id, run, &e) < 0) /* no memory for the message: some will come back */
        nanosleep(&(struct timespec){ .tv_nsec = WEIR_MS }, NULL);
    while (sem_wait(&e.done) != 0) { /* interrupted by a signal that the program kept */
    }
    sem_destroy(&e.done);
}

static void nothing(void *unused)
{
    (void)unused;
}

void workers_pass(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        workers_run(i, nothing, NULL);
}
