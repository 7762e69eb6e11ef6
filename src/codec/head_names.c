/* head_names.c -- known names of fields and methods. A name is found by one look into a table: its
 * length, first and last letter together name a slot, in which at most one known name lives. */
#include "codec/chars.h"
#include "codec/head.h"

static const weir_str names[FIELD_COUNT] = {
    [FIELD_OTHER] = { "", 0 },
#define X(id, name) [FIELD_##id] = { name, sizeof(name) - 1 },
    FIELD_NAMES(X)
#undef X
};

enum { SLOTS = 128, LONGEST = 19 };

/* Letters count without case. No two names below share a slot: the compiler warns of a second
 * initialiser, and the unit test looks all names up. */
#define SLOT(len, first, last) \
    (((len) + ((first) | 0x20) * 3 + ((last) | 0x20) * 18) & (SLOTS - 1))

/* clang-format off */
static const uint8_t slots[SLOTS] = {
    [SLOT(6,  'a', 't')] = FIELD_ACCEPT,
    [SLOT(15, 'a', 'g')] = FIELD_ACCEPT_ENCODING,
    [SLOT(3,  'a', 'e')] = FIELD_AGE,
    [SLOT(13, 'a', 'n')] = FIELD_AUTHORIZATION,
    [SLOT(13, 'c', 'l')] = FIELD_CACHE_CONTROL,
    [SLOT(10, 'c', 'n')] = FIELD_CONNECTION,
    [SLOT(16, 'c', 'g')] = FIELD_CONTENT_ENCODING,
    [SLOT(14, 'c', 'h')] = FIELD_CONTENT_LENGTH,
    [SLOT(13, 'c', 'e')] = FIELD_CONTENT_RANGE,
    [SLOT(12, 'c', 'e')] = FIELD_CONTENT_TYPE,
    [SLOT(6,  'c', 'e')] = FIELD_COOKIE,
    [SLOT(4,  'd', 'e')] = FIELD_DATE,
    [SLOT(4,  'e', 'g')] = FIELD_ETAG,
    [SLOT(6,  'e', 't')] = FIELD_EXPECT,
    [SLOT(7,  'e', 's')] = FIELD_EXPIRES,
    [SLOT(9,  'f', 'd')] = FIELD_FORWARDED,
    [SLOT(4,  'h', 't')] = FIELD_HOST,
    [SLOT(14, 'h', 's')] = FIELD_HTTP2_SETTINGS,
    [SLOT(10, 'k', 'e')] = FIELD_KEEP_ALIVE,
    [SLOT(13, 'l', 'd')] = FIELD_LAST_MODIFIED,
    [SLOT(8,  'l', 'n')] = FIELD_LOCATION,
    [SLOT(12, 'm', 's')] = FIELD_MAX_FORWARDS,
    [SLOT(6,  'p', 'a')] = FIELD_PRAGMA,
    [SLOT(18, 'p', 'e')] = FIELD_PROXY_AUTHENTICATE,
    [SLOT(19, 'p', 'n')] = FIELD_PROXY_AUTHORIZATION,
    [SLOT(16, 'p', 'n')] = FIELD_PROXY_CONNECTION,
    [SLOT(5,  'r', 'e')] = FIELD_RANGE,
    [SLOT(7,  'r', 'r')] = FIELD_REFERER,
    [SLOT(6,  's', 'r')] = FIELD_SERVER,
    [SLOT(10, 's', 'e')] = FIELD_SET_COOKIE,
    [SLOT(2,  't', 'e')] = FIELD_TE,
    [SLOT(7,  't', 'r')] = FIELD_TRAILER,
    [SLOT(17, 't', 'g')] = FIELD_TRANSFER_ENCODING,
    [SLOT(7,  'u', 'e')] = FIELD_UPGRADE,
    [SLOT(10, 'u', 't')] = FIELD_USER_AGENT,
    [SLOT(4,  'v', 'y')] = FIELD_VARY,
    [SLOT(3,  'v', 'a')] = FIELD_VIA,
    [SLOT(15, 'x', 'r')] = FIELD_X_FORWARDED_FOR,
    [SLOT(16, 'x', 't')] = FIELD_X_FORWARDED_HOST,
    [SLOT(17, 'x', 'o')] = FIELD_X_FORWARDED_PROTO,
};
/* clang-format on */

static_assert(FIELD_COUNT <= 64, "head.present has a bit for every known name");

/* Do the `width` bytes at `p` and at `known` differ in nothing but the case of letters? The known
 * names consist of letters, digits and "-", of which only letters have the bit 0x40: it tells where
 * the bit 0x20 may differ. */
static inline bool same_but_case(const char *p, const char *known, size_t width)
{
    uint64_t a = 0, b = 0;

    memcpy(&a, p, width);
    memcpy(&b, known, width);
    return ((a ^ b) & ~((b & UINT64_C(0x4040404040404040)) >> 1)) == 0;
}

/* Compares in words of `width` bytes, `len` being at least one of them; the last two may
 * overlap. */
static inline bool is_name_by(const char *p, const char *known, size_t len, size_t width)
{
    size_t last = len - width;

    for (size_t i = 0; i < last; i += width) {
        if (!same_but_case(p + i, known + i, width))
            return false;
    }
    return same_but_case(p + last, known + last, width);
}

static inline bool is_name(weir_str name, weir_str known)
{
    if (name.len != known.len)
        return false;
    if (name.len >= 8)
        return is_name_by(name.ptr, known.ptr, name.len, 8);
    if (name.len >= 4)
        return is_name_by(name.ptr, known.ptr, name.len, 4);
    return is_name_by(name.ptr, known.ptr, name.len, 2);
}

enum field_id field_id_of(weir_str name)
{
    enum field_id id;

    if (name.len < 2 || name.len > LONGEST)
        return FIELD_OTHER;
    id = slots[SLOT((unsigned)name.len, (unsigned char)name.ptr[0],
                    (unsigned char)name.ptr[name.len - 1])];
    return id != FIELD_OTHER && is_name(name, names[id]) ? id : FIELD_OTHER;
}

weir_str field_name_of(enum field_id id)
{
    return names[id];
}

enum method method_of(weir_str method)
{
    static const struct {
        weir_str name;
        enum method id;
    } methods[] = {
        { { "GET", 3 }, METHOD_GET },         { { "POST", 4 }, METHOD_POST },
        { { "HEAD", 4 }, METHOD_HEAD },       { { "PUT", 3 }, METHOD_PUT },
        { { "DELETE", 6 }, METHOD_DELETE },   { { "OPTIONS", 7 }, METHOD_OPTIONS },
        { { "PATCH", 5 }, METHOD_PATCH },     { { "CONNECT", 7 }, METHOD_CONNECT },
        { { "TRACE", 5 }, METHOD_TRACE },
    };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (weir_str_eq(method, methods[i].name))
            return methods[i].id;
    }
    return METHOD_OTHER;
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
