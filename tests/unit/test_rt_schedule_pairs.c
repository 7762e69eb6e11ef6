/* test_rt_schedule_pairs.c -- two against each other, in every order with up to three changes from
 * one to the other: A goes some steps, B goes some, A ends, B ends (RUNTIME.md R9). Then a schedule
 * by hand where it takes three.
 *
 * That these tests can fail was tried by breaking the rules one by one; each of these was found
 * here: an event that stores instead of swapping, reads the number before the swap (D3), leaves the
 * waiter in its word, or does not compare generations; a close that keeps the generation; words
 * without a sequence number, and a time-out that reads the deadline before the word (D6b); a take
 * by a fresh word; a wait that leaves although a waker has won (D1), is published over a flag,
 * gives up after one failed swap, or stores its number too late; no withdrawing; a watcher that is
 * told before the swap, or not at all; a notice cleared after it was looked at; a cancelling that
 * is posted before it can be seen, or looked at before the strand was claimed; a worker that says
 * it sleeps after it has looked, or does not look again, or knows its time-out before it says so
 * (D8); an earlier timer in another's wheel that wakes nobody; a message pushed too late. */
#include "sim.h"

#include <errno.h>
#include <limits.h>

#include "runtime/event.h"

static struct {
    struct slot *slot;
    struct slot_ref ref;
    uint64_t name; /* as epoll has it */
    int fd;
    struct co *co;
    struct event event;
    int rc;
    bool gone;
    int64_t until;
    unsigned ready, expired, taken, posted, ends;
} it;

static void on_ready(struct slot *s, void *owner)
{
    (void)owner;
    must(s == it.slot);
    it.ready++;
}

static void on_expire(struct slot *s, void *owner)
{
    (void)owner;
    must(s == it.slot && it.until <= sim_time() && sim_time() <= it.until + 2 * WEIR_MS);
    it.expired++;
}

static const struct slot_class class = {
    .name = "test",
    .ready = on_ready,
    .expire = on_expire,
    .watched = true,
};

/* A slot of worker 0 that no epoll knows: the tests say what happens to it. */
static void new_slot(void)
{
    it.fd = sim_socket(SIM_OPEN);
    it.slot = slot_new(it.fd, &class, NULL);
    must(it.slot != NULL);
    it.slot->home = 0;
    it.ref = slot_name(it.slot);
    it.name = (uint64_t)it.ref.generation << 32 | it.slot->item.index;
}

static unsigned flags(enum dir d)
{
    return slot_flags(slot_load(it.slot, d));
}

/* --- what actors do --- */

static void event_in(void *arg)
{
    (void)arg;
    slot_event(it.name, EPOLLIN);
}

/* A FIN, which may be no reason to stop, and then a reset, which is one. */
static void two_hang_ups(void *arg)
{
    (void)arg;
    slot_event(it.name, EPOLLIN | EPOLLRDHUP);
    step(STEP_CALL, NULL, __func__);
    it.gone = true;
    slot_event(it.name, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

/* As the timer of the coroutine would, seen from another worker. */
static void time_out(void *arg)
{
    (void)arg;
    if (it.co != NULL)
        co_wake(it.co, WAIT_NUMBER(atomic_load(&it.co->wait)), WAKE_TIMEOUT);
}

static void event_and_time_out(void *arg)
{
    event_in(arg);
    time_out(arg);
}

static void cancel(void *arg)
{
    (void)arg;
    must(strand_cancel_all(WEIR_ESHUTDOWN) == 1);
}

static void take(void *arg)
{
    (void)arg;
    it.taken += slot_take(it.ref);
}

static void take_and_put_back(void *arg)
{
    (void)arg;
    if (slot_take(it.ref)) {
        it.taken++;
        it.until = sim_time() + WEIR_SEC;
        must(slot_arm(it.slot, it.until));
    }
}

static void expire(void *arg)
{
    int64_t deadline;

    (void)arg;
    if (slot_expired(it.slot, sim_time(), &deadline) == LAZY_WON)
        on_expire(it.slot, NULL);
}

/* Wins the slot, closes it and has another connection in the same memory. */
static void take_and_reuse(void *arg)
{
    struct slot *old = it.slot;

    (void)arg;
    if (!slot_take(it.ref))
        return;
    slot_close(&it.slot);
    it.slot = slot_new(sim_socket(SIM_OPEN), &class, NULL);
    must(it.slot == old);
    it.slot->home = 0;
    must(slot_arm(it.slot, INT64_MAX));
}

static void reuse(void *arg)
{
    struct slot *old = it.slot;

    (void)arg;
    slot_close(&it.slot);
    it.slot = slot_new(sim_socket(SIM_OPEN), &class, NULL);
    must(it.slot == old);
}

static void posted(void *arg)
{
    (void)arg;
    it.posted++;
}

static void post(void *arg)
{
    must(rt_post(0, posted, arg) == 0);
}

/* As a watcher that looks into the epoll of worker 0: the eventfd is not its to read. */
static void post_and_harvest(void *arg)
{
    struct epoll_event events[4];

    post(arg);
    sim_harvest(0, events, ARRAY_LEN(events));
}

static void ended(void *arg)
{
    (void)arg;
    it.ends++;
}

static void start_strand(void *arg)
{
    (void)arg;
    must(strand_start(ended, NULL) == 0); /* from a foreign thread: by the inbox of worker 0 */
}

static void set_event(void *arg)
{
    (void)arg;
    event_set(&it.event);
}

/* --- what strands do --- */

static void wait_in(void *arg)
{
    (void)arg;
    it.co = co_self();
    while ((it.rc = slot_wait(it.slot, DIR_IN, NEVER)) == 0 && flags(DIR_IN) == 0)
        ;
    it.ends++;
}

static void wait_event(void *arg)
{
    (void)arg;
    it.co = co_self();
    it.rc = event_wait(&it.event, NEVER);
    it.ends++;
}

static int left(void *arg)
{
    (void)arg;
    return it.gone ? WEIR_ECLIENTGONE : 0;
}

static void wait_watching(void *arg)
{
    it.co = co_self();
    slot_watch(it.slot);
    strand_on_notice(left, NULL);
    it.rc = left(arg);
    if (it.rc == 0)
        it.rc = co_sleep(NEVER);
    it.ends++;
}

static void sleep_long(void *arg)
{
    (void)arg;
    it.rc = co_sleep(deadline_in(rt_now(), 100 * WEIR_MS, WEIR_EUPTIME));
    it.ends++;
}

static void arm_soon(void *arg)
{
    (void)arg;
    it.until = sim_time() + 5 * WEIR_MS;
    must(slot_arm(it.slot, it.until));
}

/* --- the pairs --- */

/* WAITED: A has gone as far as it can; DUE: armed, and its time has come. */
enum before { NOTHING, SLOT, WAITED, ARMED, DUE };

static void close_slot(void)
{
    if (it.slot != NULL)
        slot_close(&it.slot);
}

static void has_read(void)
{
    must(it.ends == 1 && it.rc == 0 && flags(DIR_IN) == SLOT_READY);
}

static void is_canceled(void)
{
    must(it.ends == 1 && it.rc == WEIR_ECANCELED);
    must((slot_load(it.slot, DIR_IN) & SLOT_WAITER) == 0);
}

static void has_heard(void)
{
    must(it.ends == 1 && (it.rc == WEIR_ECANCELED || it.rc == WEIR_ECLIENTGONE));
}

static void one_has_won(void)
{
    must(it.ready + it.expired + it.taken == 1);
    must(flags(DIR_IN) == 0 || flags(DIR_IN) == SLOT_READY);
}

static void still_idle_or_over(void)
{
    must(it.expired + it.taken == 1);
    must(!it.taken || slot_take(it.ref));
}

static void reused_is_untouched(void)
{
    must(it.taken || slot_take(slot_name(it.slot)));
}

static void nothing_happened(void)
{
    must(flags(DIR_IN) == 0 && flags(DIR_OUT) == 0);
}

static void has_run(void)
{
    must(it.posted + it.ends == 1);
}

static void has_ended(void)
{
    must(it.ends == 1 && it.rc == 0);
}

static void in_time(void)
{
    must(it.expired == 1 && it.ends == 1);
}

static const struct pair {
    const char *name;
    enum before before;
    void (*strand)(void *);          /* A is worker 0 with this strand, */
    void (*a)(void *), (*b)(void *); /* or with none, or A is an actor */
    void (*check)(void);
} pairs[] = {
    { "a wait and its event", SLOT, wait_in, NULL, event_in, has_read },
    { "a wait, its event, and the timer (D1)", SLOT, wait_in, NULL, event_and_time_out, has_read },
    { "a wait and a cancel", SLOT, wait_in, NULL, cancel, is_canceled },
    { "a wait for an event object", NOTHING, wait_event, NULL, set_event, has_ended },
    { "a watched hang-up", SLOT, wait_watching, NULL, two_hang_ups, has_heard },
    { "a hang-up amid a notice", WAITED, wait_watching, NULL, two_hang_ups, has_heard },
    { "a wake amid a wake", WAITED, wait_in, NULL, event_and_time_out, has_read },
    { "take and event", ARMED, NULL, take, event_in, one_has_won },
    { "take and take", ARMED, NULL, take, take, one_has_won },
    { "time-out and event", DUE, NULL, expire, event_in, one_has_won },
    { "time-out and put back (D6b)", DUE, NULL, expire, take_and_put_back, still_idle_or_over },
    { "take and reuse (D6)", ARMED, NULL, take, take_and_reuse, reused_is_untouched },
    { "event and reuse", SLOT, NULL, event_in, reuse, nothing_happened },
    { "sleep and a message", NOTHING, NULL, NULL, post, has_run },
    { "sleep, and a watcher that harvests", NOTHING, NULL, NULL, post_and_harvest, has_run },
    { "sleep and a strand", NOTHING, NULL, NULL, start_strand, has_run },
    { "sleep and an earlier timer (D8)", SLOT, sleep_long, NULL, arm_soon, in_time },
};

static void prepare(const struct pair *p)
{
    memset(&it, 0, sizeof it);
    if (p->before != NOTHING)
        new_slot();
    if (p->before >= ARMED) {
        it.until = sim_time() + (p->before == DUE ? -WEIR_MS : WEIR_SEC);
        must(slot_arm(it.slot, it.until));
    }
    if (p->strand != NULL)
        sim_strand(0, p->strand, NULL);
}

/* A and B by turns; which of them had no more than the steps it was given. */
static void one_order(const struct pair *p, unsigned a, unsigned b, bool swap, bool *a_over,
                      bool *b_over)
{
    struct actor *first, *second;

    sim_begin(p->name, 1, false, false);
    prepare(p);
    first = p->a != NULL ? sim_actor("A", p->a, NULL) : sim_worker(0);
    if (p->before == WAITED)
        sim_finish(first);
    second = sim_actor("B", p->b, NULL);
    if (swap) {
        struct actor *other = first;

        first = second;
        second = other;
    }
    *a_over = !sim_steps(first, a);
    *b_over = !sim_steps(second, b);
    sim_finish(first);
    sim_finish(second);
    sim_settle();
    if (p->strand == sleep_long)
        sim_explore(1, 0);
    p->check();
    close_slot();
    sim_end();
}

static void in_every_order(void **state)
{
    bool a_over, b_over;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        for (int swap = 0; swap <= 1; swap++)
            for (unsigned a = 0, over = 0; !over; a++) {
                unsigned b = 0;

                do
                    one_order(&pairs[i], a, b++, swap, &a_over, &b_over);
                while (!b_over);
                over = a_over;
            }
}

/* --- by hand --- */

static void wait_twice(void *arg)
{
    struct deadline soon = deadline_in(rt_now(), WEIR_MS, WEIR_EUPTIME);

    it.co = co_self();
    it.rc = slot_wait(it.slot, DIR_IN, soon); /* woken for nothing, or too late */
    wait_in(arg);
}

/* D3: the event has loaded a word in which the coroutine waits. It times out, withdraws, and waits
 * there again under the next number; the event must wake that one. */
static void event_meets_next_wait(void **state)
{
    struct actor *event;

    (void)state;
    sim_begin("D3", 1, false, false);
    memset(&it, 0, sizeof it);
    new_slot();
    sim_strand(0, wait_twice, NULL);
    sim_finish(sim_worker(0));
    event = sim_actor("event", event_in, NULL);
    sim_to(event, STEP_RMW, &it.slot->word[DIR_IN]);
    sim_finish(sim_actor("timer", time_out, NULL));
    sim_finish(sim_worker(0));
    must(it.ends == 0);
    sim_finish(event);
    sim_settle();
    has_read();
    close_slot();
    sim_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_every_order),
        cmocka_unit_test(event_meets_next_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
