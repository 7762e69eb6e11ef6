/* slab.c -- type-stable objects in chunks that stay mapped; magazines before a depot. */
#include "runtime/slab.h"

#include <sys/mman.h>

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
    return (s->max / SLAB_CHUNK + 1) * sizeof *s->chunks;
}

int slab_start(struct slab *s, size_t size, uint32_t max, void (*init)(void *))
{
    *s = (struct slab){ .size = size, .max = max, .init = init };
    s->chunks = map(directory_size(s));
    return s->chunks != NULL ? 0 : WEIR_ENOMEM;
}

void slab_stop(struct slab *s)
{
    if (s->chunks == NULL)
        return;
    for (uint32_t i = 0; i < s->made; i += SLAB_CHUNK)
        munmap(s->chunks[i / SLAB_CHUNK], SLAB_CHUNK * s->size);
    munmap(s->chunks, directory_size(s));
    s->chunks = NULL;
}

/* One chunk more for the depot; the lock is held. */
static bool grow(struct slab *s)
{
    uint32_t made = s->made;
    char *chunk;

    if (made + SLAB_CHUNK > s->max)
        return false;
    chunk = map(SLAB_CHUNK * s->size);
    if (chunk == NULL)
        return false;
    s->chunks[made / SLAB_CHUNK] = chunk;
    for (uint32_t i = SLAB_CHUNK; i-- > 0;) {
        struct slab_item *item = (struct slab_item *)(chunk + i * s->size);

        item->index = made + i;
        if (s->init != NULL)
            s->init(item);
        item->next = s->depot;
        s->depot = item;
    }
    atomic_store_explicit(&s->made, made + SLAB_CHUNK, memory_order_release);
    return true;
}

static struct slab_item *take(struct slab *s)
{
    struct slab_item *item;

    if (s->depot == NULL && !grow(s))
        return NULL;
    item = s->depot;
    s->depot = item->next;
    return item;
}

void *slab_get(struct slab *s, struct slab_magazine *m)
{
    struct slab_item *item;

    if (likely(m != NULL && m->first != NULL)) {
        item = m->first;
        m->first = item->next;
        m->count--;
        return item;
    }
    spin_lock(&s->lock);
    item = take(s);
    for (unsigned i = 0; m != NULL && item != NULL && i < SLAB_MAGAZINE / 2 && s->depot != NULL;
         i++) {
        struct slab_item *more = take(s);

        more->next = m->first;
        m->first = more;
        m->count++;
    }
    spin_unlock(&s->lock);
    return item;
}

void slab_put(struct slab *s, struct slab_magazine *m, void *object)
{
    struct slab_item *item = object;

    if (likely(m != NULL && m->count < SLAB_MAGAZINE)) {
        item->next = m->first;
        m->first = item;
        m->count++;
        return;
    }
    spin_lock(&s->lock);
    item->next = s->depot;
    s->depot = item;
    for (unsigned i = 0; m != NULL && i < SLAB_MAGAZINE / 2; i++) {
        item = m->first;
        m->first = item->next;
        m->count--;
        item->next = s->depot;
        s->depot = item;
    }
    spin_unlock(&s->lock);
}
