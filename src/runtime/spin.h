/* spin.h -- a lock for critical sections of a few instructions, in which nothing may park. */
#ifndef RUNTIME_SPIN_H
#define RUNTIME_SPIN_H

#include <sched.h>
#include <stdatomic.h>

#include "base/base.h"

struct spin {
    _Atomic uint32_t word; /* 0: free */
};

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ volatile("yield")
#else
#define cpu_relax() __asm__ volatile("")
#endif

enum { SPIN_TRIES = 200 }; /* then its holder has likely lost its core: give it ours */

static inline bool spin_trylock(struct spin *l)
{
    return atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
           atomic_exchange_explicit(&l->word, 1, memory_order_acquire) == 0;
}

/* In place: a call takes longer than the lock, and bench/locked.py tells whose it is by the
 * function. */
static inline __attribute__((always_inline)) void spin_lock(struct spin *l)
{
    while (unlikely(atomic_exchange_explicit(&l->word, 1, memory_order_acquire) != 0)) {
        unsigned tries = 0;

        while (atomic_load_explicit(&l->word, memory_order_relaxed) != 0) {
            if (tries++ < SPIN_TRIES)
                cpu_relax();
            else
                sched_yield();
        }
    }
}

static inline void spin_unlock(struct spin *l)
{
    atomic_store_explicit(&l->word, 0, memory_order_release);
}

#endif
