/* watch.c -- rescue of what waits for a stuck worker: its events, its timers, its ready strands
 * (RUNTIME.md S8).
 *
 * A worker is stuck while one of its strands computes for long: for a quarter of a millisecond in
 * the eyes of who has nothing to do, for a whole one in those of who has work of his own, as under
 * load many turns take a quarter. Who begins a turn looks for that as often. If nobody else has
 * anything to do, nobody would look: so of the workers that sleep up to two are watchers, for as
 * long as another one is busy, or was lately. They wake each millisecond, and when a turn that they
 * find then has gone on for too long. Two, because a watcher may get stuck with what it has found;
 * then the other one takes its role and wakes a third.
 *
 * When all has been quiet, watchers give up the role and sleep as long as they like. The first
 * worker to begin a turn then finds no watcher and wakes a worker for it. Either it finds none, or
 * the watcher finds it busy: a watcher first leaves `watchers` and then looks at `sleeping` of the
 * others; who begins a turn first clears its `sleeping` and then looks at `watchers`; and all four
 * are sequentially consistent.
 *
 * To poll the epoll of another worker takes its lease. The worker has it while it polls or handles
 * what it has fetched, so whoever gets it finds the worker amid its turn, and the events are those
 * that it would find in its next turn. The eventfd it leaves alone: it is level-triggered, and its
 * owner finds it later. */
#include "runtime/worker.h"

#include "runtime/sys.h"

enum { WATCHERS = 2 };

#define STUCK (WEIR_MS)
#define STUCK_SOON (WEIR_MS / 4)
#define QUIET (100 * WEIR_MS)

static bool alone(void)
{
    return rt.count == 1 || rt.no_steal;
}

static bool busy(const struct worker *w)
{
    return atomic_load(&w->sleeping) == 0;
}

/* Is another one amid a turn, or had something to run since then? */
static bool others_busy(const struct worker *w, int64_t since)
{
    for (unsigned i = 0; i < rt.count; i++) {
        const struct worker *other = rt.workers[i];

        if (other != w &&
            (busy(other) || atomic_load_explicit(&other->active_at, memory_order_relaxed) > since))
            return true;
    }
    return false;
}

static bool claim(struct worker *w)
{
    unsigned n = atomic_load(&rt.watchers);

    while (n < WATCHERS)
        if (atomic_compare_exchange_strong(&rt.watchers, &n, n + 1)) {
            atomic_store(&w->watching, true);
            return true;
        }
    return false;
}

/* By the watcher itself, or by who finds it stuck. */
static void leave(struct worker *w)
{
    if (atomic_exchange(&w->watching, false))
        atomic_fetch_sub(&rt.watchers, 1);
}

/* Does it watch while it sleeps now? */
static bool watches(struct worker *w, int64_t now)
{
    if (others_busy(w, now - QUIET))
        return atomic_load(&w->watching) || claim(w);
    if (!atomic_load(&w->watching))
        return false;
    leave(w);
    return others_busy(w, INT64_MAX) && claim(w);
}

static int64_t turn_start(const struct worker *w)
{
    return atomic_load_explicit(&w->turn_start, memory_order_relaxed);
}

/* When one of those that are amid a turn now may turn out to be stuck. */
static int64_t next_look(const struct worker *w, int64_t now)
{
    int64_t next = now + WEIR_MS;

    for (unsigned i = 0; i < rt.count; i++)
        if (rt.workers[i] != w && busy(rt.workers[i]))
            next = MIN(next, MAX(turn_start(rt.workers[i]), w->looked) + STUCK_SOON);
    return MAX(next, now);
}

int64_t watch_sleep(struct worker *w, int64_t span, int64_t now)
{
    if (alone() || span == 0 || !watches(w, now))
        return span;
    return MIN(span, next_look(w, now) - now);
}

void watch_wake(struct worker *w)
{
    if (w->slept && !alone())
        atomic_exchange(&w->sleeping, 0);
    else
        atomic_store_explicit(&w->sleeping, 0, memory_order_relaxed);
}

static void call_watcher(const struct worker *w)
{
    for (unsigned i = 1; i < rt.count; i++)
        if (worker_wake(rt.workers[(w->id + i) % rt.count]))
            return;
}

void watch_run(struct worker *w)
{
    if (alone() || atomic_load_explicit(&w->queue.count, memory_order_relaxed) == 0)
        return;
    atomic_store_explicit(&w->active_at, w->now, memory_order_relaxed);
    if (w->slept &&
        atomic_load(&rt.watchers) == atomic_load_explicit(&w->watching, memory_order_relaxed))
        call_watcher(w);
}

/* The other half of `changing` (slot_word.h): its worker finds the lease taken, or we find it
 * changing a word, and come again. */
bool watch_lease(struct worker *other)
{
    if (!spin_trylock(&other->lease))
        return false;
    if (rt.barriers)
        sys_barrier();
    if (!atomic_load_explicit(&other->changing, memory_order_acquire))
        return true;
    spin_unlock(&other->lease);
    return false;
}

static void rescue(struct worker *w, struct worker *stuck, struct epoll_event *events, int max)
{
    int n;

    if (!watch_lease(stuck))
        return;
    n = sys_epoll_wait(stuck->epoll, events, max, 0);
    if (n > 0)
        worker_handle(w, events, n);
    spin_unlock(&stuck->lease);
    timers_expire(stuck, w->now, MAX(n, 0));
    if (atomic_load(&stuck->watching)) {
        leave(stuck);
        call_watcher(w);
    }
}

void watch_others(struct worker *w, struct epoll_event *events, int max)
{
    int64_t stuck;

    if (alone())
        return;
    stuck = rt_busy() ? STUCK : STUCK_SOON;
    if (w->now - w->looked < stuck)
        return;
    w->looked = w->now;
    for (unsigned i = 0; i < rt.count; i++) {
        struct worker *other = rt.workers[i];

        if (other != w && busy(other) && w->now - turn_start(other) >= stuck)
            rescue(w, other, events, max);
    }
}
