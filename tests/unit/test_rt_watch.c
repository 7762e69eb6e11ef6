/* test_rt_watch.c -- stealing and rescue on real workers: what waits for a worker that computes is
 * done by others, whatever the delays. Nothing here goes by time: who computes goes on until all
 * the rest is done, so a rescue that does not come is a test that does not end in PATIENCE. */
#include "slots.h"

#include "base/random.h"
#include "runtime/co.h"
#include "runtime/worker.h"

enum { ROUNDS = 30, READERS = 8, CROWD = 24 };

static struct {
    int far[READERS];   /* the other ends of the readers' sockets */
    atomic_uint parked; /* readers and sleepers that wait */
    atomic_uint done;
    atomic_bool computing;
    uint64_t seed;
} jam;

static void spin_for(struct random *r)
{
    for (uint64_t n = random_below(r, 2000); n > 0; n--)
        cpu_relax();
}

static void reader(void *arg)
{
    struct slot *s = slot_of((int)(intptr_t)arg);
    char byte;

    atomic_fetch_add(&jam.parked, 1);
    ensure(receive(s, &byte, 1, NEVER) == 1);
    slot_close(&s);
    atomic_fetch_add(&jam.done, 1);
}

static void sleeper(void *arg)
{
    (void)arg;
    atomic_fetch_add(&jam.parked, 1);
    co_sleep(soon(3 * WEIR_MS));
    atomic_fetch_add(&jam.done, 1);
}

static void member(void *arg)
{
    (void)arg;
    atomic_fetch_add(&jam.done, 1);
}

/* All of it belongs to this worker's epoll, wheel and queue; and then it gets to none of it. */
static void compute(void *arg)
{
    int64_t until = clock_now() + PATIENCE * WEIR_SEC;

    (void)arg;
    for (unsigned i = 0; i < READERS; i++) {
        int fd[2];

        unix_pair(fd);
        jam.far[i] = fd[1];
        ensure(strand_start(reader, (void *)(intptr_t)fd[0]) == 0);
    }
    ensure(strand_start(sleeper, NULL) == 0);
    while (atomic_load(&jam.parked) < READERS + 1)
        co_yield ();
    for (unsigned i = 0; i < CROWD; i++)
        ensure(strand_start(member, NULL) == 0);
    atomic_store(&jam.computing, true);
    while (atomic_load(&jam.done) < READERS + 1 + CROWD)
        ensure(clock_now() < until);
}

static void *talk(void *arg)
{
    struct random r;

    (void)arg;
    random_seed(&r, jam.seed);
    while (!atomic_load(&jam.computing))
        sched_yield();
    for (unsigned i = 0; i < READERS; i++) {
        spin_for(&r);
        ensure(write(jam.far[i], "x", 1) == 1);
    }
    return NULL;
}

static void one_jam(unsigned n)
{
    pthread_t talker;

    jam.parked = jam.done = 0;
    jam.computing = false;
    workers_start(n);
    workers_run(0, compute, NULL);
    assert_int_equal(pthread_create(&talker, NULL, talk, NULL), 0);
    pthread_join(talker, NULL);
    workers_join();
    assert_int_equal(jam.done, READERS + 1 + CROWD);
    for (unsigned i = 0; i < READERS; i++)
        close(jam.far[i]);
    workers_stop();
}

static void nobody_waits_for_who_computes(void **state)
{
    struct random r;

    (void)state;
    random_init(&r);
    for (unsigned i = 0; i < ROUNDS; i++) {
        jam.seed = random_next(&r);
        one_jam(2 + i % 2);
    }
}

/* Wake-ups, posts and strands between all workers, with a random delay before each. */

enum { PLAYERS = 6, BALLS = 400 };

static struct {
    struct event_box {
        _Atomic(struct co *) co;
        _Atomic unsigned balls;
    } players[PLAYERS];
    atomic_int left;
    atomic_uint posts;
    uint64_t seed;
} game;

static void throw(struct random * r)
{
    struct event_box *to = &game.players[random_below(r, PLAYERS)];
    struct co *c;

    spin_for(r);
    atomic_fetch_add(&to->balls, 1);
    c = atomic_load(&to->co);
    if (c != NULL)
        co_wake(c, WAIT_NUMBER(atomic_fetch_or(&c->wait, 0)), WAKE_OTHER);
}

static void posted(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Throws on what it catches, until all balls are used up. */
static void player(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    struct event_box *mine = &game.players[me];
    struct co *c = co_self();
    struct random r;

    random_seed(&r, game.seed + me);
    atomic_store(&mine->co, c);
    while (atomic_load(&game.left) > 0) {
        if (atomic_load(&mine->balls) == 0) {
            uint64_t number = co_park_begin(c);

            atomic_fetch_or(&c->wait, 0); /* whoever is second sees the other */
            if ((atomic_load(&mine->balls) == 0 && atomic_load(&game.left) > 0) ||
                !co_park_leave(c, number))
                co_park(c);
            continue;
        }
        atomic_fetch_sub(&mine->balls, 1);
        if (atomic_fetch_sub(&game.left, 1) <= 0)
            break;
        if (random_below(&r, 4) == 0)
            ensure(rt_post((unsigned)random_below(&r, rt_workers()), posted, &game.posts) == 0);
        else
            atomic_fetch_add(&game.posts, 1);
        throw(&r);
    }
    for (unsigned i = 0; i < PLAYERS; i++) { /* it is over, for all */
        struct co *other = atomic_load(&game.players[i].co);

        if (other != NULL && other != c)
            co_wake(other, WAIT_NUMBER(atomic_fetch_or(&other->wait, 0)), WAKE_OTHER);
    }
    AWAIT(atomic_load(&game.posts) == BALLS);
}

static void no_ball_is_lost(void **state)
{
    struct random r;

    (void)state;
    random_init(&r);
    for (unsigned i = 0; i < 10; i++) {
        memset(&game, 0, sizeof game);
        game.seed = random_next(&r);
        game.left = BALLS;
        game.players[0].balls = 3;
        workers_start(2 + i % 3);
        for (uintptr_t k = 0; k < PLAYERS; k++)
            workers_run((unsigned)k % rt_workers(), player, (void *)k);
        workers_join();
        workers_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_who_computes),
        cmocka_unit_test(no_ball_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
