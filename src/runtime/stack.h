/* stack.h -- stacks for coroutines: an address range with a guard below, and, above the stack,
 * room for the request.
 *
 *     map                low                              top                       map + size
 *     |  STACK_GUARD     | stack, growing down .......... | struct stack | REQUEST_ROOM |
 *                                          | a page                           | a page  |
 *
 * The first STACK_SHARE bytes of the stack, the struct and the front of the room lie in one page:
 * a request with a small head that waits where the stack is not deep has touched only that one.
 *
 * All ranges lie side by side in one reservation, so that a faulting address tells its stack. Used
 * stacks stay touched and are reused newest first (magazine.h); after a peak the surplus gives its
 * memory back, and the range waits to be opened again. */
#ifndef RUNTIME_STACK_H
#define RUNTIME_STACK_H

#include "runtime/magazine.h"

enum {
    STACK_GUARD = 64 * 1024,
    STACK_PAGE = 4096,
    STACK_SHARE = 1728, /* of the page in which stack and room meet */
    STACK_INFO = 64,    /* struct stack, between them */
    STACK_ROOM = 2 * STACK_PAGE - STACK_SHARE - STACK_INFO, /* for the request */
    STACK_MAGAZINE = MAGAZINE_SIZE,
};

/* Within its own mapping, right above the stack. */
struct stack {
    struct item item; /* while it is free */
    char *map;
    size_t size;       /* of the mapping, guard included */
    void *tsan;        /* TSan's fiber, while the stack is in use */
    unsigned valgrind; /* its name for valgrind */
};
static_assert(sizeof(struct stack) <= STACK_INFO, "the room begins behind it");

/* A worker's own free stacks; zeroed at first, used by its thread only. */
struct stack_magazine {
    struct magazine free;
};

/* Before any worker runs: the size of a stack without its guard (0: 256 KiB, 1 MiB under
 * sanitizers; rounded up to whole pages, at least 16 KiB), and the bound on how many (0: from
 * vm.max_map_count, 2,000 under TSan). WEIR_ENOMEM if not even a few ranges can be reserved; with
 * less address space than asked for (ulimit -v) the bound is lower. stacks_free unmaps all; none
 * is in use. */
must_use int stacks_init(size_t size, unsigned max);
void stacks_free(void);

/* A stack, or NULL at the bound or without memory. stack_put gives it back, after its last
 * coroutine was left for good. Never block. The bound counts what other workers keep in their
 * magazines. */
struct stack *stack_get(struct stack_magazine *m);
void stack_put(struct stack_magazine *m, struct stack *s);
void stack_flush(struct stack_magazine *m); /* all of a magazine to the depot */

/* Once in a while (each second or so): gives back the memory of stacks in the depot that nobody
 * needed since the last call, but for `keep`. At most some 1,000 a call (1 us each). */
void stacks_trim(unsigned keep);

static inline char *stack_room(struct stack *s)
{
    return (char *)s + STACK_INFO;
}

static inline char *stack_top(struct stack *s)
{
    return (char *)s;
}

static inline char *stack_low(struct stack *s)
{
    return s->map + STACK_GUARD;
}

/* How the guards are made: madvise(MADV_GUARD_INSTALL), which keeps all stacks one mapping, or,
 * before Linux 6.13, mprotect: two mappings a stack. stacks_init finds out; tests force either
 * before it. */
enum stack_guard { GUARD_AUTO, GUARD_MADVISE, GUARD_MPROTECT };
void stacks_force_guard(enum stack_guard kind);

struct stack_stats {
    unsigned mapped; /* with memory: in use, in a magazine, or kept */
    unsigned kept;   /* in the depot */
    unsigned max;    /* the bound */
    enum stack_guard guard;
};
void stack_stats(struct stack_stats *out);

/* Is this address in the guard of a stack? The size of that stack, or 0. Async-signal-safe. */
size_t stack_in_guard(const void *address);

#endif
