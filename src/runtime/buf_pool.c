/* buf_pool.c -- buffers are cut from chunks: 1 MiB, aligned to it, so that a buffer's address
 * tells its chunk, whose first place is its record.
 *
 * A place is cold (without memory: a bit in the chunk's record) or warm (in use, or free in a
 * magazine or the depot). A chunk with only cold places is unmapped. */
#include "runtime/buf_pool.h"

#include <sys/mman.h>

#include "base/list.h"
#include "runtime/sanitize.h"

enum {
    CHUNK_SIZE = 1024 * 1024,
    PLACES = CHUNK_SIZE / BUF_SIZE,
    ITEM_ROOM = 64, /* of a free buffer, not poisoned: its struct item */
    TRIM_MOST = 1024, /* in one call */
};
static_assert(PLACES == 64, "a bit for each");
static_assert(sizeof(struct item) <= ITEM_ROOM, "room for the item");

#define ALL_COLD (~UINT64_C(1)) /* bit 0: the record */

struct chunk {
    struct link all;
    struct link has_cold; /* in the list of those that have a cold place, or alone */
    uint64_t cold;
};

static struct {
    struct spin lock;
    struct link all, has_cold;
    unsigned count; /* of chunks */
    unsigned warm;  /* buffers */
} chunks = {
    .all = { &chunks.all, &chunks.all },
    .has_cold = { &chunks.has_cold, &chunks.has_cold },
};

static struct depot depot;

/* mmap aligns to pages only: map twice as much and cut both ends off. */
static void *map_aligned(void)
{
    char *map =
        mmap(NULL, 2 * CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)map & (CHUNK_SIZE - 1);
    if (before > 0)
        munmap(map, before);
    if (before < CHUNK_SIZE)
        munmap(map + before + CHUNK_SIZE, CHUNK_SIZE - before);
    return map + before;
}

static bool add_chunk(void)
{
    struct chunk *c = map_aligned();

    if (c == NULL)
        return false;
    madvise(c, CHUNK_SIZE, MADV_NOHUGEPAGE); /* fails where there is no THP */
    asan_poison((char *)c + BUF_SIZE, CHUNK_SIZE - BUF_SIZE);
    c->cold = ALL_COLD;
    spin_lock(&chunks.lock);
    link_after(&chunks.all, &c->all);
    link_after(&chunks.has_cold, &c->has_cold);
    chunks.count++;
    spin_unlock(&chunks.lock);
    return true;
}

static void unmap_chunk(struct chunk *c)
{
    asan_unpoison(c, CHUNK_SIZE);
    munmap(c, CHUNK_SIZE);
}

static char *take_cold(void)
{
    char *buf = NULL;

    spin_lock(&chunks.lock);
    if (!link_alone(&chunks.has_cold)) {
        struct chunk *c = container_of(chunks.has_cold.next, struct chunk, has_cold);

        buf = (char *)c + (size_t)__builtin_ctzll(c->cold) * BUF_SIZE;
        c->cold &= c->cold - 1;
        if (c->cold == 0)
            link_remove(&c->has_cold);
        chunks.warm++;
    }
    spin_unlock(&chunks.lock);
    return buf;
}

/* The buffer's memory goes back to the kernel, its address range to the chunk; the chunk too if it
 * was the last. */
static void give_cold(char *buf)
{
    struct chunk *c = (struct chunk *)((uintptr_t)buf & ~(uintptr_t)(CHUNK_SIZE - 1));
    bool last;

    asan_poison(buf, BUF_SIZE);
    madvise(buf, BUF_SIZE, MADV_DONTNEED);
    spin_lock(&chunks.lock);
    if (c->cold == 0)
        link_after(&chunks.has_cold, &c->has_cold);
    c->cold |= UINT64_C(1) << (size_t)(buf - (char *)c) / BUF_SIZE;
    last = c->cold == ALL_COLD;
    if (last) {
        link_remove(&c->has_cold);
        link_remove(&c->all);
        chunks.count--;
    }
    chunks.warm--;
    spin_unlock(&chunks.lock);
    if (last)
        unmap_chunk(c);
}

static SELDOM char *take_new(void)
{
    char *buf;

    while ((buf = take_cold()) == NULL)
        if (!add_chunk())
            return NULL;
    asan_unpoison(buf, BUF_SIZE);
    return buf;
}

char *buf_take(struct buf_magazine *m)
{
    char *buf = (char *)magazine_take(&m->free, &depot);

    if (unlikely(buf == NULL))
        return take_new();
    asan_unpoison(buf, BUF_SIZE);
    return buf;
}

void buf_return(struct buf_magazine *m, char *buf)
{
    asan_poison(buf + ITEM_ROOM, BUF_SIZE - ITEM_ROOM);
    magazine_put(&m->free, &depot, (struct item *)buf);
}

void buf_flush(struct buf_magazine *m)
{
    magazine_flush(&m->free, &depot);
}

static unsigned cool_batch(struct item *item)
{
    unsigned count = 0;

    while (item != NULL) {
        struct item *next = item->next;

        give_cold((char *)item);
        item = next;
        count++;
    }
    return count;
}

void bufs_trim(unsigned keep)
{
    unsigned unused = depot_surplus(&depot, keep), surplus = MIN(unused, TRIM_MOST);

    for (unsigned cooled = 0; cooled < surplus;) {
        struct item *batch = depot_batch(&depot);

        if (batch == NULL)
            break;
        cooled += cool_batch(batch);
    }
}

void bufs_free(void)
{
    while (!link_alone(&chunks.all)) {
        struct chunk *c = container_of(chunks.all.next, struct chunk, all);

        link_remove(&c->all);
        link_remove(&c->has_cold);
        unmap_chunk(c);
    }
    chunks.count = chunks.warm = 0;
    memset(&depot, 0, sizeof depot);
}

void buf_stats(struct buf_stats *out)
{
    spin_lock(&chunks.lock);
    *out = (struct buf_stats){ .mapped = chunks.warm, .chunks = chunks.count };
    spin_unlock(&chunks.lock);
    out->kept = depot_kept(&depot);
}
