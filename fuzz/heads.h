/* heads.h -- what the fuzzers of request and response heads share: a scan whose result may not
 * depend on how the bytes arrive or on the machine, and heads that are compared field by field. */
#ifndef FUZZ_HEADS_H
#define FUZZ_HEADS_H

#include <stdlib.h>

#include "fuzz.h"

#include "base/hash.h"
#include "base/random.h"
#include "codec/h1_print.h"
#include "codec/h1_scan.h"

static const struct h1_limits fuzz_limits = {
    .max_head = 65536, .max_field = 4096, .max_target = 1024, .max_fields = 50
};

/* For what was printed: a blank behind each colon and the fields of the connection come on top. */
static const struct h1_limits printed_limits = {
    .max_head = 131072, .max_field = 8192, .max_target = 2048, .max_fields = 60
};

/* A copy in a block of its exact size, so that a read past its end is seen. */
static inline char *exact_copy(weir_str s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);

    ensure(copy != NULL);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

/* The same with what the second pass may read behind it; a token, so that a name would grow. */
static inline char *padded_copy(weir_str s)
{
    char *copy = malloc(s.len + H1_PAD);

    ensure(copy != NULL);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    memset(copy + s.len, 'A', H1_PAD);
    return copy;
}

/* Scans in random steps, each in a block of its own. */
static inline int scan_in_steps(weir_str text, struct random *r, struct h1_scan *scan)
{
    size_t end = 0;
    int rc = 0;

    h1_scan_init(scan);
    do {
        char *copy;

        end += random_below(r, text.len - end + 1);
        if (random_below(r, 4) == 0)
            end = text.len;
        copy = exact_copy((weir_str){ text.ptr, end });
        rc = h1_scan(scan, copy, end);
        free(copy);
    } while (rc == 0 && end < text.len);
    return rc;
}

/* The scan of `text`, which is the same for every way of feeding and every kind of pass. */
static inline int scan_checked(weir_str text, struct h1_scan *scan)
{
    struct random r;
    int rc;

    ensure(h1_use(H1_PORTABLE));
    h1_scan_init(scan);
    rc = h1_scan(scan, text.ptr, text.len);
    ensure(rc == 1 || rc == 0 || rc == WEIR_EBADHEAD);
    ensure((rc < 0) == (scan->reason != NULL));
    ensure(scan->at <= text.len);
    random_seed(&r, hash_bytes(text.ptr, text.len));
    for (int kind = 0; kind < H1_KINDS; kind++) {
        struct h1_scan other;

        if (!h1_use((enum h1_kind)kind))
            continue;
        ensure(scan_in_steps(text, &r, &other) == rc);
        ensure(other.at == scan->at && other.lines == scan->lines);
        ensure(other.reason == scan->reason);
        for (size_t i = 0; i < MIN(scan->lines, (size_t)H1_ENDS); i++)
            ensure(other.ends[i] == scan->ends[i]);
    }
    return rc;
}

static inline void ensure_same_fields(const struct weir_head *a, const struct weir_head *b)
{
    ensure(a->count == b->count && a->present == b->present);
    for (uint32_t i = 0; i < a->count; i++) {
        weir_str name_a, name_b, value_a, value_b;

        ensure(weir_head_at(a, i, &name_a, &value_a) && weir_head_at(b, i, &name_b, &value_b));
        ensure(weir_str_eq(name_a, name_b) && weir_str_eq(value_a, value_b));
        ensure(a->fields[i].id == b->fields[i].id);
    }
}

/* Parses `text`, in front of which stands what `scan` has seen, by every kind of pass; they have to
 * agree. */
static inline int parse_checked(const char *text, const struct h1_scan *scan, enum h1_side side,
                                const struct h1_limits *limits, struct weir_head *out,
                                struct h1_fault *fault)
{
    int want = 0;

    for (int kind = 0; kind < H1_KINDS; kind++) {
        struct h1_fault other_fault = { NULL };
        struct weir_head other;
        int rc;

        if (!h1_use((enum h1_kind)kind))
            continue;
        head_init(&other, out->arena, 0);
        rc = side == H1_REQUEST ? h1_parse_request(text, scan, limits, &other, &other_fault)
                                : h1_parse_response(text, scan, limits, &other, &other_fault);
        if (kind == H1_PORTABLE) {
            want = rc;
            *out = other;
            *fault = other_fault;
            continue;
        }
        ensure(rc == want && other_fault.reason == fault->reason);
        if (rc != 0)
            continue;
        ensure_same_fields(out, &other);
        ensure(weir_str_eq(out->target, other.target) && out->method_id == other.method_id);
        ensure(weir_str_eq(out->authority, other.authority) && out->status == other.status);
    }
    return want;
}

/* Prints `h` into a block of the promised size. */
static inline weir_str print_checked(const struct weir_head *h, const struct h1_extra *extra)
{
    size_t bound = h1_print_bound(h, extra);
    char *out = malloc(bound + H1_PAD); /* to be parsed again */
    weir_str text = { out, 0 };

    ensure(out != NULL);
    text.len = h->status > 0 ? h1_print_response(out, h, extra) : h1_print_request(out, h, extra);
    ensure(text.len <= bound);
    memset(out + text.len, 'A', H1_PAD);
    return text;
}

#endif
