/* h1_split.h -- the second pass over a head: field lines become fields; and how far a target or a
 * host is legal. For h1_parse.c and uri.c. */
#ifndef CODEC_H1_SPLIT_H
#define CODEC_H1_SPLIT_H

#include "codec/h1_scan.h"
#include "codec/head.h"

enum split { SPLIT_DONE, SPLIT_BAD, SPLIT_LARGE };

struct split_fields {
    struct field *fields; /* room for all lines; filled up to the first bad one */
    uint64_t present;     /* bit `id`: a field with this id is there */
    uint64_t twice;       /* bit `id`: more than one is */
    const char *reason;   /* if not SPLIT_DONE */
};

/* Splits the lines of a scanned `text` from line `first` on, each `name ":" OWS value OWS CRLF`
 * (RFC 9112 5). Behind `text` H1_PAD bytes may be read. SPLIT_BAD: a line is malformed;
 * SPLIT_LARGE: longer than `max_field`. */
enum split h1_split(const char *text, const struct h1_scan *scan, size_t first, size_t max_field,
                    struct split_fields *out);

/* The bytes that are CHAR_TARGET, and those that are CHAR_HOST. */
enum h1_set { SET_TARGET, SET_HOST, SET_COUNT };

/* How many bytes from `p` on, at most up to `end`, are in the set? Bytes up to `readable`, which is
 * not before `end`, may be read. */
size_t h1_span(enum h1_set set, const char *p, const char *end, const char *readable);

#endif
