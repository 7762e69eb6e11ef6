/* sem.c -- permits under a lock of their own. */
#include "runtime/sem.h"

void co_sem_init(struct co_sem *s, uint64_t permits)
{
    *s = (struct co_sem){ .permits = { .free = permits } };
}

bool co_sem_try(struct co_sem *s)
{
    bool taken;

    spin_lock(&s->spin);
    taken = permits_try(&s->permits);
    spin_unlock(&s->spin);
    return taken;
}

int co_sem_take(struct co_sem *s, struct deadline until)
{
    int rc;

    spin_lock(&s->spin);
    rc = permits_take(&s->permits, &s->spin, until);
    spin_unlock(&s->spin);
    return rc;
}

void co_sem_give(struct co_sem *s, uint64_t n)
{
    spin_lock(&s->spin);
    for (; n > 0 && s->permits.first != NULL; n--)
        permits_give(&s->permits);
    s->permits.free += MIN(n, UINT64_MAX - s->permits.free);
    spin_unlock(&s->spin);
}
