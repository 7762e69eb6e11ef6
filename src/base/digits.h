/* digits.h -- decimal digits of a number, without the cost of printf. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include "base/base.h"

enum { DIGITS_MAX = 20 }; /* of 64 bits */

/* Writes `n` to where `end` is behind its last digit, with leading zeros if it has fewer than
 * `at_least` digits, which are one at least, and returns the first one. No NUL. */
static inline char *digits_before(char *end, uint64_t n, unsigned at_least)
{
    char *at = end;

    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (end - at < (ptrdiff_t)at_least)
        *--at = '0';
    return at;
}

#endif
