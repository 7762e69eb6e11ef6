/* heads.h -- a text becomes a parsed head, as a connection would do it, for the tests of the
 * codec. */
#ifndef TESTS_UNIT_HEADS_H
#define TESTS_UNIT_HEADS_H

#include "cases.h"

#include "codec/h1_parse.h"
#include "codec/h1_scan.h"

static const struct h1_limits usual_limits = {
    .max_head = 32768, .max_field = 16384, .max_target = 8192, .max_fields = 100
};

/* Feeds the scanner in steps, each time with a buffer that ends where the input does. */
static inline int feed_scan(weir_str text, enum feeding feeding, struct random *r,
                            struct h1_scan *s)
{
    int rc = 0;

    h1_scan_init(s);
    for (size_t end = next_end(feeding, 0, text.len, r); rc == 0;
         end = next_end(feeding, end, text.len, r)) {
        char *copy = exact_copy((weir_str){ text.ptr, end });

        rc = h1_scan(s, copy, end);
        free(copy);
        if (end == text.len)
            break;
    }
    return rc;
}

/* A head with its memory. */
struct heap_head {
    struct weir_head head;
    struct arena arena;
    struct h1_fault fault;
    char *text;
    int rc; /* of the scan if it failed, else of the parser; 1: not a whole head */
};

static inline void heap_head_done(struct heap_head *h)
{
    free(h->text);
    arena_done(&h->arena);
}

static inline void parse_head(struct heap_head *h, weir_str text, bool response,
                              const struct h1_limits *limits, enum feeding feeding)
{
    struct h1_scan scan;
    struct random r;

    random_seed(&r, text.len);
    h->fault.reason = NULL;
    arena_init(&h->arena, NULL, 0);
    head_init(&h->head, &h->arena, 0);
    h->rc = feed_scan(text, feeding, &r, &scan);
    h->text = padded_copy((weir_str){ text.ptr, scan.at }, H1_PAD);
    if (h->rc != 1) {
        h->fault.reason = scan.reason;
        h->rc = h->rc == 0 ? 1 : h->rc;
        return;
    }
    h->rc = response ? h1_parse_response(h->text, &scan, limits, &h->head, &h->fault)
                     : h1_parse_request(h->text, &scan, limits, &h->head, &h->fault);
}

#endif
