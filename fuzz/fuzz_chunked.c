/* fuzz_chunked.c -- a chunked body gives the same data, or the same refusal, however it arrives;
 * its data, chunked again, comes back; its trailers say the same once more after they were printed.
 */
#include "heads.h"

#include "codec/chunked.h"

struct decoded {
    char *data;
    size_t len, used; /* bytes of data; bytes of input that were taken */
    int rc;
    const char *reason;
};

static void decode(weir_str text, struct random *r, struct decoded *out)
{
    struct chunked c;
    size_t end = 0;

    *out = (struct decoded){ .data = malloc(text.len + 1) };
    ensure(out->data != NULL);
    chunked_init(&c);
    do {
        weir_str in, piece;
        char *copy;

        end = r != NULL ? end + random_below(r, text.len - end + 1) : text.len;
        if (r != NULL && random_below(r, 4) == 0)
            end = text.len;
        in = (weir_str){ text.ptr + out->used, end - out->used };
        in.ptr = copy = exact_copy(in);
        while ((out->rc = chunked_next(&c, &in, &piece)) == CHUNKED_DATA) {
            ensure(piece.len > 0 && piece.ptr >= copy && out->len + piece.len <= text.len);
            memcpy(out->data + out->len, piece.ptr, piece.len);
            out->len += piece.len;
        }
        out->used = end - in.len;
        ensure(out->rc != CHUNKED_MORE || in.len == 0);
        free(copy);
    } while (out->rc == CHUNKED_MORE && end < text.len);
    out->reason = c.reason;
}

/* The data as two chunks and the last one. */
static void check_again(const struct decoded *d)
{
    char *text = malloc(d->len + 100);
    size_t halves[] = { d->len / 2, d->len - d->len / 2 }, at = 0, len = 0;
    struct decoded again;

    ensure(text != NULL);
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        if (halves[i] == 0)
            continue;
        len += chunked_print_head(text + len, halves[i]);
        memcpy(text + len, d->data + at, halves[i]);
        memcpy(text + len + halves[i], "\r\n", 2);
        len += halves[i] + 2;
        at += halves[i];
    }
    memcpy(text + len, "0\r\n", 3);
    decode((weir_str){ text, len + 3 }, NULL, &again);
    ensure(again.rc == CHUNKED_TRAILERS && again.len == d->len && again.used == len + 3);
    ensure(memcmp(again.data, d->data, d->len) == 0);
    free(again.data);
    free(text);
}

/* The trailer section at the front of `text`, found in one look and in steps. */
static ptrdiff_t find_trailers(weir_str text, struct random *r, struct h1_scan *scan)
{
    size_t end = 0;
    ptrdiff_t rc;

    h1_scan_init(scan);
    do {
        char *copy;

        end = r != NULL ? end + random_below(r, text.len - end + 1) : text.len;
        if (r != NULL && random_below(r, 4) == 0)
            end = text.len;
        copy = exact_copy((weir_str){ text.ptr, end });
        rc = chunked_trailers(scan, (weir_str){ copy, end });
        free(copy);
    } while (rc == 0 && end < text.len);
    ensure(rc >= -1 && rc <= (ptrdiff_t)text.len && (rc < 0) == (scan->reason != NULL));
    return rc;
}

static int parse_trailers(const char *text, const struct h1_scan *scan,
                          const struct h1_limits *limits, struct weir_head *out)
{
    struct h1_fault fault = { NULL }, other_fault = { NULL };
    struct weir_head other;
    int rc;

    ensure(h1_use(H1_PORTABLE));
    rc = h1_parse_trailers(text, scan, limits, out, WEIR_EBADBODY, &fault);
    for (int kind = 0; kind < H1_KINDS; kind++) {
        if (!h1_use((enum h1_kind)kind))
            continue;
        head_init(&other, out->arena, 0);
        ensure(h1_parse_trailers(text, scan, limits, &other, WEIR_EBADBODY, &other_fault) == rc);
        ensure(other_fault.reason == fault.reason);
        ensure_same_fields(out, &other);
    }
    return rc;
}

static void check_trailers(weir_str text, struct random *r)
{
    const struct h1_extra none = { .no_length = true };
    struct weir_head head, again;
    struct h1_scan scan, split;
    struct arena arena;
    ptrdiff_t end = find_trailers(text, NULL, &scan);
    char *copy = padded_copy((weir_str){ text.ptr, end > 0 ? (size_t)end : 0 });

    ensure(find_trailers(text, r, &split) == end && split.reason == scan.reason);
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    head_init(&again, &arena, 0);
    if (end > 0 && parse_trailers(copy, &scan, &fuzz_limits, &head) == 0) {
        char *out = malloc(h1_print_bound(&head, &none) + H1_PAD);
        size_t len;

        ensure(!head_has_id(&head, FIELD_CONTENT_LENGTH) && !head_has_id(&head, FIELD_HOST));
        ensure(out != NULL);
        len = h1_print_trailers(out, &head);
        memset(out + len, 'A', H1_PAD);
        ensure(find_trailers((weir_str){ out, len }, r, &scan) == (ptrdiff_t)len);
        ensure(parse_trailers(out, &scan, &printed_limits, &again) == 0);
        ensure_same_fields(&head, &again);
        free(out);
    }
    arena_done(&arena);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str text = { (const char *)data, size };
    struct decoded whole, split;
    struct random r;

    random_seed(&r, hash_bytes(data, size));
    decode(text, NULL, &whole);
    for (int i = 0; i < 2; i++) {
        decode(text, &r, &split);
        ensure(split.rc == whole.rc && split.reason == whole.reason && split.used == whole.used);
        ensure(split.len == whole.len && memcmp(split.data, whole.data, whole.len) == 0);
        free(split.data);
    }
    ensure((whole.rc == -1) == (whole.reason != NULL));
    if (whole.rc == CHUNKED_TRAILERS) {
        check_again(&whole);
        check_trailers((weir_str){ text.ptr + whole.used, text.len - whole.used }, &r);
    }
    free(whole.data);
    return 0;
}
