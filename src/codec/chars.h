/* chars.h -- which byte may stand where, one table for all parsers. */
#ifndef CODEC_CHARS_H
#define CODEC_CHARS_H

#include "base/base.h"

enum {
    CHAR_TOKEN = 1,      /* tchar, RFC 9110 5.6.2 */
    CHAR_VALUE = 2,      /* field-vchar, SP and HTAB, RFC 9110 5.5: all but controls */
    CHAR_TARGET = 4,     /* pchar without "%", and "/" "?" "[" "]" "|": see uri.h */
    CHAR_HOST = 8,       /* unreserved and sub-delims: reg-name without "%" */
    CHAR_UNRESERVED = 16, /* RFC 3986 2.3 */
    CHAR_HEX = 32,
    CHAR_QUERY = 64,     /* CHAR_TARGET, and "^" "`" "{" "}" */
    CHAR_QUOTED = 128,   /* qdtext, RFC 9110 5.6.4 */
};

extern const uint8_t char_class[256];

static inline bool char_is(char c, unsigned classes)
{
    return (char_class[(unsigned char)c] & classes) != 0;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hex digit. */
static inline unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* `s` without the blanks around it. */
static inline weir_str trim(weir_str s)
{
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_blank(*s.ptr)) {
        s.ptr++;
        s.len--;
    }
    return s;
}

/* Takes the next element from a comma-separated list, blanks around it removed; false at its end.
 * Elements may be empty. Quoted strings are not known: for lists of tokens. */
static inline bool take_element(weir_str *list, weir_str *element)
{
    const char *comma;

    if (list->ptr == NULL)
        return false;
    comma = list->len > 0 ? memchr(list->ptr, ',', list->len) : NULL;
    if (comma == NULL) {
        *element = trim(*list);
        *list = (weir_str){ NULL, 0 };
        return true;
    }
    *element = trim((weir_str){ list->ptr, (size_t)(comma - list->ptr) });
    list->len -= (size_t)(comma + 1 - list->ptr);
    list->ptr = comma + 1;
    return true;
}

#endif
