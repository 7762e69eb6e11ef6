/* chunked.h -- the chunked coding (RFC 9112 7.1), taken apart without a copy.
 *
 * A decoder is fed whatever has arrived and hands out slices of it. All state is in the struct, so
 * the reader may stop after any byte. What is accepted:
 * - size: 1 to 16 hex digits below 2^63; no sign, prefix, underscore or blank before, in or behind
 *   it;
 * - extensions: *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) as RFC 9112 7.1.1
 *   has them, so a blank must have a ";" or "=" or what belongs to it next; quoted strings hold no
 *   CR, LF or other control; at most CHUNK_LINE_MAX bytes a line and CHUNK_EXT_MAX a body. They are
 *   dropped;
 * - every line ends with CRLF, and so does the data of each chunk. */
#ifndef CODEC_CHUNKED_H
#define CODEC_CHUNKED_H

#include "codec/h1_scan.h"

enum { CHUNK_LINE_MAX = 4096, CHUNK_EXT_MAX = 16384 };

struct chunked {
    uint64_t    left;   /* data bytes left in this chunk */
    uint32_t    ext;    /* bytes spent on extensions so far */
    uint16_t    line;   /* bytes of the current size line */
    uint8_t     state;
    uint8_t     digits;
    const char *reason; /* of a refusal */
};

enum chunked_result { CHUNKED_MORE = 0, CHUNKED_DATA = 1, CHUNKED_TRAILERS = 2 };

void chunked_init(struct chunked *c);

/* Moves `*in` forward. CHUNKED_DATA: `*piece` is body data (a slice of the input, never empty).
 * CHUNKED_TRAILERS: the body has ended; `*in` stands at the trailer section, which is at least the
 * final CRLF and which the caller reads with chunked_trailers; so says every later call.
 * CHUNKED_MORE: the input is used up. -1: malformed, with c->reason; so says every later call. */
int chunked_next(struct chunked *c, weir_str *in, weir_str *piece);

/* Finds the end of a trailer section at the front of `in`, of which `scan` (initialised before the
 * first call) has seen a part: its length with the final CRLF; 0 if it is not all there; -1 if
 * malformed (bare CR or LF, control bytes), with scan->reason. An empty section is the two bytes
 * CRLF. */
ptrdiff_t chunked_trailers(struct h1_scan *scan, weir_str in);

enum { CHUNK_HEAD_MAX = 18 }; /* 16 hex digits and CRLF */

/* Writes the size line of a chunk of `len` > 0 bytes to `out` and returns its length. */
size_t chunked_print_head(char out[CHUNK_HEAD_MAX], uint64_t len);

#endif
