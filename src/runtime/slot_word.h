/* slot_word.h -- the readiness word of a slot: its parts, and the two ways in which it changes.
 *
 * RUNTIME.md R2. Everything an event, a reader, a timeout or a taker decides is one swap on a word
 * that also holds the generation and a sequence number, so a decision that rests on something old
 * fails. The counterexamples that this order of steps prevents (D1 to D17) are in
 * tests/unit/test_rt_schedule_*.c. Of slot.c and slot_wait.c. */
#ifndef RUNTIME_SLOT_WORD_H
#define RUNTIME_SLOT_WORD_H

#include "runtime/worker.h"

enum { SLOT_ANY = SLOT_READY | SLOT_HUP | SLOT_ERR | SLOT_CLOSED };

static inline uint64_t word_load(const struct slot *s, enum dir d)
{
    return atomic_load_explicit(&s->word[d], memory_order_acquire);
}

/* What the owner sees: READY of a word that a read has used up (slot_drained) is none. */
static inline uint64_t word_unspent(const struct slot *s, enum dir d, uint64_t w)
{
    return d == DIR_IN && w == s->spent ? w & ~((uint64_t)SLOT_READY << SLOT_FLAG_SHIFT) : w;
}

/* A failed one reloads `*w`. */
static inline bool word_swap(struct slot *s, enum dir d, uint64_t *w, uint64_t new)
{
    return atomic_compare_exchange_strong_explicit(&s->word[d], w, new, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* The same for the owner of a slot where nobody waits: then only events contend for its word. They
 * are reported by its own worker, amid its own poll, or by another one under the lease of that
 * epoll, which is seldom (watch.c). So on the worker whose epoll it is, outside its poll, a plain
 * store does, if the other is kept out meanwhile. Both sides store their own word (`changing`, the
 * lease) and then load the other's, with a full barrier between: the other has it made in all
 * threads (as in timer.c), and waits until nothing is being changed; here it is the compiler's. Who
 * finds the lease free again has read what its last holder released, and so the words as that one
 * left them. */
static inline bool word_swap_own(struct slot *s, enum dir d, uint64_t *w, uint64_t new)
{
    struct worker *home = worker_self();
    uint64_t seen;

    if (unlikely(!rt.barriers || home == NULL || home->id != s->home))
        return word_swap(s, d, w, new);
    atomic_store_explicit(&home->changing, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(&home->lease.word, memory_order_acquire) != 0)) {
        atomic_store_explicit(&home->changing, false, memory_order_relaxed);
        return word_swap(s, d, w, new);
    }
    seen = word_load(s, d);
    if (likely(seen == *w))
        atomic_store_explicit(&s->word[d], new, memory_order_release);
    atomic_store_explicit(&home->changing, false, memory_order_release);
    if (seen == *w)
        return true;
    *w = seen;
    return false;
}

static inline uint32_t word_generation(uint64_t w)
{
    return (uint32_t)(w >> SLOT_GEN_SHIFT) & SLOT_GEN_MASK;
}

static inline uint32_t word_waiter(uint64_t w)
{
    return (uint32_t)(w & SLOT_WAITER);
}

static inline uint64_t word_fresh(uint32_t generation)
{
    return (uint64_t)generation << SLOT_GEN_SHIFT;
}

static inline const struct slot_class *slot_class_of(const struct slot *s)
{
    return atomic_load_explicit(&s->class, memory_order_relaxed);
}

/* Its epoll reports room to write from now on, at once if there is some. 0 or WEIR_ENOMEM. */
int slot_ask_room(struct slot *s);

#endif
