/* blocking.c -- helper threads for code that must block: started when they are needed, ended after
 * some idle time. */
#include "runtime/blocking.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/sys.h"
#include "runtime/worker.h"

enum { IDLE_SECONDS = 10 };

struct job {
    struct job *next;
    int (*fn)(void *);
    void *arg;
    int rc;
    struct co *co;
    _Atomic bool done;
};

/* A thread. It is joined, so that what libraries keep for it is gone when we have stopped. */
struct helper {
    struct helper *next;
    pthread_t thread;
    bool ended;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more, fewer; /* jobs; threads */
    struct job *first, **end;
    struct helper *helpers; /* also those that have ended, until they are joined */
    unsigned threads, idle, max;
    bool stopping;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

int blocking_start(unsigned threads)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool.more, &attr);
    pthread_cond_init(&pool.fewer, &attr);
    pthread_condattr_destroy(&attr);
    pool.end = &pool.first;
    pool.max = threads != 0 ? threads : 8;
    pool.stopping = false;
    return 0;
}

/* Joins those that have ended; they had the lock then, and do nothing more. */
static void join_ended(void)
{
    struct helper **at = &pool.helpers, *h;

    while ((h = *at) != NULL) {
        if (!h->ended) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        pthread_join(h->thread, NULL);
        free(h);
    }
}

void blocking_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.more);
    while (pool.threads > 0)
        pthread_cond_wait(&pool.fewer, &pool.lock);
    join_ended();
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_destroy(&pool.more);
    pthread_cond_destroy(&pool.fewer);
}

static struct job *next_job(void)
{
    struct job *j;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    pool.idle++;
    while (pool.first == NULL && !pool.stopping)
        if (pthread_cond_timedwait(&pool.more, &pool.lock, &until) != 0)
            break;
    pool.idle--;
    j = pool.first;
    if (j != NULL) {
        pool.first = j->next;
        if (pool.first == NULL)
            pool.end = &pool.first;
    }
    return j;
}

static void *help(void *arg)
{
    struct helper *self = arg;
    struct job *j;

    pthread_mutex_lock(&pool.lock);
    while ((j = next_job()) != NULL) {
        struct co *c = j->co;

        pthread_mutex_unlock(&pool.lock);
        j->rc = j->fn(j->arg);
        atomic_exchange(&j->done,
                        true); /* the job may be gone from here on, its coroutine's header never */
        co_wake(c, WAIT_NUMBER(atomic_fetch_or(&c->wait, 0)), WAKE_OTHER);
        pthread_mutex_lock(&pool.lock);
    }
    self->ended = true;
    pool.threads--;
    pthread_cond_broadcast(&pool.fewer);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* A thread that leaves all signals to the program. The lock is held. */
static bool start_helper(void)
{
    struct helper *h = malloc(sizeof *h);
    sigset_t before;
    bool started;

    join_ended();
    if (h == NULL)
        return false;
    *h = (struct helper){ .next = pool.helpers };
    sys_signals_block(&before);
    started = pthread_create(&h->thread, NULL, help, h) == 0;
    sys_signals_set(&before);
    if (started)
        pool.helpers = h;
    else
        free(h);
    return started;
}

/* Hands the job to a helper; the lock is held. */
static bool enlist(struct job *j)
{
    if (pool.idle == 0 && pool.threads < pool.max && start_helper())
        pool.threads++;
    if (pool.threads == 0)
        return false;
    *pool.end = j;
    pool.end = &j->next;
    pthread_cond_signal(&pool.more);
    return true;
}

/* Parks until the job is done. Whoever is second, we with WAITING or the helper with `done`, sees
 * what the other stored; other wake-ups (cancelling cannot end this: `fn` may write to our stack)
 * are passed over. */
static void await(struct job *j)
{
    struct co *c = j->co;
    uint64_t number;

    while (!atomic_load(&j->done)) {
        number = co_park_begin(c);
        atomic_fetch_or(&c->wait, 0);
        if (!atomic_load(&j->done) || !co_park_leave(c, number))
            co_park(c);
    }
}

int blocking_run(int (*fn)(void *), void *arg)
{
    struct job j = { .fn = fn, .arg = arg, .co = co_self() };
    bool taken;

    pthread_mutex_lock(&pool.lock);
    taken = enlist(&j);
    pthread_mutex_unlock(&pool.lock);
    if (!taken)
        return WEIR_ENOMEM;
    await(&j);
    return j.rc;
}
