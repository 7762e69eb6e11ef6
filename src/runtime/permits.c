/* permits.c -- see permits.h. A waiter stands on the stack of its coroutine, and is in the line or
 * was told (`told`) by whoever took it out; both change under the owner's lock only. The wake-up
 * that goes with it may be lost to a timer or a canceller: then the coroutine is on its way to take
 * the lock, and sees what it was told. */
#include "runtime/permits.h"

#include "runtime/worker.h"

enum told { TOLD_NOTHING, TOLD_TAKEN, TOLD_CLOSED };

struct permit_waiter {
    struct permit_waiter *next;
    struct co *co;
    uint64_t number;
    enum told told;
};

/* Not inlined, or gcc 12 fears for `me`, which is out of the line before its function returns. */
static __attribute__((noinline)) void enlist(struct permits *p, struct permit_waiter *me)
{
    me->next = NULL;
    if (p->first == NULL)
        p->first = me;
    else
        p->last->next = me;
    p->last = me;
}

static void withdraw(struct permits *p, struct permit_waiter *me)
{
    struct permit_waiter *before = NULL, *w = p->first;

    while (w != me) {
        before = w;
        w = w->next;
    }
    if (before == NULL)
        p->first = me->next;
    else
        before->next = me->next;
    if (p->last == me)
        p->last = before;
}

static void tell_first(struct permits *p, enum told told)
{
    struct permit_waiter *w = p->first;

    p->first = w->next;
    w->told = told;
    co_wake(w->co, w->number, WAKE_OTHER);
}

bool permits_try(struct permits *p)
{
    if (p->free == 0 || p->first != NULL)
        return false;
    p->free--;
    return true;
}

static void park(struct permit_waiter *me, struct spin *lock, struct deadline until)
{
    me->number = co_park_begin(me->co);
    spin_unlock(lock);
    if (until.at != INT64_MAX)
        lazy_set(&me->co->timer, until.at, rt_worker_id());
    co_park(me->co);
    lazy_clear(&me->co->timer);
    spin_lock(lock);
}

int permits_take(struct permits *p, struct spin *lock, struct deadline until)
{
    struct permit_waiter me = { .co = co_self(), .told = TOLD_NOTHING };
    bool late = false;

    if (co_canceled(me.co))
        return WEIR_ECANCELED;
    if (permits_try(p))
        return 0;
    if (p->closed)
        return WEIR_ECLOSED;
    if (rt_now() >= until.at)
        return until.err;
    enlist(p, &me);
    while (me.told == TOLD_NOTHING && !late && !co_canceled(me.co)) {
        park(&me, lock, until);
        late = rt_now() >= until.at;
    }
    if (me.told == TOLD_NOTHING) {
        withdraw(p, &me);
        return co_canceled(me.co) ? WEIR_ECANCELED : until.err;
    }
    if (me.told == TOLD_CLOSED)
        return WEIR_ECLOSED;
    if (!co_canceled(me.co) || p->closed)
        return 0; /* closed: others were told that nothing is left, so nobody would take it */
    permits_give(p);
    return WEIR_ECANCELED;
}

void permits_give(struct permits *p)
{
    if (p->first != NULL)
        tell_first(p, TOLD_TAKEN);
    else
        p->free++;
}

void permits_close(struct permits *p)
{
    p->closed = true;
    while (p->first != NULL)
        tell_first(p, TOLD_CLOSED);
}
