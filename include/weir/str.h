/* str.h -- slices of text and spans of time, the two values that every call passes around. None of
 * these calls blocks. */
#ifndef WEIR_STR_H
#define WEIR_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A slice: `len` bytes from `ptr`. No NUL is promised. `{ NULL, 0 }` means absent, which is not the
 * same as empty (`ptr` set, `len` 0). Passed and copied by value; it owns nothing. */
typedef struct {
    const char *ptr; /* the first byte; NULL: absent */
    size_t      len; /* how many there are */
} weir_str;

/* A span of time in nanoseconds. In configurations 0 means "the default" and WEIR_FOREVER "off". */
typedef int64_t weir_dur;

/* Units, to be multiplied: 200 * WEIR_MS; and no bound at all. */
#define WEIR_MS      ((weir_dur)1000000)
#define WEIR_SEC     (1000 * WEIR_MS)
#define WEIR_FOREVER ((weir_dur)INT64_MAX)

/* For a bound (bytes, counts) that is switched off. 0 means "the default". */
#define WEIR_UNLIMITED UINT64_MAX

/* For printf: `printf("path " WEIR_FMT "\n", WEIR_ARG(path))`. */
#define WEIR_FMT    "%.*s"
#define WEIR_ARG(s) (int)(s).len, (s).ptr

/* Equal, byte for byte. An absent slice equals an empty one: ask `ptr` to tell them apart. */
bool weir_str_eq(weir_str a, weir_str b);

/* Equal when ASCII letters are compared without case (RFC 9110 5.1: names of fields). */
bool weir_str_eq_nocase(weir_str a, weir_str b);

/* Does `a` begin with `b`? */
bool weir_str_starts(weir_str a, weir_str b);

/* Reads a span such as `500ms`, `5s`, `2m`, `1h`; `off` is WEIR_FOREVER. Returns false for anything
 * else: a bare number, zero, a sign, an overflow. */
bool weir_parse_dur(const char *text, weir_dur *out);

/* Reads a size such as `4096`, `512B`, `16KiB`, `1MiB`, `2GiB`; `off` is WEIR_UNLIMITED. Returns
 * false for anything else: zero, a sign, an overflow. */
bool weir_parse_size(const char *text, uint64_t *out);

/* The slice itself: for WEIR. */
static inline weir_str weir_str_same(weir_str s)
{
    return s;
}

/* The text of a C string, which is not copied; NULL: absent. */
static inline weir_str weir_str_from(const char *z)
{
    weir_str s;

    s.ptr = z;
    s.len = z != NULL ? strlen(z) : 0;
    return s;
}

#ifdef __cplusplus
}
static inline weir_str WEIR(weir_str s) { return s; }
static inline weir_str WEIR(const char *z) { return weir_str_from(z); }
#else
/* Turns a C string (NULL: absent) or a slice into a slice; the macros of the other headers apply
 * it, so that literals and slices mix freely. */
#define WEIR(x) \
    _Generic((x), weir_str: weir_str_same, char *: weir_str_from, const char *: weir_str_from)(x)
#endif

/* The functions above, for C strings and slices. */
#define weir_eq(a, b)        weir_str_eq(WEIR(a), WEIR(b))
#define weir_eq_nocase(a, b) weir_str_eq_nocase(WEIR(a), WEIR(b))
#define weir_starts(a, b)    weir_str_starts(WEIR(a), WEIR(b))

#endif
