/* slot_wait.c -- the owner of a slot waits until it is ready.
 *
 * READY that a read has used up is not taken out of the word at once: the word as it was is kept in
 * `spent`, and as long as the two are equal its READY is void. The compare-and-swap that waits or
 * goes idle takes it out. An event meanwhile makes it another word, and so READY counts again. Only
 * the owner looks at `spent`: what others decide does not rest on READY. A word that a swap has
 * replaced never comes back but after 65,536 changes (docs/runtime.md). */
#include "base/inject.h"
#include "runtime/slot_word.h"

uint64_t slot_load(const struct slot *s, enum dir d)
{
    return word_unspent(s, d, word_load(s, d));
}

void slot_drained(struct slot *s, enum dir d, uint64_t w, bool eagain)
{
    const uint64_t flags = SLOT_READY | SLOT_HUP | SLOT_ERR;
    bool broken = slot_flags(w) & (SLOT_HUP | SLOT_ERR);

    if (!(slot_flags(w) & flags) || (!eagain && (broken || inject_on())))
        return; /* a FIN came with the data, and gives no edge of its own (B1) */
    if (d == DIR_IN && !broken)
        s->spent = w;
    else                                                      /* a true HUP never gives EAGAIN */
        word_swap(s, d, &w, w & ~(flags << SLOT_FLAG_SHIFT)); /* failed: a new edge, which stays */
}

/* Publishes the waiter, unless something has happened. */
static bool publish(struct slot *s, enum dir d, uint32_t waiter)
{
    uint64_t w = word_load(s, d), seen;

    do {
        seen = word_unspent(s, d, w);
        if (slot_flags(seen) & SLOT_ANY)
            return false;
        ensure(word_waiter(seen) == 0);
    } while (!word_swap_own(s, d, &w, (seen + SLOT_SEQ) | waiter));
    return true;
}

/* Takes the waiter back, if it is still there. */
static void withdraw(struct slot *s, enum dir d, uint32_t waiter)
{
    uint64_t w = word_load(s, d);

    while (word_waiter(w) == waiter && !word_swap(s, d, &w, w & ~(uint64_t)SLOT_WAITER))
        ;
}

static enum wait_reason park_on(struct co *c, struct slot *s, enum dir d, int64_t until)
{
    uint32_t waiter = c->item.index + 1;
    uint64_t number = co_park_begin(c);
    enum wait_reason reason;

    atomic_store_explicit(&s->number[d], number, memory_order_release);
    if (until != INT64_MAX)
        lazy_set(&c->timer, until, rt_worker_id());
    if (!publish(s, d, waiter) && co_park_leave(c, number))
        reason = WAKE_IO;
    else
        reason =
            co_park(c); /* also when a waker won before we could leave: its entry resumes us (D1) */
    lazy_clear(&c->timer);
    /* Also after an event: it may have been that of an earlier park, which took that waiter out of
     * the word and then read the number of this park (D3). */
    withdraw(s, d, waiter);
    return reason;
}

int slot_wait(struct slot *s, enum dir d, struct deadline until)
{
    struct co *c = co_self();
    uint8_t bit = (uint8_t)(1 << d);
    enum wait_reason reason;

    if (slot_flags(slot_load(s, d)) & SLOT_ANY)
        return 0;
    if (co_canceled(c))
        return WEIR_ECANCELED;
    if (until.at <= rt_now())
        return until.err;
    if (d == DIR_OUT && !s->asks_room)
        TRY(slot_ask_room(s));
    ensure(!(s->timer.waiting & bit)); /* one logical waiter a direction (D3b) */
    s->timer.waiting |= bit;
    reason = park_on(c, s, d, until.at);
    s->timer.waiting &= (uint8_t)~bit;
    if (co_canceled(c))
        return WEIR_ECANCELED;
    if (likely(reason != WAKE_TIMEOUT) || slot_flags(slot_load(s, d)) & SLOT_ANY ||
        until.at > rt_now())
        return 0;
    return until.err;
}
