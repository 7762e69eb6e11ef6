/* h1_scan.c -- the driver and its classifiers.
 *
 * A classifier turns 32 bytes into a mask of those that are special: controls but HTAB, and DEL. In
 * a good head these are the CRLFs alone, so the driver visits one bit per line and skips the
 * rest. */
#include "codec/h1_scan.h"

#include "codec/chars.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 32 };

typedef uint32_t (*classifier)(const char *p);

static inline uint32_t classify_bytes(const char *p, size_t n)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < n; i++)
        mask |= (uint32_t)!char_is(p[i], CHAR_VALUE) << i;
    return mask;
}

static inline uint32_t classify_portable(const char *p)
{
    return classify_bytes(p, BLOCK);
}

/* The mask for what is left from `at` on; *base is the position its bit 0 stands for. A tail
 * shorter than a block is looked at as the end of a whole block, if there is one. */
static inline __attribute__((always_inline)) uint32_t
classify_at(classifier classify, const char *buf, size_t at, size_t len, size_t *base)
{
    *base = at;
    if (len - at >= BLOCK)
        return classify(buf + at);
    if (len < BLOCK)
        return classify_bytes(buf + at, len - at);
    *base = len - BLOCK;
    return classify(buf + *base) & (UINT32_MAX << (at - *base));
}

static int refuse(struct h1_scan *s, size_t at, char c)
{
    s->at = at;
    if (c == '\r')
        s->reason = "a CR that no LF follows";
    else if (c == '\n')
        s->reason = "a LF without CR before it";
    else if (c == '\0')
        s->reason = "a NUL byte in the head";
    else
        s->reason = "a control byte in the head";
    return WEIR_EBADHEAD;
}

/* The special byte at `i`: 1 = the head ends behind it, 0 = a line does, < 0 = refused, 2 = its
 * second byte is not there yet. */
static inline __attribute__((always_inline)) int line_end(struct h1_scan *s, const char *buf,
                                                          size_t len, size_t i)
{
    if (unlikely(buf[i] != '\r'))
        return refuse(s, i, buf[i]);
    if (unlikely(i + 1 == len)) {
        s->at = i;
        return 2;
    }
    if (unlikely(buf[i + 1] != '\n'))
        return refuse(s, i, '\r');
    if (unlikely(i == s->line_start)) {
        s->at = i + 2;
        return 1;
    }
    if (s->lines++ == 0)
        s->target_line = i;
    s->line_start = i + 2;
    return 0;
}

static inline __attribute__((always_inline)) int drive(struct h1_scan *s, const char *buf,
                                                       size_t len, classifier classify)
{
    size_t at = s->at;

    while (at < len) {
        size_t base;
        uint32_t mask = classify_at(classify, buf, at, len, &base);

        at = MIN(base + BLOCK, len);
        while (mask != 0) {
            size_t i = base + (size_t)__builtin_ctz(mask);
            int rc = line_end(s, buf, len, i);

            if (unlikely(rc != 0))
                return rc == 2 ? 0 : rc;
            /* Past both bytes; the LF may be the first byte of the next block. */
            mask &= (uint32_t)(UINT64_MAX << (i + 2 - base));
            at = MAX(at, i + 2);
        }
    }
    s->at = at;
    return 0;
}

static int scan_portable(struct h1_scan *s, const char *buf, size_t len)
{
    return drive(s, buf, len, classify_portable);
}

#if defined(__x86_64__)

/* Unsigned b <= 31 as min(b, 31) == b; there is no unsigned comparison below AVX-512. */
static inline uint32_t classify_16(const char *p)
{
    __m128i b = _mm_loadu_si128((const __m128i *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(b, _mm_set1_epi8(31)), b);
    __m128i tab = _mm_cmpeq_epi8(b, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(b, _mm_set1_epi8(127));

    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

static inline uint32_t classify_sse2(const char *p)
{
    return classify_16(p) | classify_16(p + 16) << 16;
}

static int scan_sse2(struct h1_scan *s, const char *buf, size_t len)
{
    return drive(s, buf, len, classify_sse2);
}

__attribute__((target("avx2"))) static inline uint32_t classify_avx2(const char *p)
{
    __m256i b = _mm256_loadu_si256((const __m256i *)p);
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(b, _mm256_set1_epi8(31)), b);
    __m256i tab = _mm256_cmpeq_epi8(b, _mm256_set1_epi8('\t'));
    __m256i del = _mm256_cmpeq_epi8(b, _mm256_set1_epi8(127));

    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, low), del));
}

__attribute__((target("avx2"))) static int scan_avx2(struct h1_scan *s, const char *buf, size_t len)
{
    return drive(s, buf, len, classify_avx2);
}

static bool has(enum scan_kind kind)
{
    return kind != SCAN_AVX2 || __builtin_cpu_supports("avx2");
}

#else

static int (*const scan_sse2)(struct h1_scan *, const char *, size_t) = scan_portable;
static int (*const scan_avx2)(struct h1_scan *, const char *, size_t) = scan_portable;

static bool has(enum scan_kind kind)
{
    return kind == SCAN_PORTABLE;
}

#endif

typedef int (*scanner)(struct h1_scan *s, const char *buf, size_t len);

static scanner scanner_of(enum scan_kind kind)
{
    return kind == SCAN_AVX2 ? scan_avx2 : kind == SCAN_SSE2 ? scan_sse2 : scan_portable;
}

/* Chosen once; two workers that choose at the same time choose the same. */
static scanner best(void)
{
    static scanner chosen;
    scanner scan = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

    if (unlikely(scan == NULL)) {
        enum scan_kind kind = SCAN_KINDS - 1;

        while (!has(kind))
            kind--;
        scan = scanner_of(kind);
        __atomic_store_n(&chosen, scan, __ATOMIC_RELAXED);
    }
    return scan;
}

static bool begins_well(struct h1_scan *s, const char *buf, size_t len)
{
    if (s->at > 0 || len == 0 || char_is(buf[0], CHAR_TOKEN))
        return true;
    if (buf[0] == 0x16)
        s->reason = "a TLS handshake where HTTP was expected";
    else if (buf[0] == '\r' || buf[0] == '\n')
        s->reason = "an empty line where a head was expected";
    else if (is_blank(buf[0]))
        s->reason = "a blank at the start of a head";
    else
        s->reason = "a head that begins with a byte that no name begins with";
    return false;
}

int h1_scan(struct h1_scan *s, const char *buf, size_t len)
{
    return begins_well(s, buf, len) ? best()(s, buf, len) : WEIR_EBADHEAD;
}

bool h1_scan_with(enum scan_kind kind, struct h1_scan *s, const char *buf, size_t len, int *rc)
{
    if (!has(kind))
        return false;
    *rc = begins_well(s, buf, len) ? scanner_of(kind)(s, buf, len) : WEIR_EBADHEAD;
    return true;
}
