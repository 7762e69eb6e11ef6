/* h1_parse.h -- a complete HTTP/1 head (RFC 9112 section 2 to 5) becomes a struct weir_head.
 *
 * No I/O; memory only for the array of fields, from the head's arena. Slices point into `text`, which has to
 * live as long as the head. Strict: what is ambiguous is refused, whatever a lenient peer would do. */
#ifndef CODEC_H1_PARSE_H
#define CODEC_H1_PARSE_H

#include "codec/head.h"

struct h1_limits {
    size_t   max_head, max_field, max_target; /* bytes: whole head; one field line; request target */
    unsigned max_fields;
};

/* Where a refusal is explained: a static sentence such as "space before the colon of a field". */
struct h1_fault {
    const char *reason;
};

/* `text` ends with the empty line, `lines` is the number of CRLFs before it (h1_scan.h). The head must be
 * initialised with its arena; fields are added.
 * Request: 0, or WEIR_EBADHEAD, _EBADTARGET, _EVERSION, _ETARGETSIZE, _EFIELDSIZE, _EFIELDCOUNT, _ENOMEM. Version: 1.0; 1.1 to 1.9 count as 1.1;
 * other well-formed ones EVERSION; malformed ones EBADHEAD. Sets method_id, target (absolute-form is taken apart: target
 * is then its path and query, authority its host and port), authority; checks Host by codec/uri.h and RFC 9112 3.2 (WEIR_EBADHOST): exactly one in HTTP/1.1,
 * at most one in 1.0, valid; absolute-form wins and replaces Host's value. */
int h1_parse_request(weir_str text, size_t lines, const struct h1_limits *limits, struct weir_head *out,
                     struct h1_fault *fault);

/* Response: 0, or WEIR_EUPHEAD, _EUPHEADSIZE, _ENOMEM. */
int h1_parse_response(weir_str text, size_t lines, const struct h1_limits *limits,
                      struct weir_head *out, struct h1_fault *fault);

/* A trailer section: field lines with the final empty line. Fields that may not be in trailers (RFC 9110 6.5.1: framing, routing,
 * authentication, content) are dropped, malformed ones refused with `err` (WEIR_EBADBODY or WEIR_EUPBODY). */
int h1_parse_trailers(weir_str text, const struct h1_limits *limits, struct weir_head *out, int err,
                      struct h1_fault *fault);

#endif
