/* test_rt_cancel.c -- scopes and cancelling on real workers: it reaches whom it shall and nobody
 * else, and the first cause is the one that is told. */
#include "slots.h"

#include "runtime/co.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelling_a_strand),
        cmocka_unit_test(scopes),
        cmocka_unit_test(stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
