/* co.c -- coroutines: made, run, parked, woken.
 *
 * A coroutine's header is type-stable, its stack is pooled. All waiting is by the wait word
 * (RUNTIME.md R3): a number that never repeats, so that a waker who comes late finds another number
 * and does nothing. */
#include "runtime/worker.h"

#include "base/clock.h"

enum { SPEND_MOST = 1024 * 1024, SPEND_CALL = SPEND_MOST / 64 };

/* Zeros as a wait word mean RUN, of number 0, which no waker has. */
static void init(void *object, uint64_t floor)
{
    struct co *c = object;

    atomic_store_explicit(&c->wait, WAIT_WORD(floor, WAIT_RUN, 0), memory_order_relaxed);
    lazy_init(&c->timer, LAZY_CO);
}

static uint64_t retire(void *object)
{
    struct co *c = object;

    lazy_forget(&c->timer);
    return WAIT_NUMBER(atomic_load_explicit(&c->wait, memory_order_relaxed));
}

const struct slab_type co_type = {
    .size = sizeof(struct co),
    .max = 1 << 23,
    .init = init,
    .retire = retire,
};

/* The bottom of every coroutine's stack. */
static void co_entry(void *arg)
{
    struct co *c = arg;

    c->fn(c->arg);
    c->ended = true;
    fiber_switch(&c->fiber, &worker_self()->fiber, true);
}

struct co *co_make(struct worker *w, struct strand *st, void (*fn)(void *), void *arg, int *err)
{
    struct stack *stack = stack_get(&w->stacks);
    struct co *c;

    *err = WEIR_ESTACKS;
    if (stack == NULL)
        return NULL;
    c = slab_get(&rt.cos, &w->cos);
    if (c == NULL) {
        stack_put(&w->stacks, stack);
        return NULL;
    }
    c->stack = stack;
    c->strand = st;
    c->fn = fn;
    c->arg = arg;
    c->scope = NULL;
    c->task = NULL;
    c->mask = 0;
    c->canceled = c->ended = false;
    c->who = c->what = NULL;
    c->next = NULL;
    fiber_prepare(&c->fiber, stack_low(stack), stack_top(stack), co_entry, c, stack->tsan);
    return c;
}

/* Its function has returned and its stack is left for good. */
static void co_end(struct worker *w, struct co *c)
{
    ensure(c->task != NULL || c->scope == &c->strand->root);
    lazy_clear(&c->timer);
    stack_put(&w->stacks, c->stack);
    c->stack = NULL;
    slab_put(&rt.cos, &w->cos, c);
}

static void resume(struct worker *w, struct co *c)
{
    w->current = c;
    fiber_switch(&w->fiber, &c->fiber, false);
    w->current = NULL;
}

/* What it wants to have called on this stack (which must not park) is; then it goes on. */
static __attribute__((noinline)) void resume_after_call(struct worker *w, struct co *c)
{
    w->call(w->call_arg);
    w->call = NULL;
    resume(w, c);
}

void co_run(struct worker *w, struct co *c)
{
    uint64_t word = atomic_load_explicit(&c->wait, memory_order_relaxed);

    /* Back to RUN with the same number. Wakers of that number have lost by now; nobody else
     * writes. */
    ensure(WAIT_STATE(word) != WAIT_WAITING);
    resume(w, c);
    while (unlikely(w->call != NULL))
        resume_after_call(w, c);
    if (c->ended) {
        c->strand->live--;
        co_end(w, c);
    }
}

uint64_t co_park_begin(struct co *c)
{
    uint64_t number = WAIT_NUMBER(atomic_load_explicit(&c->wait, memory_order_relaxed)) + 1;

    ensure(c == co_self());
    atomic_store_explicit(&c->wait, WAIT_WORD(number, WAIT_WAITING, 0), memory_order_release);
    return number;
}

bool co_park_leave(struct co *c, uint64_t number)
{
    uint64_t waiting = WAIT_WORD(number, WAIT_WAITING, 0);

    return atomic_compare_exchange_strong_explicit(&c->wait, &waiting,
                                                   WAIT_WORD(number, WAIT_RUN, 0),
                                                   memory_order_acq_rel, memory_order_acquire);
}

enum wait_reason co_park(struct co *c)
{
    uint64_t word;

    fiber_switch(&c->fiber, &worker_self()->fiber, false);
    word = atomic_load_explicit(&c->wait, memory_order_acquire);
    ensure(WAIT_STATE(word) == WAIT_WOKEN);
    atomic_store_explicit(&c->wait, WAIT_WORD(WAIT_NUMBER(word), WAIT_RUN, 0),
                          memory_order_relaxed);
    return WAIT_REASON(word);
}

bool co_wake(struct co *c, uint64_t number, enum wait_reason reason)
{
    uint64_t waiting = WAIT_WORD(number, WAIT_WAITING, 0);

    if (!atomic_compare_exchange_strong_explicit(&c->wait, &waiting,
                                                 WAIT_WORD(number, WAIT_WOKEN, reason),
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    strand_push(c->strand, c);
    return true;
}

/* Where something of the strand was cancelled. */
static SELDOM bool among_canceled(const struct co *c)
{
    if (c->mask > 0)
        return false;
    if (c->canceled)
        return true;
    for (const struct scope *sc = c->scope; sc != NULL; sc = sc->parent)
        if (sc->canceled)
            return true;
    return false;
}

bool co_canceled(const struct co *c)
{
    return unlikely(c->strand->cancels) && among_canceled(c);
}

int co_check(void)
{
    return co_canceled(co_self()) ? WEIR_ECANCELED : 0;
}

void *co_room(void)
{
    struct co *c = co_self();

    ensure(c->task == NULL);
    return stack_room(c->stack);
}

void co_mask(void)
{
    co_self()->mask++;
}

void co_unmask(void)
{
    struct co *c = co_self();

    ensure(c->mask > 0);
    c->mask--;
}

void co_label(const char *who, const char *what)
{
    struct co *c = co_self();

    c->who = who;
    c->what = what;
}

int co_sleep(struct deadline until)
{
    struct co *c = co_self();
    uint64_t number;

    while (rt_now() < until.at) {
        if (co_canceled(c))
            return WEIR_ECANCELED;
        number = co_park_begin(c);
        (void)number;
        lazy_set(&c->timer, until.at, rt_worker_id());
        co_park(c);
        lazy_clear(&c->timer);
    }
    return co_canceled(c) ? WEIR_ECANCELED : until.err;
}

void co_yield (void)
{
    struct co *c = co_self();
    uint64_t number = co_park_begin(c);

    c->strand->yielded = true;
    /* a waker that comes first has pushed us already, and that entry resumes us */
    co_wake(c, number, WAKE_OTHER);
    co_park(c);
}

void co_spend(size_t bytes)
{
    co_self()->strand->spent += MAX(bytes, SPEND_CALL);
}

int co_begin_call(bool may_park)
{
    struct co *c = co_self();

    if (co_canceled(c))
        return WEIR_ECANCELED;
    if (unlikely(c->strand->spent >= SPEND_MOST) && may_park)
        co_yield ();
    return 0;
}

void rt_on_worker_stack(void (*fn)(void *), void *arg)
{
    struct worker *w = worker_self();
    struct co *c = w != NULL ? w->current : NULL;

    if (c == NULL) {
        fn(arg);
        return;
    }
    w->call = fn;
    w->call_arg = arg;
    fiber_switch(&c->fiber, &w->fiber, false);
}
