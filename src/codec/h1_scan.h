/* h1_scan.h -- finds the lines and the end of an HTTP/1 head in a growing buffer, looking at each
 * byte once.
 *
 * The first of two passes: it knows lines and control bytes, nothing else. What can never become a
 * head is refused at once: a bare CR or LF, NUL, another control byte (but HTAB), a first byte that
 * no start line begins with (a TLS hello on a plain port). The second pass (h1_parse.h) gets a
 * complete head with the ends of its lines, and relies on them: in there, CR stands only before LF.
 */
#ifndef CODEC_H1_SCAN_H
#define CODEC_H1_SCAN_H

#include "codec/h1_kind.h"

enum { H1_ENDS = 128 };

struct h1_scan {
    size_t at;          /* bytes already looked at, but for a CR whose next byte is not there yet */
    size_t lines;       /* CRLFs among them, the final empty line not counted */
    const char *reason; /* of a refusal */
    bool skipped;       /* h1_collect has passed over an empty line */
    uint32_t ends[H1_ENDS]; /* the CRs of the first of these lines */
};

static inline void h1_scan_init(struct h1_scan *s)
{
    s->at = s->lines = 0;
    s->reason = NULL;
    s->skipped = false;
}

/* Looks at buf[0..len), where buf[0..s->at) is what it has seen before (the bytes may have moved).
 * 1: the head ends at s->at, final empty line included; 0: more is needed; WEIR_EBADHEAD: refused,
 * with s->reason. The one CRLF that may precede a request line (RFC 9112 2.2) is passed over by the
 * caller, not here. `len` is below 4 GiB. */
int h1_scan(struct h1_scan *s, const char *buf, size_t len);

#endif
