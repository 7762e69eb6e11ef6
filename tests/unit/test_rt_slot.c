/* test_rt_slot.c -- the readiness words of slots, transition by transition: what comes before, amid
 * and after a wait, what an old name may still do, and who wins an idle slot.
 *
 * Most slots here are in no epoll: the test itself says what happened, in the order it needs. */
#include "workers.h"

#include <pthread.h>

#include "runtime/co.h"
#include "runtime/slot.h"
#include "runtime/worker.h"

/* What befell an idle slot; its owner. */
struct idle {
    struct slot *slot;
    int64_t until;
    atomic_uint ready, expired, taken;
};

static void on_ready(struct slot *s, void *owner)
{
    struct idle *i = owner;

    ensure(i->slot == s);
    atomic_fetch_add(&i->ready, 1);
}

static void on_expire(struct slot *s, void *owner)
{
    struct idle *i = owner;

    ensure(i->slot == s && i->until <= rt_now());
    atomic_fetch_add(&i->expired, 1);
}

static const struct slot_class idle_class = {
    .name = "idle",
    .ready = on_ready,
    .expire = on_expire,
};

/* A slot that no epoll knows, with the timer wheel of worker 0. */
static struct slot *quiet_slot(struct idle *owner)
{
    int fd = dup(STDERR_FILENO);
    struct slot *s;

    ensure(fd >= 0);
    s = slot_new(fd, &idle_class, owner);
    ensure(s != NULL);
    s->home = 0;
    if (owner != NULL)
        owner->slot = s;
    return s;
}

/* What epoll hands back for this slot as it is now. */
static uint64_t name_in_epoll(const struct slot *s)
{
    return (uint64_t)EVENT_SLOT << EVENT_KIND_SHIFT | (uint64_t)slot_name(s).generation << 32 |
           s->item.index;
}

static void event(const struct slot *s, uint32_t mask)
{
    slot_event(name_in_epoll(s), mask);
}

static unsigned flags(const struct slot *s, enum dir d)
{
    return slot_flags(slot_load(s, d));
}

/* Each event tells the directions that it concerns. */
static void masks_strand(void *arg)
{
    static const struct {
        uint32_t mask;
        unsigned in, out;
    } cases[] = {
        { EPOLLIN, SLOT_READY, 0 },
        { EPOLLOUT, 0, SLOT_READY },
        { EPOLLRDHUP, SLOT_HUP, 0 }, /* a FIN leaves the way out open */
        { EPOLLHUP, SLOT_HUP, SLOT_HUP },
        { EPOLLERR, SLOT_ERR, SLOT_ERR },
        { EPOLLIN | EPOLLRDHUP, SLOT_READY | SLOT_HUP, 0 },
        { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR, SLOT_READY | SLOT_HUP | SLOT_ERR,
          SLOT_READY | SLOT_HUP | SLOT_ERR },
        { EPOLLPRI, 0, 0 },
    };

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slot *s = quiet_slot(NULL);

        event(s, cases[i].mask);
        ensure(flags(s, DIR_IN) == cases[i].in && flags(s, DIR_OUT) == cases[i].out);
        slot_close(&s);
        ensure(s == NULL);
    }
}

static int late_event(void *arg)
{
    event(arg, EPOLLIN);
    return 0;
}

static int late_cancel(void *arg)
{
    scope_cancel(arg, WEIR_EDNS);
    return 0;
}

static struct deadline in_ms(unsigned n)
{
    return deadline_in(rt_now(), n * WEIR_MS, WEIR_EIDLETIME);
}

/* Events before and amid a wait; waits that end otherwise leave nothing behind. */
static void waits_strand(void *arg)
{
    struct slot *s = quiet_slot(NULL);
    struct scope sc;
    struct task t[2];

    (void)arg;
    event(s, EPOLLIN);
    ensure(slot_wait(s, DIR_IN, NEVER) == 0);
    slot_drained(s, DIR_IN, slot_load(s, DIR_IN), true);
    ensure(flags(s, DIR_IN) == 0);

    scope_open(&sc);
    ensure(task_start(&sc, &t[0], late_event, s) == 0);
    ensure(slot_wait(s, DIR_IN, NEVER) == 0 && flags(s, DIR_IN) == SLOT_READY);
    slot_drained(s, DIR_IN, slot_load(s, DIR_IN), true);
    ensure(slot_wait(s, DIR_IN, in_ms(2)) == WEIR_EIDLETIME);
    ensure(slot_wait(s, DIR_IN, in_ms(0)) == WEIR_EIDLETIME);
    ensure((slot_load(s, DIR_IN) & SLOT_WAITER) == 0);
    event(s, EPOLLOUT); /* the other direction: no end of this wait */
    ensure(slot_wait(s, DIR_IN, in_ms(2)) == WEIR_EIDLETIME);
    ensure(task_start(&sc, &t[1], late_cancel, &sc) == 0);
    ensure(slot_wait(s, DIR_IN, NEVER) == WEIR_ECANCELED);
    ensure((slot_load(s, DIR_IN) & SLOT_WAITER) == 0);
    ensure(scope_close(&sc, 0) == WEIR_EDNS);
    event(s, EPOLLIN); /* and who waited before is not woken by it */
    ensure(slot_wait(s, DIR_IN, NEVER) == 0);
    slot_close(&s);
}

static void drained_strand(void *arg)
{
    struct slot *s = quiet_slot(NULL);
    uint64_t w;

    (void)arg;
    event(s, EPOLLIN);
    w = slot_load(s, DIR_IN);
    event(s, EPOLLIN); /* while we read */
    slot_drained(s, DIR_IN, w, true);
    slot_drained(s, DIR_IN, w, false);
    ensure(flags(s, DIR_IN) == SLOT_READY);
    slot_drained(s, DIR_IN, slot_load(s, DIR_IN), false);
    ensure(flags(s, DIR_IN) == 0);

    event(s, EPOLLIN | EPOLLRDHUP); /* data and FIN: no further edge will come (B1) */
    slot_drained(s, DIR_IN, slot_load(s, DIR_IN), false);
    ensure(flags(s, DIR_IN) == (SLOT_READY | SLOT_HUP));
    slot_drained(s, DIR_IN, slot_load(s, DIR_IN), true); /* a true HUP never gives EAGAIN */
    ensure(flags(s, DIR_IN) == 0);
    slot_close(&s);
}

/* The word's sequence number has 16 bits: events enough to wrap it. */
static void many_events_strand(void *arg)
{
    struct idle idle = { .until = INT64_MAX };
    struct slot *s = quiet_slot(&idle);
    struct slot_ref ref = slot_name(s);
    uint64_t w;

    (void)arg;
    event(s, EPOLLIN);
    w = slot_load(s, DIR_IN);
    for (unsigned i = 0; i < 65537; i++)
        event(s, EPOLLIN | EPOLLOUT);
    slot_drained(s, DIR_IN, w, true);
    ensure(flags(s, DIR_IN) == SLOT_READY && flags(s, DIR_OUT) == SLOT_READY);
    ensure(slot_name(s).generation == ref.generation && slot_wait(s, DIR_IN, NEVER) == 0);
    for (unsigned i = 0; i < 65537; i++) { /* and as many turns of going idle */
        slot_drained(s, DIR_IN, slot_load(s, DIR_IN), true);
        ensure(slot_arm(s, INT64_MAX));
        event(s, EPOLLIN);
        ensure(atomic_load(&idle.ready) == i + 1);
    }
    ensure(slot_name(s).generation == ref.generation);
    slot_close(&s);
}

/* An old event and an old name mean nothing to the slot's next connection. */
static void reuse_strand(void *arg)
{
    struct idle idle = { .until = INT64_MAX };

    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        struct slot *s = quiet_slot(&idle), *again;
        struct slot_ref ref = slot_name(s);
        uint64_t old = name_in_epoll(s);

        ensure(slot_arm(s, INT64_MAX) && slot_take(ref));
        again = s;
        slot_close(&s);
        slot_event(old, EPOLLIN | EPOLLOUT | EPOLLHUP);
        ensure(!slot_take(ref));
        ensure(flags(again, DIR_IN) == SLOT_CLOSED && flags(again, DIR_OUT) == SLOT_CLOSED);

        s = quiet_slot(&idle);
        ensure(s == again && slot_name(s).generation != ref.generation);
        slot_event(old, EPOLLIN | EPOLLOUT | EPOLLHUP);
        ensure(flags(s, DIR_IN) == 0 && flags(s, DIR_OUT) == 0);
        ensure(slot_arm(s, INT64_MAX));
        slot_event(old, EPOLLIN | EPOLLHUP);
        ensure(!slot_take(ref) && atomic_load(&idle.ready) == 0); /* D6 */
        ensure(slot_take(slot_name(s)));
        slot_close(&s);
    }
}

static void arming_strand(void *arg)
{
    static const uint32_t masks[] = { EPOLLIN, EPOLLRDHUP, EPOLLERR, EPOLLHUP };
    struct idle idle = { .until = INT64_MAX };
    struct slot *s;

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(masks); i++) { /* something has happened: still ours */
        s = quiet_slot(&idle);
        event(s, masks[i]);
        ensure(!slot_arm(s, rt_now() + WEIR_SEC) && !slot_take(slot_name(s)));
        ensure(atomic_load(&s->timer.t.deadline) == TIMER_NONE);
        slot_close(&s);
    }
    s = quiet_slot(&idle);
    event(s, EPOLLOUT); /* room is no news to an idle connection */
    ensure(slot_arm(s, INT64_MAX));
    ensure(slot_take(slot_name(s)) && !slot_take(slot_name(s)));
    ensure(slot_arm(s, INT64_MAX));
    event(s, EPOLLIN);
    event(s, EPOLLIN | EPOLLRDHUP); /* ours by now: remembered, no second start */
    ensure(atomic_load(&idle.ready) == 1 && !slot_take(slot_name(s)));
    ensure(flags(s, DIR_IN) == (SLOT_READY | SLOT_HUP));
    slot_close(&s);
    ensure(atomic_load(&idle.ready) == 1 && atomic_load(&idle.expired) == 0);
}

/* An idle deadline that moved later is not met early, one that was reached not twice. */
static void deadline_strand(void *arg)
{
    struct idle moved = { 0 }, brief = { 0 }, last = { 0 };
    int64_t now = rt_now();

    (void)arg;
    quiet_slot(&moved);
    for (unsigned i = 1; i <= 4; i++) { /* on_expire looks at the time */
        moved.until = now + (int64_t)i * 20 * WEIR_MS;
        ensure(slot_arm(moved.slot, moved.until));
        if (i < 4)
            ensure(slot_take(slot_name(moved.slot)));
    }
    brief.until = now + 2 * WEIR_MS; /* behind the entry of an earlier arming, and before it */
    quiet_slot(&brief);
    ensure(slot_arm(brief.slot, now + WEIR_SEC) && slot_take(slot_name(brief.slot)));
    ensure(slot_arm(brief.slot, brief.until));
    AWAIT(atomic_load(&brief.expired) > 0);
    AWAIT(atomic_load(&moved.expired) > 0);
    last.until = rt_now() + 20 * WEIR_MS;
    quiet_slot(&last);
    ensure(slot_arm(last.slot, last.until));
    AWAIT(atomic_load(&last.expired) > 0); /* whatever is due before has been done */
    ensure(atomic_load(&brief.expired) == 1 && atomic_load(&moved.expired) == 1);
    ensure(!slot_take(slot_name(brief.slot)));
    ensure(brief.ready + moved.ready + last.ready == 0);
    slot_close(&brief.slot);
    slot_close(&moved.slot);
    slot_close(&last.slot);
}

static void transitions(void **state)
{
    static void (*const strands[])(void *) = { masks_strand,       waits_strand, drained_strand,
                                               many_events_strand, reuse_strand, arming_strand,
                                               deadline_strand };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strands); i++)
        on_workers(1, strands[i], NULL);
}

/* All at once: events, two takers, time-outs and shutdown on slots that are armed again and again.
 * Of all contenders for one arming exactly one wins. */

enum { RACERS = 5, ROUNDS = 300, SLOTS = 32 };

static struct {
    struct idle idle[SLOTS];
    struct slot_ref ref[SLOTS], old[SLOTS];
    pthread_barrier_t start, end;
    uint64_t seed;
} race;

static void won_all(struct slot *s, void *owner, void *arg)
{
    struct idle *i = owner;

    (void)arg;
    ensure(i->slot == s);
    atomic_fetch_add(&i->taken, 1);
}

static void contend(unsigned kind, unsigned which)
{
    struct idle *i = &race.idle[which];
    struct slot *s = race.ref[which].slot;
    int64_t deadline;

    switch (kind) {
    case 0:
        slot_event((uint64_t)race.ref[which].generation << 32 | s->item.index, EPOLLIN);
        break;
    case 1:
        if (slot_expired(s, INT64_MAX - 1, &deadline) == LAZY_WON)
            atomic_fetch_add(&i->expired, 1);
        break;
    case 2:
        slot_take_all(&idle_class, won_all, NULL);
        break;
    default:
        ensure(race.old[which].slot == NULL || !slot_take(race.old[which]));
        if (slot_take(race.ref[which]))
            atomic_fetch_add(&i->taken, 1);
        break;
    }
}

static void *racer(void *arg)
{
    uintptr_t kind = (uintptr_t)arg;
    struct random r;

    random_seed(&r, race.seed + kind);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned first = (unsigned)random_below(&r, 4), step = random_below(&r, 2) ? 1 : SLOTS - 1;

        pthread_barrier_wait(&race.start);
        for (unsigned k = 0; k < SLOTS; k++) {
            for (uint64_t pause = random_below(&r, 30); pause > 0; pause--)
                cpu_relax();
            if (kind != 2 || random_below(&r, SLOTS) == 0)
                contend((unsigned)kind, (first + k * step) % SLOTS);
        }
        pthread_barrier_wait(&race.end);
    }
    return NULL;
}

/* The winner's part: whoever it was, the slot is armed anew, or closed and another one. */
static void settle(unsigned which, struct random *r)
{
    struct idle *i = &race.idle[which];

    if (atomic_load(&i->ready) + atomic_load(&i->expired) + atomic_load(&i->taken) != 1)
        fail_msg("seed %llu: %u ready, %u expired, %u taken", (unsigned long long)race.seed,
                 i->ready, i->expired, i->taken);
    assert_int_equal(i->slot->word[DIR_IN] & SLOT_WAITER, 0);
    assert_int_equal(flags(i->slot, DIR_IN), SLOT_READY); /* the event is never lost */
    slot_drained(i->slot, DIR_IN, slot_load(i->slot, DIR_IN), true);
    if (random_below(r, 3) == 0) {
        race.old[which] = race.ref[which];
        slot_close(&i->slot);
    }
}

static void arm_all(void)
{
    for (unsigned k = 0; k < SLOTS; k++) {
        struct idle *i = &race.idle[k];

        i->ready = i->expired = i->taken = 0;
        i->until = clock_now() + WEIR_SEC * 3600; /* the time-out is a thread of ours */
        if (i->slot == NULL)
            quiet_slot(i);
        race.ref[k] = slot_name(i->slot);
        assert_true(slot_arm(i->slot, i->until));
    }
}

static void one_wins(void **state)
{
    pthread_t threads[RACERS];
    struct random r;

    (void)state;
    memset(&race, 0, sizeof race);
    random_init(&r);
    race.seed = random_next(&r);
    print_message("# seed %llu\n", (unsigned long long)race.seed);
    random_seed(&r, race.seed + RACERS);
    workers_start(1);
    pthread_barrier_init(&race.start, NULL, RACERS + 1);
    pthread_barrier_init(&race.end, NULL, RACERS + 1);
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, racer, (void *)i), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        arm_all();
        pthread_barrier_wait(&race.start);
        pthread_barrier_wait(&race.end);
        for (unsigned k = 0; k < SLOTS; k++)
            settle(k, &r);
    }
    for (unsigned i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned k = 0; k < SLOTS; k++)
        if (race.idle[k].slot != NULL)
            slot_close(&race.idle[k].slot);
    pthread_barrier_destroy(&race.start);
    pthread_barrier_destroy(&race.end);
    workers_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions),
        cmocka_unit_test(one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
