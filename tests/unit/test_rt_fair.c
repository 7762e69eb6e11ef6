/* test_rt_fair.c -- a strand that never has to wait lets the others of its worker run: after 64 I/O
 * calls, after 1 MiB, and each time it yields; and many who wake at once are woken a few a turn. */
#include "workers.h"

#include "runtime/co.h"

enum { BYTES = 60000, BURST = 64, TURNS = 50, BIG = 256 * 1024, MANY = 64 };
enum { SLEEPERS = 200, TOGETHER = 5 };

static struct {
    unsigned turns; /* of the other strand; one worker, so these are plain */
    bool ended;
    int fd[2];
} fair;

/* The other one: runs whenever it is let. */
static void counter(void *arg)
{
    (void)arg;
    while (!fair.ended) {
        fair.turns++;
        co_yield ();
    }
}

static void run_beside(void (*fn)(void *))
{
    fair.turns = 0;
    fair.ended = false;
    tcp_pair(fair.fd);
    workers_start(1);
    workers_run(0, counter, NULL);
    workers_run(0, fn, NULL);
    workers_join();
    workers_stop();
}

/* All bytes are there before the first is read, one by one. */
static void sipper(void *arg)
{
    static char much[BYTES];
    struct stream st = stream_of(fair.fd[0], true);
    struct pace pace = no_hurry();
    unsigned before;
    char byte;

    (void)arg;
    ensure(send(fair.fd[1], much, BYTES, 0) == BYTES);
    ensure(stream_wait_readable(&st, &pace) == 0);
    before = fair.turns;
    for (unsigned i = 0; i < BYTES / 2; i++)
        ensure(stream_read(&st, &byte, 1, &pace) == 1);
    ensure(fair.turns - before >= BYTES / 2 / BURST - 1);
    ensure(fair.turns - before <= BYTES / 2 / BURST + 1);
    fair.ended = true;
    stream_close(&st, false);
    close(fair.fd[1]);
}

static void small_calls(void **state)
{
    (void)state;
    run_beside(sipper);
}

/* Who yields goes behind the others, each time. */
static void yielder(void *arg)
{
    unsigned before = fair.turns;

    (void)arg;
    for (unsigned i = 0; i < TURNS; i++)
        co_yield ();
    ensure(fair.turns - before >= TURNS - 1);
    fair.ended = true;
    close(fair.fd[0]);
    close(fair.fd[1]);
}

static void yields(void **state)
{
    (void)state;
    run_beside(yielder);
}

/* Bytes count too. */
static void spender(void *arg)
{
    unsigned before = fair.turns;

    (void)arg;
    co_yield ();
    before = fair.turns;
    for (unsigned i = 0; i < MANY; i++) {
        co_spend(BIG);
        assert_int_equal(co_begin_call(true), 0);
    }
    ensure(fair.turns - before >= MANY / 4 - 1 && fair.turns - before <= MANY / 4 + 1);
    fair.ended = true;
    close(fair.fd[0]);
    close(fair.fd[1]);
}

static void many_bytes(void **state)
{
    (void)state;
    run_beside(spender);
}

static struct {
    struct deadline until;
    unsigned asleep, awake; /* how many went to sleep in time, and how many of them are awake */
    unsigned turn, together, most;
} rest;

/* Notes how many woke up since the other strand was let run. */
static void sleeper(void *arg)
{
    (void)arg;
    if (rt_now() >= rest.until.at)
        return;
    rest.asleep++;
    co_sleep(rest.until);
    rest.together = rest.turn == fair.turns ? rest.together + 1 : 1;
    rest.turn = fair.turns;
    rest.most = MAX(rest.most, rest.together);
    rest.awake++;
}

/* On a machine that is too busy to start them all in time: once more, with twice the time. */
static void bedtime(void *arg)
{
    (void)arg;
    for (weir_dur span = 20 * WEIR_MS; rest.awake < SLEEPERS; span *= 2) {
        rest.asleep = rest.awake = rest.most = rest.turn = 0;
        rest.until = deadline_in(rt_now(), span, 0);
        for (unsigned i = 0; i < SLEEPERS; i++)
            ensure(strand_start(sleeper, NULL) == 0);
        while (rt_now() < rest.until.at || rest.awake < rest.asleep)
            co_yield ();
    }
    ensure(rest.most <= TOGETHER); /* more than the least of a turn: it may have had events */
    fair.ended = true;
    close(fair.fd[0]);
    close(fair.fd[1]);
}

static void many_deadlines(void **state)
{
    (void)state;
    run_beside(bedtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_calls),
        cmocka_unit_test(yields),
        cmocka_unit_test(many_bytes),
        cmocka_unit_test(many_deadlines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
