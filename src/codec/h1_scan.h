/* h1_scan.h -- finds the end of an HTTP/1 head in a growing buffer, looking at each byte once.
 *
 * The first of two passes: it knows lines and control bytes, nothing else. What can never become a
 * head is refused at once: a bare CR or LF, NUL, another control byte (but HTAB), a first byte that
 * no start line begins with (a TLS hello on a plain port). The second pass (h1_parse.h) gets a
 * complete head, and relies on it: in there, CR stands only before LF.
 *
 * There is one driver and a function that classifies 32 bytes at a time, for AVX2, for SSE2, and in
 * portable C; the best one for this machine is chosen at the first call. */
#ifndef CODEC_H1_SCAN_H
#define CODEC_H1_SCAN_H

#include "base/base.h"

struct h1_scan {
    size_t      at;          /* bytes already looked at */
    size_t      lines;       /* CRLFs among them, the final empty line not counted */
    size_t      line_start;  /* of the line that is being looked at */
    size_t      target_line; /* length of the first line, 0 while unknown: for 414 before 431 */
    const char *reason;      /* of a refusal */
};

static inline void h1_scan_init(struct h1_scan *s)
{
    *s = (struct h1_scan){ 0 };
}

/* Looks at buf[0..len), where buf[0..s->at) is what it has seen before (the bytes may have moved).
 * 1: the head ends at s->at, final empty line included; 0: more is needed; WEIR_EBADHEAD: refused,
 * with s->reason. The one CRLF that may precede a request line (RFC 9112 2.2) is passed over by the
 * caller, not here. */
int h1_scan(struct h1_scan *s, const char *buf, size_t len);

/* The same by one way of classifying, for tests and benchmarks. False if this machine has it
 * not. */
enum scan_kind { SCAN_PORTABLE, SCAN_SSE2, SCAN_AVX2, SCAN_KINDS };
bool h1_scan_with(enum scan_kind kind, struct h1_scan *s, const char *buf, size_t len, int *rc);

#endif
