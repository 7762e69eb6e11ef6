/* digits.h -- decimal digits of a number, without the cost of printf. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include "base/base.h"

enum { DIGITS_MAX = 20 }; /* of 64 bits */

/* "00" to "99": a division by 100 gives two digits at once. */
extern const char digit_pairs[];

static inline char *digit_pair(char *at, unsigned n)
{
    return memcpy(at, digit_pairs + 2 * n, 2);
}

/* Writes `n` to where `end` is behind its last digit, with leading zeros if it has fewer than
 * `at_least` digits, which are one at least, and returns the first one. No NUL. */
static inline char *digits_before(char *end, uint64_t n, unsigned at_least)
{
    char *at = end;

    for (; n >= 100; n /= 100)
        at = digit_pair(at - 2, n % 100);
    if (n >= 10)
        at = digit_pair(at - 2, (unsigned)n);
    else
        *--at = (char)('0' + n);
    while (end - at < (ptrdiff_t)at_least)
        *--at = '0';
    return at;
}

#endif
