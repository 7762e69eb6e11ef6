/* magazine.c -- a stack of items without a lock, and one of batches with it: see magazine.h. */
#include "runtime/magazine.h"

static void depot_add(struct depot *d, struct item *first, unsigned count)
{
    first->count = count;
    spin_lock(&d->lock);
    first->batch = d->batches;
    d->batches = first;
    d->kept += count;
    spin_unlock(&d->lock);
}

struct item *depot_batch(struct depot *d)
{
    spin_lock(&d->lock);
    struct item *first = d->batches;
    if (first != NULL) {
        d->batches = first->batch;
        d->kept -= first->count;
    }
    d->least = MIN(d->least, d->kept); /* also when nothing was left: all of it was needed */
    spin_unlock(&d->lock);
    return first;
}

unsigned depot_surplus(struct depot *d, unsigned keep)
{
    spin_lock(&d->lock);
    unsigned least = d->least;
    d->least = d->kept;
    spin_unlock(&d->lock);
    return least > keep ? least - keep : 0;
}

unsigned depot_kept(struct depot *d)
{
    spin_lock(&d->lock);
    unsigned kept = d->kept;
    spin_unlock(&d->lock);
    return kept;
}

/* Both ways off the common path end in it again: so neither needs a register after its call. */
static SELDOM struct item *take_from_depot(struct magazine *m, struct depot *d)
{
    m->first = depot_batch(d);
    if (m->first == NULL)
        return NULL;
    m->count = m->first->count;
    return magazine_take(m, d);
}

struct item *magazine_take(struct magazine *m, struct depot *d)
{
    struct item *item = m->first;

    if (unlikely(item == NULL))
        return take_from_depot(m, d);
    m->first = item->next;
    m->count--;
    return item;
}

/* The older half goes. */
static SELDOM void put_into_full(struct magazine *m, struct depot *d, struct item *item)
{
    struct item *last = m->first;

    for (unsigned i = 1; i < m->count / 2; i++)
        last = last->next;
    depot_add(d, last->next, m->count - m->count / 2);
    last->next = NULL;
    m->count /= 2;
    magazine_put(m, d, item);
}

void magazine_put(struct magazine *m, struct depot *d, struct item *item)
{
    if (unlikely(m->count == MAGAZINE_SIZE)) {
        put_into_full(m, d, item);
        return;
    }
    item->next = m->first;
    m->first = item;
    m->count++;
}

void magazine_flush(struct magazine *m, struct depot *d)
{
    if (m->first != NULL)
        depot_add(d, m->first, m->count);
    *m = (struct magazine){ .first = NULL };
}
