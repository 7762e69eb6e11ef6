/* h1_parse.h -- a complete HTTP/1 head (RFC 9112 sections 2 to 5) becomes a struct weir_head.
 *
 * No I/O; memory only for the array of fields, from the head's arena. Slices point into `text`,
 * which has to live as long as the head. Strict: what is ambiguous is refused, whatever a lenient
 * peer would do, and nothing is repaired.
 *
 * `text` went through h1_scan.h before, and `scan` is what came of it: scan->at bytes that end with
 * the empty line, no control bytes in them but HTAB and CRLF. H1_PAD bytes behind them may be read.
 */
#ifndef CODEC_H1_PARSE_H
#define CODEC_H1_PARSE_H

#include "codec/h1_scan.h"
#include "codec/head.h"

struct h1_limits {
    size_t   max_head;   /* bytes of the whole head, start line and empty line included */
    size_t   max_field;  /* bytes of a field line without its CRLF */
    size_t   max_target; /* bytes of a request target */
    unsigned max_fields;
};

/* Where a refusal is explained: a static sentence such as "space before the colon of a field". */
struct h1_fault {
    const char *reason;
};

enum h1_side { H1_REQUEST, H1_RESPONSE };

/* Looks for the end of a head at the front of `*in`, which begins with the bytes of the call before
 * (they may have moved) and more; `scan` is initialised before the first call. Before a request one
 * empty line is passed over: `*in` is moved behind it (RFC 9112 2.2). 1: the head is in->ptr[0 ..
 * scan->at); 0: more is needed; WEIR_EBADHEAD, _ETARGETSIZE, _EHEADSIZE, _EFIELDCOUNT for a
 * request, WEIR_EUPHEAD, _EUPHEADSIZE for a response. */
int h1_collect(struct h1_scan *scan, enum h1_side side, const struct h1_limits *limits,
               weir_str *in, struct h1_fault *fault);

/* The head must be initialised with its arena; fields are added. `max_head` is the reader's affair.
 *
 * Request: 0, or WEIR_EBADHEAD, _EBADTARGET, _EVERSION, _ETARGETSIZE, _EFIELDSIZE, _EFIELDCOUNT,
 * _EBADHOST, _ENOMEM.
 * - Version: 1.0; 1.1 to 1.9 count as 1.1; other well-formed ones EVERSION; malformed ones
 *   EBADHEAD.
 * - Sets method, method_id, target, authority. absolute-form is taken apart: target becomes its
 *   path and query ("*" for OPTIONS without both, RFC 9112 3.2.4), authority its host and port.
 * - Host by RFC 9112 3.2: exactly one in HTTP/1.1, at most one in 1.0, and valid. The authority of
 *   absolute- and authority-form wins: it replaces Host's value, or adds Host in HTTP/1.0. */
int h1_parse_request(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                     struct weir_head *out, struct h1_fault *fault);

/* Response: 0, or WEIR_EUPHEAD, _EUPHEADSIZE, _ENOMEM. The status is three digits, 100 to 599; the
 * reason phrase may be missing, with its blank or without. */
int h1_parse_response(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                      struct weir_head *out, struct h1_fault *fault);

/* A trailer section (chunked_trailers): field lines with the final empty line. Fields that may not
 * be in trailers (RFC 9110 6.5.1: framing, routing, authentication, request modifiers, content) are
 * dropped; malformed ones, and more than the limits allow, refused with `err` (WEIR_EBADBODY or
 * WEIR_EUPBODY). */
int h1_parse_trailers(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                      struct weir_head *out, int err, struct h1_fault *fault);

#endif
