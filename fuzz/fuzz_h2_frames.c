/* fuzz_h2_frames.c -- the walk along frame headers finds the same frames, at the same places, in
 * whatever pieces the bytes come; and they are the ones that a plain loop over them finds. */
#include "fuzz.h"

#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "http/h2_parts.h"

enum { FRAME_HEAD = 9, PREFACE = 24, MOST = 64 };

struct found {
    size_t count;
    size_t end[MOST]; /* behind its header */
    enum h2_frame kind[MOST];
};

static uint64_t length_of(const uint8_t *at)
{
    return (uint64_t)at[0] << 16 | (uint64_t)at[1] << 8 | at[2];
}

/* PRIORITY comes with its payload, if that has the length which it must have. */
static size_t head_of(const uint8_t *at)
{
    return at[3] == NGHTTP2_PRIORITY && length_of(at) == 5 ? FRAME_HEAD + 5 : FRAME_HEAD;
}

static void check_against_loop(const uint8_t *data, size_t size, const struct found *got)
{
    size_t at = PREFACE, i = 0;

    while (i < MOST && at + FRAME_HEAD <= size && at + head_of(data + at) <= size) {
        ensure(i < got->count && got->end[i] == at + head_of(data + at));
        ensure((got->kind[i] == H2_FRAME_PRIORITY) == (data[at + 3] == NGHTTP2_PRIORITY));
        ensure((got->kind[i] == H2_FRAME_CONTINUATION) == (data[at + 3] == NGHTTP2_CONTINUATION));
        at += FRAME_HEAD + length_of(data + at);
        i++;
    }
    ensure(i == got->count);
}

/* In pieces of random sizes, each in a block of its own. */
static void walk(const uint8_t *data, size_t size, struct random *r, bool whole, struct found *got)
{
    struct h2_frames f = { .skip = PREFACE };
    size_t at = 0;

    got->count = 0;
    while (at < size) {
        size_t step = 1 + random_below(r, 40), n = whole ? size : MIN(size - at, step);
        char *copy = malloc(n);
        weir_str left = { copy, n };
        const char *start, *before = copy;
        enum h2_frame kind;

        ensure(copy != NULL);
        memcpy(copy, data + at, n);
        while ((kind = h2_frames_next(&f, &left, &start)) != H2_FRAME_NONE) {
            ensure(start >= copy && start <= left.ptr && left.ptr > before);
            ensure(left.ptr + left.len == copy + n);
            before = left.ptr;
            if (got->count < MOST) {
                got->end[got->count] = at + (size_t)(left.ptr - copy);
                got->kind[got->count++] = kind;
            }
        }
        ensure(left.len == 0);
        free(copy);
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct found whole, cut;
    struct random r;

    random_seed(&r, hash_bytes(data, size));
    walk(data, size, &r, true, &whole);
    check_against_loop(data, size, &whole);
    walk(data, size, &r, false, &cut);
    ensure(cut.count == whole.count);
    for (size_t i = 0; i < cut.count; i++)
        ensure(cut.end[i] == whole.end[i] && cut.kind[i] == whole.kind[i]);
    return 0;
}
