/* base64.h -- bytes as text (RFC 4648 4), whole or as they come. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include <weir/str.h>

#include <sys/types.h>

#include "base/base.h"

/* Room for the text of `n` bytes. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Padded. Returns the length, BASE64_LEN(in.len). */
size_t base64_encode(char *out, weir_str in);

/* What a character stands for, 0 to 63; -1: it is none of them. */
int base64_value(char c);

/* Text that comes in pieces, and may be several padded texts one behind the other. Zeroed at
 * first. */
struct base64 {
    uint32_t bits;
    uint8_t have;   /* characters of the group of four at hand, padding included */
    uint8_t padded; /* of these, padding */
};

/* Into `out`, which has room for in.len / 4 * 3 + 3 bytes, and may be where `in` is. How many
 * bytes, or WEIR_EBADBODY: another character, or bits that no encoder leaves. */
ssize_t base64_decode(struct base64 *b, char *out, weir_str in);

/* Is the text complete? */
static inline bool base64_complete(const struct base64 *b)
{
    return b->have == 0;
}

#endif
