/* test_rt_schedule_run.c -- strands, budgets, sleep, timers, scopes and locks in orders that seeds
 * choose (RUNTIME.md R3 to R7), with the real code of the runtime.
 *
 * That these tests can fail was tried by breaking the rules one by one; found here: a strand queued
 * while it runs, given up before its list was looked at, ended by a plain store, or its word stored
 * at reuse (D5); a budget's end that forgets what is left, or stores (D2); wake-ups without the
 * swap or whatever its result; most of R5's order of looking and sleeping; an entry dropped
 * although its deadline is later, a deadline stored after the entry was read (S9); a request to
 * cancel that hits the next strand of the same header; a mutex whose waiter leaves the line when it
 * is woken otherwise, or registers after unlocking; an event object that does not swap; a theft
 * that leaves the stolen in place. Not found, as it takes weak memory: a waker that skips its swap
 * where PENDING is set. */
#include "sim.h"

#include "runtime/event.h"
#include "runtime/lock.h"

/* --- coroutines that wait for tokens, and wakers everywhere --- */

enum { BOXES = 3, TOKENS = 5 };

static struct box {
    struct co *co;
    _Atomic uint64_t number;       /* of its wait */
    _Atomic unsigned tokens, more; /* there; to come */
    unsigned got;
    unsigned yields; /* first; together they burn the budget of their strand */
} boxes[BOXES];

static void take_tokens(struct box *b)
{
    b->co = co_self();
    for (; b->yields > 0; b->yields--)
        co_yield ();
    while (b->got < TOKENS) {
        atomic_store(&b->number, co_park_begin(b->co));
        if (b->tokens > 0 ? !co_park_leave(b->co, b->number) : true)
            co_park(b->co);
        while (b->tokens > 0) {
            atomic_fetch_sub(&b->tokens, 1);
            b->got++;
        }
    }
}

static int token_task(void *arg)
{
    take_tokens(arg);
    return 0;
}

/* One strand with all boxes, so that the list and the budget have more than one to hold. */
static void token_strand(void *arg)
{
    struct scope sc;
    struct task t[BOXES];

    (void)arg;
    scope_open(&sc);
    for (unsigned i = 1; i < BOXES; i++)
        must(task_start(&sc, &t[i], token_task, &boxes[i]) == 0);
    take_tokens(&boxes[0]);
    for (unsigned i = 1; i < BOXES; i++)
        task_join(&t[i]);
    must(scope_close(&sc, 0) == 0);
}

static void give_token(struct box *b)
{
    if (b->more == 0)
        return;
    b->more--;
    b->tokens++;
    sim_dawdle(4);
    if (b->co != NULL)
        co_wake(b->co, atomic_load(&b->number), WAKE_OTHER);
}

static void token_giver(void *arg)
{
    (void)arg;
    for (unsigned left = 1; left > 0;) {
        left = 0;
        give_token(&boxes[sim_random(BOXES)]);
        sim_dawdle(100);
        for (unsigned i = 0; i < BOXES; i++)
            left += boxes[i].more;
    }
}

/* The same on a worker, so that the strand moves to it. */
static void token_giver_strand(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TOKENS; i++) {
        give_token(&boxes[i % BOXES]);
        co_yield ();
    }
}

static void posted(void *arg)
{
    ++*(unsigned *)arg;
}

static void poster(void *arg)
{
    for (unsigned i = 0; i < 4; i++) {
        must(rt_post((unsigned)sim_random(rt.count), posted, arg) == 0);
        sim_dawdle(60);
    }
}

static void no_wake_is_lost(uint64_t seed)
{
    unsigned ran = 0;

    memset(boxes, 0, sizeof boxes);
    for (unsigned i = 0; i < BOXES; i++) {
        boxes[i].more = TOKENS;
        boxes[i].yields = seed % 2 && sim_random(2) ? 56 + (unsigned)sim_random(12) : 0;
    }
    sim_strand(0, token_strand, NULL);
    sim_strand(1, token_giver_strand, NULL);
    sim_actor("giver 1", token_giver, NULL);
    sim_actor("giver 2", token_giver, NULL);
    sim_actor("poster", poster, &ran);
    sim_explore(seed, 0);
    must(ran == 4);
    for (unsigned i = 0; i < BOXES; i++)
        must(boxes[i].got == TOKENS);
}

/* --- naps that are ended early, on other workers, so that the next one's deadline may be earlier
 * than the entry in some wheel --- */

enum { SLEEPERS = 3, TICKS = 20 };

static struct sleeper {
    struct event event;
    unsigned naps;
} sleepers[SLEEPERS];

static unsigned ticks;

/* While some time passes at any moment, a nap may end so much later. */
static void nap(void *arg)
{
    struct sleeper *s = arg;

    for (; s->naps > 0; s->naps--) {
        int64_t span = (1 + (int64_t)sim_random(s->naps % 2 ? 8 : 200)) * WEIR_MS / 2;
        struct deadline until = deadline_in(rt_now(), span, WEIR_EUPTIME);

        if (event_wait(&s->event, until) == WEIR_EUPTIME)
            must(until.at <= sim_time() && sim_time() <= until.at + (2 + ticks) * WEIR_MS);
    }
}

static void rouse_sleepers(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        event_set(&sleepers[sim_random(SLEEPERS)].event);
        if (co_inside())
            co_sleep(deadline_in(rt_now(), (1 + (int64_t)sim_random(20)) * WEIR_MS, 0));
        else
            sim_dawdle(100);
    }
}

static void sleepers_wake_in_time(uint64_t seed)
{
    memset(sleepers, 0, sizeof sleepers);
    ticks = seed % 2 ? TICKS : 0;
    for (unsigned i = 0; i < SLEEPERS; i++) {
        sleepers[i].naps = 8;
        sim_strand(i % rt.count, nap, &sleepers[i]);
    }
    sim_strand(1, rouse_sleepers, NULL);
    sim_strand(2, rouse_sleepers, NULL);
    sim_actor("rouser", rouse_sleepers, NULL);
    sim_explore(seed, ticks);
}

/* --- scopes: tasks that end, fail, sleep or wait, and cancelling from outside --- */

static struct {
    struct event event;
    strand_ref strand;
    int failing; /* a task's result */
    int rc, cause;
    bool canceled;
} family;

static int child_sleeps(void *arg)
{
    (void)arg;
    return co_sleep(NEVER);
}

static int child_waits(void *arg)
{
    (void)arg;
    return event_wait(&family.event, NEVER);
}

static int child_fails(void *arg)
{
    (void)arg;
    co_yield ();
    return family.failing;
}

static void parent(void *arg)
{
    static int (*const children[])(void *) = { child_sleeps, child_waits, child_fails };
    struct task t[ARRAY_LEN(children)];
    struct scope sc;
    int rc = 0;

    (void)arg;
    family.strand = strand_self();
    scope_open(&sc);
    for (unsigned i = 0; i < ARRAY_LEN(children) && rc == 0; i++)
        rc = task_start(&sc, &t[i], children[i], NULL);
    if (rc == 0)
        rc = task_wait(&t[1], NEVER); /* the one that something else ends */
    family.rc = scope_close(&sc, rc);
    family.strand = 0;
}

static void cancel_family(void *arg)
{
    strand_ref strand;

    (void)arg;
    sim_dawdle(200);
    strand = family.strand;
    if (strand != 0)
        strand_cancel(strand, WEIR_ESHUTDOWN);
    sim_dawdle(60);
    strand_cancel(strand, WEIR_EDNS); /* too late, or for a strand that is no more */
}

static void set_event(void *arg)
{
    (void)arg;
    sim_dawdle(200);
    event_set(&family.event);
}

static void successor(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 10; i++) {
        co_yield ();
        must(co_check() == 0); /* nobody has cancelled this one */
    }
}

static void successors(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        sim_dawdle(200);
        must(strand_start(successor, NULL) == 0);
    }
}

static void families_end(uint64_t seed)
{
    memset(&family, 0, sizeof family);
    family.failing = sim_random(2) ? WEIR_EUPTIME : 0;
    sim_strand(0, parent, NULL);
    sim_actor("canceller", cancel_family, NULL);
    sim_actor("setter", set_event, NULL);
    sim_actor("successors", successors, NULL);
    sim_explore(seed, 0);
    must(family.rc == 0 || family.rc == WEIR_EUPTIME || family.rc == WEIR_ESHUTDOWN ||
         family.rc == WEIR_EDNS);
    must(family.rc != WEIR_EUPTIME || family.failing != 0);
}

/* --- a mutex between strands of several workers, with wake-ups that mean something else --- */

static struct {
    struct co_mutex mutex;
    struct co *co[3];
    unsigned inside, entered;
} shop;

static void shopper(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    shop.co[me] = co_self();
    for (unsigned i = 0; i < 4; i++) {
        co_lock(&shop.mutex);
        must(shop.inside++ == 0);
        if (sim_random(2))
            co_yield ();
        must(--shop.inside == 0);
        shop.entered++;
        co_unlock(&shop.mutex);
    }
    shop.co[me] = NULL;
}

static void disturb(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20; i++) {
        struct co *c = shop.co[sim_random(ARRAY_LEN(shop.co))];

        if (c != NULL)
            co_wake(c, WAIT_NUMBER(atomic_load(&c->wait)), WAKE_CANCEL);
        sim_dawdle(40);
    }
}

static void one_is_inside(uint64_t seed)
{
    memset(&shop, 0, sizeof shop);
    for (uintptr_t i = 0; i < ARRAY_LEN(shop.co); i++)
        sim_strand((unsigned)i % rt.count, shopper, (void *)i);
    sim_actor("disturber", disturb, NULL);
    sim_explore(seed, 0);
    must(shop.entered == 4 * ARRAY_LEN(shop.co));
}

/* --- stealing: more strands than one worker gets to --- */

static void count_up(void *arg)
{
    co_yield ();
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void crowd(void *arg)
{
    for (unsigned i = 0; i < 12; i++)
        must(strand_start(count_up, arg) == 0);
    co_yield ();
}

static void all_have_run(uint64_t seed)
{
    _Atomic unsigned done = 0;

    sim_strand(0, crowd, &done);
    sim_strand(1, crowd, &done);
    sim_explore(seed, 0);
    must(done == 24);
}

/* Half of the seeds without stealing: then no watcher hides a wake-up that was lost. */
static void both_ways(const char *name, unsigned workers, void (*fn)(uint64_t), unsigned n)
{
    sim_seeds(name, workers, true, fn, n / 2);
    sim_seeds(name, workers, false, fn, n / 2);
}

static void orders(void **state)
{
    (void)state;
    both_ways("no wake is lost", 3, no_wake_is_lost, 2000);
    both_ways("sleepers wake in time", 3, sleepers_wake_in_time, 2000);
    both_ways("families end", 2, families_end, 4000);
    both_ways("one is inside", 3, one_is_inside, 2000);
    both_ways("all have run", 3, all_have_run, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orders) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
