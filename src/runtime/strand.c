/* strand.c -- strands: whose turn it is, on which worker (RUNTIME.md R4).
 *
 * The word of a strand is 0 while there is nothing to do, else it has PENDING. The waker that swaps
 * 0 for PENDING has the strand until he has queued it: he puts his coroutine into the list of the
 * strand itself. All others push theirs into the word. So the strand is in at most one queue or on
 * one worker, and whoever has it owns that list.
 *
 * Its runner takes what is in the word, if there is anything, after every stack it could resume has
 * been left (coroutines switch back to the worker before their strand is looked at again). A
 * wake-up that comes by itself takes two swaps: the waker's, and the one that ends the run.
 *
 * A free header has PENDING: whoever takes it out of its slab has it, as a waker would, and its
 * last run does not give it up. So a strand that never waits takes no swap at all, and a late
 * poster finds a strand that is had by somebody: he adds NEWS, which the next life drops, and
 * queues nothing.
 *
 * No wake-up is lost: a push, or NEWS, that comes after the runner has looked changes the word.
 * Then its closing compare-and-swap (PENDING -> 0) fails, and it looks again. */
#include "runtime/worker.h"

enum { STRAND_BUDGET = 64 };

static void init(void *object, uint64_t floor)
{
    struct strand *st = object;

    (void)floor;
    atomic_store_explicit(&st->word, STRAND_PENDING, memory_order_relaxed);
}

/* Never given back: to a late poster zeros are a strand that nobody has, which he would queue. */
const struct slab_type strand_type = {
    .size = sizeof(struct strand),
    .max = 1 << 23,
    .init = init,
};

static uint32_t generation_of(const struct strand *st)
{
    return atomic_load_explicit(&st->generation, memory_order_acquire);
}

static struct co *list_of(uintptr_t word)
{
    return (struct co *)(word & ~STRAND_BITS);
}

/* Queues a strand that just became pending; `w`: the worker of this thread. */
static void strand_queue(struct worker *w, struct strand *st)
{
    if (likely(w != NULL && w->batching)) { /* amid a batch of events: one lock for all of them */
        st->next = NULL;
        st->ready_at = w->now;
        *w->batch_end = st;
        w->batch_end = &st->next;
        w->batch_count++;
        return;
    }
    worker_queue(w != NULL ? w : rt.workers[0], st);
}

void strand_add(struct strand *st, struct co *c)
{
    c->next = NULL;
    if (st->first == NULL)
        st->first = c;
    else
        st->last->next = c;
    st->last = c;
}

/* The strand has something to do: to run `c`, or, NULL, to look at what was posted for it. */
static void post(struct strand *st, struct co *c)
{
    uintptr_t old = atomic_load_explicit(&st->word, memory_order_relaxed), new;

    do {
        if (old == 0) {
            new = STRAND_PENDING;
        } else if (c == NULL) {
            new = old | STRAND_NEWS;
        } else {
            c->next = list_of(old);
            new = (uintptr_t)c | (old & STRAND_BITS);
        }
    } while (!atomic_compare_exchange_weak_explicit(&st->word, &old, new, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (old != 0)
        return;
    if (c != NULL)
        strand_add(st, c);
    strand_queue(worker_self(), st);
}

void strand_push(struct strand *st, struct co *c)
{
    post(st, c);
}

/* --- starting --- */

int strand_start(void (*fn)(void *), void *arg)
{
    struct worker *w = worker_self();
    struct strand *st;
    struct co *c;
    uint64_t word;
    int err;

    if (w == NULL)
        return strand_start_elsewhere(fn, arg);
    st = slab_get(&rt.strands, &w->strand_items);
    if (st == NULL)
        return WEIR_ENOMEM;
    c = co_make(w, st, fn, arg, &err);
    if (c == NULL) {
        slab_put(&rt.strands, &w->strand_items, st);
        return err;
    }
    st->root = (struct scope){ .owner = c };
    st->live = 1;
    st->cancels = false;
    st->on_notice = NULL;
    c->scope = &st->root;
    atomic_store_explicit(&st->generation, generation_of(st) + 1, memory_order_release);
    /* born woken: nobody else knows it yet, so no compare-and-swap */
    word = atomic_load_explicit(&c->wait, memory_order_relaxed);
    atomic_store_explicit(&c->wait, WAIT_WORD(WAIT_NUMBER(word) + 1, WAIT_RUN, 0),
                          memory_order_relaxed);
    strand_add(st, c); /* it is ours: PENDING since it was given back */
    strand_queue(w, st);
    return 0;
}

static uint64_t ref_of(const struct strand *st)
{
    return (uint64_t)generation_of(st) << 32 | st->item.index;
}

strand_ref strand_self(void)
{
    return ref_of(worker_self()->running);
}

void strand_on_notice(int (*fn)(void *), void *arg)
{
    struct strand *st = worker_self()->running;

    st->on_notice = fn;
    st->notice_arg = arg;
}

/* --- cancelling and notices from elsewhere (R7): a value with the generation, then PENDING --- */

/* Both look at the generation after the value that they replace: what a successor in the same
 * header was sent stays, and an old value that comes through all the same is dropped by the strand,
 * or replaced. */

void strand_cancel(strand_ref ref, int cause)
{
    struct strand *st = slab_at(&rt.strands, (uint32_t)ref);
    uint64_t generation = ref >> 32;
    uint64_t old = atomic_load_explicit(&st->cancel_req, memory_order_acquire);

    do {
        if (generation_of(st) != generation || old >> 32 == generation)
            return; /* it has ended, or has another cause already */
    } while (!atomic_compare_exchange_weak_explicit(&st->cancel_req, &old,
                                                    generation << 32 | (uint32_t)cause,
                                                    memory_order_acq_rel, memory_order_acquire));
    post(st, NULL);
}

void strand_notify(strand_ref ref)
{
    struct strand *st = slab_at(&rt.strands, (uint32_t)ref);
    uint32_t generation = (uint32_t)(ref >> 32);
    uint32_t old = atomic_load_explicit(&st->notice, memory_order_acquire);

    do {
        if (generation_of(st) != generation)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&st->notice, &old, generation,
                                                    memory_order_acq_rel, memory_order_acquire));
    post(st, NULL);
}

unsigned strand_cancel_all(int cause)
{
    uint32_t made = atomic_load_explicit(&rt.strands.made, memory_order_acquire);
    unsigned alive = 0;

    for (uint32_t i = 0; i < made; i++) {
        strand_ref ref = ref_of(slab_at(&rt.strands, i));

        if (ref >> 32 & 1) {
            strand_cancel(ref, cause);
            alive++;
        }
    }
    return alive;
}

/* What was posted for this strand; what was for an earlier one of the same header is dropped:
 * nothing but the atomic fields may be touched then. */
static SELDOM void take_posts(struct strand *st)
{
    uint32_t generation = generation_of(st);
    uint64_t cancel = atomic_load_explicit(&st->cancel_req, memory_order_acquire);
    int cause = 0;

    if (cancel != 0) {
        atomic_compare_exchange_strong(&st->cancel_req, &cancel, 0);
        if (cancel >> 32 == generation)
            scope_cancel(&st->root, (int)(uint32_t)cancel);
    }
    if (atomic_load_explicit(&st->notice, memory_order_acquire) != 0 &&
        atomic_exchange(&st->notice, 0) == generation) {
        if (st->on_notice != NULL)
            cause = st->on_notice(st->notice_arg);
        if (cause < 0)
            scope_cancel(&st->root, cause);
    }
}

static bool has_posts(const struct strand *st)
{
    return atomic_load_explicit(&st->cancel_req, memory_order_acquire) != 0 ||
           atomic_load_explicit(&st->notice, memory_order_acquire) != 0;
}

/* --- running --- */

/* The list in the word is newest first; it goes behind what there is, oldest first. A function of
 * its own, as most strands have one coroutine. */
static __attribute__((noinline)) void take_list(struct strand *st)
{
    uintptr_t word = atomic_exchange_explicit(&st->word, STRAND_PENDING, memory_order_acq_rel);
    struct co *newest = list_of(word), *oldest = NULL;

    while (newest != NULL) {
        struct co *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct co *next = oldest->next;

        strand_add(st, oldest);
        oldest = next;
    }
}

static struct co *pop(struct strand *st)
{
    struct co *c = st->first;

    if (c != NULL)
        st->first = c->next;
    return c;
}

/* The end of the last coroutine gives the strand back as it is, with PENDING, and so in nobody
 * else's hands. */
static void strand_end(struct worker *w, struct strand *st)
{
    atomic_store_explicit(&st->generation, generation_of(st) + 1, memory_order_release);
    slab_put(&rt.strands, &w->strand_items, st);
}

enum outcome { DRAINED, HAS_MORE, ENDED };

/* Runs what is ready, until nothing is, or the budget is used up. */
static enum outcome run_ready(struct worker *w, struct strand *st, unsigned *budget)
{
    struct co *c;

    while ((c = pop(st)) != NULL) {
        co_run(w, c);
        if (st->live == 0) {
            strand_end(w, st);
            return ENDED;
        }
        if (--*budget == 0 || st->yielded)
            return HAS_MORE;
    }
    return DRAINED;
}

void strand_run(struct worker *w, struct strand *st)
{
    uintptr_t word = atomic_load_explicit(&st->word, memory_order_acquire);
    unsigned budget = STRAND_BUDGET;
    enum outcome outcome;

    w->running = st;
    do {
        if (word != STRAND_PENDING)
            take_list(st);
        if (unlikely(has_posts(st)))
            take_posts(st);
        if (st->first != NULL) {
            if (budget == STRAND_BUDGET) {
                st->spent = 0;
                st->yielded = false;
            }
            outcome = run_ready(w, st, &budget);
            if (outcome != DRAINED) { /* still PENDING, so nobody else queues it */
                w->running = NULL;
                if (outcome == HAS_MORE)
                    worker_queue(w, st);
                return;
            }
        }
        word = STRAND_PENDING;
    } while (!atomic_compare_exchange_strong_explicit(&st->word, &word, 0, memory_order_release,
                                                      memory_order_relaxed));
    w->running = NULL;
}
