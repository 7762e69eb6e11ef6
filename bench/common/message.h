/* message.h -- as much of HTTP/1.1 as a load generator and its origin need, read strictly.
 *
 * Heads are looked at in place; bodies are counted, never kept. No I/O, no allocation. Errors are
 * constant strings that say what the peer did wrong. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a head says about its body and its connection (RFC 9112 section 6, RFC 9110 7.6.1). */
struct framing {
    bool has_length;
    bool chunked;
    bool close;      /* Connection: close */
    bool keep_alive; /* Connection: keep-alive, which matters in HTTP/1.0 */
    bool wants_100;  /* Expect: 100-continue */
    uint64_t length;
};

/* The length of the head at the front of `data`, its empty line included; 0 = not all there. */
size_t head_length(const char *data, size_t len);

/* Reads the field lines in [fields, end), where `end` is behind the empty line. NULL, or what is
 * wrong: bare CR or LF, no colon, a blank before it, lengths that differ, both framings. */
const char *framing_read(struct framing *f, const char *fields, const char *end);

/* A body on its way in. */
struct body {
    bool chunked;
    bool done;
    uint8_t state; /* of the chunked coding */
    uint8_t digits;
    uint64_t left;  /* of the body or of the current chunk */
    uint64_t total; /* body bytes so far, without the framing */
};

/* Begins a body framed as `f` says; without any framing it is empty (`done` at once). */
void body_begin(struct body *b, const struct framing *f);

/* Takes bytes off the front of `data`, up to the end of the body. The number taken, or -1 if the
 * chunked coding is broken. Sets `done`. */
ssize_t body_feed(struct body *b, const char *data, size_t len);

#endif
