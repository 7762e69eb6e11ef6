/* slab.c -- type-stable objects in chunks that stay mapped; magazines before a depot.
 *
 * A unit is warm, or cold: without memory, all its objects free and in no list, as those of a new
 * chunk are. Where the depot is empty a cold unit is warmed. */
#include "runtime/slab.h"

#include <sys/mman.h>

static struct {
    struct spin lock;
    struct link all;
} slabs = { .all = { &slabs.all, &slabs.all } };

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

static size_t directory_size(const struct slab *s)
{
    return (s->type.max / SLAB_CHUNK + 1) * sizeof *s->chunks;
}

static size_t units_size(const struct slab *s)
{
    return (s->type.max / SLAB_UNIT + 1) * sizeof *s->units;
}

int slab_start(struct slab *s, const struct slab_type *type)
{
    ensure(type->size % 64 == 0);
    *s = (struct slab){ .type = *type };
    s->chunks = map(directory_size(s));
    s->units = map(units_size(s));
    link_init(&s->all);
    if (s->chunks == NULL || s->units == NULL) {
        slab_stop(s);
        return WEIR_ENOMEM;
    }
    if (type->retire != NULL) {
        spin_lock(&slabs.lock);
        link_before(&slabs.all, &s->all);
        spin_unlock(&slabs.lock);
    }
    return 0;
}

void slab_stop(struct slab *s)
{
    if (s->all.next != NULL) {
        spin_lock(&slabs.lock);
        link_remove(&s->all);
        spin_unlock(&slabs.lock);
    }
    for (uint32_t i = 0; i < s->made; i += SLAB_CHUNK)
        munmap(s->chunks[i / SLAB_CHUNK], SLAB_CHUNK * s->type.size);
    if (s->chunks != NULL)
        munmap(s->chunks, directory_size(s));
    if (s->units != NULL)
        munmap(s->units, units_size(s));
    *s = (struct slab){ .chunks = NULL };
}

/* ---- the depot; its lock is held ------------------------------------------------------------- */

static void push(struct slab *s, struct slab_item *item)
{
    item->next = s->depot;
    s->depot = item;
    s->kept++;
}

static struct slab_item *pop(struct slab *s)
{
    struct slab_item *item = s->depot;

    s->depot = item->next;
    s->kept--;
    return item;
}

/* Objects whose memory is all zeros. */
static void add(struct slab *s, uint32_t first, uint32_t count, uint64_t floor)
{
    for (uint32_t i = first + count; i-- > first;) {
        struct slab_item *item = slab_at(s, i);

        item->index = i;
        if (s->type.init != NULL)
            s->type.init(item, floor);
        push(s, item);
    }
}

static void push_cold(struct slab *s, uint32_t unit)
{
    s->units[unit].next = s->cold;
    s->cold = unit + 1;
    s->colds++;
}

static void warm(struct slab *s)
{
    uint32_t unit = s->cold - 1;

    s->cold = s->units[unit].next;
    s->colds--;
    add(s, unit * SLAB_UNIT, SLAB_UNIT, s->units[unit].floor);
}

/* One more chunk; all of it is cold. */
static bool make_chunk(struct slab *s)
{
    uint32_t made = s->made;
    char *chunk;

    if (made + SLAB_CHUNK > s->type.max)
        return false;
    chunk = map(SLAB_CHUNK * s->type.size);
    if (chunk == NULL)
        return false;
    s->chunks[made / SLAB_CHUNK] = chunk;
    for (uint32_t unit = (made + SLAB_CHUNK) / SLAB_UNIT; unit-- > made / SLAB_UNIT;)
        push_cold(s, unit);
    atomic_store_explicit(&s->made, made + SLAB_CHUNK, memory_order_release);
    return true;
}

static bool grow(struct slab *s)
{
    if (s->cold == 0 && !make_chunk(s))
        return false;
    warm(s);
    return true;
}

/* ---- for everybody --------------------------------------------------------------------------- */

/* From the depot, and half a magazine more. */
static SELDOM void *get_shared(struct slab *s, struct slab_magazine *m)
{
    struct slab_item *item = NULL;

    spin_lock(&s->lock);
    if (s->depot != NULL || grow(s))
        item = pop(s);
    while (m != NULL && m->count < SLAB_MAGAZINE / 2 && s->depot != NULL) {
        struct slab_item *more = pop(s);

        more->next = m->first;
        m->first = more;
        m->count++;
    }
    spin_unlock(&s->lock);
    return item;
}

void *slab_get(struct slab *s, struct slab_magazine *m)
{
    struct slab_item *item = m != NULL ? m->first : NULL;

    if (unlikely(item == NULL))
        return get_shared(s, m);
    m->first = item->next;
    m->count--;
    return item;
}

/* The newest of a magazine to the depot, until it has `left`; the lock is held. */
static void empty(struct slab *s, struct slab_magazine *m, unsigned left)
{
    while (m->count > left) {
        struct slab_item *item = m->first;

        m->first = item->next;
        m->count--;
        push(s, item);
    }
}

/* To the depot, with half of a magazine that is full. */
static SELDOM void put_shared(struct slab *s, struct slab_magazine *m, struct slab_item *item)
{
    spin_lock(&s->lock);
    push(s, item);
    if (m != NULL)
        empty(s, m, SLAB_MAGAZINE / 2);
    spin_unlock(&s->lock);
}

void slab_put(struct slab *s, struct slab_magazine *m, void *object)
{
    struct slab_item *item = object;

    if (unlikely(m == NULL || m->count == SLAB_MAGAZINE)) {
        put_shared(s, m, item);
        return;
    }
    item->next = m->first;
    m->first = item;
    m->count++;
}

void slab_flush(struct slab *s, struct slab_magazine *m)
{
    if (m->count == 0)
        return;
    spin_lock(&s->lock);
    empty(s, m, 0);
    spin_unlock(&s->lock);
}

uint32_t slab_used(struct slab *s)
{
    spin_lock(&s->lock);
    uint32_t used = s->made - s->kept - s->colds * SLAB_UNIT;
    spin_unlock(&s->lock);
    return used;
}

/* ---- giving memory back ---------------------------------------------------------------------- */

static struct slab_unit *unit_of(struct slab *s, const struct slab_item *item)
{
    return &s->units[item->index / SLAB_UNIT];
}

/* All that is free, out of the depot: so it is ours, and nobody waits for the lock meanwhile. */
static struct slab_item *take_all(struct slab *s)
{
    spin_lock(&s->lock);
    struct slab_item *all = s->depot;
    s->depot = NULL;
    s->kept = 0;
    spin_unlock(&s->lock);
    return all;
}

/* Is all of this object's unit free? Counted by slab_trim. */
static bool all_free(struct slab *s, const struct slab_item *item)
{
    return unit_of(s, item)->free == SLAB_UNIT;
}

/* Takes units that are all free out of the list: they are chained, the last one first. The others
 * stay in order; returns how many. */
static uint32_t pick(struct slab *s, struct slab_item **list, uint32_t *chain)
{
    struct slab_item **at = list;
    uint32_t left = 0;

    for (struct slab_item *item = *list; item != NULL; item = item->next) {
        if (!all_free(s, item)) {
            *at = item;
            at = &item->next;
            left++;
        } else if (item->index % SLAB_UNIT == 0) {
            unit_of(s, item)->next = *chain;
            *chain = item->index / SLAB_UNIT + 1;
        }
    }
    *at = NULL;
    return left;
}

static void cool(struct slab *s, uint32_t unit)
{
    struct slab_unit *u = &s->units[unit];

    u->free = 0;
    u->floor = 0;
    for (uint32_t i = 0; i < SLAB_UNIT; i++)
        u->floor = MAX(u->floor, s->type.retire(slab_at(s, unit * SLAB_UNIT + i)));
    madvise(slab_at(s, unit * SLAB_UNIT), SLAB_UNIT * s->type.size, MADV_DONTNEED);
}

static void give_cold(struct slab *s, uint32_t unit)
{
    spin_lock(&s->lock);
    push_cold(s, unit);
    spin_unlock(&s->lock);
}

static void give_back(struct slab *s, struct slab_item *list, uint32_t count)
{
    struct slab_item *last = list;

    for (struct slab_item *item = list; item != NULL; item = item->next) {
        unit_of(s, item)->free = 0;
        last = item;
    }
    if (list == NULL)
        return;
    spin_lock(&s->lock);
    last->next = s->depot;
    s->depot = list;
    s->kept += count;
    spin_unlock(&s->lock);
}

static void slab_trim(struct slab *s)
{
    struct slab_item *list = take_all(s);
    uint32_t chain = 0, left;

    for (struct slab_item *item = list; item != NULL; item = item->next)
        unit_of(s, item)->free++;
    left = pick(s, &list, &chain);
    give_back(s, list, left);
    while (chain != 0) {
        uint32_t unit = chain - 1;

        chain = s->units[unit].next;
        cool(s, unit);
        give_cold(s, unit);
    }
}

uint64_t slab_forgotten(void *object)
{
    (void)object;
    return 0;
}

/* Under the lock: slabs come and go only with the whole server. */
void slabs_trim(void)
{
    spin_lock(&slabs.lock);
    for (struct link *l = slabs.all.next; l != &slabs.all; l = l->next)
        slab_trim(container_of(l, struct slab, all));
    spin_unlock(&slabs.lock);
}
