/* stack.c -- ranges of one big reservation, opened when needed and closed when not.
 *
 * A range has an index. It is fresh (never opened), open (in use, or free with its memory), or
 * spare (closed again: without memory, its guard may still stand). Opening is idempotent, so spare
 * and fresh ranges are opened alike. */
#include "runtime/stack.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/sanitize.h"
#include "runtime/sys.h"

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif

enum {
    DEFAULT_SIZE = (SANITIZE_ADDRESS || SANITIZE_THREAD ? 1024 : 256) * 1024,
    LEAST_SIZE = 16 * 1024,
    LEAST_COUNT = 16,
    TSAN_COUNT = 2000,     /* TSan has a limit on threads and fibers of some 8,000 */
    OTHER_MAPPINGS = 2048, /* left to libraries, malloc and thread stacks */
    TRIM_MOST = 1024, /* in one call */
};

static struct {
    struct spin lock; /* guards spare, spares, fresh */
    unsigned *spare;
    unsigned spares;
    unsigned fresh; /* ranges from here on were never opened */
    unsigned max;
    char *base;
    size_t size; /* of a range */
    enum stack_guard guard;
} ranges;

static struct depot depot;
static enum stack_guard forced_guard;

void stacks_force_guard(enum stack_guard kind)
{
    forced_guard = kind;
}

/* Asks the kernel to read there, which fails where we would fault. */
static bool readable(const char *at)
{
    int fd[2];

    if (pipe2(fd, O_CLOEXEC) < 0)
        return false;
    bool worked = sys_write(fd[1], at, 1) == 1;
    sys_close(fd[0]);
    sys_close(fd[1]);
    return worked;
}

/* Does this kernel know guards without mappings? Not all that say so do: qemu-user takes any
 * advice. */
static enum stack_guard find_guard(void)
{
    enum stack_guard kind = GUARD_MPROTECT;
    void *page = mmap(NULL, STACK_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return kind;
    if (readable(page) && madvise(page, STACK_PAGE, MADV_GUARD_INSTALL) == 0 && !readable(page))
        kind = GUARD_MADVISE;
    munmap(page, STACK_PAGE);
    return kind;
}

/* Half of what the kernel allows this process in mappings, where a stack takes two. */
static unsigned default_count(void)
{
    unsigned mappings = 65530;

    if (SANITIZE_THREAD)
        return TSAN_COUNT;
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    if (f != NULL) {
        if (fscanf(f, "%u", &mappings) != 1)
            mappings = 65530;
        fclose(f);
    }
    mappings = MIN(mappings, 1u << 20);
    mappings = mappings > 2 * OTHER_MAPPINGS ? mappings - OTHER_MAPPINGS : mappings / 2;
    return ranges.guard == GUARD_MPROTECT ? mappings / 2 : mappings;
}

static void *reserve(size_t size, int protection)
{
    void *at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

int stacks_init(size_t size, unsigned max)
{
    ensure(ranges.base == NULL);
    size = MAX(size != 0 ? size : DEFAULT_SIZE, LEAST_SIZE);
    size = (size + STACK_PAGE - 1) & ~(size_t)(STACK_PAGE - 1);
    ranges.size = STACK_GUARD + size;
    ranges.guard = forced_guard != GUARD_AUTO ? forced_guard : find_guard();
    ranges.max = MAX(max != 0 ? max : default_count(), LEAST_COUNT);
    if (SANITIZE_THREAD)
        ranges.max = MIN(ranges.max, TSAN_COUNT);

    while ((ranges.base = reserve(ranges.max * ranges.size, PROT_NONE)) == NULL) {
        if (ranges.max / 2 < LEAST_COUNT)
            return WEIR_ENOMEM;
        ranges.max /= 2;
    }
    madvise(ranges.base, ranges.max * ranges.size, MADV_NOHUGEPAGE); /* fails without THP */
    ranges.spare = reserve(ranges.max * sizeof *ranges.spare, PROT_READ | PROT_WRITE);
    if (ranges.spare == NULL) {
        stacks_free();
        return WEIR_ENOMEM;
    }
    return 0;
}

static bool take_range(unsigned *index)
{
    bool found = true;

    spin_lock(&ranges.lock);
    if (ranges.spares > 0)
        *index = ranges.spare[--ranges.spares];
    else if (ranges.fresh < ranges.max)
        *index = ranges.fresh++;
    else
        found = false;
    spin_unlock(&ranges.lock);
    return found;
}

static void give_range(unsigned index)
{
    spin_lock(&ranges.lock);
    ranges.spare[ranges.spares++] = index;
    spin_unlock(&ranges.lock);
}

/* The whole range must be one accessible mapping for MADV_GUARD_INSTALL; for the other kind of
 * guard its lower end just stays as it was reserved. */
static bool make_accessible(char *map)
{
    if (ranges.guard == GUARD_MPROTECT)
        return mprotect(map + STACK_GUARD, ranges.size - STACK_GUARD, PROT_READ | PROT_WRITE) == 0;
    return mprotect(map, ranges.size, PROT_READ | PROT_WRITE) == 0 &&
           madvise(map, STACK_GUARD, MADV_GUARD_INSTALL) == 0;
}

static SELDOM struct stack *open_stack(void)
{
    unsigned index;

    if (!take_range(&index))
        return NULL;
    char *map = ranges.base + index * ranges.size;
    if (!make_accessible(map)) {
        give_range(index);
        return NULL;
    }
    struct stack *s = (struct stack *)(map + ranges.size - STACK_ROOM - STACK_INFO);
    *s = (struct stack){ .map = map, .size = ranges.size };
    s->valgrind = valgrind_stack(stack_low(s), stack_top(s));
    return s;
}

/* Not the guard: that stays. */
static void close_stack(struct stack *s)
{
    char *map = s->map;

    valgrind_forget(s->valgrind);
    madvise(map + STACK_GUARD, ranges.size - STACK_GUARD, MADV_DONTNEED);
    give_range((unsigned)((size_t)(map - ranges.base) / ranges.size));
}

static unsigned close_batch(struct item *item)
{
    unsigned count = 0;

    while (item != NULL) {
        struct stack *s = container_of(item, struct stack, item);

        item = item->next;
        close_stack(s);
        count++;
    }
    return count;
}

void stacks_free(void)
{
    struct item *batch;

    while ((batch = depot_batch(&depot)) != NULL)
        close_batch(batch);
    munmap(ranges.base, ranges.max * ranges.size);
    if (ranges.spare != NULL)
        munmap(ranges.spare, ranges.max * sizeof *ranges.spare);
    memset(&ranges, 0, sizeof ranges);
    memset(&depot, 0, sizeof depot);
}

/* A new life: nothing that the last coroutine left behind, by being switched away from amid its
 * functions, is poisoned or on a shadow stack. */
struct stack *stack_get(struct stack_magazine *m)
{
    struct item *item = magazine_take(&m->free, &depot);
    struct stack *s = likely(item != NULL) ? container_of(item, struct stack, item) : open_stack();

    if (unlikely(s == NULL))
        return NULL;
    asan_unpoison(stack_low(s), (size_t)(stack_top(s) - stack_low(s)));
    s->tsan = tsan_fiber_new();
    return s;
}

void stack_put(struct stack_magazine *m, struct stack *s)
{
    tsan_fiber_free(s->tsan);
    magazine_put(&m->free, &depot, &s->item);
}

void stack_flush(struct stack_magazine *m)
{
    magazine_flush(&m->free, &depot);
}

void stacks_trim(unsigned keep)
{
    unsigned unused = depot_surplus(&depot, keep), surplus = MIN(unused, TRIM_MOST);

    for (unsigned closed = 0; closed < surplus;) {
        struct item *batch = depot_batch(&depot);

        if (batch == NULL)
            break;
        closed += close_batch(batch);
    }
}

void stack_stats(struct stack_stats *out)
{
    spin_lock(&ranges.lock);
    *out = (struct stack_stats){
        .mapped = ranges.fresh - ranges.spares,
        .max = ranges.max,
        .guard = ranges.guard,
    };
    spin_unlock(&ranges.lock);
    out->kept = depot_kept(&depot);
}

size_t stack_in_guard(const void *address)
{
    size_t offset = (uintptr_t)address - (uintptr_t)ranges.base;

    if (ranges.base == NULL || offset >= ranges.max * ranges.size ||
        offset % ranges.size >= STACK_GUARD)
        return 0;
    return ranges.size - STACK_GUARD;
}
