/* sanitize.h -- what the sanitizers and valgrind have to be told about stacks and recycled memory.
 * In a plain build all of it is nothing.
 *
 * TSan sees every coroutine as a thread of its own. Its switches are told with the happens-before
 * of a context switch: what a worker and its coroutines do on one thread is ordered, as it really
 * is (docs/runtime.md says what that hides, and why it was chosen all the same). Memory that
 * changes hands by other means says so by race_release and race_acquire. */
#ifndef RUNTIME_SANITIZE_H
#define RUNTIME_SANITIZE_H

#include "base/base.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#endif

#if defined(HAVE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

enum { SANITIZE_ADDRESS = 1 };
#define asan_leave(fake, low, size) __sanitizer_start_switch_fiber(fake, low, size)
#define asan_arrive(fake)           __sanitizer_finish_switch_fiber(fake, NULL, NULL)
#define asan_poison(p, n)           __asan_poison_memory_region(p, n)
#define asan_unpoison(p, n)         __asan_unpoison_memory_region(p, n)
#define asan_poisoned(p, n)         (__asan_region_is_poisoned(p, n) != NULL)
#else
enum { SANITIZE_ADDRESS = 0 };

/* Before and after a switch: where the fake stack of who leaves is kept (NULL: it ends), and the
 * stack that is switched to. */
static inline void asan_leave(void **fake, const void *low, size_t size)
{
    (void)fake, (void)low, (void)size;
}

static inline void asan_arrive(void *fake)
{
    (void)fake;
}

static inline void asan_poison(void *p, size_t n)
{
    (void)p, (void)n;
}

static inline void asan_unpoison(void *p, size_t n)
{
    (void)p, (void)n;
}

/* Is any of it? */
static inline bool asan_poisoned(void *p, size_t n)
{
    (void)p, (void)n;
    return false;
}
#endif

#if defined(HAVE_TSAN)
#include <sanitizer/tsan_interface.h>

enum { SANITIZE_THREAD = 1 };
#define tsan_fiber_current()   __tsan_get_current_fiber()
#define tsan_fiber_new()       __tsan_create_fiber(0)
#define tsan_fiber_free(fiber) __tsan_destroy_fiber(fiber)
#define tsan_switch(fiber)     __tsan_switch_to_fiber(fiber, 0)
#define race_release(p)        __tsan_release((void *)(p))
#define race_acquire(p)        __tsan_acquire((void *)(p))
#else
enum { SANITIZE_THREAD = 0 };

static inline void *tsan_fiber_current(void)
{
    return NULL;
}

static inline void *tsan_fiber_new(void)
{
    return NULL;
}

static inline void tsan_fiber_free(void *fiber)
{
    (void)fiber;
}

static inline void tsan_switch(void *fiber)
{
    (void)fiber;
}

/* All that was done before the release of `p` happened before what follows an acquire of it. */
static inline void race_release(const void *p)
{
    (void)p;
}

static inline void race_acquire(const void *p)
{
    (void)p;
}
#endif

/* A function whose accesses TSan does not look at (clang before 14 still draws its frames). */
#if defined(__clang__) && __has_attribute(disable_sanitizer_instrumentation)
#define UNCHECKED __attribute__((no_sanitize("thread"), disable_sanitizer_instrumentation))
#else
#define UNCHECKED __attribute__((no_sanitize("thread")))
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>

#define valgrind_stack(low, top) VALGRIND_STACK_REGISTER(low, top)
#define valgrind_forget(id)      VALGRIND_STACK_DEREGISTER(id)
#else
static inline unsigned valgrind_stack(const void *low, const void *top)
{
    (void)low, (void)top;
    return 0;
}

static inline void valgrind_forget(unsigned id)
{
    (void)id;
}
#endif

#endif
