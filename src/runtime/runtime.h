/* runtime.h -- the workers: threads that run coroutines. RUNTIME.md is the contract; this is its
 * face to the layers above.
 *
 * One runtime a process (or a test). Workers are threads with an epoll, a timer wheel, a run queue,
 * an inbox and magazines of their own. A connection belongs to the epoll of one worker; a strand
 * runs wherever its event is seen, or where it is stolen to. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/base.h"

struct rt_config {
    unsigned workers;  /* 0: one for each core that this process may use (affinity, cgroup quota) */
    size_t stack_size; /* address space of a stack; 0: 256 KiB (more under sanitizers) */
    unsigned max_stacks; /* 0: from vm.max_map_count; at the bound connections wait their turn */
    unsigned blocking_threads; /* 0: 8 */
    bool no_steal;             /* for comparison and tests */
};

/* Starts the workers; 0 or a negative WEIR_E*. The calling thread goes on (it is not a worker). */
int rt_start(const struct rt_config *config);

/* Asks all workers to end and joins them; to be called from outside when nothing runs any more, or
 * when what runs shall be abandoned: strands are cancelled (WEIR_ESHUTDOWN) and run to their end
 * first. Frees all memory of the runtime. */
void rt_stop(void);

unsigned rt_workers(void);

/* The worker this code runs on, 0 to rt_workers() - 1. Never keep it across a call that may block.
 * From another thread: UINT_MAX. */
unsigned rt_worker_id(void);

/* The time of this turn of the worker's loop (one clock read a turn); on other threads the
 * clock. */
int64_t rt_now(void);

/* Runs fn(arg) soon on the stack of worker `id`; from any thread. fn must not block. 0 or
 * WEIR_ENOMEM. */
int rt_post(unsigned id, void (*fn)(void *), void *arg);

/* Runs fn(arg) now on the big stack of this worker's thread: for foreign code that wants more stack
 * than a coroutine has. fn must not block (asserted). On a thread or stack that is not a
 * coroutine's it is a plain call. */
void rt_on_worker_stack(void (*fn)(void *), void *arg);

/* Do others wait for this worker? Then what takes long and can be done elsewhere (blocking.h)
 * should be. */
bool rt_busy(void);

/* What the layers above keep for each worker: one pointer per user, set once at start. */
enum rt_local { RT_LOCAL_POOL, RT_LOCAL_PROXY, RT_LOCAL_COUNT };
void *rt_local(enum rt_local which);
void rt_set_local(unsigned id, enum rt_local which, void *value);

/* Numbers for logs and tests, summed over the workers. */
struct rt_stats {
    uint64_t turns, strands_run, coroutines, stolen, wakeups, starved;
    unsigned stacks_in_use, stacks_kept;
};
void rt_stats(struct rt_stats *out);

#endif
