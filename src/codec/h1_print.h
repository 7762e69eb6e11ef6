/* h1_print.h -- prints a head as HTTP/1.1 bytes. Everything that leaves goes through here; nothing
 * a peer sent is passed on unparsed.
 *
 * Framing and the fields of this hop are written from `struct h1_extra` alone. Fields of the head
 * with these names are never printed: Content-Length, Transfer-Encoding, Connection, Keep-Alive,
 * Proxy-Connection, Upgrade, TE, Trailer, HTTP2-Settings. */
#ifndef CODEC_H1_PRINT_H
#define CODEC_H1_PRINT_H

#include "codec/framing.h"

/* What the connection adds behind the head's own fields. Values are printed as they are. */
struct h1_extra {
    struct framing framing; /* BODY_LENGTH: Content-Length; BODY_CHUNKED: Transfer-Encoding;
                               else nothing. `persistent` and `stated` are not looked at */
    bool     no_length;     /* BODY_NONE of a message that must not state a length (1xx, 204, GET
                               without body); without it: Content-Length: 0 */
    weir_str length_as;     /* BODY_NONE: a Content-Length to state although no body follows (HEAD,
                               304: framing.stated); absent: none */
    weir_str connection;    /* value of Connection; absent: none */
    weir_str upgrade;       /* value of Upgrade; absent: none */
    weir_str date;          /* value of Date if the head has none; absent: none */
};

/* The bytes h1_print_* will write at most for this head. */
size_t h1_print_bound(const struct weir_head *h, const struct h1_extra *extra);

/* Writes `METHOD target HTTP/1.1` or `HTTP/1.1 status reason`, fields, extras, empty line; returns
 * the length. `out` has room for h1_print_bound. Host goes first if it is there. A reason phrase
 * the head lacks is taken from the table of RFC 9110. */
size_t h1_print_request(char *out, const struct weir_head *h, const struct h1_extra *extra);
size_t h1_print_response(char *out, const struct weir_head *h, const struct h1_extra *extra);

/* A trailer section: field lines and the final empty line. The bound is that of the head with an
 * empty h1_extra. */
size_t h1_print_trailers(char *out, const struct weir_head *h);

/* The usual reason phrase of a status, or an empty slice. */
weir_str status_reason(int status);

#endif
