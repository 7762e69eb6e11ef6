/* forwarded.h -- the Forwarded field (RFC 7239), written; and Max-Forwards (RFC 9110 7.6.2), read.
 */
#ifndef CODEC_FORWARDED_H
#define CODEC_FORWARDED_H

#include "codec/head.h"

/* Who sent a request to whom, and how. Absent parts are left out. */
struct forwarded {
    weir_str from;  /* for=: an address without brackets and port, or "unknown" */
    weir_str by;    /* by=: likewise, or an identifier that begins with "_" */
    weir_str host;  /* host=: what Host or :authority said */
    weir_str proto; /* proto=: http or https */
};

/* One forwarded-element in `arena`, quoted where the grammar wants it: an IPv6 address stands in
 * brackets and quotes, and what is no token in quotes. A part that a quoted string cannot hold (a
 * control byte) is left out. Absent without memory. */
weir_str forwarded_print(const struct forwarded *f, struct arena *arena);

/* May an element stand behind this one? Not if it is empty or its last quoted string never ends,
 * which would swallow what follows. */
bool forwarded_goes_on(weir_str value);

enum forwards {
    FORWARDS_ON,    /* goes on: no such field, or another method than TRACE and OPTIONS */
    FORWARDS_LESS,  /* goes on with Max-Forwards: `*left` */
    FORWARDS_END,   /* ends here: we are whom it asks for */
    FORWARDS_WRONG, /* repeated or no number */
};

/* What Max-Forwards says of a request; numbers above FORWARDS_MAX count as that. */
enum { FORWARDS_MAX = 255 };
enum forwards max_forwards(const struct weir_head *req, unsigned *left);

#endif
