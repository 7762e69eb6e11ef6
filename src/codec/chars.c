/* chars.c -- the table of chars.h, built from ranges. */
#include "codec/chars.h"

#define VISIBLE (CHAR_VALUE | CHAR_QUOTED)
#define ALNUM   (VISIBLE | CHAR_TOKEN | CHAR_TARGET | CHAR_HOST | CHAR_UNRESERVED)
#define SUB     (VISIBLE | CHAR_TARGET | CHAR_HOST) /* sub-delims that are no tchar */

/* clang-format off */
const uint8_t char_class[256] = {
    ['\t']        = VISIBLE,
    [' ']         = VISIBLE,
    ['!']         = SUB | CHAR_TOKEN,
    ['"']         = CHAR_VALUE,
    ['#']         = VISIBLE | CHAR_TOKEN,
    ['$']         = SUB | CHAR_TOKEN,
    ['%']         = VISIBLE | CHAR_TOKEN,
    ['&'  ... '\''] = SUB | CHAR_TOKEN,
    ['('  ... ')']  = SUB,
    ['*'  ... '+']  = SUB | CHAR_TOKEN,
    [',']         = SUB,
    ['-'  ... '.']  = ALNUM,
    ['/']         = VISIBLE | CHAR_TARGET,
    ['0'  ... '9']  = ALNUM | CHAR_HEX | CHAR_DIGIT,
    [':']         = VISIBLE | CHAR_TARGET,
    [';']         = SUB,
    ['<']         = VISIBLE,
    ['=']         = SUB,
    ['>']         = VISIBLE,
    ['?']         = VISIBLE | CHAR_TARGET,
    ['@']         = VISIBLE | CHAR_TARGET,
    ['A'  ... 'F']  = ALNUM | CHAR_HEX,
    ['G'  ... 'Z']  = ALNUM,
    ['[']         = VISIBLE | CHAR_TARGET,
    ['\\']        = CHAR_VALUE,
    [']']         = VISIBLE | CHAR_TARGET,
    ['^']         = VISIBLE | CHAR_TOKEN,
    ['_']         = ALNUM,
    ['`']         = VISIBLE | CHAR_TOKEN,
    ['a'  ... 'f']  = ALNUM | CHAR_HEX,
    ['g'  ... 'z']  = ALNUM,
    ['{']         = VISIBLE,
    ['|']         = VISIBLE | CHAR_TOKEN,
    ['}']         = VISIBLE,
    ['~']         = ALNUM,
    [0x80 ... 0xff] = VISIBLE, /* obs-text */
};
/* clang-format on */
