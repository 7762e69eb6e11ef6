/* test_rt_co.c -- coroutines, strands, locks and helper threads on real workers: nothing is lost,
 * and nobody starves. */
#include "slots.h"

#include "runtime/blocking.h"
#include "runtime/co.h"
#include "runtime/lock.h"

/* Echo: the two ends of each socketpair are held by strands on different workers. */

enum { PAIRS = 48, MESSAGES = 60, LARGEST = 300 * 1024 };

static atomic_uint echoed;

static void echo_server(void *arg)
{
    struct slot *s = slot_of((int)(intptr_t)arg);
    char buf[4096];
    ssize_t n;

    while ((n = receive(s, buf, sizeof buf, NEVER)) > 0)
        send_all(s, buf, (size_t)n);
    ensure(n == 0);
    slot_close(&s);
}

static void echo_client(void *arg)
{
    struct slot *s = slot_of((int)(intptr_t)arg);
    char out[512], in[512];

    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t len = 1 + (i * 37 + (uintptr_t)arg) % sizeof out, got = 0;

        memset(out, (int)i, len);
        send_all(s, out, len);
        while (got < len) {
            ssize_t n = receive(s, in + got, len - got, NEVER);

            ensure(n > 0);
            got += (size_t)n;
        }
        ensure(memcmp(in, out, len) == 0);
    }
    slot_close(&s);
    atomic_fetch_add(&echoed, 1);
}

static void echo(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n += n) {
        atomic_store(&echoed, 0);
        workers_start(n);
        for (unsigned i = 0; i < PAIRS; i++) {
            int fd[2];

            unix_pair(fd);
            workers_run(i % n, echo_server, (void *)(intptr_t)fd[0]);
            workers_run((i + 1) % n, echo_client, (void *)(intptr_t)fd[1]);
        }
        workers_join();
        assert_int_equal(atomic_load(&echoed), PAIRS);
        workers_stop();
    }
}

/* More than a socket holds, so that writers park: one task of a strand writes, the other reads. */

static int large_writer(void *arg)
{
    char *bytes = calloc(1, LARGEST);

    ensure(bytes != NULL);
    send_all(arg, bytes, LARGEST);
    free(bytes);
    return 0;
}

static void large_strand(void *arg)
{
    struct scope sc;
    struct task t;
    struct slot *s;
    size_t got = 0;
    char buf[4096];
    int fd[2];

    (void)arg;
    unix_pair(fd);
    ensure(strand_start(echo_server, (void *)(intptr_t)fd[1]) == 0);
    s = slot_of(fd[0]);
    scope_open(&sc);
    ensure(task_start(&sc, &t, large_writer, s) == 0);
    while (got < LARGEST) {
        ssize_t n = receive(s, buf, sizeof buf, NEVER);

        ensure(n > 0);
        got += (size_t)n;
    }
    ensure(task_join(&t) == 0);
    ensure(scope_close(&sc, 0) == 0);
    ensure(shutdown(slot_fd(s), SHUT_WR) == 0);
    ensure(receive(s, buf, sizeof buf, NEVER) == 0); /* the server has ended as well */
    slot_close(&s);
}

static void both_directions(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        workers_start(n);
        for (unsigned i = 0; i < 4; i++)
            workers_run(i % n, large_strand, NULL);
        workers_join();
        workers_stop();
    }
}

/* Sleepers of one worker wake in the order of their deadlines, none of them early. */

enum { SLEEPERS = 40 };

static struct {
    int64_t at, last; /* when all sleep from; the latest deadline that has come */
    unsigned awake;
} sleep_order;

static int sleeper(void *arg)
{
    struct deadline until = { .at = sleep_order.at + (intptr_t)arg * 2 * WEIR_MS,
                              .err = WEIR_EDNS };

    ensure(co_sleep(until) == WEIR_EDNS);
    ensure(rt_now() >= until.at && clock_now() >= until.at);
    ensure(sleep_order.last < until.at);
    sleep_order.last = until.at;
    sleep_order.awake++;
    return 0;
}

static void sleep_strand(void *arg)
{
    struct task tasks[SLEEPERS];
    struct scope sc;

    (void)arg;
    sleep_order.at = rt_now() + 10 * WEIR_MS;
    sleep_order.last = sleep_order.awake = 0;
    scope_open(&sc);
    for (unsigned i = 0; i < SLEEPERS; i++) /* 7 and 40 have no common divisor: all of them */
        ensure(task_start(&sc, &tasks[i], sleeper, (void *)(intptr_t)(i * 7 % SLEEPERS)) == 0);
    for (unsigned i = 0; i < SLEEPERS; i++)
        ensure(task_join(&tasks[i]) == 0);
    ensure(scope_close(&sc, 0) == 0 && sleep_order.awake == SLEEPERS);
    ensure(co_sleep((struct deadline){ .at = rt_now(), .err = WEIR_EDNS }) == WEIR_EDNS);
}

static void sleeping(void **state)
{
    (void)state;
    on_workers(1, sleep_strand, NULL);
}

/* The mutex */

enum { CONTENDERS = 24, TURNS = 200 };

static struct {
    struct co_mutex lock;
    bool inside;
    unsigned count, order; /* plain: guarded by the lock */
} guarded;

static void contender(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TURNS; i++) {
        co_lock(&guarded.lock);
        ensure(!guarded.inside);
        guarded.inside = true;
        if (i % 4 == 0)
            co_yield (); /* maybe on to another worker */
        guarded.count++;
        guarded.inside = false;
        co_unlock(&guarded.lock);
        if (i % 8 == 0)
            co_yield ();
    }
}

static void contention(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n += n) {
        memset(&guarded, 0, sizeof guarded);
        workers_start(n);
        for (unsigned i = 0; i < CONTENDERS; i++)
            workers_run(i % n, contender, NULL);
        workers_join();
        assert_int_equal(guarded.count, CONTENDERS * TURNS);
        assert_false(guarded.lock.held);
        workers_stop();
    }
}

static int queued_task(void *arg)
{
    co_lock(&guarded.lock);
    ensure(guarded.order++ == (uintptr_t)arg);
    co_unlock(&guarded.lock);
    return 0;
}

/* Who came first gets it first; cancelling those who wait changes nothing. */
static void fair_strand(void *arg)
{
    struct scope sc;
    struct task tasks[10];

    (void)arg;
    memset(&guarded, 0, sizeof guarded);
    scope_open(&sc);
    co_lock(&guarded.lock);
    for (uintptr_t i = 0; i < ARRAY_LEN(tasks); i++)
        ensure(task_start(&sc, &tasks[i], queued_task, (void *)i) == 0);
    co_yield ();
    scope_cancel(&sc, WEIR_EFILTER);
    co_yield ();
    ensure(guarded.order == 0);
    co_unlock(&guarded.lock);
    ensure(scope_close(&sc, 0) == WEIR_EFILTER && guarded.order == ARRAY_LEN(tasks));
}

static void fairness(void **state)
{
    (void)state;
    on_workers(1, fair_strand, NULL);
}

/* Helper threads */

struct blocked {
    sem_t begun, go;
    bool over;
};

static int block(void *arg)
{
    struct blocked *b = arg;

    ensure(rt_worker_id() == UINT_MAX);
    sem_post(&b->begun);
    while (sem_wait(&b->go) != 0)
        ;
    return 77;
}

static int blocking_task(void *arg)
{
    struct blocked *b = arg;
    int rc = blocking_run(block, b);

    ensure(rc == 77 && co_check() == WEIR_ECANCELED);
    b->over = true;
    return rc;
}

/* Cancelled meanwhile: it goes on, as fn may write to the stack that waits for it. */
static void blocking_strand(void *arg)
{
    struct blocked b[2] = { { .over = false } };
    struct task tasks[2];
    struct scope sc;

    (void)arg;
    scope_open(&sc);
    for (unsigned i = 0; i < ARRAY_LEN(b); i++) {
        sem_init(&b[i].begun, 0, 0);
        sem_init(&b[i].go, 0, 0);
        ensure(task_start(&sc, &tasks[i], blocking_task, &b[i]) == 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(b); i++)
        AWAIT(sem_trywait(&b[i].begun) == 0);
    scope_cancel(&sc, WEIR_EFILTER);
    co_yield ();
    co_yield ();
    ensure(!tasks[0].done && !tasks[1].done);
    sem_post(&b[1].go);
    ensure(task_join(&tasks[1]) == 77 && !tasks[0].done);
    sem_post(&b[0].go);
    ensure(scope_close(&sc, 0) == WEIR_EFILTER && b[0].over && b[1].over);
}

static int answer(void *arg)
{
    return *(int *)arg + 1;
}

static void many_jobs_strand(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        ensure(blocking_run(answer, &i) == i + 1);
}

static void blocking(void **state)
{
    (void)state;
    on_workers(1, blocking_strand, NULL);
    on_workers(2, blocking_strand, NULL);
    workers_start(2);
    for (unsigned i = 0; i < 8; i++) /* more than helpers */
        workers_run(i % 2, many_jobs_strand, NULL);
    workers_join();
    workers_stop();
}

/* The budget of a strand */

enum { YIELDERS = 4, YIELDS = 10000 };

static struct {
    unsigned yields;
    bool other;
} greed;

static int yielder(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < YIELDS; i++) {
        co_yield ();
        greed.yields++;
    }
    return 0;
}

static void modest_strand(void *arg)
{
    (void)arg;
    ensure(greed.yields < 1000); /* some budgets at most, of 40,000 */
    greed.other = true;
}

static void greedy_strand(void *arg)
{
    struct task tasks[YIELDERS];
    struct scope sc;

    (void)arg;
    memset(&greed, 0, sizeof greed);
    scope_open(&sc);
    for (unsigned i = 0; i < YIELDERS; i++)
        ensure(task_start(&sc, &tasks[i], yielder, NULL) == 0);
    ensure(strand_start(modest_strand, NULL) == 0);
    for (unsigned i = 0; i < YIELDERS; i++)
        ensure(task_join(&tasks[i]) == 0);
    ensure(scope_close(&sc, 0) == 0);
    ensure(greed.yields == YIELDERS * YIELDS && greed.other);
}

static void budget(void **state)
{
    (void)state;
    on_workers(1, greedy_strand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo),
        cmocka_unit_test(both_directions),
        cmocka_unit_test(sleeping),
        cmocka_unit_test(contention),
        cmocka_unit_test(fairness),
        cmocka_unit_test(blocking),
        cmocka_unit_test(budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
