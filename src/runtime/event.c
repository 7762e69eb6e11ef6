/* event.c -- one word: set, awaited by a coroutine, or neither. As of a slot's words (RUNTIME.md
 * R2), the number is stored before the coroutine shows in the word, and read after it was taken
 * out: then it is that of this park or of a later one, which is woken for nothing and looks
 * again. */
#include "runtime/event.h"

#include "runtime/worker.h"

#define EVENT_SET ((uintptr_t)1)

void event_set(struct event *e)
{
    /* An exchange also where it is set already: what happened before it has to be visible to
     * whoever clears it. */
    uintptr_t old = atomic_exchange_explicit(&e->word, EVENT_SET, memory_order_acq_rel);

    if (old > EVENT_SET)
        co_wake((struct co *)old, atomic_load_explicit(&e->number, memory_order_acquire),
                WAKE_OTHER);
}

static bool take(struct event *e)
{
    uintptr_t set = EVENT_SET;

    return atomic_compare_exchange_strong_explicit(&e->word, &set, 0, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* One park, ended by the event, the timer, cancelling, or for nothing. */
static void park_on(struct event *e, struct co *c, int64_t until)
{
    uint64_t number = co_park_begin(c);
    uintptr_t idle = 0, me = (uintptr_t)c;

    atomic_store_explicit(&e->number, number, memory_order_release);
    if (!atomic_compare_exchange_strong_explicit(&e->word, &idle, me, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        ensure(idle == EVENT_SET); /* one waiter */
        if (!co_park_leave(c, number))
            co_park(c);
        return;
    }
    if (until != INT64_MAX)
        lazy_set(&c->timer, until, rt_worker_id());
    co_park(c);
    lazy_clear(&c->timer);
    atomic_compare_exchange_strong_explicit(&e->word, &me, 0, memory_order_acq_rel,
                                            memory_order_acquire);
}

int event_wait(struct event *e, struct deadline until)
{
    struct co *c = co_self();

    for (;;) {
        if (take(e))
            return 0;
        if (co_canceled(c))
            return WEIR_ECANCELED;
        if (until.at <= rt_now())
            return until.err;
        park_on(e, c, until.at);
    }
}
