/* strand.c -- strands: whose turn it is, on which worker (RUNTIME.md R4).
 *
 * The word of a strand holds PENDING, RUNNING and the list of coroutines that became ready. A waker
 * pushes its coroutine and sets PENDING in one compare-and-swap; only who finds neither bit set
 * queues the strand, so it is in at most one queue or on one worker. The runner swaps the whole
 * word for RUNNING: it takes the list and claims the strand at once, after every stack it could
 * resume has been left (coroutines switch back to the worker before their strand is looked at
 * again).
 *
 * No wake-up is lost: a push that comes after the runner took the list finds RUNNING and leaves
 * PENDING and its coroutine in the word. Then the runner's closing compare-and-swap (RUNNING -> 0)
 * fails, and it takes the list again. */
#include "runtime/worker.h"

enum { STRAND_BUDGET = 64 };

/* Never given back: a late poster may queue a strand that is free, and a queue goes through its
 * members. */
const struct slab_type strand_type = {
    .size = sizeof(struct strand),
    .max = 1 << 23,
};

static uint32_t generation_of(const struct strand *st)
{
    return atomic_load_explicit(&st->generation, memory_order_acquire);
}

static struct co *list_of(uintptr_t word)
{
    return (struct co *)(word & ~STRAND_BITS);
}

/* Queues a strand that just became pending. */
static void strand_queue(struct strand *st)
{
    struct worker *w = worker_self();

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

/* Sets PENDING, with `c` pushed if there is one. */
static void post(struct strand *st, struct co *c)
{
    uintptr_t old = atomic_load_explicit(&st->word, memory_order_relaxed), new;

    do {
        new = old | STRAND_PENDING;
        if (c != NULL) {
            c->next = list_of(old);
            new = (uintptr_t)c | (old & STRAND_BITS) | STRAND_PENDING;
        }
    } while (!atomic_compare_exchange_weak_explicit(&st->word, &old, new, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if ((old & STRAND_BITS) == 0)
        strand_queue(st);
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
    st->on_notice = NULL;
    c->scope = &st->root;
    atomic_store_explicit(&st->generation, generation_of(st) + 1, memory_order_release);
    /* born woken: nobody else knows it yet, so no compare-and-swap */
    word = atomic_load_explicit(&c->wait, memory_order_relaxed);
    atomic_store_explicit(&c->wait, WAIT_WORD(WAIT_NUMBER(word) + 1, WAIT_RUN, 0),
                          memory_order_relaxed);
    strand_push(st, c);
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
static void take_posts(struct strand *st)
{
    uint32_t generation = generation_of(st);
    uint64_t cancel = atomic_load_explicit(&st->cancel_req, memory_order_acquire);
    int cause = 0;

    if (unlikely(cancel != 0)) {
        atomic_compare_exchange_strong(&st->cancel_req, &cancel, 0);
        if (cancel >> 32 == generation)
            scope_cancel(&st->root, (int)(uint32_t)cancel);
    }
    if (unlikely(atomic_load_explicit(&st->notice, memory_order_acquire) != 0) &&
        atomic_exchange(&st->notice, 0) == generation) {
        if (st->on_notice != NULL)
            cause = st->on_notice(st->notice_arg);
        if (cause < 0)
            scope_cancel(&st->root, cause);
    }
}

/* --- running --- */

/* The list in the word is newest first; it goes behind what is left of an earlier run, oldest
 * first. */
static void take_list(struct strand *st, uintptr_t word)
{
    struct co *newest = list_of(word), *oldest = NULL, *last = newest;

    while (newest != NULL) {
        struct co *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (!(word & STRAND_LEFT))
        st->first = oldest;
    else if (oldest != NULL)
        st->last->next = oldest;
    if (oldest != NULL)
        st->last = last;
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

static struct co *pop(struct strand *st)
{
    struct co *c = st->first;

    if (c != NULL)
        st->first = c->next;
    return c;
}

/* The end of the last coroutine gives the strand back, while it still is RUNNING: a late waker may
 * set PENDING, and then the header is run with an empty list, which does nothing. */
static void strand_end(struct worker *w, struct strand *st)
{
    atomic_store_explicit(&st->generation, generation_of(st) + 1, memory_order_release);
    slab_put(&rt.strands, &w->strand_items, st);
}

/* Gives the strand up with something left to run: PENDING stays set, so nobody else queues it. */
static void requeue(struct worker *w, struct strand *st)
{
    uintptr_t old = atomic_load_explicit(&st->word, memory_order_relaxed);
    uintptr_t left = st->first != NULL ? STRAND_LEFT : 0;

    while (!atomic_compare_exchange_weak_explicit(&st->word, &old,
                                                  (old & ~STRAND_RUNNING) | STRAND_PENDING | left,
                                                  memory_order_acq_rel, memory_order_relaxed))
        ;
    worker_queue(w, st);
}

/* Runs what is ready, until nothing is (true), or the budget is used up (false). */
static bool run_ready(struct worker *w, struct strand *st, unsigned *budget)
{
    struct co *c;

    while ((c = pop(st)) != NULL) {
        co_run(w, c);
        if (st->live == 0) {
            strand_end(w, st); /* from here on only `word` is ours */
            return true;
        }
        if (--*budget == 0 || st->yielded)
            return false;
    }
    return true;
}

void strand_run(struct worker *w, struct strand *st)
{
    unsigned budget = STRAND_BUDGET;
    uintptr_t word;

    w->running = st;
    do {
        word = atomic_exchange_explicit(&st->word, STRAND_RUNNING, memory_order_acq_rel);
        take_posts(st);
        if (list_of(word) != NULL || word & STRAND_LEFT) {
            take_list(st, word);
            if (budget == STRAND_BUDGET) {
                st->spent = 0;
                st->yielded = false;
            }
            if (!run_ready(w, st, &budget)) {
                w->running = NULL;
                requeue(w, st);
                return;
            }
        }
        word = STRAND_RUNNING;
    } while (!atomic_compare_exchange_strong_explicit(&st->word, &word, 0, memory_order_release,
                                                      memory_order_relaxed));
    w->running = NULL;
}
