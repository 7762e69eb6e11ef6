/* arena.h -- memory that is given back all at once.
 *
 * An arena starts in memory of its owner (a request: the room above its stack) and grows
 * by malloc'ed pieces. Nothing in it is freed by itself. Not for use by two threads at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>

#include "base/base.h"

struct arena_piece;

struct arena {
    char               *at, *end;  /* free bytes of the current piece */
    struct arena_piece *pieces;    /* malloc'ed ones, newest first */
};

/* Starts with `size` bytes at `mem`, which stay the caller's and outlive the arena; NULL and 0 for
 * an arena that begins with nothing. */
void arena_init(struct arena *a, void *mem, size_t size);

/* Frees the pieces. The arena may be initialised again. */
void arena_done(struct arena *a);

/* `n` bytes, not zeroed, aligned for any type; NULL without memory. arena_text: not aligned, for
 * bytes. */
void *arena_alloc_slow(struct arena *a, size_t n);

static inline void *arena_alloc(struct arena *a, size_t n)
{
    uintptr_t at = ((uintptr_t)a->at + 15) & ~(uintptr_t)15;

    if (likely(at <= (uintptr_t)a->end && n <= (uintptr_t)a->end - at)) {
        a->at = (char *)at + n;
        return (void *)at;
    }
    return arena_alloc_slow(a, n);
}

static inline char *arena_text(struct arena *a, size_t n)
{
    if (likely(n <= (size_t)(a->end - a->at))) {
        char *at = a->at;

        a->at += n;
        return at;
    }
    return arena_alloc_slow(a, n);
}

/* `p` was allocated last: keeps its first `n` bytes. For what is made before its size is known. */
static inline void arena_shrink(struct arena *a, void *p, size_t n)
{
    a->at = (char *)p + n;
}

/* A copy of `s`; absent if `s` is, or without memory. */
weir_str arena_copy(struct arena *a, weir_str s);

/* Formats into the arena (with a NUL behind it); absent without memory. */
weir_str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
weir_str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
