/* framing.h -- how long a body is (RFC 9112 section 6), decided from a head alone. */
#ifndef CODEC_FRAMING_H
#define CODEC_FRAMING_H

#include "codec/h1_parse.h"

enum body_mode {
    BODY_NONE,    /* no body */
    BODY_LENGTH,  /* `length` bytes */
    BODY_CHUNKED, /* chunked coding */
    BODY_CLOSE,   /* a response: until the connection closes */
};

struct framing {
    enum body_mode mode;
    uint64_t       length;     /* BODY_LENGTH: bytes, > 0 is not promised */
    bool           persistent; /* the connection may serve another message after this one (RFC 9112 9.3) */
};

/* 0, or WEIR_EBADLENGTH (several, malformed, listed or overflowing Content-Length; with Transfer-Encoding; Transfer-Encoding in
 * HTTP/1.0; chunked not last or repeated), WEIR_ECODING (another coding: 501). A request never ends by close. */
int framing_request(const struct weir_head *req, struct framing *out, struct h1_fault *fault);

/* 0 or WEIR_EUPLENGTH. `method` is that of the request: HEAD, 1xx, 204, 304 have no body whatever the fields say; 2xx to CONNECT too. */
int framing_response(const struct weir_head *res, enum method method, struct framing *out,
                     struct h1_fault *fault);

/* Digits only, no overflow of 63 bits. */
bool parse_length(weir_str digits, uint64_t *out);

#endif
