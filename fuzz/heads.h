/* heads.h -- what the fuzzers of request and response heads share: a scan whose result may not depend
 * on how the bytes arrive or on the machine, and heads that are compared field by field. */
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

/* Scans by `kind` in random steps. */
static inline int scan_in_steps(enum scan_kind kind, weir_str text, struct random *r,
                                struct h1_scan *scan)
{
    size_t end = 0;
    int rc = 0;

    h1_scan_init(scan);
    do {
        end += random_below(r, text.len - end + 1);
        if (random_below(r, 4) == 0)
            end = text.len;
        if (!h1_scan_with(kind, scan, text.ptr, end, &rc))
            return h1_scan(scan, text.ptr, text.len);
    } while (rc == 0 && end < text.len);
    return rc;
}

/* The scan of `text`, which is the same for every way of feeding and classifying. */
static inline int scan_checked(weir_str text, struct h1_scan *scan)
{
    struct random r;
    int rc;

    h1_scan_init(scan);
    rc = h1_scan(scan, text.ptr, text.len);
    ensure(rc == 1 || rc == 0 || rc == WEIR_EBADHEAD);
    ensure((rc < 0) == (scan->reason != NULL));
    ensure(scan->at <= text.len);
    random_seed(&r, hash_bytes(text.ptr, text.len));
    for (int kind = 0; kind < SCAN_KINDS; kind++) {
        struct h1_scan other;

        ensure(scan_in_steps((enum scan_kind)kind, text, &r, &other) == rc);
        ensure(other.at == scan->at && other.lines == scan->lines);
        ensure(other.reason == scan->reason);
    }
    return rc;
}

/* A copy in a block of its exact size, so that a read past its end is seen. */
static inline char *exact_copy(weir_str s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);

    ensure(copy != NULL);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

static inline void ensure_same_fields(const struct weir_head *a, const struct weir_head *b)
{
    ensure(a->count == b->count && a->present == b->present);
    for (uint32_t i = 0; i < a->count; i++) {
        weir_str name_a, name_b, value_a, value_b;

        ensure(weir_head_at(a, i, &name_a, &value_a) && weir_head_at(b, i, &name_b, &value_b));
        ensure(weir_str_eq(name_a, name_b) && weir_str_eq(value_a, value_b));
    }
}

/* Prints `h` into a block of the promised size. */
static inline weir_str print_checked(const struct weir_head *h, const struct h1_extra *extra)
{
    size_t bound = h1_print_bound(h, extra);
    char *out = malloc(bound);
    weir_str text = { out, 0 };

    ensure(out != NULL);
    text.len = h->status > 0 ? h1_print_response(out, h, extra) : h1_print_request(out, h, extra);
    ensure(text.len <= bound);
    return text;
}

#endif
