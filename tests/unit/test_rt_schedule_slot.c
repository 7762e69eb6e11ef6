/* test_rt_schedule_slot.c -- readiness words, waits and idle slots in orders that seeds choose
 * (RUNTIME.md R2, R3, R7), with the real code of the runtime.
 *
 * That these tests can fail was tried by breaking the rules one by one; found here, besides most of
 * what test_rt_schedule_pairs.c names: READY cleared by a fresh word, or after a short read with a
 * FIN (B1); a withdrawal by a plain store; an idle slot armed over a flag, or before its deadline
 * is set; a taker that does not compare generations (D6); words initialised after EPOLL_CTL_ADD
 * (D12); a socket registered before connect() (D10). */
#include "sim.h"

#include <errno.h>
#include <limits.h>

#include "net/connect.h"

static const struct slot_class held = { .name = "held", .watched = true };

static struct slot *slot_for(int fd, const struct slot_class *class, unsigned home)
{
    struct slot *s = slot_new(fd, class, NULL);

    must(s != NULL && slot_register(s, home) == 0);
    return s;
}

/* As a worker that helps out another one: what it fetched, it reports some time later. */
static void second_poller(void *arg)
{
    struct epoll_event events[4];

    (void)arg;
    for (unsigned round = 0; round < 30; round++) {
        struct worker *w = rt.workers[sim_random(rt.count)];
        int n;

        if (!watch_lease(w))
            continue;
        n = sim_harvest(w->id, events, ARRAY_LEN(events));
        sim_dawdle(30);
        for (int i = 0; i < n; i++)
            if (events[i].data.u64 >> EVENT_KIND_SHIFT == EVENT_SLOT)
                slot_event(events[i].data.u64, events[i].events);
        spin_unlock(&w->lease);
    }
}

/* --- a reader with time-outs, its peer, and two pollers of one epoll --- */

static struct {
    int fd;
    strand_ref strand;
    unsigned total, sent, got; /* request: `total` is pipelined */
    ssize_t end;               /* what ended it; 0: FIN */
    bool fin; /* else it is over with `total` bytes, which makes the last event count */
    bool canceled;
} flow;

static void reader(void *arg)
{
    struct stream st = {
        .slot = slot_for(flow.fd, &held, (unsigned)sim_random(rt.count)),
        .drains = true,
        .reset_err = WEIR_EUPRESET,
    };
    char buf[4];

    (void)arg;
    flow.strand = strand_self();
    do {
        struct pace pace = { .limit = NEVER, .gap = 2 * WEIR_MS, .gap_err = WEIR_EUPTIME };

        flow.end = stream_read(&st, buf, sizeof buf, &pace);
        flow.got += flow.end > 0 ? (unsigned)flow.end : 0;
    } while ((flow.end > 0 && (flow.fin || flow.got < flow.total)) || flow.end == WEIR_EUPTIME);
    slot_close(&st.slot);
    flow.fd = 0;
}

static void sender(void *arg)
{
    (void)arg;
    while (flow.fd > 0 && flow.sent < flow.total) {
        unsigned n = 1 + (unsigned)sim_random(8);

        n = MIN(n, flow.total - flow.sent);
        flow.sent += n;
        sim_data(flow.fd, n);
        if (flow.sent == flow.total && flow.fin)
            sim_fin(flow.fd);
        sim_dawdle(80);
    }
}

static void nothing_unread(void)
{
    must(flow.fd == 0 || sim_unread(flow.fd) == 0);
}

static void canceller(void *arg)
{
    (void)arg;
    sim_dawdle(300);
    flow.canceled = flow.strand != 0;
    if (flow.canceled)
        strand_cancel(flow.strand, WEIR_ESHUTDOWN);
}

/* All is read, or the cancelling was heard: never a wait for what is there. */
static void all_is_read(uint64_t seed)
{
    memset(&flow, 0, sizeof flow);
    flow.fd = sim_socket(SIM_OPEN);
    flow.total = 4 + (unsigned)sim_random(24);
    flow.fin = sim_random(2);
    sim_on_quiet(nothing_unread);
    sim_strand(0, reader, NULL);
    sim_actor("sender", sender, NULL);
    sim_actor("poller", second_poller, NULL);
    if (seed % 3 == 0)
        sim_actor("canceller", canceller, NULL);
    sim_explore(seed, seed % 2 ? 20 : 0);
    if (flow.end >= 0)
        must(flow.got == flow.total);
    else
        must(flow.end == WEIR_ECANCELED && flow.canceled);
}

/* --- one idle slot; whoever wins it serves it, and arms it again, or makes it another one --- */

enum { ROUNDS = 8 }; /* with a deadline; then none */

static struct {
    struct slot *slot;
    int fd;
    struct slot_ref ref;
    int64_t until;
    bool owned;
    unsigned rounds;
} idle;

static void on_ready(struct slot *s, void *owner);
static void on_expire(struct slot *s, void *owner);
static const struct slot_class idle_class = {
    .name = "idle",
    .ready = on_ready,
    .expire = on_expire,
};

static void idle_new(void)
{
    idle.fd = sim_socket(SIM_OPEN);
    idle.slot = slot_for(idle.fd, &idle_class, (unsigned)sim_random(rt.count));
}

static void drain(struct slot *s)
{
    char buf[64];
    uint64_t w;

    do
        w = slot_load(s, DIR_IN);
    while (sim_recv(idle.fd, buf, sizeof buf, 0) != -EAGAIN);
    slot_drained(s, DIR_IN, w, true);
}

static void serve(void *arg)
{
    bool armed;

    (void)arg;
    do {
        must(!idle.owned);
        idle.owned = true;
        if (++idle.rounds < ROUNDS && sim_random(3) == 0) {
            slot_close(&idle.slot);
            idle_new();
        }
        drain(idle.slot);
        idle.ref = slot_name(idle.slot);
        idle.until =
            idle.rounds < ROUNDS ? sim_time() + (1 + (int64_t)sim_random(3)) * WEIR_MS : INT64_MAX;
        idle.owned = false;
        armed = slot_arm(idle.slot, idle.until);
    } while (!armed);
}

static void on_ready(struct slot *s, void *owner)
{
    (void)owner;
    must(s == idle.slot && !idle.owned);
    slot_start_strand(s, serve);
}

static void on_expire(struct slot *s, void *owner)
{
    must(s == idle.slot && idle.until <= sim_time()); /* D6b: of this arming, not an earlier one */
    serve(owner);
}

static void taker(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 6; i++) {
        struct slot_ref ref = idle.ref; /* popped from a pool: it may be long gone (D6) */

        sim_dawdle(40);
        if (slot_take(ref)) {
            must(ref.generation == idle.ref.generation && ref.slot == idle.slot);
            serve(NULL);
        }
    }
}

static void won_all(struct slot *s, void *owner, void *arg)
{
    (void)arg;
    must(s == idle.slot);
    serve(owner);
}

static void shutdown_all(void *arg)
{
    (void)arg;
    sim_dawdle(400);
    slot_take_all(&idle_class, won_all, NULL);
}

static void talker(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 5; i++) {
        sim_data(idle.fd, 1);
        sim_dawdle(100);
    }
}

static void nothing_waits(void)
{
    must(!idle.owned && sim_unread(idle.fd) == 0);
}

/* Of all contenders for one arming exactly one wins, and no byte waits in an idle slot. */
static void one_wins(uint64_t seed)
{
    memset(&idle, 0, sizeof idle);
    idle_new();
    serve(NULL);
    sim_on_quiet(nothing_waits);
    sim_actor("talker", talker, NULL);
    sim_actor("taker 1", taker, NULL);
    sim_actor("taker 2", taker, NULL);
    sim_actor("shutdown", shutdown_all, NULL);
    if (seed % 2)
        sim_actor("poller", second_poller, NULL);
    sim_explore(seed, seed % 3 ? 30 : 0);
    must(slot_take(slot_name(idle.slot)));
    slot_close(&idle.slot);
}

/* --- a request whose client hangs up while it waits for something else (slot_watch) --- */

static int gone(void *arg)
{
    return stream_gone(arg) ? WEIR_ECLIENTGONE : 0;
}

/* As src/proxy does: watch, read a head, take notices, look once more, wait. */
static void request(void *arg)
{
    struct stream st = {
        .slot = slot_for(flow.fd, &held, UINT_MAX),
        .drains = true,
        .reset_err = WEIR_ECLIENTGONE,
    };
    struct pace pace = { .limit = NEVER, .gap = WEIR_FOREVER };
    char buf[4];

    (void)arg;
    slot_watch(st.slot);
    flow.end = stream_read(&st, buf, sizeof buf, &pace);
    if (flow.end > 0) {
        strand_on_notice(gone, &st);
        flow.end = gone(&st);
        if (flow.end == 0)
            flow.end = co_sleep(NEVER);
        strand_on_notice(NULL, NULL);
    }
    slot_close(&st.slot);
}

static void client(void *arg)
{
    (void)arg;
    sim_data(flow.fd, 2);
    sim_dawdle(400);
    sim_data(flow.fd, flow.total); /* pipelined: a FIN behind it is no reason to stop yet */
    if (flow.fin)
        sim_fin(flow.fd);
    if (flow.fin && flow.total == 0)
        return;
    sim_dawdle(100);
    sim_reset(flow.fd);
}

static void hang_up_is_heard(uint64_t seed)
{
    memset(&flow, 0, sizeof flow);
    flow.fd = sim_socket(SIM_OPEN);
    flow.fin = sim_random(2);
    flow.total = (unsigned)sim_random(2);
    sim_strand(0, request, NULL);
    sim_actor("client", client, NULL);
    sim_actor("poller", second_poller, NULL);
    sim_explore(seed, 0);
    must(flow.end == WEIR_ECANCELED || flow.end == WEIR_ECLIENTGONE);
}

/* --- connecting: a socket reports a hang-up before connect(), so it is registered after (D10) ---
 * */

static bool is_connecting(void *arg)
{
    (void)arg;
    flow.fd = sim_find(SIM_CONNECTING);
    return flow.fd > 0;
}

static void connector(void *arg)
{
    const struct addr to = { .kind = ADDR_V4 };
    struct stream st;

    (void)arg;
    flow.end = net_connect(&to, NULL, &held, NULL, NEVER, &st);
    must(flow.end == 0);
    must(slot_flags(slot_load(st.slot, DIR_IN)) == 0);
    must(slot_flags(slot_load(st.slot, DIR_OUT)) == SLOT_READY);
    slot_close(&st.slot);
}

static void acceptor(void *arg)
{
    (void)arg;
    sim_await(is_connecting, NULL);
    sim_connected(flow.fd);
}

static void connect_is_clean(uint64_t seed)
{
    memset(&flow, 0, sizeof flow);
    sim_strand(0, connector, NULL);
    sim_actor("acceptor", acceptor, NULL);
    sim_actor("poller", second_poller, NULL);
    sim_explore(seed, 0);
}

/* Half of the seeds without stealing: then no watcher hides a wake-up that was lost. */
static void both_ways(const char *name, void (*fn)(uint64_t), unsigned n)
{
    sim_seeds(name, 2, true, fn, n / 2);
    sim_seeds(name, 2, false, fn, n / 2);
}

static void orders(void **state)
{
    (void)state;
    both_ways("all is read", all_is_read, 8000);
    both_ways("one wins", one_wins, 6000);
    both_ways("a hang-up is heard", hang_up_is_heard, 6000);
    both_ways("connect is clean", connect_is_clean, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orders) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
