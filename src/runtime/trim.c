/* trim.c -- memory goes back to the kernel after a peak.
 *
 * A worker that had something to do ticks once a second, until a while after its last event. With
 * a tick it puts what is free in its magazines into the depots, and the surplus of stacks and
 * buffers there is given back: what nobody needed for a whole second, but for a few.
 *
 * Slabs and malloc's arenas take more time to look through. That is done when all is quiet, when
 * most of the connections of a peak have gone, and in the first moment of rest after many have
 * come: what their beginnings took (handshakes above all) is needed no more. */
#include <malloc.h>

#include "runtime/buf_wide.h"
#include "runtime/worker.h"

enum {
    KEEP = 64,       /* stacks and buffers, while there is something to do */
    KEEP_QUIET = 4,  /* and when there is not */
    WENT = 256,      /* connections that went, to be worth a search */
    CAME = 16,       /* and that came */
};

#define TICK        WEIR_SEC
#define TICK_SOON   (WEIR_SEC / 10)
#define REST        (WEIR_SEC / 20)
#define QUIET_AFTER (3 * WEIR_SEC)
#define TICKS_FOR   (12 * WEIR_SEC)

static int64_t last_event(void)
{
    int64_t last = 0;

    for (unsigned i = 0; i < rt.count; i++)
        last = MAX(last, atomic_load_explicit(&rt.workers[i]->event_at, memory_order_relaxed));
    return last;
}

/* Most have gone, and no more go: for what goes next it would be done again. */
static bool many_went(struct trim *t, uint32_t used)
{
    bool steady = used >= t->before;

    t->before = used;
    t->most = MAX(t->most, used);
    return steady && t->most - used >= MAX(WENT, t->most / 2);
}

static bool many_came(struct trim *t, uint32_t used)
{
    t->least = MIN(t->least, used);
    return used - t->least >= CAME;
}

static void trim_surplus(bool quiet)
{
    stacks_trim(quiet ? KEEP_QUIET : KEEP);
    bufs_trim(quiet ? KEEP_QUIET : KEEP);
}

static void trim_all(struct trim *t, int64_t event, uint32_t used)
{
    t->all_at = event;
    t->most = t->least = t->before = used;
    trim_surplus(true); /* once more: nothing of what is free now is needed */
    trim_surplus(true);
    slabs_trim();
    malloc_trim(0);
}

/* Are there things to look at soon? */
static bool trim_shared(struct trim *t, int64_t now)
{
    uint32_t used = slab_used(&rt.slots);
    int64_t event = last_event();
    bool quiet = now - event > QUIET_AFTER, came = many_came(t, used), went = false;

    if (now - t->tick_at >= TICK) {
        t->tick_at = now;
        went = many_went(t, used);
        trim_surplus(quiet);
        bufs_wide_trim();
    }
    if (went || (came && now - event > REST) || (quiet && event > t->all_at)) {
        trim_all(t, event, used);
        came = false;
    }
    return came;
}

static void flush(struct worker *w)
{
    stack_flush(&w->stacks);
    buf_flush(&w->bufs);
    slab_flush(&rt.cos, &w->cos);
    slab_flush(&rt.strands, &w->strand_items);
    slab_flush(&rt.slots, &w->slots);
}

/* One worker at a time looks at what is shared. */
static int64_t tick(struct worker *w)
{
    struct trim *t = &rt.trim;
    bool soon = false;

    flush(w);
    if (spin_trylock(&t->lock)) {
        soon = trim_shared(t, w->now);
        spin_unlock(&t->lock);
    }
    return soon ? TICK_SOON : TICK;
}

void trim_turn(struct worker *w, bool active)
{
    if (active) {
        atomic_store_explicit(&w->event_at, w->now, memory_order_relaxed);
        if (w->trim_at == TIMER_NONE)
            w->trim_at = w->now + TICK_SOON;
    }
    if (likely(w->now < w->trim_at))
        return;
    if (w->now - atomic_load_explicit(&w->event_at, memory_order_relaxed) < TICKS_FOR)
        w->trim_at = w->now + tick(w);
    else
        w->trim_at = TIMER_NONE;
}
