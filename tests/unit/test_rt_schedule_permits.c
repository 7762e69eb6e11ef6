/* test_rt_schedule_permits.c -- semaphores and channels in orders that seeds choose (RUNTIME.md R3:
 * what is handed over is taken, or passed on), with the real code of the runtime.
 *
 * That these tests can fail was tried by breaking: a permit that is dropped by who was cancelled
 * meanwhile (D4), a taker who is told and goes by the clock, a number stored after unlocking,
 * closing that forgets one line, an item sent after the end. */
#include "sim.h"

#include "runtime/channel.h"
#include "runtime/sem.h"

static struct deadline some_deadline(void)
{
    return sim_random(2) ? deadline_in(rt_now(), WEIR_MS, WEIR_ETIMEOUT) : NEVER;
}

/* --- a semaphore with fewer permits than takers --- */

enum { TAKERS = 4, PERMITS = 2 };

static struct {
    struct co_sem sem;
    strand_ref refs[TAKERS];
    unsigned inside, taken, over;
} gate;

static void taker(void *arg)
{
    gate.refs[(uintptr_t)arg] = strand_self();
    for (unsigned i = 0; i < 3; i++) {
        int rc = co_sem_take(&gate.sem, some_deadline());

        must(rc == 0 || rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED);
        if (rc < 0)
            continue;
        must(++gate.inside <= PERMITS);
        gate.taken++;
        if (sim_random(2))
            co_yield ();
        gate.inside--;
        co_sem_give(&gate.sem, 1);
    }
    gate.over++;
}

static void cancel_takers(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        strand_ref ref = gate.refs[sim_random(TAKERS)];

        sim_dawdle(120);
        if (ref != 0)
            strand_cancel(ref, WEIR_ECLIENTGONE);
    }
}

static void disturb_takers(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 10; i++) {
        struct co *c = slab_at(&rt.cos, (uint32_t)sim_random(TAKERS));

        if (atomic_load(&rt.cos.made) >= TAKERS)
            co_wake(c, WAIT_NUMBER(atomic_load(&c->wait)), WAKE_OTHER);
        sim_dawdle(40);
    }
}

static void nobody_waits_for_nothing(void)
{
    must(gate.sem.permits.free == 0 || gate.sem.permits.first == NULL);
}

static void permits_are_kept(uint64_t seed)
{
    memset(&gate, 0, sizeof gate);
    co_sem_init(&gate.sem, PERMITS);
    for (uintptr_t i = 0; i < TAKERS; i++)
        sim_strand((unsigned)i % rt.count, taker, (void *)i);
    sim_actor("canceller", cancel_takers, NULL);
    sim_actor("disturber", disturb_takers, NULL);
    sim_on_quiet(nobody_waits_for_nothing);
    sim_explore(seed, 3);
    must(gate.over == TAKERS && gate.sem.permits.first == NULL);
    must(gate.sem.permits.free == PERMITS);
}

/* --- a channel of two cells --- */

enum { SELLERS = 3, BUYERS = 3, ITEMS = 3 };

static struct {
    struct channel *ch;
    strand_ref refs[SELLERS + BUYERS];
    unsigned sent, sent_sum, got, got_sum, sellers_over, buyers_over;
    bool ended; /* a buyer was told that there is nothing more */
} market;

static void seller(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    market.refs[me] = strand_self();
    for (unsigned i = 1; i <= ITEMS; i++) {
        unsigned item = me << 8 | i;
        int rc = channel_send(market.ch, &item, some_deadline());

        must(rc == 0 || rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED || rc == WEIR_ECLOSED);
        if (rc == 0) {
            market.sent++;
            market.sent_sum += item;
        }
    }
    market.sellers_over++;
}

/* Until there will be nothing any more. What one seller sent comes in order. */
static void buyer(void *arg)
{
    unsigned last[SELLERS] = { 0 }, item;
    int rc = 0;

    market.refs[(uintptr_t)arg] = strand_self();
    while (rc != WEIR_ECLOSED && rc != WEIR_ECANCELED) {
        rc = channel_receive(market.ch, &item, some_deadline());
        if (rc < 0)
            continue;
        must((item >> 8) < SELLERS && (item & 255) > last[item >> 8]);
        last[item >> 8] = item & 255;
        market.got++;
        market.got_sum += item;
    }
    market.buyers_over++;
    market.ended |= rc == WEIR_ECLOSED;
}

static bool enough(void *arg)
{
    (void)arg;
    return market.sellers_over == SELLERS || market.buyers_over == BUYERS;
}

static void close_market(void *arg)
{
    if (*(bool *)arg)
        sim_dawdle(1500);
    else
        sim_await(enough, NULL);
    channel_close(market.ch);
}

static void cancel_some(void *arg)
{
    (void)arg;
    sim_dawdle(400);
    for (unsigned i = 0; i < 2; i++) {
        strand_ref ref = market.refs[sim_random(ARRAY_LEN(market.refs))];

        sim_dawdle(200);
        if (ref != 0)
            strand_cancel(ref, WEIR_ECLIENTGONE);
    }
}

static void items_are_kept(uint64_t seed)
{
    bool early = seed % 3 != 0;
    unsigned item;

    memset(&market, 0, sizeof market);
    market.ch = channel_new(2, sizeof item);
    must(market.ch != NULL);
    for (uintptr_t i = 0; i < SELLERS; i++)
        sim_strand((unsigned)i % rt.count, seller, (void *)i);
    for (uintptr_t i = SELLERS; i < SELLERS + BUYERS; i++)
        sim_strand((unsigned)i % rt.count, buyer, (void *)i);
    sim_actor("canceller", cancel_some, NULL);
    sim_actor("closer", close_market, &early);
    sim_explore(seed, 3);
    must(market.sellers_over == SELLERS && market.buyers_over == BUYERS);
    while (channel_try_receive(market.ch, &item) == 0) {
        must(!market.ended);
        market.got++;
        market.got_sum += item;
    }
    must(market.sent == market.got && market.sent_sum == market.got_sum);
    channel_free(&market.ch);
}

static void orders(void **state)
{
    (void)state;
    sim_seeds("permits", 2, true, permits_are_kept, 1500);
    sim_seeds("permits, three workers", 3, true, permits_are_kept, 500);
    sim_seeds("items", 2, true, items_are_kept, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orders) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
