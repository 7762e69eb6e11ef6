/* inject.c -- see inject.h. What fails depends on the seed and on how many calls there were before:
 * with one worker, and a peer who does the same each time, on nothing else. */
#include "base/inject.h"

#ifdef WEIR_FAULT

#undef malloc
#undef calloc
#undef realloc
#undef aligned_alloc
#undef strdup
#undef mmap

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

static struct {
    atomic_bool on, armed;
    uint64_t seed, rate;
    _Atomic uint64_t calls, failed;
    unsigned descriptors;
} inject;

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

void inject_start(void)
{
    const char *text = getenv("WEIR_FAULT");
    unsigned long long seed, rate;
    char when[8] = "";

    if (text == NULL || sscanf(text, "%llu %llu %7s", &seed, &rate, when) < 2 || rate == 0)
        return;
    inject.seed = seed;
    inject.rate = rate;
    inject.calls = inject.failed = 0;
    inject.descriptors = open_descriptors();
    fprintf(stderr, "fault injection: seed %llu, one call in %llu fails\n", seed, rate);
    atomic_store(&inject.on, true);
    atomic_store(&inject.armed, strcmp(when, "start") == 0);
}

void inject_serving(void)
{
    atomic_store(&inject.armed, atomic_load(&inject.on));
}

bool inject_on(void)
{
    return atomic_load_explicit(&inject.on, memory_order_relaxed);
}

void inject_report(uint64_t turns)
{
    if (!inject_on())
        return;
    atomic_store(&inject.armed, false);
    fprintf(stderr, "fault injection: %llu of %llu calls failed, %llu turns, %d descriptors left\n",
            (unsigned long long)inject.failed, (unsigned long long)inject.calls,
            (unsigned long long)turns, (int)(open_descriptors() - inject.descriptors));
}

/* splitmix64 of the seed and the call's number. */
uint32_t inject_roll(void)
{
    uint64_t x;

    if (!atomic_load_explicit(&inject.armed, memory_order_relaxed))
        return 0;
    x = inject.seed * 0xd1342543de82ef95u +
        atomic_fetch_add_explicit(&inject.calls, 1, memory_order_relaxed) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    if (x % inject.rate != 0)
        return 0;
    atomic_fetch_add_explicit(&inject.failed, 1, memory_order_relaxed);
    return (uint32_t)(x >> 32) | 1;
}

static bool no_memory(void)
{
    if (inject_roll() == 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *inject_malloc(size_t size)
{
    return no_memory() ? NULL : malloc(size);
}

void *inject_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : calloc(count, size);
}

void *inject_realloc(void *old, size_t size)
{
    return no_memory() ? NULL : realloc(old, size);
}

void *inject_aligned_alloc(size_t align, size_t size)
{
    return no_memory() ? NULL : aligned_alloc(align, size);
}

char *inject_strdup(const char *text)
{
    return no_memory() ? NULL : strdup(text);
}

void *inject_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return no_memory() ? MAP_FAILED : mmap(at, size, prot, flags, fd, offset);
}

#endif
