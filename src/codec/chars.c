/* chars.c -- the table of chars.h, built from ranges. */
#include "codec/chars.h"

#define VISIBLE (CHAR_VALUE | CHAR_QUOTED)
#define URI     (VISIBLE | CHAR_TARGET | CHAR_QUERY)
#define ALNUM   (URI | CHAR_TOKEN | CHAR_HOST | CHAR_UNRESERVED)
#define SUB     (URI | CHAR_HOST) /* sub-delims that are no tchar */

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
    ['/']         = URI,
    ['0'  ... '9']  = ALNUM | CHAR_HEX,
    [':']         = URI,
    [';']         = SUB,
    ['<']         = VISIBLE,
    ['=']         = SUB,
    ['>']         = VISIBLE,
    ['?']         = URI,
    ['@']         = URI,
    ['A'  ... 'F']  = ALNUM | CHAR_HEX,
    ['G'  ... 'Z']  = ALNUM,
    ['[']         = URI,
    ['\\']        = CHAR_VALUE,
    [']']         = URI,
    ['^']         = VISIBLE | CHAR_QUERY | CHAR_TOKEN,
    ['_']         = ALNUM,
    ['`']         = VISIBLE | CHAR_QUERY | CHAR_TOKEN,
    ['a'  ... 'f']  = ALNUM | CHAR_HEX,
    ['g'  ... 'z']  = ALNUM,
    ['{']         = VISIBLE | CHAR_QUERY,
    ['|']         = URI | CHAR_TOKEN,
    ['}']         = VISIBLE | CHAR_QUERY,
    ['~']         = ALNUM,
    [0x80 ... 0xff] = VISIBLE, /* obs-text */
};
/* clang-format on */
