/* str.c -- comparing slices, and reading spans and sizes as people write them. */
#include "base/base.h"

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

bool weir_str_eq(weir_str a, weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool weir_str_eq_nocase(weir_str a, weir_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool weir_str_starts(weir_str a, weir_str b)
{
    return a.len >= b.len && (b.len == 0 || memcmp(a.ptr, b.ptr, b.len) == 0);
}

struct unit {
    const char *name;
    uint64_t    factor;
};

/* `digits unit`, nothing before, between or behind; the product must stay below `limit`, and zero
 * is refused: in a configuration it would mean the default, which nobody who writes it wants. */
static bool parse_with_unit(const char *text, const struct unit *units, size_t count,
                            uint64_t limit, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return false;
    }
    if (p == text || n == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(p, units[i].name) == 0)
            return !__builtin_mul_overflow(n, units[i].factor, out) && *out < limit;
    }
    return false;
}

bool weir_parse_dur(const char *text, weir_dur *out)
{
    static const struct unit units[] = {
        { "ms", WEIR_MS },
        { "s", WEIR_SEC },
        { "m", 60 * WEIR_SEC },
        { "h", 3600 * WEIR_SEC },
    };
    uint64_t ns;

    if (text == NULL)
        return false;
    if (strcmp(text, "off") == 0) {
        *out = WEIR_FOREVER;
        return true;
    }
    if (!parse_with_unit(text, units, ARRAY_LEN(units), WEIR_FOREVER, &ns))
        return false;
    *out = (weir_dur)ns;
    return true;
}

bool weir_parse_size(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        { "", 1 },
        { "B", 1 },
        { "KiB", UINT64_C(1) << 10 },
        { "MiB", UINT64_C(1) << 20 },
        { "GiB", UINT64_C(1) << 30 },
    };
    uint64_t bytes;

    if (text == NULL)
        return false;
    if (strcmp(text, "off") == 0) {
        *out = WEIR_UNLIMITED;
        return true;
    }
    if (!parse_with_unit(text, units, ARRAY_LEN(units), WEIR_UNLIMITED, &bytes))
        return false;
    *out = bytes;
    return true;
}
