/* workers.h -- a real runtime for a test: starts strands, waits until they have returned, and
 * gives them sockets. Checks inside strands are `ensure`: cmocka's asserts jump, which no
 * coroutine survives. */
#ifndef TESTS_UNIT_WORKERS_H
#define TESTS_UNIT_WORKERS_H

#include "cases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/stream.h"
#include "runtime/runtime.h"

enum { PATIENCE = 10 }; /* seconds for a condition; then it never holds */

static struct {
    sem_t ended;
    unsigned started;
} workers;

struct workers_job {
    void (*fn)(void *arg);
    void *arg;
    unsigned worker;
};

static inline void workers_begin(const struct rt_config *config)
{
    sem_init(&workers.ended, 0, 0);
    workers.started = 0;
    assert_int_equal(rt_start(config), 0);
}

static inline void workers_start(unsigned n)
{
    workers_begin(&(struct rt_config){ .workers = n, .blocking_threads = 2 });
}

/* Where it matters which worker a strand is on. */
static inline void workers_start_apart(unsigned n)
{
    workers_begin(&(struct rt_config){ .workers = n, .blocking_threads = 2, .no_steal = true });
}

static inline void workers_strand(void *arg)
{
    struct workers_job job = *(struct workers_job *)arg;

    free(arg);
    job.fn(job.arg);
    sem_post(&workers.ended);
}

static inline void workers_posted(void *arg)
{
    ensure(strand_start(workers_strand, arg) == 0);
}

/* Starts fn(arg) as a strand on that worker; from the main thread. */
static inline void workers_run(unsigned worker, void (*fn)(void *), void *arg)
{
    struct workers_job *job = malloc(sizeof *job);

    assert_non_null(job);
    *job = (struct workers_job){ .fn = fn, .arg = arg };
    workers.started++;
    assert_int_equal(rt_post(worker, workers_posted, job), 0);
}

/* Waits until all that was started has returned. */
static inline void workers_join(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 6 * PATIENCE;
    for (; workers.started > 0; workers.started--)
        while (sem_timedwait(&workers.ended, &until) != 0)
            if (errno != EINTR)
                fail_msg("%u strands do not end", workers.started);
}

static inline void workers_stop(void)
{
    rt_stop();
    sem_destroy(&workers.ended);
}

/* One strand on `n` workers, from start to stop. */
static inline void on_workers(unsigned n, void (*fn)(void *), void *arg)
{
    workers_start(n);
    workers_run(0, fn, arg);
    workers_join();
    workers_stop();
}

/* A strand waits for what another thread or the kernel does: AWAIT(x) alone, or with a statement
 * behind that is done before each further look. */
static inline bool await_again(int64_t *until)
{
    if (*until == 0)
        *until = clock_now() + PATIENCE * WEIR_SEC;
    ensure(clock_now() < *until);
    co_sleep(deadline_in(rt_now(), WEIR_MS, 0));
    return true;
}

#define AWAIT(condition) for (int64_t until_ = 0; !(condition) && await_again(&until_);)

/* Two ends of a connection: blocking descriptors. */
static inline void unix_pair(int fd[2])
{
    ensure(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
}

static inline void tcp_pair(int fd[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ensure(listener >= 0 && bind(listener, (struct sockaddr *)&at, len) == 0);
    ensure(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(fd[0] >= 0 && connect(fd[0], (struct sockaddr *)&at, len) == 0);
    fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ensure(fd[1] >= 0);
    close(listener);
}

/* A stream that this strand holds, on this worker; it owns the descriptor. */
static inline struct stream stream_of(int fd, bool tcp)
{
    static const struct slot_class held = { .name = "test" };
    struct stream st = { .reset_err = WEIR_EUPRESET, .drains = tcp };

    ensure(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    st.slot = slot_new(fd, &held, NULL);
    ensure(st.slot != NULL && slot_register(st.slot, UINT_MAX) == 0);
    return st;
}

/* No bound but a gap that no test reaches. */
static inline struct pace no_hurry(void)
{
    return (struct pace){ .limit = NEVER, .gap = PATIENCE * WEIR_SEC, .gap_err = WEIR_EUPTIME };
}

static inline void close_by_reset(int fd)
{
    const struct linger at_once = { .l_onoff = 1 };

    ensure(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(fd);
}

#endif
