/* head_names.c -- known names of fields and methods. A field name is found by one look into a
 * table, in which at most one known name lives where it would (head_names.h). */
#include "codec/head_names.h"

#include "codec/chars.h"

static const weir_str names[FIELD_COUNT] = { [FIELD_OTHER] = { "", 0 },
#define X(id, name) [FIELD_##id] = { name, sizeof(name) - 1 },
                                             FIELD_NAMES(X)
#undef X
};

#define ROW(id_, len, a, b, c, name) \
    [FIELD_ROW(len, (uint32_t)(a) | (uint32_t)(b) << 8 | \
                        (uint32_t)(c) << 16)] = { .key = name ":", .id = FIELD_##id_ }

/* If a new name meets another, the compiler warns of a second initialiser: then FIELD_MIX needs
 * another odd multiplier. The unit test looks all names up. */
/* clang-format off */
const struct field_row field_rows[FIELD_ROWS] __attribute__((aligned(32))) = {
    ROW(ACCEPT, 6, 'a', 'c', 'c', "accept"),
    ROW(ACCEPT_ENCODING, 15, 'a', 'c', 'c', "accept-encoding"),
    ROW(AGE, 3, 'a', 'g', 'e', "age"),
    ROW(AUTHORIZATION, 13, 'a', 'u', 't', "authorization"),
    ROW(CACHE_CONTROL, 13, 'c', 'a', 'c', "cache-control"),
    ROW(CONNECTION, 10, 'c', 'o', 'n', "connection"),
    ROW(CONTENT_ENCODING, 16, 'c', 'o', 'n', "content-encoding"),
    ROW(CONTENT_LENGTH, 14, 'c', 'o', 'n', "content-length"),
    ROW(CONTENT_RANGE, 13, 'c', 'o', 'n', "content-range"),
    ROW(CONTENT_TYPE, 12, 'c', 'o', 'n', "content-type"),
    ROW(COOKIE, 6, 'c', 'o', 'o', "cookie"),
    ROW(DATE, 4, 'd', 'a', 't', "date"),
    ROW(ETAG, 4, 'e', 't', 'a', "etag"),
    ROW(EXPECT, 6, 'e', 'x', 'p', "expect"),
    ROW(EXPIRES, 7, 'e', 'x', 'p', "expires"),
    ROW(FORWARDED, 9, 'f', 'o', 'r', "forwarded"),
    ROW(HOST, 4, 'h', 'o', 's', "host"),
    ROW(HTTP2_SETTINGS, 14, 'h', 't', 't', "http2-settings"),
    ROW(KEEP_ALIVE, 10, 'k', 'e', 'e', "keep-alive"),
    ROW(LAST_MODIFIED, 13, 'l', 'a', 's', "last-modified"),
    ROW(LOCATION, 8, 'l', 'o', 'c', "location"),
    ROW(MAX_FORWARDS, 12, 'm', 'a', 'x', "max-forwards"),
    ROW(PRAGMA, 6, 'p', 'r', 'a', "pragma"),
    ROW(PROXY_AUTHENTICATE, 18, 'p', 'r', 'o', "proxy-authenticate"),
    ROW(PROXY_AUTHORIZATION, 19, 'p', 'r', 'o', "proxy-authorization"),
    ROW(PROXY_CONNECTION, 16, 'p', 'r', 'o', "proxy-connection"),
    ROW(RANGE, 5, 'r', 'a', 'n', "range"),
    ROW(REFERER, 7, 'r', 'e', 'f', "referer"),
    ROW(SERVER, 6, 's', 'e', 'r', "server"),
    ROW(SET_COOKIE, 10, 's', 'e', 't', "set-cookie"),
    ROW(TE, 2, 't', 'e', ':', "te"),
    ROW(TRAILER, 7, 't', 'r', 'a', "trailer"),
    ROW(TRANSFER_ENCODING, 17, 't', 'r', 'a', "transfer-encoding"),
    ROW(UPGRADE, 7, 'u', 'p', 'g', "upgrade"),
    ROW(USER_AGENT, 10, 'u', 's', 'e', "user-agent"),
    ROW(VARY, 4, 'v', 'a', 'r', "vary"),
    ROW(VIA, 3, 'v', 'i', 'a', "via"),
    ROW(X_FORWARDED_FOR, 15, 'x', '-', 'f', "x-forwarded-for"),
    ROW(X_FORWARDED_HOST, 16, 'x', '-', 'f', "x-forwarded-host"),
    ROW(X_FORWARDED_PROTO, 17, 'x', '-', 'f', "x-forwarded-proto"),
};
/* clang-format on */

static_assert(FIELD_COUNT <= 64, "head.present has a bit for every known name");

/* Do the 8 bytes at `p` and at `key` differ in nothing but the case of letters? The keys consist of
 * letters, digits, "-" and ":", of which only letters have the bit 0x40: it tells where the bit
 * 0x20 may differ. */
static inline bool same_word(const char *p, const char *key, uint64_t mask)
{
    uint64_t a, b;

    memcpy(&a, p, sizeof(a));
    memcpy(&b, key, sizeof(b));
    return ((a ^ b) & ~((b & UINT64_C(0x4040404040404040)) >> 1) & mask) == 0;
}

enum field_id field_id_at(const char *line, size_t len)
{
    const struct field_row *row = field_row_at(line, len);
    const char *key = (const char *)row; /* the last word reaches over the id */
    size_t i = 0;

    if (len > FIELD_KEY_MAX)
        return FIELD_OTHER;
    for (; i + 8 <= len; i += 8) {
        if (!same_word(line + i, key + i, UINT64_MAX))
            return FIELD_OTHER;
    }
    /* the rest with the colon, without which a name is taken for a longer one */
    return same_word(line + i, key + i, UINT64_MAX >> (7 - (len - i)) * 8) ? (enum field_id)row->id
                                                                           : FIELD_OTHER;
}

enum field_id field_id_of(weir_str name)
{
    char line[FIELD_KEY_MAX + 10] = { 0 };

    if (name.len == 0 || name.len > FIELD_KEY_MAX)
        return FIELD_OTHER;
    memcpy(line, name.ptr, name.len);
    line[name.len] = ':';
    return field_id_at(line, name.len);
}

weir_str field_name_of(enum field_id id)
{
    return names[id];
}

/* Up to seven letters as one number; little-endian, as all machines are that we build for. */
#define WORD(a, b, c, d, e, f, g) \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 | \
     (uint64_t)(e) << 32 | (uint64_t)(f) << 40 | (uint64_t)(g) << 48)

enum method method_of_word(uint64_t word)
{
    switch (word) {
    case WORD('G', 'E', 'T', 0, 0, 0, 0):
        return METHOD_GET;
    case WORD('H', 'E', 'A', 'D', 0, 0, 0):
        return METHOD_HEAD;
    case WORD('P', 'O', 'S', 'T', 0, 0, 0):
        return METHOD_POST;
    case WORD('P', 'U', 'T', 0, 0, 0, 0):
        return METHOD_PUT;
    case WORD('D', 'E', 'L', 'E', 'T', 'E', 0):
        return METHOD_DELETE;
    case WORD('C', 'O', 'N', 'N', 'E', 'C', 'T'):
        return METHOD_CONNECT;
    case WORD('O', 'P', 'T', 'I', 'O', 'N', 'S'):
        return METHOD_OPTIONS;
    case WORD('T', 'R', 'A', 'C', 'E', 0, 0):
        return METHOD_TRACE;
    case WORD('P', 'A', 'T', 'C', 'H', 0, 0):
        return METHOD_PATCH;
    default:
        return METHOD_OTHER;
    }
}

enum method method_of(weir_str method)
{
    uint64_t word = 0;

    if (method.len == 0 || method.len > 7)
        return METHOD_OTHER;
    memcpy(&word, method.ptr, method.len);
    return method_of_word(word);
}

bool is_token(weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!char_is(s.ptr[i], CHAR_TOKEN))
            return false;
    }
    return s.len > 0;
}

bool is_field_value(weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!char_is(s.ptr[i], CHAR_VALUE))
            return false;
    }
    return true;
}
