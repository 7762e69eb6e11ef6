/* h1_scan.c -- the first pass, byte by byte in portable C, and 64 bytes at a time.
 *
 * A block becomes three masks with a bit for each byte: where CR is, where LF is, and where another
 * control byte is. In a good block every LF is behind a CR and there are no others, which is one
 * comparison; then the bits of CR are the ends of lines. A block that is not good goes to the
 * portable scan, so that there is one place that words a refusal. */
#include "codec/h1_scan.h"

#include "codec/chars.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static __attribute__((cold)) int refuse(struct h1_scan *s, size_t at, char c)
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

static inline void add_line(struct h1_scan *s, size_t end)
{
    if (likely(s->lines < H1_ENDS))
        s->ends[s->lines] = (uint32_t)end;
    s->lines++;
}

/* In what follows `len` leaves out a CR at the very end of the input, so that the byte behind a CR
 * can always be looked at. */
static int scan_portable(struct h1_scan *s, const char *buf, size_t len)
{
    for (size_t i = s->at; i < len; i++) {
        if (likely(char_is(buf[i], CHAR_VALUE)))
            continue;
        if (unlikely(buf[i] != '\r' || buf[i + 1] != '\n'))
            return refuse(s, i, buf[i]);
        if (i > 0 && buf[i - 1] == '\n') {
            s->at = i + 2;
            return 1;
        }
        add_line(s, i);
        i++;
    }
    s->at = len;
    return 0;
}

#if defined(__x86_64__)

enum { BLOCK = 64 };

/* A bit for each byte of a block: is it CR, is it LF, is it LF or another control byte? */
struct masks {
    uint64_t cr, lf, low;
};

typedef struct masks (*classifier)(const char *block);

/* A line ends at the lowest bit of `cr`, if there is one; else what is written does not count. */
static inline uint64_t add_lowest(uint32_t *end, size_t base, uint64_t cr)
{
    *end = (uint32_t)(base + (size_t)__builtin_ctzll(cr | UINT64_C(1) << 63));
    return cr & (cr - 1);
}

/* Adds the lines that end at the bits of `cr`. A block rarely has more than three: writing three
 * without asking costs less than a loop whose end the processor cannot predict. */
static inline __attribute__((always_inline)) void add_lines(struct h1_scan *s, size_t base,
                                                            uint64_t cr)
{
    size_t n = (size_t)__builtin_popcountll(cr);
    uint32_t *to;

    if (unlikely(n > 3 || s->lines + 3 > H1_ENDS)) {
        for (; cr != 0; cr &= cr - 1)
            add_line(s, base + (size_t)__builtin_ctzll(cr));
        return;
    }
    to = s->ends + s->lines;
    cr = add_lowest(to, base, cr);
    cr = add_lowest(to + 1, base, cr);
    add_lowest(to + 2, base, cr);
    s->lines += n;
}

/* The masks of the last `n` bytes, up to buf[len). They are looked at as the end of a whole block,
 * if there is one. */
static inline __attribute__((always_inline)) struct masks
classify_tail(classifier classify, const char *buf, size_t len, size_t n)
{
    size_t shift = BLOCK - n;
    struct masks m;

    if (likely(len >= BLOCK)) {
        m = classify(buf + len - BLOCK);
        return (struct masks){ m.cr >> shift, m.lf >> shift, m.low >> shift };
    } else {
        char block[BLOCK] = { 0 };

        memcpy(block, buf + len - n, n);
        m = classify(block);
        m.low &= UINT64_MAX >> shift;
        return m;
    }
}

/* Gives a block to the portable scan, which wants to see both bytes of a CRLF. */
static int scan_again(struct h1_scan *s, const char *buf, size_t len, size_t at, uint64_t behind_cr)
{
    s->at = at - behind_cr;
    s->lines -= behind_cr;
    return scan_portable(s, buf, len);
}

/* The block at `at` has a bit in `bad` or in `empty`, the CRs of empty lines. */
static inline __attribute__((always_inline)) int scan_last(struct h1_scan *s, const char *buf,
                                                           size_t len, size_t at, uint64_t cr,
                                                           uint64_t bad, uint64_t empty,
                                                           uint64_t behind_cr)
{
    size_t end = at + (size_t)__builtin_ctzll(empty | UINT64_C(1) << 63);

    if (unlikely(empty == 0 || (bad & (empty ^ (empty - 1))) != 0 || buf[end + 1] != '\n'))
        return scan_again(s, buf, len, at, behind_cr);
    add_lines(s, at, cr & ((empty & -empty) - 1));
    s->at = end + 2;
    return 1;
}

static inline __attribute__((always_inline)) int drive(struct h1_scan *s, const char *buf,
                                                       size_t len, classifier classify)
{
    size_t at = s->at;
    uint64_t behind_cr = 0, behind_lf = at > 0 && buf[at - 1] == '\n'; /* about the next block */
    uint64_t follow, bad, empty;
    struct masks m;

    for (; len - at >= BLOCK; at += BLOCK) {
        m = classify(buf + at);
        follow = m.cr << 1 | behind_cr;
        bad = (m.low ^ m.lf) | (m.lf ^ follow);
        empty = m.cr & (m.lf << 1 | behind_lf);
        if (unlikely((bad | empty) != 0))
            return scan_last(s, buf, len, at, m.cr, bad, empty, behind_cr);
        add_lines(s, at, m.cr);
        behind_cr = m.cr >> 63;
        behind_lf = m.lf >> 63;
    }
    if (at < len) {
        size_t n = len - at;

        m = classify_tail(classify, buf, len, n);
        follow = (m.cr << 1 | behind_cr) & UINT64_MAX >> (BLOCK - n);
        bad = (m.low ^ m.lf) | (m.lf ^ follow);
        empty = m.cr & (m.lf << 1 | behind_lf);
        if (likely((bad | empty) != 0))
            return scan_last(s, buf, len, at, m.cr, bad, empty, behind_cr);
        add_lines(s, at, m.cr);
        behind_cr = m.cr >> (n - 1) & 1;
        at = len;
    }
    if (unlikely(behind_cr != 0)) /* and what is behind `len` is another CR */
        return scan_again(s, buf, len, at, behind_cr);
    s->at = at;
    return 0;
}

/* What a byte is, from two tables by its low and its high four bits; what both say counts. A byte
 * above 0x7f finds a zero. */
enum { IS_CR = 0x80, IS_LF = 0x40, IS_LOW = 0x20, IS_MID = 0x10, IS_DEL = 0x08 };
#define USUAL (char)(IS_LOW | IS_MID)

static const char by_low[16] = {
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    USUAL,
    IS_MID /* HTAB */,
    (char)(IS_LF | IS_MID),
    USUAL,
    USUAL,
    (char)(IS_CR | IS_MID),
    USUAL,
    (char)(USUAL | IS_DEL),
};
static const char by_high[16] = {
    [0] = (char)(IS_CR | IS_LF | IS_LOW), [1] = IS_MID, [7] = IS_DEL
};

struct part {
    uint32_t cr, lf, low;
};

__attribute__((target("sse4.2"))) static inline __attribute__((always_inline)) struct part
classify_16(const char *p)
{
    __m128i b = _mm_loadu_si128((const __m128i *)p);
    __m128i high = _mm_and_si128(_mm_srli_epi16(b, 4), _mm_set1_epi8(15));
    __m128i is = _mm_and_si128(_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)by_low), b),
                               _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)by_high), high));

    return (struct part){
        .cr = (uint32_t)_mm_movemask_epi8(is), /* the sign */
        .lf = (uint32_t)_mm_movemask_epi8(_mm_add_epi8(is, is)),
        .low = (uint32_t)_mm_movemask_epi8(_mm_cmpgt_epi8(is, _mm_setzero_si128())),
    };
}

__attribute__((target("sse4.2"))) static inline __attribute__((always_inline)) struct masks
classify_sse42(const char *p)
{
    struct part a = classify_16(p), b = classify_16(p + 16);
    struct part c = classify_16(p + 32), d = classify_16(p + 48);

    return (struct masks){
        .cr = (uint64_t)(c.cr | d.cr << 16) << 32 | (a.cr | b.cr << 16),
        .lf = (uint64_t)(c.lf | d.lf << 16) << 32 | (a.lf | b.lf << 16),
        .low = (uint64_t)(c.low | d.low << 16) << 32 | (a.low | b.low << 16),
    };
}

__attribute__((target("sse4.2,popcnt"))) static int scan_sse42(struct h1_scan *s, const char *buf,
                                                               size_t len)
{
    return drive(s, buf, len, classify_sse42);
}

__attribute__((target("avx2"))) static inline __attribute__((always_inline)) struct part
classify_32(const char *p)
{
    __m256i lows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)by_low));
    __m256i highs = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)by_high));
    __m256i b = _mm256_loadu_si256((const __m256i *)p);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(b, 4), _mm256_set1_epi8(15));
    __m256i is = _mm256_and_si256(_mm256_shuffle_epi8(lows, b), _mm256_shuffle_epi8(highs, high));

    return (struct part){
        .cr = (uint32_t)_mm256_movemask_epi8(is),
        .lf = (uint32_t)_mm256_movemask_epi8(_mm256_add_epi8(is, is)),
        .low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(is, _mm256_setzero_si256())),
    };
}

__attribute__((target("avx2"))) static inline __attribute__((always_inline)) struct masks
classify_avx2(const char *p)
{
    struct part a = classify_32(p), b = classify_32(p + 32);

    return (struct masks){
        .cr = (uint64_t)b.cr << 32 | a.cr,
        .lf = (uint64_t)b.lf << 32 | a.lf,
        .low = (uint64_t)b.low << 32 | a.low,
    };
}

__attribute__((target("avx2,bmi,bmi2,popcnt"))) static int scan_avx2(struct h1_scan *s,
                                                                     const char *buf, size_t len)
{
    return drive(s, buf, len, classify_avx2);
}
#endif

static int (*const scans[H1_KINDS])(struct h1_scan *s, const char *buf, size_t len) = {
    [H1_PORTABLE] = scan_portable,
#if defined(__x86_64__)
    [H1_SSE42] = scan_sse42,
    [H1_AVX2] = scan_avx2,
#endif
};

static int begins_badly(struct h1_scan *s, char first)
{
    if (first == 0x16)
        s->reason = "a TLS handshake where HTTP was expected";
    else if (first == '\r' || first == '\n')
        s->reason = "an empty line where a head was expected";
    else if (is_blank(first))
        s->reason = "a blank at the start of a head";
    else
        s->reason = "a head that begins with a byte that no name begins with";
    return WEIR_EBADHEAD;
}

int h1_scan(struct h1_scan *s, const char *buf, size_t len)
{
    if (len == 0)
        return 0;
    if (s->at == 0 && unlikely(!char_is(buf[0], CHAR_TOKEN)))
        return begins_badly(s, buf[0]);
    return scans[h1_kind()](s, buf, len - (buf[len - 1] == '\r'));
}
