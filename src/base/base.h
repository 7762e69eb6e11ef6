/* base.h -- the few words that every file uses. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/error.h>
#include <weir/str.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Forwards a negative result. Only for calls without positive outcomes: those are looked at. */
#define TRY(x) \
    do { \
        int try_rc_ = (x); \
        if (unlikely(try_rc_ < 0)) \
            return try_rc_; \
    } while (0)

/* Ends what the variable holds when its scope is left; `f` takes a pointer to the variable and
 * copes with an empty one. */
#define _cleanup_(f) __attribute__((cleanup(f), unused))

#define must_use __attribute__((warn_unused_result))

/* What seldom runs stays out of its caller, each call of which would else save the registers that
 * it needs. */
#define SELDOM __attribute__((noinline, cold))

/* Bugs stop the process, also in release builds; what a peer does wrong never comes here. */
#define ensure(x) ((void)(likely(x) || (ensure_failed(#x, __FILE__, __LINE__), 0)))
_Noreturn void ensure_failed(const char *what, const char *file, int line);

/* The same for what the program that uses the library must give to the public call around it. */
#define needs(x, what) ((void)(likely(x) || (needs_failed(__func__, what), 0)))
_Noreturn void needs_failed(const char *call, const char *what);

/* Each argument is evaluated once, in the type that both have in common. */
#define MIN(a, b) \
    ({ \
        __typeof__(1 ? (a) : (b)) min_a_ = (a), min_b_ = (b); \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#define MAX(a, b) \
    ({ \
        __typeof__(1 ? (a) : (b)) max_a_ = (a), max_b_ = (b); \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })

/* A slice of a string literal, usable in static initialisers. */
#define LIT(z) ((weir_str){ "" z, sizeof(z) - 1 })

#endif
