/* worker.c -- the loop of a worker: events, timers, strands, sleep (RUNTIME.md R5, R6).
 *
 * No wake-up is lost on the way to sleep. A worker swaps `sleeping` to 1, and then looks at its
 * queue, its inbox, the other queues and the timers; who pushes does so first and then swaps
 * `sleeping` to 0. Swaps of one word have an order: if the pusher's comes second it finds the 1 and
 * writes to the eventfd; if it comes first, the sleeper's swap has read what it released, and sees
 * the push. (Swaps, not fences, because TSan does not know fences.) The eventfd is level-triggered,
 * so a write that comes before epoll_wait is not lost either. */
#include "runtime/worker.h"

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "runtime/buf.h"
#include "runtime/overflow.h"
#include "runtime/sys.h"

enum { EVENTS = 256, RUNS = 64, WAKE_THIEF = 8 };

#define WAITED_LONG (WEIR_MS / 20) /* 50 us */

/* The worker of this thread; NULL: it has none. The address is for `me`, and that only. */
__attribute__((used)) __thread struct worker *worker_here;

/* A coroutine may go on in another thread after any call, and compilers take the address of a
 * thread-local for the same all over a function. On x86-64 that address is never known to them:
 * they see two instructions with a new result each time, and so these functions may be inlined.
 * Elsewhere they are calls, in which it is found anew. */
#if defined(__x86_64__)
#define CALLED
static inline struct worker *me(void)
{
    struct worker *w;

    __asm__ volatile("movq worker_here@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(w));
    return w;
}
#else
#define CALLED __attribute__((noinline))
static inline struct worker *me(void)
{
    struct worker *w = worker_here;

    __asm__ volatile("" : "+r"(w)::"memory");
    return w;
}
#endif

CALLED struct worker *worker_self(void)
{
    return me();
}

CALLED struct co *co_self(void)
{
    return me()->current;
}

CALLED bool co_inside(void)
{
    struct worker *w = me();

    return w != NULL && w->current != NULL;
}

CALLED unsigned rt_worker_id(void)
{
    struct worker *w = me();

    return likely(w != NULL) ? w->id : UINT_MAX;
}

bool rt_busy(void)
{
    struct worker *w = worker_self();

    return w != NULL && (w->batch != NULL ||
                         atomic_load_explicit(&w->queue.count, memory_order_relaxed) > 0 ||
                         atomic_load_explicit(&w->has_post, memory_order_relaxed));
}

CALLED int64_t rt_now(void)
{
    struct worker *w = me();

    return likely(w != NULL) ? w->now : clock_now();
}

CALLED void *rt_local(enum rt_local which)
{
    return me()->locals[which];
}

void rt_set_local(unsigned id, enum rt_local which, void *value)
{
    rt.workers[id]->locals[which] = value;
}

CALLED char *buf_get(void)
{
    return buf_take(&me()->bufs);
}

CALLED void buf_put(char **buf)
{
    char *given = *buf;

    *buf = NULL;
    if (given != NULL)
        buf_return(&me()->bufs, given);
}

/* Only its worker counts; others may read. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* --- queues --- */

static void append(struct run_queue *q, struct strand *first, struct strand *last, unsigned n)
{
    last->next = NULL;
    if (q->first == NULL)
        q->first = first;
    else
        q->last->next = first;
    q->last = last;
    atomic_store_explicit(&q->count, atomic_load_explicit(&q->count, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static struct strand *pop(struct run_queue *q)
{
    struct strand *st;

    if (atomic_load_explicit(&q->count, memory_order_relaxed) == 0)
        return NULL;
    spin_lock(&q->lock);
    st = q->first;
    if (st != NULL) {
        q->first = st->next;
        atomic_store_explicit(&q->count, atomic_load_explicit(&q->count, memory_order_relaxed) - 1,
                              memory_order_relaxed);
    }
    spin_unlock(&q->lock);
    return st;
}

bool worker_wake(struct worker *w)
{
    static const uint64_t one = 1;

    if (atomic_exchange_explicit(&w->sleeping, 0, memory_order_acq_rel) == 0)
        return false;
    atomic_fetch_add_explicit(&w->wakeups, 1, memory_order_relaxed);
    sys_write(w->wake_fd, &one, sizeof one);
    return true;
}

/* The search is over: w has found something, or sleeps. */
static void end_search(struct worker *w)
{
    unsigned me = w->id + 1;

    if (atomic_load_explicit(&rt.searching, memory_order_relaxed) == me)
        atomic_compare_exchange_strong(&rt.searching, &me, 0);
}

/* One sleeping worker is woken to steal; one searcher at a time. It is named before it is woken, as
 * it may end its search at once. */
static void wake_thief(struct worker *owner)
{
    if (rt.no_steal || rt.count == 1)
        return;
    for (unsigned i = 1; i < rt.count; i++) {
        struct worker *w = rt.workers[(owner->id + i) % rt.count];
        unsigned none = 0;

        if (atomic_load_explicit(&w->sleeping, memory_order_relaxed) == 0)
            continue;
        if (!atomic_compare_exchange_strong(&rt.searching, &none, w->id + 1) || worker_wake(w))
            return;
        end_search(w);
    }
}

/* More than its owner will get to soon? */
static bool crowded(const struct worker *w)
{
    return atomic_load_explicit(&w->queue.count, memory_order_relaxed) >= WAKE_THIEF;
}

/* Has the oldest waited for long? Looked at once a turn, as that is when there is a clock. */
static bool waited_long(struct worker *w)
{
    bool yes;

    if (atomic_load_explicit(&w->queue.count, memory_order_relaxed) == 0)
        return false;
    spin_lock(&w->queue.lock);
    yes = w->queue.first != NULL && w->now - w->queue.first->ready_at > WAITED_LONG;
    spin_unlock(&w->queue.lock);
    return yes;
}

void worker_queue(struct worker *w, struct strand *st)
{
    st->ready_at = atomic_load_explicit(&w->turn_start, memory_order_relaxed);
    spin_lock(&w->queue.lock);
    append(&w->queue, st, st, 1);
    spin_unlock(&w->queue.lock);
    if (w != worker_self())
        worker_wake(w);
    else if (crowded(w))
        wake_thief(w);
}

/* The strands that a batch of events made ready, with one lock for all of them. */
static void queue_batch(struct worker *w)
{
    bool late = waited_long(w);

    w->batching = false;
    if (w->batch_count > 0) {
        struct strand *last = container_of(w->batch_end, struct strand, next);

        spin_lock(&w->queue.lock);
        append(&w->queue, w->batch, last, w->batch_count);
        spin_unlock(&w->queue.lock);
    }
    if (late || crowded(w))
        wake_thief(w);
}

static void begin_batch(struct worker *w)
{
    w->batch = NULL;
    w->batch_end = &w->batch;
    w->batch_count = 0;
    w->batching = true;
}

/* Half of another worker's queue; oldest first, so what waited longest moves. */
static bool steal_from(struct worker *w, struct worker *victim)
{
    struct run_queue *q = &victim->queue;
    struct strand *first, *last;
    unsigned n, i;

    if (atomic_load_explicit(&q->count, memory_order_relaxed) == 0)
        return false;
    spin_lock(&q->lock);
    n = (atomic_load_explicit(&q->count, memory_order_relaxed) + 1) / 2;
    first = last = q->first;
    for (i = 1; i < n; i++)
        last = last->next;
    if (n > 0) {
        q->first = last->next;
        atomic_store_explicit(&q->count, atomic_load_explicit(&q->count, memory_order_relaxed) - n,
                              memory_order_relaxed);
    }
    spin_unlock(&q->lock);
    if (n == 0)
        return false;
    spin_lock(&w->queue.lock);
    append(&w->queue, first, last, n);
    spin_unlock(&w->queue.lock);
    count(&w->stolen, n);
    return true;
}

static bool steal(struct worker *w)
{
    if (rt.no_steal)
        return false;
    for (unsigned i = 1; i < rt.count; i++)
        if (steal_from(w, rt.workers[(w->id + i) % rt.count]))
            return true;
    return false;
}

/* --- the inbox --- */

static void post(struct worker *w, struct post *p)
{
    spin_lock(&w->inbox_lock);
    *w->inbox_end = p;
    w->inbox_end = &p->next;
    atomic_store_explicit(&w->has_post, true, memory_order_release);
    spin_unlock(&w->inbox_lock);
    worker_wake(w);
}

int rt_post(unsigned id, void (*fn)(void *), void *arg)
{
    struct post *p = malloc(sizeof *p);

    if (p == NULL)
        return WEIR_ENOMEM;
    *p = (struct post){ .fn = fn, .arg = arg };
    post(rt.workers[id], p);
    return 0;
}

void worker_post(struct worker *w, struct post *p, void (*fn)(void *), void *arg)
{
    *p = (struct post){ .fn = fn, .arg = arg, .kept = true };
    post(w, p);
}

static void drain_inbox(struct worker *w)
{
    struct post *p, *next;

    if (!atomic_load_explicit(&w->has_post, memory_order_acquire))
        return;
    spin_lock(&w->inbox_lock);
    p = w->inbox;
    w->inbox = NULL;
    w->inbox_end = &w->inbox;
    atomic_store_explicit(&w->has_post, false, memory_order_relaxed);
    spin_unlock(&w->inbox_lock);
    for (; p != NULL; p = next) {
        struct post done = *p;

        next = done.next;
        if (!done.kept)
            free(p);
        done.fn(done.arg);
    }
}

/* --- events --- */

static void handle(struct worker *w, const struct epoll_event *ev)
{
    uint64_t data = ev->data.u64, count;

    switch ((enum event_kind)(data >> EVENT_KIND_SHIFT)) {
    case EVENT_SLOT:
        slot_event(data, ev->events);
        break;
    case EVENT_LISTENER:
        listener_event((uint32_t)data);
        break;
    case EVENT_WAKE: /* only its owner reads it, also when another polls this epoll (R5) */
        if ((uint32_t)data == w->id)
            sys_read(w->wake_fd, &count, sizeof count);
        break;
    }
}

void worker_handle(struct worker *w, struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++)
        handle(w, &events[i]);
}

/* How long it may sleep: whole milliseconds, so that deadlines that lie close share a turn. */
static int64_t sleep_span(const struct worker *w, int64_t now)
{
    int64_t until = wheel_earliest(&w->wheel), ms;

    if (atomic_load_explicit(&rt.starved_count, memory_order_relaxed) > 0 ||
        atomic_load_explicit(&rt.late_count, memory_order_relaxed) > 0 ||
        atomic_load_explicit(&rt.stopping, memory_order_relaxed))
        until = MIN(until, now + 10 * WEIR_MS);
    until = MIN(until, w->trim_at);
    if (until == TIMER_NONE)
        return INT64_MAX;
    ms = until <= now ? 0 : (until - now + WEIR_MS - 1) / WEIR_MS;
    return MIN(ms, 60 * 1000) * WEIR_MS;
}

static bool something_to_do(struct worker *w)
{
    if (atomic_load_explicit(&w->queue.count, memory_order_relaxed) > 0 ||
        atomic_load_explicit(&w->has_post, memory_order_relaxed) ||
        atomic_load_explicit(&rt.exiting, memory_order_relaxed))
        return true;
    for (unsigned i = 0; !rt.no_steal && i < rt.count; i++)
        if (crowded(rt.workers[i]))
            return true;
    return false;
}

/* Waits for events, or only looks for them if there is something to do. */
static int poll_events(struct worker *w, struct epoll_event *events)
{
    int64_t span = 0;
    int n;

    spin_lock(&w->lease);
    if (!something_to_do(w)) {
        int64_t now = clock_now();

        end_search(w); /* before we sleep (D13) */
        atomic_exchange_explicit(&w->sleeping, 1, memory_order_acq_rel);
        span = something_to_do(w) ? 0 : watch_sleep(w, sleep_span(w, now), now);
    }
    n = sys_epoll_wait(w->epoll, events, EVENTS, span);
    w->now = clock_now();
    atomic_store_explicit(&w->turn_start, w->now, memory_order_relaxed);
    w->slept = span != 0;
    watch_wake(w);
    begin_batch(w);
    worker_handle(w, events, n);
    spin_unlock(&w->lease);
    return n;
}

/* A function of its own, as its locks are those of requests and not of turns: bench/locked.py. */
static __attribute__((noinline)) void run_some(struct worker *w)
{
    struct strand *st;
    unsigned i;

    for (i = 0; i < RUNS; i++) {
        st = pop(&w->queue);
        if (st == NULL && (!steal(w) || (st = pop(&w->queue)) == NULL))
            break;
        if (i == 0) /* only who sleeps is asked to search */
            end_search(w);
        strand_run(w, st);
    }
    count(&w->runs, i);
}

static void turn(struct worker *w, struct epoll_event *events)
{
    int n = poll_events(w, events);

    drain_inbox(w);
    timers_expire(w, w->now, MAX(n, 0));
    watch_others(w, events, EVENTS);
    if (unlikely(atomic_load_explicit(&rt.starved_count, memory_order_relaxed) > 0))
        slots_starved(w->now);
    if (unlikely(atomic_load_explicit(&rt.late_count, memory_order_relaxed) > 0) && w->id == 0)
        starts_late();
    queue_batch(w);
    watch_run(w);
    run_some(w);
    trim_turn(w, n > 0);
    count(&w->turns, 1);
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct epoll_event events[EVENTS];

    worker_here = w;
    atomic_signal_fence(memory_order_seq_cst); /* what `me` reads, the compiler does not know */
    fiber_thread(&w->fiber);
    overflow_arm(w->signal_stack);
    w->now = clock_now();
    while (!atomic_load_explicit(&rt.exiting, memory_order_acquire)) {
        turn(w, events);
        if (unlikely(atomic_load_explicit(&rt.stopping, memory_order_relaxed)))
            worker_stopping(w);
    }
    drain_inbox(w);
    overflow_disarm(w->signal_stack);
    return NULL;
}
