/* h1_split.c -- the second pass, in portable C and with vectors.
 *
 * The ends of all lines are known, so that lines do not wait for each other: the processor works on
 * the next ones while a name is looked up. A vector takes the first 32 bytes of a line, finds the
 * first that is no token, and compares them with the one known name that its length and two of its
 * letters leave. Names of 32 bytes and more are rare and unknown: they go on byte by byte. */
#include "codec/h1_split.h"

#include "codec/chars.h"
#include "codec/head_names.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The name at the front of a line, or the first bytes of a longer one. */
struct name {
    uint32_t len, id;
};

enum { AT_ONCE = 32 }; /* bytes that a reader of names looks at */

typedef struct name (*name_reader)(const char *line);

static struct name name_portable(const char *line)
{
    uint32_t len = 0;

    while (len < AT_ONCE && char_is(line[len], CHAR_TOKEN))
        len++;
    return (struct name){ len, field_id_at(line, len) };
}

/* Why is `at` not the colon behind a field name that began at `line`? */
static const char *why_no_colon(const char *line, const char *at)
{
    if (at == line)
        return is_blank(*at) ? "a folded field line" /* obs-fold, RFC 9112 5.2 */
               : *at == ':'  ? "a field without a name"
                             : "a field name that is no token";
    if (is_blank(*at))
        return "a blank before the colon of a field"; /* it smuggles, RFC 9112 5.1 */
    return *at == '\r' ? "a field line without a colon" : "a field name that is no token";
}

static enum split too_large(struct split_fields *out)
{
    out->reason = "a field line longer than --max-field";
    return SPLIT_LARGE;
}

static inline __attribute__((always_inline)) enum split
split_by(name_reader read_name, bool ends_known, const char *text, const struct h1_scan *scan,
         size_t first, size_t max_field, struct split_fields *out)
{
    const char *line = first > 0 ? text + scan->ends[first - 1] + 2 : text, *cr;
    struct field *f = out->fields;
    uint64_t present = 0, twice = 0;

    for (size_t i = first; i < scan->lines; i++, f++, line = cr + 2) {
        struct name name = read_name(line);
        const char *value = line + name.len, *end;

        cr = end = ends_known ? text + scan->ends[i] : rawmemchr(line, '\r');
        if (unlikely(*value != ':' || name.len == 0)) {
            while (char_is(*value, CHAR_TOKEN))
                value++;
            if (*value != ':' || value == line) {
                out->reason = why_no_colon(line, value);
                return SPLIT_BAD;
            }
            if (value - line > FIELD_NAME_MAX)
                return too_large(out);
        }
        if (unlikely((size_t)(cr - line) > max_field))
            return too_large(out);
        f->name = line;
        f->name_len = (uint16_t)(value - line);
        f->id = (uint8_t)name.id;
        f->secret = false;
        value++;
        value += *value == ' '; /* nearly always one blank before, and none behind */
        /* a blank; or CR, where there is no value */
        if (unlikely((uint8_t)*value <= ' ' || (uint8_t)end[-1] <= ' ')) {
            while (is_blank(*value))
                value++;
            while (end > value && is_blank(end[-1]))
                end--;
        }
        f->value = value;
        f->value_len = (uint32_t)(end - value);
        twice |= present & UINT64_C(1) << name.id;
        present |= UINT64_C(1) << name.id;
    }
    out->present = present & ~UINT64_C(1);
    out->twice = twice;
    return SPLIT_DONE;
}

static enum split split_portable(const char *text, const struct h1_scan *scan, size_t first,
                                 size_t max_field, struct split_fields *out)
{
    return split_by(name_portable, true, text, scan, first, max_field, out);
}

/* For more lines than the scan remembers. */
static enum split split_long(const char *text, const struct h1_scan *scan, size_t first,
                             size_t max_field, struct split_fields *out)
{
    return split_by(name_portable, false, text, scan, first, max_field, out);
}

static size_t span_portable(enum h1_set set, const char *p, const char *end, const char *readable)
{
    static const uint8_t classes[SET_COUNT] = { CHAR_TARGET, CHAR_HOST };
    const char *at = p;

    (void)readable;
    while (at < end && char_is(*at, classes[set]))
        at++;
    return (size_t)(at - p);
}

#if defined(__x86_64__)

/* A set of ASCII bytes: bit `high` of rows[low] tells whether the byte high * 16 + low is in it. */
#define ROW(in, low) \
    (char)(in((low)) | in((low) + 16) << 1 | in((low) + 32) << 2 | in((low) + 48) << 3 | \
           in((low) + 64) << 4 | in((low) + 80) << 5 | in((low) + 96) << 6 | in((low) + 112) << 7)
#define ROWS(in) \
    ROW(in, 0), ROW(in, 1), ROW(in, 2), ROW(in, 3), ROW(in, 4), ROW(in, 5), ROW(in, 6), \
        ROW(in, 7), ROW(in, 8), ROW(in, 9), ROW(in, 10), ROW(in, 11), ROW(in, 12), ROW(in, 13), \
        ROW(in, 14), ROW(in, 15)

#define IS_ALNUM(c) \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define IS_ANY(c) /* of all sets */ \
    (IS_ALNUM(c) || (c) == '!' || (c) == '$' || ((c) >= '&' && (c) <= '\'') || \
     ((c) >= '*' && (c) <= '+') || ((c) >= '-' && (c) <= '.') || (c) == '_' || (c) == '~')
#define IS_TOKEN(c) \
    (IS_ANY(c) || (c) == '#' || (c) == '%' || (c) == '^' || (c) == '`' || (c) == '|')
#define IS_HOST(c) \
    (IS_ANY(c) || ((c) >= '(' && (c) <= ')') || (c) == ',' || (c) == ';' || (c) == '=')
#define IS_TARGET(c) \
    (IS_HOST(c) || (c) == '/' || (c) == ':' || ((c) >= '?' && (c) <= '@') || (c) == '[' || \
     (c) == ']' || (c) == '|')

static const char tokens[16] = { ROWS(IS_TOKEN) };
static const char sets[SET_COUNT][16] = { { ROWS(IS_TARGET) }, { ROWS(IS_HOST) } };
static const uint8_t highs[16] = { 1, 2, 4, 8, 16, 32, 64, 128 }; /* none above 0x7f */

/* A bit for each byte that is not in the set. */
__attribute__((target("sse4.2"))) static inline uint32_t outside_16(__m128i bytes, const char *set)
{
    __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    __m128i row = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)set), bytes);
    __m128i bit = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)highs), high);
    __m128i in = _mm_and_si128(row, bit);

    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(in, _mm_setzero_si128()));
}

/* A bit for each byte that is that of a known name. Names are tokens and keys have neither capitals
 * nor any other byte without the bit 0x20, so that setting it means: without case. */
__attribute__((target("sse4.2"))) static inline uint32_t same_16(__m128i bytes, const char *key)
{
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));

    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(lower, _mm_load_si128((const __m128i *)key)));
}

/* Are the bits of a name and of the colon behind it set? Without the colon, a name would be taken
 * for a longer one. */
static inline bool all_same(uint32_t same, uint32_t len)
{
    return (~same & (uint32_t)((UINT64_C(2) << len) - 1)) == 0;
}

__attribute__((target("sse4.2"))) static inline struct name name_sse42(const char *line)
{
    __m128i a = _mm_loadu_si128((const __m128i *)line);
    __m128i b = _mm_loadu_si128((const __m128i *)(line + 16));
    uint32_t no_token = outside_16(a, tokens) | outside_16(b, tokens) << 16;
    uint32_t len = no_token != 0 ? (uint32_t)__builtin_ctz(no_token) : 32;
    const struct field_row *row = field_row_at(line, len);
    uint32_t same = same_16(a, row->key) | same_16(b, row->key + 16) << 16;

    return (struct name){ len, all_same(same, len) ? row->id : FIELD_OTHER };
}

__attribute__((target("sse4.2,popcnt"))) static enum split
split_sse42(const char *text, const struct h1_scan *scan, size_t first, size_t max_field,
            struct split_fields *out)
{
    return split_by(name_sse42, true, text, scan, first, max_field, out);
}

__attribute__((target("sse4.2,popcnt"))) static size_t
span_sse42(enum h1_set set, const char *p, const char *end, const char *readable)
{
    const char *at = p;

    for (; at < end && readable - at >= 16; at += 16) {
        uint32_t out = outside_16(_mm_loadu_si128((const __m128i *)at), sets[set]);

        if (out != 0)
            return MIN((size_t)(at + __builtin_ctz(out) - p), (size_t)(end - p));
    }
    return at < end ? (size_t)(at - p) + span_portable(set, at, end, readable) : (size_t)(end - p);
}

__attribute__((target("avx2"))) static inline uint32_t outside_32(__m256i bytes, const char *set)
{
    __m256i rows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)set));
    __m256i bits = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)highs));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
    __m256i in =
        _mm256_and_si256(_mm256_shuffle_epi8(rows, bytes), _mm256_shuffle_epi8(bits, high));

    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in, _mm256_setzero_si256()));
}

__attribute__((target("avx2,bmi,bmi2"))) static inline struct name name_avx2(const char *line)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)line);
    __m256i lower = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    uint32_t len = _tzcnt_u32(outside_32(bytes, tokens)); /* 32 if all are tokens */
    const struct field_row *row = field_row_at(line, len);
    __m256i key = _mm256_load_si256((const __m256i *)row);
    uint32_t same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, key));

    return (struct name){ len, _bzhi_u32(~same, len + 1) == 0 ? row->id : FIELD_OTHER };
}

__attribute__((target("avx2,bmi,bmi2,popcnt"))) static enum split
split_avx2(const char *text, const struct h1_scan *scan, size_t first, size_t max_field,
           struct split_fields *out)
{
    return split_by(name_avx2, true, text, scan, first, max_field, out);
}

__attribute__((target("avx2,bmi,bmi2,popcnt"))) static size_t
span_avx2(enum h1_set set, const char *p, const char *end, const char *readable)
{
    const char *at = p;

    for (; at < end && readable - at >= 32; at += 32) {
        uint32_t out = outside_32(_mm256_loadu_si256((const __m256i *)at), sets[set]);

        if (out != 0)
            return MIN((size_t)(at + __builtin_ctz(out) - p), (size_t)(end - p));
    }
    return at < end ? (size_t)(at - p) + span_portable(set, at, end, readable) : (size_t)(end - p);
}
#endif

static const struct {
    enum split (*split)(const char *text, const struct h1_scan *scan, size_t first,
                        size_t max_field, struct split_fields *out);
    size_t (*span)(enum h1_set set, const char *p, const char *end, const char *readable);
} kinds[H1_KINDS] = {
    [H1_PORTABLE] = { split_portable, span_portable },
#if defined(__x86_64__)
    [H1_SSE42] = { split_sse42, span_sse42 },
    [H1_AVX2] = { split_avx2, span_avx2 },
#endif
};

enum split h1_split(const char *text, const struct h1_scan *scan, size_t first, size_t max_field,
                    struct split_fields *out)
{
    if (unlikely(scan->lines > H1_ENDS))
        return split_long(text, scan, first, max_field, out);
    return kinds[h1_kind()].split(text, scan, first, max_field, out);
}

size_t h1_span(enum h1_set set, const char *p, const char *end, const char *readable)
{
    return kinds[h1_kind()].span(set, p, end, readable);
}
