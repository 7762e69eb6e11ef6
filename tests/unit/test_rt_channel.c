/* runtime/sem.h, runtime/channel.h and the scopes of <weir/runtime.h> on real workers: nothing is
 * lost or given twice, whatever ends the waits; those who wait are served in order. */
#include "workers.h"

#include <weir/runtime.h>

#include "runtime/channel.h"
#include "runtime/sem.h"

enum { SENDERS = 4, RECEIVERS = 4, ITEMS = 5000 };

/* --- stress: many to many, with time-outs everywhere --- */

static struct {
    struct channel *ch;
    _Atomic uint64_t sent, got;
    atomic_uint senders, late;
} market;

static struct deadline short_or_never(unsigned i)
{
    return i % 7 == 0 ? deadline_in(clock_now(), (weir_dur)(i % 5) * 10000, WEIR_ETIMEOUT) : NEVER;
}

static void sender(void *arg)
{
    uint64_t base = (uint64_t)(uintptr_t)arg << 32;

    for (unsigned i = 1; i <= ITEMS;) {
        uint64_t item = base | i;
        int rc = channel_send(market.ch, &item, short_or_never(i));

        ensure(rc == 0 || rc == WEIR_ETIMEOUT);
        if (rc < 0) {
            atomic_fetch_add(&market.late, 1);
            co_yield ();
            continue;
        }
        atomic_fetch_add(&market.sent, i);
        i++;
    }
    if (atomic_fetch_sub(&market.senders, 1) == 1)
        channel_close(market.ch);
}

static void receiver(void *arg)
{
    uint32_t last[SENDERS] = { 0 };
    int rc = 0;

    (void)arg;
    for (unsigned i = 0; rc != WEIR_ECLOSED; i++) {
        uint64_t item;

        rc = channel_receive(market.ch, &item, short_or_never(i));
        if (rc < 0) {
            ensure(rc == WEIR_ECLOSED || rc == WEIR_ETIMEOUT);
            continue;
        }
        ensure(item >> 32 < SENDERS && (uint32_t)item > last[item >> 32]);
        last[item >> 32] = (uint32_t)item;
        atomic_fetch_add(&market.got, (uint32_t)item);
    }
}

static void many_to_many(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 64; capacity *= 8) {
        market.ch = channel_new(capacity, sizeof(uint64_t));
        assert_non_null(market.ch);
        market.sent = market.got = 0;
        market.senders = SENDERS;
        workers_start(4);
        for (uintptr_t i = 0; i < SENDERS; i++)
            workers_run((unsigned)i, sender, (void *)i);
        for (unsigned i = 0; i < RECEIVERS; i++)
            workers_run(i, receiver, NULL);
        workers_join();
        workers_stop();
        assert_int_equal(market.got, market.sent);
        assert_int_equal(market.got, (uint64_t)SENDERS * ITEMS * (ITEMS + 1) / 2);
        channel_free(&market.ch);
    }
}

/* --- order, and what ends a wait --- */

static struct {
    struct co_sem sem;
    unsigned order[4], n;
} line;

static int take_in_turn(void *arg)
{
    int rc = co_sem_take(&line.sem, NEVER);

    if (rc == 0)
        line.order[line.n++] = (unsigned)(uintptr_t)arg;
    return rc;
}

static void served_in_order(void *arg)
{
    struct scope sc;
    struct task t[4];

    (void)arg;
    co_sem_init(&line.sem, 0);
    line.n = 0;
    scope_open(&sc);
    for (uintptr_t i = 0; i < 4; i++) {
        ensure(task_start(&sc, &t[i], take_in_turn, (void *)i) == 0);
        co_yield ();
    }
    task_cancel(&t[1]); /* leaves the line; and one who is given a permit first passes it on */
    ensure(task_join(&t[1]) == WEIR_ECANCELED);
    co_sem_give(&line.sem, 1);
    task_cancel(&t[0]);
    ensure(!co_sem_try(&line.sem)); /* it is on its way to the next one */
    ensure(task_join(&t[0]) == WEIR_ECANCELED && task_join(&t[2]) == 0);
    co_sem_give(&line.sem, 2);
    ensure(task_join(&t[3]) == 0 && line.n == 2 && line.order[0] == 2 && line.order[1] == 3);
    ensure(co_sem_try(&line.sem) && !co_sem_try(&line.sem));
    ensure(co_sem_take(&line.sem, deadline_in(rt_now(), WEIR_MS, WEIR_ETIMEOUT)) == WEIR_ETIMEOUT);
    ensure(scope_close(&sc, 0) == 0);
}

static void in_order(void **state)
{
    (void)state;
    on_workers(1, served_in_order, NULL);
}

static int send_one(void *arg)
{
    int item = 7;

    return weir_channel_send(arg, &item, WEIR_FOREVER);
}

static void closed_channel(void *arg)
{
    struct weir_channel *ch = weir_channel_new(1, sizeof(int));
    struct weir_scope sc;
    int item = 1;

    (void)arg;
    ensure(ch != NULL && weir_channel_receive(ch, &item, 0) == WEIR_ETIMEOUT);
    ensure(weir_channel_send(ch, &item, 0) == 0);
    ensure(weir_channel_send(ch, &item, 0) == WEIR_ETIMEOUT);
    ensure(weir_channel_send(ch, &item, WEIR_MS) == WEIR_ETIMEOUT);
    weir_scope_open(&sc);
    ensure(weir_scope_spawn(&sc, send_one, ch) == 0);
    weir_yield();
    weir_channel_close(ch);
    ensure(weir_scope_wait(&sc, WEIR_FOREVER) == WEIR_ECANCELED);
    ensure(weir_scope_end(&sc, 0) == WEIR_ECLOSED);
    ensure(weir_channel_receive(ch, &item, WEIR_FOREVER) == 0 && item == 1);
    ensure(weir_channel_receive(ch, &item, WEIR_FOREVER) == WEIR_ECLOSED);
    ensure(weir_channel_send(ch, &item, WEIR_FOREVER) == WEIR_ECLOSED);
    weir_channel_free(&ch);
    ensure(ch == NULL && weir_channel_new(0, 1) == NULL && weir_channel_new(1, 257) == NULL);
}

static void closing(void **state)
{
    int item = 1;
    struct weir_channel *ch = weir_channel_new(1, sizeof item);

    (void)state;
    on_workers(2, closed_channel, NULL);
    assert_int_equal(weir_channel_send(ch, &item, WEIR_SEC), WEIR_EINVALID); /* no coroutine */
    assert_int_equal(weir_channel_send(ch, &item, 0), 0);
    assert_int_equal(weir_channel_receive(ch, &item, 0), 0);
    weir_channel_free(&ch);
    assert_int_equal(weir_channel_send(NULL, &item, 0), WEIR_EINVALID); /* one that could not be made */
    assert_int_equal(weir_channel_receive(NULL, &item, 0), WEIR_EINVALID);
    weir_channel_close(NULL);
    weir_channel_free(&ch);
}

/* --- scopes --- */

static unsigned ran;

static int add_one(void *arg)
{
    (void)arg;
    weir_yield();
    ran++;
    return 0;
}

static int sleep_long(void *arg)
{
    int rc = weir_sleep_for(WEIR_FOREVER);

    *(int *)arg = rc;
    ran++;
    return rc;
}

static int fail_soon(void *arg)
{
    (void)arg;
    weir_yield();
    return WEIR_EDNS;
}

static void nested_limits(void)
{
    struct weir_scope outer, inner;

    weir_scope_open(&outer);
    weir_scope_limit(&outer, 5 * WEIR_MS);
    weir_scope_open(&inner);
    weir_scope_limit(&inner, WEIR_FOREVER);
    ensure(weir_sleep_for(WEIR_MS) == 0);
    ensure(weir_sleep_for(WEIR_FOREVER) == WEIR_ETIMEOUT);
    ensure(weir_scope_end(&inner, WEIR_ETIMEOUT) == WEIR_ETIMEOUT);
    ensure(weir_sleep_for(WEIR_FOREVER) == WEIR_ETIMEOUT);
    ensure(weir_scope_end(&outer, 0) == 0);
    ensure(weir_sleep_for(WEIR_MS) == 0 && weir_canceled() == 0);
}

static void public_scopes(void *arg)
{
    struct weir_scope sc;
    int rc[3] = { 0 };

    (void)arg;
    ran = 0;
    weir_scope_open(&sc); /* as many as one likes, a few at a time: each frees itself */
    for (unsigned i = 0; i < 1000; i++) {
        ensure(weir_scope_spawn(&sc, add_one, NULL) == 0);
        if (i % 10 == 9)
            ensure(weir_scope_wait(&sc, WEIR_FOREVER) == 0);
    }
    ensure(weir_scope_end(&sc, 5) == 5 && ran == 1000);

    ran = 0;
    weir_scope_open(&sc);
    for (unsigned i = 0; i < 3; i++)
        ensure(weir_scope_spawn(&sc, sleep_long, &rc[i]) == 0);
    ensure(weir_scope_wait(&sc, WEIR_MS) == WEIR_ETIMEOUT);
    ensure(weir_scope_spawn(&sc, fail_soon, NULL) == 0);
    ensure(weir_sleep_for(WEIR_FOREVER) == WEIR_ECANCELED);
    ensure(weir_scope_end(&sc, WEIR_ECANCELED) == WEIR_EDNS && ran == 3);
    for (unsigned i = 0; i < 3; i++)
        ensure(rc[i] == WEIR_ECANCELED);
    ensure(weir_canceled() == 0);

    weir_scope_open(&sc);
    ensure(weir_scope_spawn(&sc, NULL, NULL) == WEIR_EINVALID);
    ensure(weir_scope_wait(&sc, WEIR_FOREVER) == WEIR_ECANCELED);
    ensure(weir_scope_end(&sc, 0) == WEIR_EINVALID);
    ensure(weir_spawn(NULL, NULL) == WEIR_EINVALID && weir_blocking(NULL, NULL) == WEIR_EINVALID);
    nested_limits();
}

static void scopes(void **state)
{
    (void)state;
    on_workers(2, public_scopes, NULL);
}

/* --- mutex and semaphore in the memory of the caller --- */

static struct {
    struct weir_mutex mutex;
    struct weir_semaphore two;
    unsigned counter;
    atomic_int inside;
} shared;

static void share(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2000; i++) {
        ensure(weir_semaphore_take(&shared.two, WEIR_FOREVER) == 0);
        ensure(atomic_fetch_add(&shared.inside, 1) < 2);
        weir_mutex_lock(&shared.mutex);
        shared.counter++;
        weir_mutex_unlock(&shared.mutex);
        atomic_fetch_sub(&shared.inside, 1);
        weir_semaphore_give(&shared.two, 1);
    }
}

static void sharing(void **state)
{
    (void)state;
    weir_semaphore_init(&shared.two, 2);
    workers_start(4);
    for (unsigned i = 0; i < 6; i++)
        workers_run(i % 4, share, NULL);
    workers_join();
    workers_stop();
    assert_int_equal(shared.counter, 6 * 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_to_many), cmocka_unit_test(in_order), cmocka_unit_test(closing),
        cmocka_unit_test(scopes),       cmocka_unit_test(sharing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
