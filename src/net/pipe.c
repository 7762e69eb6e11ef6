/* pipe.c -- see pipe.h. One lock for all: who moves 64 KiB at a time seldom comes. */
#include "net/pipe.h"

#include "runtime/spin.h"
#include "runtime/sys.h"

static struct {
    struct spin lock;
    unsigned kept, made;
    struct pipe free[PIPES_KEPT];
} pipes;

static void close_both(const struct pipe *p)
{
    sys_close(p->in);
    sys_close(p->out);
}

/* One less; its descriptors are closed by the caller. */
static void forget(void)
{
    spin_lock(&pipes.lock);
    pipes.made--;
    spin_unlock(&pipes.lock);
}

bool pipe_take(struct pipe *p)
{
    bool kept, may_make;
    int fd[2];

    spin_lock(&pipes.lock);
    kept = pipes.kept > 0;
    may_make = !kept && pipes.made < PIPES_MAX;
    if (kept)
        *p = pipes.free[--pipes.kept];
    else if (may_make)
        pipes.made++;
    spin_unlock(&pipes.lock);
    if (!may_make)
        return kept;
    if (sys_pipe(fd, PIPE_SIZE) < 0) {
        forget();
        return false;
    }
    *p = (struct pipe){ .in = fd[1], .out = fd[0] };
    return true;
}

void pipe_give(struct pipe *p, bool empty)
{
    bool keep;

    spin_lock(&pipes.lock);
    keep = empty && pipes.kept < PIPES_KEPT;
    if (keep)
        pipes.free[pipes.kept++] = *p;
    else
        pipes.made--;
    spin_unlock(&pipes.lock);
    if (!keep)
        close_both(p);
}

void pipes_free(void)
{
    while (pipes.kept > 0) {
        close_both(&pipes.free[--pipes.kept]);
        pipes.made--;
    }
}
