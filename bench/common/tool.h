/* tool.h -- what the benchmark programs share: the clock, numbers on the command line, a way out.
 *
 * These programs stand beside the product and use none of its code, so that a mistake in the
 * product cannot hide itself in the measurement. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define NS_PER_US    1000ull
#define NS_PER_MS    1000000ull
#define NS_PER_SEC   1000000000ull

enum { EXIT_USAGE = 2 }; /* beside EXIT_SUCCESS and EXIT_FAILURE of stdlib.h */

/* The monotonic clock in nanoseconds. */
uint64_t clock_ns(void);

/* Prints "program: text" to stderr and exits with `status`. */
_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Zeroed memory for `count` objects of `size`, or the end of the program. The caller frees it. */
void *must_calloc(uint64_t count, uint64_t size);

/* A whole number, digits only. False if `text` is anything else. */
bool parse_count(const char *text, uint64_t *out);

/* A number of bytes: digits and an optional B, KiB, MiB or GiB. */
bool parse_size(const char *text, uint64_t *out);

/* A span of time, in nanoseconds: digits with a unit us, ms, s, m. A bare number is none. */
bool parse_span(const char *text, uint64_t *out);

/* Raises the soft limit of open files to the hard one; ends the program with a clear word if
 * `needed` descriptors do not fit below it. */
void raise_file_limit(uint64_t needed);

#endif
