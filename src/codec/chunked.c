/* chunked.c -- a state machine over the bytes between the data. */
#include "codec/chunked.h"

#include "codec/chars.h"

/* In the order of the grammar. "Blank" states are behind a blank, where less may follow. */
enum state {
    SIZE,         /* hex digits, at least one */
    SIZE_BLANK,   /* behind size or an extension and a blank: only ";" */
    NAME_FIRST,   /* behind ";": blanks, then a name */
    NAME,         /* in a name */
    NAME_BLANK,   /* behind a name and a blank: "=" or ";" */
    VALUE_FIRST,  /* behind "=": blanks, then a token or a quote */
    VALUE,        /* in a token */
    QUOTED,       /* in a quoted string */
    QUOTED_PAIR,  /* behind its backslash */
    QUOTED_END,   /* behind its closing quote */
    SIZE_LF,      /* behind the CR of the size line */
    DATA,         /* `left` bytes of data */
    DATA_CR,      /* the CRLF behind them */
    DATA_LF,
    TRAILERS,     /* behind the last chunk's line */
    BROKEN,
};

void chunked_init(struct chunked *c)
{
    *c = (struct chunked){ .state = SIZE };
}

static int refuse(struct chunked *c, const char *reason)
{
    c->reason = reason;
    return BROKEN;
}

static int on_size_digit(struct chunked *c, char byte)
{
    if (c->digits == 16 || c->left > INT64_MAX >> 4)
        return refuse(c, "a chunk size above 2^63");
    c->left = c->left << 4 | hex_value(byte);
    c->digits++;
    return SIZE;
}

static int on_size(struct chunked *c, char byte)
{
    if (char_is(byte, CHAR_HEX))
        return on_size_digit(c, byte);
    if (c->digits == 0)
        return refuse(c, "a chunk size that does not begin with a hex digit");
    if (byte == '\r')
        return SIZE_LF;
    if (byte == ';')
        return NAME_FIRST;
    if (byte == '\n')
        return refuse(c, "a chunk size line that ends with LF alone");
    return is_blank(byte) ? SIZE_BLANK : refuse(c, "a chunk size that is no hex number");
}

/* Behind a complete extension or its name: the next one, or the end of the line. */
static int on_extension_end(struct chunked *c, char byte, int blank_state)
{
    if (byte == '\r')
        return SIZE_LF;
    if (byte == ';')
        return NAME_FIRST;
    return is_blank(byte) ? blank_state : refuse(c, "a malformed chunk extension");
}

/* The state behind one byte of a size line or of a CRLF. */
static int step(struct chunked *c, char byte)
{
    switch ((enum state)c->state) {
    case SIZE:
        return on_size(c, byte);
    case SIZE_BLANK:
        return byte == ';'      ? NAME_FIRST
               : is_blank(byte) ? SIZE_BLANK
                                : refuse(c, "a blank in a chunk size line");
    case NAME_FIRST:
        return is_blank(byte)              ? NAME_FIRST
               : char_is(byte, CHAR_TOKEN) ? NAME
                                           : refuse(c, "a chunk extension without a name");
    case NAME:
        return char_is(byte, CHAR_TOKEN) ? NAME
               : byte == '='             ? VALUE_FIRST
                                         : on_extension_end(c, byte, NAME_BLANK);
    case NAME_BLANK:
        return byte == '='      ? VALUE_FIRST
               : byte == ';'    ? NAME_FIRST
               : is_blank(byte) ? NAME_BLANK
                                : refuse(c, "a blank in a chunk extension");
    case VALUE_FIRST:
        return is_blank(byte)              ? VALUE_FIRST
               : byte == '"'               ? QUOTED
               : char_is(byte, CHAR_TOKEN) ? VALUE
                                           : refuse(c, "a chunk extension without its value");
    case VALUE:
        return char_is(byte, CHAR_TOKEN) ? VALUE : on_extension_end(c, byte, SIZE_BLANK);
    case QUOTED:
        return byte == '"'                  ? QUOTED_END
               : byte == '\\'               ? QUOTED_PAIR
               : char_is(byte, CHAR_QUOTED) ? QUOTED
                                            : refuse(c, "a control byte in a quoted string");
    case QUOTED_PAIR:
        return char_is(byte, CHAR_VALUE) ? QUOTED
                                         : refuse(c, "a control byte in a quoted string");
    case QUOTED_END:
        return on_extension_end(c, byte, SIZE_BLANK);
    case SIZE_LF:
        return byte != '\n'  ? refuse(c, "a CR in a chunk size line")
               : c->left > 0 ? DATA
                             : TRAILERS;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : refuse(c, "chunk data longer than its size");
    case DATA_LF:
        return byte == '\n' ? SIZE : refuse(c, "a CR that no LF follows behind chunk data");
    case DATA:
    case TRAILERS:
    case BROKEN:
        break;
    }
    return BROKEN;
}

/* Counts a byte of a size line against its bounds. */
static int bound(struct chunked *c)
{
    if (++c->line > CHUNK_LINE_MAX)
        return refuse(c, "a chunk size line longer than 4 KiB");
    if (c->state > SIZE && c->state < SIZE_LF && ++c->ext > CHUNK_EXT_MAX)
        return refuse(c, "more than 16 KiB of chunk extensions");
    return c->state;
}

static int take_data(struct chunked *c, weir_str *in, weir_str *piece)
{
    *piece = (weir_str){ in->ptr, in->len < c->left ? in->len : (size_t)c->left };
    in->ptr += piece->len;
    in->len -= piece->len;
    c->left -= piece->len;
    if (c->left == 0)
        c->state = DATA_CR;
    return CHUNKED_DATA;
}

int chunked_next(struct chunked *c, weir_str *in, weir_str *piece)
{
    if (c->state == TRAILERS)
        return CHUNKED_TRAILERS;
    while (in->len > 0 && c->state != BROKEN) {
        char byte = *in->ptr;

        if (c->state == DATA)
            return take_data(c, in, piece);
        if (c->state < DATA && bound(c) == BROKEN) {
            c->state = BROKEN;
            break;
        }
        in->ptr++;
        in->len--;
        c->state = (uint8_t)step(c, byte);
        if (c->state == TRAILERS)
            return CHUNKED_TRAILERS;
        if (c->state == SIZE && byte == '\n') {
            c->line = 0;
            c->digits = 0;
        }
    }
    return c->state == BROKEN ? -1 : CHUNKED_MORE;
}

ptrdiff_t chunked_trailers(struct h1_scan *scan, weir_str in)
{
    int rc;

    if (in.len > 0 && in.ptr[0] == '\r') {
        if (in.len == 1)
            return 0;
        if (in.ptr[1] == '\n')
            return 2;
        scan->reason = "a CR that no LF follows behind the last chunk";
        return -1;
    }
    rc = h1_scan(scan, in.ptr, in.len);
    return rc < 0 ? -1 : rc > 0 ? (ptrdiff_t)scan->at : 0;
}

size_t chunked_print_head(char out[CHUNK_HEAD_MAX], uint64_t len)
{
    static const char hex[] = "0123456789abcdef";
    unsigned digits = 16 - (unsigned)__builtin_clzll(len | 1) / 4;

    for (unsigned i = 0; i < digits; i++)
        out[i] = hex[len >> 4 * (digits - 1 - i) & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}
