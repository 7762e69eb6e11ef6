/* lock.c -- the coroutine mutex: handed over, so a waiter that was woken owns it, whatever woke it
 * meanwhile. */
#include "runtime/lock.h"

#include "runtime/worker.h"

struct co_waiter {
    struct co_waiter *next;
    struct co *co;
    uint64_t number;
    bool owns; /* under the spinlock: the mutex was handed to it */
};

static void enlist(struct co_mutex *m, struct co_waiter *me)
{
    me->next = NULL;
    if (m->first == NULL)
        m->first = me;
    else
        m->last->next = me;
    m->last = me;
}

void co_lock(struct co_mutex *m)
{
    struct co_waiter me = { .co = co_self() };

    spin_lock(&m->spin);
    if (!m->held) {
        m->held = true;
        spin_unlock(&m->spin);
        return;
    }
    enlist(m, &me);
    while (!me.owns) { /* wake-ups for other reasons are passed over: we stay in the line */
        me.number = co_park_begin(me.co);
        spin_unlock(&m->spin);
        co_park(me.co);
        spin_lock(&m->spin);
    }
    spin_unlock(&m->spin);
}

void co_unlock(struct co_mutex *m)
{
    struct co_waiter *next;

    spin_lock(&m->spin);
    ensure(m->held);
    next = m->first;
    if (next == NULL) {
        m->held = false;
    } else {
        m->first = next->next;
        next->owns = true;
        /* a wake that is lost finds its waiter on the way to look at `owns` */
        co_wake(next->co, next->number, WAKE_OTHER);
    }
    spin_unlock(&m->spin);
}
