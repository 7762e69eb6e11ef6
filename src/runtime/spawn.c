/* spawn.c -- a list of what runs, under a lock that is held for some instructions. A strand that
 * has not begun has no name yet by which it could be cancelled; it looks when it begins. */
#include "runtime/spawn.h"

#include <stdlib.h>

#include "runtime/co.h"
#include "runtime/spin.h"

struct spawned {
    struct spawned *next, **at;
    enum spawn_kind kind;
    void (*fn)(void *);
    void *arg;
    strand_ref ref; /* 0: it has not begun */
};

static struct {
    struct spin lock; /* guards all of this */
    struct spawned *first;
    unsigned running;
    bool open, canceled[2];
    void (*over)(void);
} all;

void spawn_open(void (*over)(void))
{
    spin_lock(&all.lock);
    all.open = true;
    all.canceled[SPAWN_TASK] = all.canceled[SPAWN_FREE] = false;
    all.over = over;
    spin_unlock(&all.lock);
}

/* false: nothing is started any more. */
static bool enlist(struct spawned *s)
{
    bool open;

    spin_lock(&all.lock);
    open = all.open && !all.canceled[s->kind];
    if (open) {
        s->next = all.first;
        s->at = &all.first;
        if (s->next != NULL)
            s->next->at = &s->next;
        all.first = s;
        all.running++;
    }
    spin_unlock(&all.lock);
    return open;
}

static void unlist(struct spawned *s)
{
    void (*over)(void) = NULL;

    spin_lock(&all.lock);
    *s->at = s->next;
    if (s->next != NULL)
        s->next->at = s->at;
    if (--all.running == 0)
        over = all.over;
    spin_unlock(&all.lock);
    free(s);
    if (over != NULL)
        over();
}

static void run(void *arg)
{
    struct spawned *s = arg;
    bool late;

    spin_lock(&all.lock);
    s->ref = strand_self();
    late = all.canceled[s->kind];
    spin_unlock(&all.lock);
    if (late)
        strand_cancel(s->ref, WEIR_ESHUTDOWN);
    s->fn(s->arg);
    unlist(s);
}

int spawn(enum spawn_kind kind, void (*fn)(void *), void *arg)
{
    struct spawned *s = malloc(sizeof *s);
    int rc;

    if (s == NULL)
        return WEIR_ENOMEM;
    *s = (struct spawned){ .kind = kind, .fn = fn, .arg = arg };
    if (!enlist(s)) {
        free(s);
        return WEIR_ESHUTDOWN;
    }
    rc = strand_start(run, s);
    if (rc < 0)
        unlist(s);
    return rc;
}

void spawn_cancel(bool everything)
{
    spin_lock(&all.lock);
    all.canceled[SPAWN_TASK] = true;
    all.canceled[SPAWN_FREE] = all.canceled[SPAWN_FREE] || everything;
    for (struct spawned *s = all.first; s != NULL; s = s->next)
        if (s->ref != 0 && all.canceled[s->kind])
            strand_cancel(s->ref, WEIR_ESHUTDOWN);
    spin_unlock(&all.lock);
}

void spawn_close(void)
{
    spin_lock(&all.lock);
    all.open = false;
    spin_unlock(&all.lock);
}

unsigned spawn_running(void)
{
    unsigned n;

    spin_lock(&all.lock);
    n = all.running;
    spin_unlock(&all.lock);
    return n;
}
