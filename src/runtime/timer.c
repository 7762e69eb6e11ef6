/* timer.c -- timers that are seldom moved (RUNTIME.md S9).
 *
 * The user stores a deadline; the wheel of one worker holds an entry that is never later. As long
 * as deadlines move later, setting one is a store and a load. When the entry comes up, the owner of
 * the wheel looks at the deadline and puts the entry there. Both sides store their own word and
 * then load the other's, with a full barrier between, so that one of them sees the other.
 *
 * Deadlines are set many thousand times for each entry that comes up. So, where the kernel can do
 * it, who sets one has no barrier of his own: who takes entries out of the wheel has one made in
 * all threads (membarrier), after he has stored "no entry" and before he looks at deadlines. A
 * setter whose barrier comes after his two steps has been heard, as the deadline is looked at
 * later; one whose barrier comes before his load finds that there is no entry; and what lies
 * between the two steps is both. */
#include "runtime/worker.h"

#include "runtime/sys.h"

#define LATER (5 * WEIR_MS)

/* A turn of the loop takes as many entries as it had events, within these bounds: a thousand
 * deadlines that pass at once (slow clients who came at once; to cut one is 50 to 150 us) would
 * else all be dealt with before the next ordinary request. Not fewer than events, or a busy worker
 * would fall ever further behind with those who sleep; but who is cut hangs up, which is an event,
 * and so the cuts would set their own pace. */
enum { EXPIRE_LEAST = 2, EXPIRE_MOST = 8 };

void lazy_init(struct lazy *l, enum lazy_kind kind)
{
    timer_init(&l->t);
    l->kind = (uint8_t)kind;
    l->home = NO_HOME;
}

/* The entry has to be earlier than it is, or there is none. */
static SELDOM void move_entry(struct lazy *l, int64_t at, unsigned home)
{
    struct worker *w = rt.workers[l->home == NO_HOME ? home : l->home];
    bool earlier;

    spin_lock(&w->wheel_lock);
    if (atomic_load(&l->t.entry) != TIMER_NONE) {
        wheel_remove(&w->wheel, &l->t);
    } else if (w != rt.workers[home]) {
        /* in no wheel: only its user touches it now, and takes it to the wheel it wants */
        spin_unlock(&w->wheel_lock);
        w = rt.workers[home];
        spin_lock(&w->wheel_lock);
    }
    l->home = (uint16_t)w->id;
    earlier = at < wheel_earliest(&w->wheel);
    wheel_insert(&w->wheel, &l->t, at);
    spin_unlock(&w->wheel_lock);
    if (earlier && w != worker_self())
        worker_wake(w);
}

/* In this order for the compiler; for the processor timers_expire sees to it. */
static void store_deadline(struct lazy *l, int64_t at)
{
    atomic_store_explicit(&l->t.deadline, at, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

void lazy_set(struct lazy *l, int64_t at, unsigned home)
{
    if (likely(rt.barriers))
        store_deadline(l, at);
    else
        atomic_store(&l->t.deadline, at);
    if (unlikely(at < atomic_load(&l->t.entry)))
        move_entry(l, at, home);
}

void lazy_forget(struct lazy *l)
{
    struct worker *w;

    if (l->home == NO_HOME)
        return;
    w = rt.workers[l->home];
    spin_lock(&w->wheel_lock);
    if (atomic_load(&l->t.entry) != TIMER_NONE)
        wheel_remove(&w->wheel, &l->t);
    spin_unlock(&w->wheel_lock);
}

/* The number is read before the deadline, so the deadline belongs to this wait or a later one; a
 * later one makes the wake-up fail. */
static enum lazy_outcome co_expired(struct co *c, int64_t now, int64_t *deadline)
{
    uint64_t word = atomic_load_explicit(&c->wait, memory_order_acquire);

    *deadline = atomic_load(&c->timer.t.deadline);
    if (*deadline > now)
        return LAZY_AGAIN;
    co_wake(c, WAIT_NUMBER(word), WAKE_TIMEOUT);
    return LAZY_DROP;
}

/* One entry that came up, under the wheel's lock: back into the wheel at its deadline, or out of
 * it. Whoever sets a deadline from now on finds no entry and makes one; who did before is seen by
 * the second look. */
static struct slot *expire(struct worker *w, struct lazy *l, int64_t now)
{
    struct slot *s = container_of(l, struct slot, timer);
    enum lazy_outcome outcome;
    int64_t deadline;

    for (;;) {
        if (l->kind == LAZY_CO)
            outcome = co_expired(container_of(l, struct co, timer), now, &deadline);
        else
            outcome = slot_expired(s, now, &deadline);
        if (outcome == LAZY_LATER)
            wheel_insert(&w->wheel, &l->t, now + LATER);
        if (outcome != LAZY_AGAIN)
            return outcome == LAZY_WON ? s : NULL;
        if (deadline != TIMER_NONE)
            wheel_insert(&w->wheel, &l->t, deadline);
        if (atomic_load(&l->t.deadline) >= deadline)
            return NULL;
        if (deadline != TIMER_NONE)
            wheel_remove(&w->wheel, &l->t);
    }
}

void timers_expire(struct worker *w, int64_t now, int events)
{
    struct link up;
    struct slot *expired = NULL;

    if (now < wheel_earliest(&w->wheel))
        return;
    link_init(&up);
    spin_lock(&w->wheel_lock);
    wheel_advance(&w->wheel, now, &up, (unsigned)MIN(MAX(events, EXPIRE_LEAST), EXPIRE_MOST));
    if (!link_alone(&up) && rt.barriers && rt.count > 1)
        sys_barrier();
    while (!link_alone(&up)) {
        struct lazy *l = container_of(up.next, struct lazy, t.link);
        struct slot *s;

        link_remove(&l->t.link);
        s = expire(w, l, now);
        if (s != NULL) { /* won: it is ours, and so is its link */
            s->item.next = (struct slab_item *)expired;
            expired = s;
        }
    }
    spin_unlock(&w->wheel_lock);
    while (expired != NULL) {
        struct slot *s = expired;

        expired = (struct slot *)s->item.next;
        atomic_load_explicit(&s->class, memory_order_relaxed)->expire(s, s->owner);
    }
}
