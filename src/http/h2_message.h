/* h2_message.h -- pieces of messages, between the strand of a stream and its connection: what has
 * come (h2_parse.c) and what is to be sent (h2_print.c).
 *
 * Lists of them have one owner at a time; who takes one out frees it. */
#ifndef HTTP_H2_MESSAGE_H
#define HTTP_H2_MESSAGE_H

#include <nghttp2/nghttp2.h>

#include "codec/h1_parse.h"
#include "http/http.h"

enum { H2_FIELD_COST = 32 }; /* RFC 9113 6.5.2: what a field counts beside its text */

/* Received, in order: what one frame or several brought. */
enum h2_in_kind { H2_IN_HEAD, H2_IN_DATA, H2_IN_TRAILERS };
struct h2_in {
    struct h2_in *next;
    uint32_t used, cap;
    uint8_t kind;
    bool pooled; /* it is a buffer of the pool, else malloc'ed */
    bool too_large, too_many;
    uint32_t fields;
    char bytes[]; /* data; or fields: struct h2_field_size, name, value, ... */
};

struct h2_field_size {
    uint32_t name : 31;
    bool secret   : 1; /* see struct field */
    uint32_t value;
};

/* To be sent, in order. */
enum h2_out_kind { H2_OUT_INTERIM, H2_OUT_HEAD, H2_OUT_DATA, H2_OUT_TRAILERS };
struct h2_out {
    struct h2_out *next;
    uint8_t kind;
    bool end;      /* the message ends behind it */
    bool borrowed; /* its data is the writer's, who waits until it is taken */
    const char *data;
    size_t len, off;
    size_t nvlen;
    nghttp2_nv *nv; /* in the same block, with all text that it needs */
};

void h2_in_free(struct h2_in *list);
void h2_out_free(struct h2_out *list);

/* h2_parse.c: fields from the wire. add: one more, copied; false without memory. parse: the block
 * as a head, in the arena of `out`; an error (< 0) has its words in `*fault`. */
bool h2_block_add(struct h2_in **block, const struct h1_limits *limits, weir_str name,
                  weir_str value, bool secret);
int h2_parse_request(const struct h2_in *block, const struct h1_limits *limits,
                     struct weir_head *out, struct framing *framing, const char **fault);
int h2_parse_response(const struct h2_in *block, const struct h1_limits *limits, enum method method,
                      struct weir_head *out, struct framing *framing, const char **fault);
int h2_parse_trailers(const struct h2_in *block, const struct h1_limits *limits,
                      struct weir_head *out, int err, const char **fault);

/* h2_print.c: and to it; `copy` goes into the block. NULL without memory. */
struct h2_out *h2_print_request(const struct http_message *m, weir_str copy, bool https);
struct h2_out *h2_print_response(const struct http_message *m, weir_str copy);
struct h2_out *h2_print_trailers(const struct weir_head *trailers);

#endif
