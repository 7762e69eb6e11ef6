/* test_rt_schedule_watch.c -- a stuck worker is rescued, and how soon (RUNTIME.md S8), in orders
 * that seeds choose, with the real code of the runtime. Time is simulated, and so exact.
 *
 * That these tests can fail was tried by breaking the rules one by one; found here: a rescue that
 * misses events or timers, or has nobody who watches; one that waits for a whole millisecond
 * although its worker has nothing else to do, or does not although it has. */
#include "sim.h"

/* --- it goes on only once all that waited for it was done by others --- */

enum { CROWD = 5, TICKS = 20 };

static struct {
    int fd;
    bool quiet, read, timed, slept, over;
    _Atomic unsigned crowd;
} stuck;

static bool all_rescued(void *arg)
{
    (void)arg;
    return stuck.read && stuck.timed && stuck.slept && stuck.crowd == CROWD;
}

static void on_ready(struct slot *s, void *owner);
static void on_expire(struct slot *s, void *owner);
static const struct slot_class rescued = {
    .name = "rescued",
    .ready = on_ready,
    .expire = on_expire,
};

static void on_ready(struct slot *s, void *owner)
{
    (void)owner;
    must(!stuck.read);
    stuck.read = true;
    slot_close(&s);
}

static void on_expire(struct slot *s, void *owner)
{
    (void)owner;
    must(!stuck.timed);
    stuck.timed = true;
    slot_close(&s);
}

static void crowd_member(void *arg)
{
    (void)arg;
    atomic_fetch_add(&stuck.crowd, 1);
}

static void sleep_some(void *arg)
{
    (void)arg;
    co_sleep(deadline_in(rt_now(), 2 * WEIR_MS, 0));
    stuck.slept = true;
}

static struct slot *slot_of(int fd, unsigned home)
{
    struct slot *s = slot_new(fd, &rescued, NULL);

    must(s != NULL && slot_register(s, home) == 0);
    return s;
}

/* It has a slot with bytes to come, one with a deadline, a sleeper and ready strands, and
 * computes. */
static void compute(void *arg)
{
    int fd = sim_socket(SIM_OPEN);
    int64_t begin;

    (void)arg;
    if (stuck.quiet) /* for so long that nobody watches any more, or is about to stop it */
        co_sleep(deadline_in(rt_now(), (96 + (int64_t)sim_random(10)) * WEIR_MS, 0));
    begin = sim_time();
    must(slot_arm(slot_of(fd, 0), INT64_MAX));
    stuck.fd = fd;
    must(slot_arm(slot_of(sim_socket(SIM_OPEN), 0), sim_time() + 3 * WEIR_MS));
    must(strand_start(sleep_some, NULL) == 0);
    co_yield ();
    for (unsigned i = 0; i < CROWD; i++)
        must(strand_start(crowd_member, NULL) == 0);
    sim_await(all_rescued, NULL);
    must(sim_time() < begin + 40 * WEIR_MS);
    stuck.over = true;
}

static bool has_begun(void *arg)
{
    (void)arg;
    return stuck.fd > 0;
}

static void talk(void *arg)
{
    (void)arg;
    sim_await(has_begun, NULL);
    sim_dawdle(300);
    sim_data(stuck.fd, 1);
}

static void stuck_is_rescued(uint64_t seed)
{
    memset(&stuck, 0, sizeof stuck);
    stuck.quiet = seed % 3 > 0;
    sim_strand(0, compute, NULL);
    sim_actor("talker", talk, NULL);
    sim_explore(seed, seed % 2 ? TICKS : 0);
    must(stuck.over);
}

/* --- how soon, by who has nothing to do and by who has --- */

static bool is_read(void *arg)
{
    (void)arg;
    return stuck.read;
}

/* Until nobody watches any more, so that all begin a turn at the same time. */
static void sleep_long(void)
{
    co_sleep(deadline_in(rt_now(), 250 * WEIR_MS, 0));
}

/* An event comes at once, and the turn does not end before another worker has served it. */
static void compute_until_read(void *arg)
{
    bool other_works = *(bool *)arg;
    int fd = sim_socket(SIM_OPEN);
    int64_t took;

    sleep_long();
    must(slot_arm(slot_of(fd, rt_worker_id()), INT64_MAX));
    sim_data(fd, 1);
    sim_await(is_read, NULL);
    took = sim_time() - rt_now(); /* since its turn began */
    must(other_works ? took >= WEIR_MS && took < 3 * WEIR_MS : took == WEIR_MS / 4);
    stuck.over = true;
}

/* A turn takes a quarter of a millisecond, and leaves something to do. */
static void work_until_read(void *arg)
{
    (void)arg;
    sleep_long();
    while (!stuck.read) {
        sim_pass(WEIR_MS / 256);
        co_yield ();
    }
}

static void rescue_in_time(uint64_t seed)
{
    bool other_works = seed / 2 % 2; /* each with and without barriers */

    memset(&stuck, 0, sizeof stuck);
    sim_strand(0, compute_until_read, &other_works);
    if (other_works)
        sim_strand(1, work_until_read, NULL);
    sim_explore(seed, 0);
    must(stuck.over);
}

static void orders(void **state)
{
    (void)state;
    sim_seeds("a stuck worker is rescued", 3, true, stuck_is_rescued, 600);
    sim_seeds("a rescue comes in time", 2, true, rescue_in_time, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orders) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
