/* runtime.c -- the runtime as a whole: started, stopped, measured. */
#include "runtime/runtime.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/buf_wide.h"
#include "runtime/overflow.h"
#include "runtime/sys.h"
#include "runtime/worker.h"

struct runtime rt;

/* cgroup v2: "max 100000" or "200000 100000" (quota and period in microseconds). */
static unsigned cgroup_cores(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    unsigned quota = 0, period = 1;
    int n = 0;

    if (f != NULL) {
        n = fscanf(f, "%u %u", &quota, &period);
        fclose(f);
    }
    return n == 2 && period > 0 ? MAX(1u, (quota + period - 1) / period) : UINT_MAX;
}

static unsigned usable_cores(void)
{
    cpu_set_t set;
    unsigned cores = 1;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    return MIN(cores, cgroup_cores());
}

static void labels(const char **who, const char **what)
{
    struct worker *w = worker_self();
    struct co *c = w != NULL ? w->current : NULL;

    *who = c != NULL && c->who != NULL ? c->who : "(unnamed)";
    *what = c != NULL && c->what != NULL ? c->what : "(unnamed)";
}

static struct worker *worker_new(unsigned id)
{
    struct worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    struct epoll_event ev = {
        .events = EPOLLIN,
        .data.u64 = (uint64_t)EVENT_WAKE << EVENT_KIND_SHIFT | id,
    };

    if (w == NULL)
        return NULL;
    *w = (struct worker){ .id = id, .trim_at = TIMER_NONE };
    w->inbox_end = &w->inbox;
    wheel_init(&w->wheel, clock_now());
    w->epoll = sys_epoll_create();
    w->wake_fd = sys_eventfd();
    w->signal_stack = overflow_new();
    if (w->epoll >= 0 && w->wake_fd >= 0 && w->signal_stack != NULL &&
        sys_epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake_fd, &ev) >= 0)
        return w;
    if (w->epoll >= 0)
        sys_close(w->epoll);
    if (w->wake_fd >= 0)
        sys_close(w->wake_fd);
    overflow_free(&w->signal_stack);
    free(w);
    return NULL;
}

static void worker_free(struct worker *w)
{
    sys_close(w->epoll);
    sys_close(w->wake_fd);
    overflow_free(&w->signal_stack);
    free(w);
}

static void free_all(void)
{
    for (unsigned i = 0; rt.workers != NULL && i < rt.count; i++)
        if (rt.workers[i] != NULL)
            worker_free(rt.workers[i]);
    free(rt.workers);
    stacks_free();
    bufs_free();
    bufs_wide_free();
    slab_stop(&rt.cos);
    slab_stop(&rt.strands);
    slab_stop(&rt.slots);
    rt.workers = NULL;
    rt.count = 0;
}

static int make_all(const struct rt_config *config)
{
    rt = (struct runtime){
        .count = config->workers != 0 ? config->workers : usable_cores(),
        .no_steal = config->no_steal,
        .barriers = sys_barriers(),
    };
    rt.starved_end = &rt.starved;
    rt.late_end = &rt.late;
    overflow_label = labels;
    TRY(stacks_init(config->stack_size, config->max_stacks));
    TRY(slab_start(&rt.cos, &co_type));
    TRY(slab_start(&rt.strands, &strand_type));
    TRY(slab_start(&rt.slots, &slot_type));
    TRY(blocking_start(config->blocking_threads));
    rt.workers = calloc(rt.count, sizeof *rt.workers);
    if (rt.workers == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < rt.count; i++) {
        rt.workers[i] = worker_new(i);
        if (rt.workers[i] == NULL)
            return WEIR_ENOMEM;
    }
    return 0;
}

/* Workers `first` to `end` - 1, which look at `exiting` when they wake. */
static void join_workers(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        worker_wake(rt.workers[i]);
    for (unsigned i = first; i < end; i++)
        pthread_join(rt.workers[i]->thread, NULL);
}

/* Threads that leave all signals to the program. */
static int start_workers(void)
{
    sigset_t before;
    unsigned n = 0;

    sys_signals_block(&before);
    while (n < rt.count &&
           pthread_create(&rt.workers[n]->thread, NULL, worker_main, rt.workers[n]) == 0)
        n++;
    sys_signals_set(&before);
    if (n == rt.count)
        return 0;
    atomic_store_explicit(&rt.exiting, true, memory_order_release);
    join_workers(0, n);
    return WEIR_ENOMEM;
}

int rt_start(const struct rt_config *config)
{
    int rc = make_all(config);

    if (rc == 0)
        rc = start_workers();
    if (rc < 0)
        free_all();
    return rc;
}

/* Worker 0 cancels what lives, turn by turn, until nothing does; then all end. */
void worker_stopping(struct worker *w)
{
    if (w->id != 0)
        return;
    if (strand_cancel_all(WEIR_ESHUTDOWN) == 0)
        atomic_store_explicit(&rt.exiting, true, memory_order_release);
}

unsigned rt_workers(void)
{
    return rt.count;
}

void rt_stop(void)
{
    atomic_store_explicit(&rt.stopping, true, memory_order_release);
    join_workers(0, 1); /* from now on it sleeps for 10 ms at most, and says when all may end */
    join_workers(1, rt.count);
    blocking_stop();
    free_all();
}

struct start {
    struct post post;
    struct start *next;
    void (*fn)(void *);
    void *arg;
};

/* From a thread that is no worker: worker 0 starts it, as soon as it can: in its turn, behind those
 * that wait already, and every 10 ms while no stack comes free. */
static void start_here(void *arg)
{
    struct start *s = arg;

    s->next = NULL;
    *rt.late_end = s;
    rt.late_end = &s->next;
    atomic_fetch_add_explicit(&rt.late_count, 1, memory_order_relaxed);
    starts_late();
}

void starts_late(void)
{
    struct start *s;

    while ((s = rt.late) != NULL && strand_start(s->fn, s->arg) == 0) {
        rt.late = s->next;
        if (rt.late == NULL)
            rt.late_end = &rt.late;
        atomic_fetch_sub_explicit(&rt.late_count, 1, memory_order_relaxed);
        free(s);
    }
}

int strand_start_elsewhere(void (*fn)(void *), void *arg)
{
    struct start *s = malloc(sizeof *s);

    if (s == NULL)
        return WEIR_ENOMEM;
    *s = (struct start){ .fn = fn, .arg = arg };
    worker_post(rt.workers[0], &s->post, start_here, s);
    return 0;
}

void rt_stats(struct rt_stats *out)
{
    struct stack_stats stacks;

    *out = (struct rt_stats){ .starved = rt.starved_total };
    for (unsigned i = 0; i < rt.count; i++) {
        const struct worker *w = rt.workers[i];

        out->turns += w->turns;
        out->strands_run += w->runs;
        out->stolen += w->stolen;
        out->wakeups += w->wakeups;
    }
    stack_stats(&stacks);
    out->stacks_in_use = stacks.mapped - stacks.kept;
    out->stacks_kept = stacks.kept;
}
