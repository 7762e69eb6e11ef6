/* buf_wide.c -- see buf_wide.h. One lock for all: they are taken for more than 16 KiB at a time. */
#include "runtime/buf_wide.h"

#include <sys/mman.h>

#include "runtime/spin.h"

static struct {
    struct spin lock;
    unsigned made;  /* in use and free */
    unsigned count; /* free ones */
    unsigned least; /* the lowest `count` since the last trim */
    char *free[WIDE_MAX];
} wide;

static char *map_one(void)
{
    char *buf = mmap(NULL, BUF_WIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (buf != MAP_FAILED)
        return buf;
    spin_lock(&wide.lock);
    wide.made--;
    spin_unlock(&wide.lock);
    return NULL;
}

char *buf_wide_get(void)
{
    char *buf = NULL;
    bool may_make = false;

    spin_lock(&wide.lock);
    if (wide.count > 0)
        buf = wide.free[--wide.count];
    else
        may_make = wide.made < WIDE_MAX;
    if (may_make)
        wide.made++;
    wide.least = MIN(wide.least, wide.count);
    spin_unlock(&wide.lock);
    return may_make ? map_one() : buf;
}

void buf_wide_put(char **buf)
{
    spin_lock(&wide.lock);
    wide.free[wide.count++] = *buf; /* there is room for all that are made */
    spin_unlock(&wide.lock);
    *buf = NULL;
}

/* Unmaps those not needed since the last trim, or all that are free; the last used last. */
static void unmap_some(bool all)
{
    char *some[WIDE_MAX];
    unsigned n;

    spin_lock(&wide.lock);
    n = all ? wide.count : MIN(wide.least, wide.count);
    memcpy(some, wide.free, n * sizeof *some);
    memmove(wide.free, wide.free + n, (wide.count - n) * sizeof *wide.free);
    wide.count -= n;
    wide.made -= n;
    wide.least = wide.count;
    spin_unlock(&wide.lock);
    while (n > 0)
        munmap(some[--n], BUF_WIDE);
}

void bufs_wide_trim(void)
{
    unmap_some(false);
}

void bufs_wide_free(void)
{
    unmap_some(true);
}
