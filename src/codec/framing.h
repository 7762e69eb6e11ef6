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
    bool           persistent; /* the connection may serve another message (RFC 9112 9.3) */
    weir_str       stated;     /* of a response without a body to a HEAD, or a 304: the one valid
                                  Content-Length it states; absent: none */
};

/* 0, or an error. A request never ends by close.
 * - WEIR_EBADLENGTH: Content-Length that is repeated (also with equal values), malformed, listed or
 *   overflowing; with Transfer-Encoding; Transfer-Encoding in HTTP/1.0; chunked not last, repeated,
 *   with parameters; an empty element; a body of CONNECT.
 * - WEIR_ECODING: another coding with chunked as the last (501). */
int framing_request(const struct weir_head *req, struct framing *out, struct h1_fault *fault);

/* 0 or WEIR_EUPLENGTH, for the same reasons, and for every coding but chunked. `method` is that of
 * the request: HEAD, 1xx, 204, 304 have no body whatever the fields say; 2xx to CONNECT too. Where
 * such a response has fields that tell of a body, the connection is not persistent: bytes may
 * follow. */
int framing_response(const struct weir_head *res, enum method method, struct framing *out,
                     struct h1_fault *fault);

/* Digits only, no overflow of 63 bits. */
bool parse_length(weir_str digits, uint64_t *out);

#endif
