/* test_rt_co.c -- coroutines, strands, scopes and locks on real workers: nothing is lost, nobody
 * starves, and cancelling reaches whom it shall and nobody else. */
#include "workers.h"

#include "runtime/blocking.h"
#include "runtime/co.h"
#include "runtime/lock.h"
#include "runtime/slot.h"

static struct deadline soon(weir_dur span)
{
    return deadline_in(rt_now(), span, 0);
}

/* A slot of our own on this worker. */
static struct slot *slot_of(int fd)
{
    static const struct slot_class held = { .name = "test" };
    struct slot *s;

    ensure(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    s = slot_new(fd, &held, NULL);
    ensure(s != NULL && slot_register(s, UINT_MAX) == 0);
    return s;
}

/* As slot.h says it: drained at EAGAIN only. Bytes, 0 at the end, or what slot_wait returned. */
static ssize_t receive(struct slot *s, char *buf, size_t len, struct deadline until)
{
    for (;;) {
        uint64_t w = slot_load(s, DIR_IN);
        ssize_t n;

        if (slot_flags(w) == 0) {
            int rc = slot_wait(s, DIR_IN, until);

            if (rc < 0)
                return rc;
            continue;
        }
        n = recv(slot_fd(s), buf, len, 0);
        if (n >= 0)
            return n;
        slot_drained(s, DIR_IN, w, true);
    }
}

static void send_all(struct slot *s, const char *buf, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        uint64_t w = slot_load(s, DIR_OUT);
        ssize_t n;

        if (slot_flags(w) == 0) {
            ensure(slot_wait(s, DIR_OUT, NEVER) == 0);
            continue;
        }
        n = send(slot_fd(s), buf + sent, len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else
            slot_drained(s, DIR_OUT, w, true);
    }
}

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

/* strand_cancel */

static struct victim {
    _Atomic strand_ref ref;
    atomic_int rc, cause;
    atomic_bool over, runs;
} victim;

static void victim_strand(void *arg)
{
    int fd[2];
    struct slot *s;
    char byte;

    (void)arg;
    unix_pair(fd);
    s = slot_of(fd[0]);
    ensure(strand_cause() == WEIR_ECANCELED); /* none yet */
    atomic_store(&victim.ref, strand_self());
    while (atomic_load(&victim.runs) && co_check() == 0)
        co_yield ();
    atomic_store(&victim.rc, (int)receive(s, &byte, 1, NEVER));
    atomic_store(&victim.cause, strand_cause());
    ensure(co_sleep(soon(WEIR_MS)) == WEIR_ECANCELED); /* sticky */
    co_mask();
    ensure(co_check() == 0 && co_sleep(soon(WEIR_MS)) == 0);
    co_unmask();
    ensure(co_check() == WEIR_ECANCELED);
    slot_close(&s);
    close(fd[1]);
    atomic_store(&victim.over, true);
}

static strand_ref start_victim(bool runs)
{
    atomic_store(&victim.ref, 0);
    atomic_store(&victim.over, false);
    atomic_store(&victim.runs, runs);
    ensure(strand_start(victim_strand, NULL) == 0);
    AWAIT(atomic_load(&victim.ref) != 0);
    return atomic_load(&victim.ref);
}

static void cancel_strand(void *arg)
{
    strand_ref ref, old = 0;

    (void)arg;
    for (unsigned i = 0; i < 20; i++) {
        ref = start_victim(i % 2 == 1);
        ensure(ref != old);
        if (i % 3 == 0)
            strand_cancel(ref, WEIR_ECLIENTGONE);
        strand_cancel(ref, i % 3 == 0 ? WEIR_EDNS : WEIR_ECLIENTGONE); /* the first counts */
        if (old != 0)
            strand_cancel(old, WEIR_EFILTER); /* ended long ago, maybe with the same header */
        AWAIT(atomic_load(&victim.over));
        ensure(atomic_load(&victim.rc) == WEIR_ECANCELED);
        ensure(atomic_load(&victim.cause) == WEIR_ECLIENTGONE);
        old = ref;
    }
    ensure(co_check() == 0);
}

static void cancelling_a_strand(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n += n)
        on_workers(n, cancel_strand, NULL);
}

/* Scopes */

static struct {
    unsigned ended;
} seen;

static int fail_task(void *arg)
{
    seen.ended++;
    return (int)(intptr_t)arg;
}

static int fail_later_task(void *arg)
{
    co_yield ();
    return fail_task(arg);
}

static int forever_task(void *arg)
{
    int rc = co_sleep(NEVER);

    (void)arg;
    seen.ended++;
    return rc;
}

/* Fails although it was cancelled: no cause any more. */
static int spiteful_task(void *arg)
{
    ensure(forever_task(NULL) == WEIR_ECANCELED);
    return (int)(intptr_t)arg;
}

static int nested_task(void *arg)
{
    struct scope sc;
    struct task tasks[3];

    (void)arg;
    scope_open(&sc);
    for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
        ensure(task_start(&sc, &tasks[i], forever_task, NULL) == 0);
    ensure(co_sleep(NEVER) == WEIR_ECANCELED);
    ensure(scope_close(&sc, WEIR_ECANCELED) == WEIR_EUPTIME); /* of the scope around it */
    for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
        ensure(tasks[i].done && tasks[i].rc == WEIR_ECANCELED);
    seen.ended++;
    return WEIR_ECANCELED;
}

static int masked_task(void *arg)
{
    (void)arg;
    co_mask();
    co_mask();
    ensure(co_sleep(soon(5 * WEIR_MS)) == 0 && co_check() == 0);
    co_unmask();
    ensure(co_sleep(soon(5 * WEIR_MS)) == 0 && co_check() == 0);
    co_unmask();
    ensure(co_check() == WEIR_ECANCELED);
    seen.ended++;
    return 0;
}

/* A failing task cancels what its owner waits for, its siblings and theirs. */
static void failing_strand(void *arg)
{
    struct task fails, nested, masked, spiteful, late;
    struct scope sc;
    char byte;
    struct slot *s;
    int fd[2];

    (void)arg;
    seen.ended = 0;
    unix_pair(fd);
    s = slot_of(fd[0]);
    scope_open(&sc);
    ensure(task_start(&sc, &nested, nested_task, NULL) == 0);
    ensure(task_start(&sc, &masked, masked_task, NULL) == 0);
    ensure(task_start(&sc, &spiteful, spiteful_task, (void *)(intptr_t)WEIR_EDNS) == 0);
    ensure(task_start(&sc, &fails, fail_later_task, (void *)(intptr_t)WEIR_EUPTIME) == 0);
    ensure(receive(s, &byte, 1, NEVER) == WEIR_ECANCELED);
    ensure(strand_cause() == WEIR_EUPTIME && co_check() == WEIR_ECANCELED);
    ensure(slot_wait(s, DIR_IN, NEVER) == WEIR_ECANCELED);
    ensure(task_start(&sc, &late, forever_task, NULL) == WEIR_ECANCELED);
    ensure(scope_close(&sc, WEIR_ECANCELED) == WEIR_EUPTIME);
    ensure(seen.ended == 1 + 3 + 1 + 1 + 1); /* joined, masked ones too */
    ensure(masked.done && masked.rc == 0 && fails.rc == WEIR_EUPTIME && spiteful.rc == WEIR_EDNS);

    ensure(co_check() == 0); /* it ended with the scope */
    ensure(send(fd[1], "x", 1, 0) == 1 && receive(s, &byte, 1, NEVER) == 1);
    slot_close(&s);
    close(fd[1]);
}

static void first_cause_strand(void *arg)
{
    struct task tasks[3];
    struct scope sc;

    (void)arg;
    scope_open(&sc); /* of two that fail */
    ensure(task_start(&sc, &tasks[0], fail_later_task, (void *)(intptr_t)WEIR_EDNS) == 0);
    ensure(task_start(&sc, &tasks[1], fail_task, (void *)(intptr_t)WEIR_EREFUSED) == 0);
    ensure(task_start(&sc, &tasks[2], fail_task, (void *)(intptr_t)WEIR_EUPHEAD) == 0);
    ensure(co_sleep(NEVER) == WEIR_ECANCELED);
    ensure(scope_close(&sc, WEIR_EINTERNAL) == WEIR_EREFUSED);

    scope_open(&sc); /* the owner's own result, when nothing failed before */
    ensure(task_start(&sc, &tasks[0], forever_task, NULL) == 0);
    ensure(scope_close(&sc, WEIR_EUPHEAD) == WEIR_EUPHEAD && tasks[0].rc == WEIR_ECANCELED);

    scope_open(&sc); /* who cancels it says why, once */
    ensure(task_start(&sc, &tasks[0], forever_task, NULL) == 0);
    scope_cancel(&sc, WEIR_EFILTER);
    scope_cancel(&sc, WEIR_EDNS);
    ensure(task_start(&sc, &tasks[1], forever_task, NULL) == WEIR_ECANCELED);
    ensure(co_sleep(NEVER) == WEIR_ECANCELED);
    ensure(scope_close(&sc, 0) == WEIR_EFILTER);

    scope_open(&sc); /* nothing at all */
    ensure(scope_close(&sc, 7) == 7 && co_check() == 0);
}

/* A scope within a scope: the inner one's failure stays inside. */
static void inner_strand(void *arg)
{
    struct scope outer, inner;
    struct task stays, fails;

    (void)arg;
    scope_open(&outer);
    ensure(task_start(&outer, &stays, forever_task, NULL) == 0);
    scope_open(&inner);
    ensure(task_start(&inner, &fails, fail_task, (void *)(intptr_t)WEIR_EDNS) == 0);
    ensure(co_sleep(NEVER) == WEIR_ECANCELED);
    ensure(scope_close(&inner, 0) == WEIR_EDNS);
    ensure(co_check() == 0 && co_sleep(soon(WEIR_MS)) == 0 && !stays.done);
    task_cancel(&stays); /* one task alone: that is no cause */
    ensure(task_join(&stays) == WEIR_ECANCELED && co_check() == 0);
    task_cancel(&stays);
    ensure(scope_close(&outer, 0) == 0);
}

static int return_task(void *arg)
{
    co_yield ();
    return (int)(intptr_t)arg;
}

static void waiting_strand(void *arg)
{
    struct scope sc;
    struct task quick, slow;

    (void)arg;
    scope_open(&sc);
    ensure(task_start(&sc, &quick, return_task, (void *)42) == 0);
    ensure(task_start(&sc, &slow, forever_task, NULL) == 0);
    ensure(!quick.done); /* it begins when we block */
    ensure(task_wait(&quick, NEVER) == 0 && quick.rc == 42 && task_join(&quick) == 42);
    ensure(task_wait(&slow, deadline_in(rt_now(), WEIR_MS, WEIR_EDNS)) == WEIR_EDNS);
    scope_cancel(&sc, WEIR_EREFUSED);
    ensure(task_wait(&slow, NEVER) == WEIR_ECANCELED);
    ensure(scope_close(&sc, 0) == WEIR_EREFUSED && slow.done);
}

static void scopes(void **state)
{
    static void (*const strands[])(void *) = { failing_strand, first_cause_strand, inner_strand,
                                               waiting_strand };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strands); i++)
        for (unsigned n = 1; n <= 2; n++)
            on_workers(n, strands[i], NULL);
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
    int rc = blocking_run(block, arg);

    ensure(rc == 77 && co_check() == WEIR_ECANCELED);
    seen.ended++;
    return rc;
}

/* Cancelled meanwhile: it goes on, as fn may write to the stack that waits for it. */
static void blocking_strand(void *arg)
{
    struct blocked b[2];
    struct task tasks[2];
    struct scope sc;

    (void)arg;
    seen.ended = 0;
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
    ensure(scope_close(&sc, 0) == WEIR_EFILTER && seen.ended == 2);
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

/* rt_stop ends what is parked, wherever */

enum { PARKED = 60 };

static struct {
    atomic_uint parked, ended;
} stop;

static int parked_task(void *arg)
{
    (void)arg;
    return co_sleep(NEVER) == WEIR_ECANCELED ? WEIR_ECANCELED : WEIR_EINTERNAL;
}

static void parked_strand(void *arg)
{
    struct slot *s;
    struct scope sc;
    struct task t;
    char byte;
    int fd[2], rc;

    unix_pair(fd);
    s = slot_of(fd[0]);
    scope_open(&sc);
    ensure(task_start(&sc, &t, parked_task, NULL) == 0);
    atomic_fetch_add(&stop.parked, 1);
    switch ((uintptr_t)arg % 4) {
    case 0:
        rc = (int)receive(s, &byte, 1, NEVER);
        break;
    case 1:
        rc = co_sleep(NEVER);
        break;
    case 2:
        rc = task_wait(&t, NEVER);
        break;
    default:
        while ((rc = co_check()) == 0)
            co_yield ();
        break;
    }
    ensure(rc == WEIR_ECANCELED && strand_cause() == WEIR_ESHUTDOWN);
    ensure(scope_close(&sc, rc) == WEIR_ESHUTDOWN && t.rc == WEIR_ECANCELED);
    co_mask(); /* cleanups take their time */
    ensure(co_sleep(soon(3 * WEIR_MS)) == 0);
    co_unmask();
    slot_close(&s);
    close(fd[1]);
    atomic_fetch_add(&stop.ended, 1);
}

static void all_parked_strand(void *arg)
{
    (void)arg;
    AWAIT(atomic_load(&stop.parked) == PARKED);
}

static void start_parked(void *arg)
{
    ensure(strand_start(parked_strand, arg) == 0);
}

static void stopping(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n += n) {
        memset(&stop, 0, sizeof stop);
        workers_start(n);
        for (uintptr_t i = 0; i < PARKED; i++)
            assert_int_equal(rt_post((unsigned)i % n, start_parked, (void *)i), 0);
        workers_run(0, all_parked_strand, NULL);
        workers_join();
        workers_stop();
        assert_int_equal(atomic_load(&stop.ended), PARKED);
    }
}

/* The bound on stacks: idle slots whose start finds none wait their turn, under their deadline. */

enum { WAITING = 48 };

static struct {
    atomic_uint served, expired, holding;
    atomic_bool go;
    int peer[WAITING];
} bound;

static const struct slot_class bound_class;

static void serve(void *owner)
{
    struct slot *s = owner;

    atomic_fetch_add(&bound.served, 1);
    slot_close(&s);
}

static void bound_expire(struct slot *s, void *owner)
{
    (void)owner;
    atomic_fetch_add(&bound.expired, 1);
    slot_close(&s);
}

/* The owner of a slot is the slot itself: all there is to tell it. */
static void bound_ready(struct slot *s, void *owner)
{
    ensure(owner == NULL || owner == s); /* the second time it waited for a stack */
    slot_set_owner(s, &bound_class, s);
    slot_start_strand(s, serve);
}

static const struct slot_class bound_class = { "bound", bound_ready, bound_expire };

static void hold_stack(void *arg)
{
    (void)arg;
    AWAIT(atomic_load(&bound.go));
    atomic_fetch_sub(&bound.holding, 1);
}

/* Idle slots with something to read, while other strands have all stacks. */
static void bound_strand(void *arg)
{
    bool in_time = arg == NULL;
    int64_t until = in_time ? INT64_MAX : rt_now() + 20 * WEIR_MS;
    struct rt_stats stats;
    int rc;

    while ((rc = strand_start(hold_stack, NULL)) == 0)
        atomic_fetch_add(&bound.holding, 1);
    ensure(rc == WEIR_ESTACKS && atomic_load(&bound.holding) > 0);
    for (unsigned i = 0; i < WAITING; i++) {
        struct slot *s;
        int fd[2];

        unix_pair(fd);
        ensure(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
        s = slot_new(fd[0], &bound_class, NULL);
        ensure(s != NULL && slot_register(s, UINT_MAX) == 0 && slot_arm(s, until));
        bound.peer[i] = fd[1];
        ensure(send(fd[1], "x", 1, 0) == 1);
    }
    if (in_time)
        AWAIT((rt_stats(&stats), stats.starved >= WAITING));
    else
        AWAIT(atomic_load(&bound.expired) == WAITING);
    ensure(atomic_load(&bound.served) == 0);
    atomic_store(&bound.go, true);
    AWAIT(atomic_load(&bound.holding) == 0);
    AWAIT(atomic_load(&bound.served) + atomic_load(&bound.expired) == WAITING);
    ensure(atomic_load(in_time ? &bound.served : &bound.expired) == WAITING);
    for (unsigned i = 0; i < WAITING; i++)
        close(bound.peer[i]);
}

static void few_stacks(void *arg)
{
    const struct rt_config config = { .workers = 1, .max_stacks = 16, .blocking_threads = 2 };

    memset(&bound, 0, sizeof bound);
    sem_init(&workers.ended, 0, 0);
    workers.started = 0;
    assert_int_equal(rt_start(&config), 0);
    workers_run(0, bound_strand, arg);
    workers_join();
    workers_stop();
}

static void bound_on_stacks(void **state)
{
    (void)state;
    few_stacks(NULL);
    few_stacks("too late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo),
        cmocka_unit_test(both_directions),
        cmocka_unit_test(sleeping),
        cmocka_unit_test(cancelling_a_strand),
        cmocka_unit_test(scopes),
        cmocka_unit_test(contention),
        cmocka_unit_test(fairness),
        cmocka_unit_test(blocking),
        cmocka_unit_test(budget),
        cmocka_unit_test(stopping),
        cmocka_unit_test(bound_on_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
