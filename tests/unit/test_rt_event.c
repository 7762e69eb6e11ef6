/* runtime/event.h: no setting is lost, whoever comes first; deadlines and cancelling end the
 * wait. */
#include "workers.h"

#include "runtime/event.h"

enum { ROUNDS = 20000 };

/* Two strands hand a counter to and fro: each side's step must be seen by the other. */
static struct {
    struct event there, back;
    unsigned counter; /* no atomic: the events order it (TSan looks) */
} table;

static void server(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ensure(event_wait(&table.there, NEVER) == 0);
        ensure(table.counter == 2 * i + 1);
        table.counter++;
        event_set(&table.back);
    }
}

static void client(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ensure(table.counter == 2 * i);
        table.counter++;
        event_set(&table.there);
        ensure(event_wait(&table.back, NEVER) == 0);
    }
}

static void to_and_fro(void **state)
{
    (void)state;
    event_init(&table.there);
    event_init(&table.back);
    table.counter = 0;
    workers_start(2);
    workers_run(0, server, NULL);
    workers_run(1, client, NULL);
    workers_join();
    workers_stop();
    assert_int_equal(table.counter, 2 * ROUNDS);
}

/* Many set, one waits: it sees the last of them, though not each of them. */
static struct {
    struct event any;
    _Atomic unsigned done;
} crowd;

static void setter(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&crowd.done, 1);
        event_set(&crowd.any);
    }
}

static void watcher(void *arg)
{
    (void)arg;
    while (atomic_load(&crowd.done) < 3 * ROUNDS)
        ensure(event_wait(&crowd.any, deadline_in(rt_now(), PATIENCE * WEIR_SEC, WEIR_EINTERNAL)) ==
               0);
}

static void many_setters(void **state)
{
    (void)state;
    event_init(&crowd.any);
    crowd.done = 0;
    workers_start(4);
    workers_run(0, watcher, NULL);
    for (unsigned i = 1; i < 4; i++)
        workers_run(i, setter, NULL);
    workers_join();
    workers_stop();
}

static int waits_for_ever(void *arg)
{
    return event_wait(arg, NEVER);
}

static void ends_of_a_wait(void *arg)
{
    struct event e;
    struct scope sc;
    struct task t;

    (void)arg;
    event_init(&e);
    event_set(&e);
    event_set(&e); /* twice is once */
    ensure(event_wait(&e, NEVER) == 0);
    ensure(event_wait(&e, deadline_in(rt_now(), 20 * WEIR_MS, WEIR_EUPTIME)) == WEIR_EUPTIME);
    ensure(event_wait(&e, deadline_in(rt_now(), -1, WEIR_EUPTIME)) == WEIR_EUPTIME);

    scope_open(&sc); /* cancelled before and while it waits; an event that is set comes first */
    ensure(task_start(&sc, &t, waits_for_ever, &e) == 0);
    co_yield ();
    task_cancel(&t);
    ensure(task_join(&t) == WEIR_ECANCELED);
    ensure(scope_close(&sc, 0) == 0);
    event_set(&e);
    ensure(event_wait(&e, NEVER) == 0);
}

static void ends(void **state)
{
    (void)state;
    workers_start(1);
    workers_run(0, ends_of_a_wait, NULL);
    workers_join();
    workers_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_and_fro),
        cmocka_unit_test(many_setters),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
