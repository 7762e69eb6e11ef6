/* cases.h -- what the tests of the lower layers share: cmocka, and input in blocks of its exact
 * size, so that a sanitizer sees every read past its end. */
#ifndef TESTS_UNIT_CASES_H
#define TESTS_UNIT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/random.h"

/* A case's text with its length, NULs inside included. */
#define TEXT(z) { "" z, sizeof(z) - 1 }

/* A copy in a block of exactly `s.len` bytes; free() it. */
static inline char *exact_copy(weir_str s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);

    assert_non_null(copy);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

/* A copy as the parser of heads wants it: with bytes behind it that it may read, and that would be
 * taken for more of a name if they counted. */
static inline char *padded_copy(weir_str s, size_t pad)
{
    char *copy = malloc(s.len + pad);

    assert_non_null(copy);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    memset(copy + s.len, 'A', pad);
    return copy;
}

#define assert_str(got, want) assert_str_at((got), (want), __FILE__, __LINE__)

static inline void assert_str_at(weir_str got, const char *want, const char *file, int line)
{
    if (want == NULL ? got.ptr == NULL : got.ptr != NULL && weir_eq(got, want))
        return;
    print_error("got \"%.*s\"%s, want \"%s\"\n", (int)got.len, got.ptr != NULL ? got.ptr : "",
                got.ptr != NULL ? "" : " (absent)", want != NULL ? want : "(absent)");
    _fail(file, line);
}

/* Fails and shows which case it was. */
#define fail_case(text, ...) \
    do { \
        print_error("case \"%.*s\": ", (int)(text).len, (text).ptr); \
        print_error(__VA_ARGS__); \
        print_error("\n"); \
        fail(); \
    } while (0)

/* The steps in which a text of `len` bytes is fed: the next end behind `at`. */
enum feeding { FEED_WHOLE, FEED_BYTES, FEED_SPLITS, FEEDINGS };

static inline size_t next_end(enum feeding feeding, size_t at, size_t len, struct random *r)
{
    if (feeding == FEED_WHOLE || at >= len)
        return len;
    if (feeding == FEED_BYTES)
        return at + 1;
    return at + 1 + random_below(r, len - at < 40 ? len - at : 40);
}

#endif
