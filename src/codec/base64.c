/* base64.c -- see base64.h. */
#include "codec/base64.h"

#include <weir/error.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, weir_str in)
{
    const unsigned char *at = (const unsigned char *)in.ptr;
    char *to = out;

    for (size_t left = in.len; left > 0; at += 3) {
        uint32_t bits = (uint32_t)at[0] << 16;

        if (left > 1)
            bits |= (uint32_t)at[1] << 8;
        if (left > 2)
            bits |= at[2];
        *to++ = letters[bits >> 18];
        *to++ = letters[bits >> 12 & 63];
        *to++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[bits & 63] : '=';
        left -= MIN(left, 3);
    }
    return (size_t)(to - out);
}

int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* A group is complete: its bytes, or none where its unused bits are not 0. */
static int end_group(struct base64 *b, char **to)
{
    uint32_t unused = b->padded == 2 ? 0xffff : b->padded == 1 ? 0xff : 0;

    if (b->bits & unused)
        return WEIR_EBADBODY;
    *(*to)++ = (char)(b->bits >> 16);
    if (b->padded < 2)
        *(*to)++ = (char)(b->bits >> 8);
    if (b->padded < 1)
        *(*to)++ = (char)b->bits;
    *b = (struct base64){ .have = 0 };
    return 0;
}

ssize_t base64_decode(struct base64 *b, char *out, weir_str in)
{
    char *to = out;

    for (size_t i = 0; i < in.len; i++) {
        int value = base64_value(in.ptr[i]);

        if (in.ptr[i] == '=' && b->have >= 2)
            b->padded++;
        else if (value < 0 || b->padded > 0)
            return WEIR_EBADBODY;
        b->bits = b->bits << 6 | (uint32_t)MAX(value, 0);
        if (++b->have == 4)
            TRY(end_group(b, &to));
    }
    return to - out;
}
