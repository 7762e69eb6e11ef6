/* h2_frames.h -- the frame headers that pass, looked at beside nghttp2. */
#ifndef HTTP_H2_FRAMES_H
#define HTTP_H2_FRAMES_H

#include "base/base.h"

struct h2_conn;

enum { H2_CONTINUATIONS = 8 }; /* CONTINUATION frames of one field block */

struct h2_frames {
    size_t skip;      /* bytes until the next frame header; at first: the preface */
    uint8_t kept[14]; /* of the frame at hand */
    unsigned have;
    int32_t reset[64]; /* by us, the last ones */
    unsigned resets;
    int32_t forgotten;  /* the largest that is no longer among them */
    unsigned continued; /* CONTINUATION frames of the last field block */
    bool in_headers;    /* the frame at hand is part of one */
    bool open_block;    /* and not its last */
};

enum h2_frame {
    H2_FRAME_NONE,
    H2_FRAME_STREAM, /* DATA, HEADERS */
    H2_FRAME_PRIORITY,
    H2_FRAME_CONTINUATION,
    H2_FRAME_OTHER
};

/* The number of a stream, without the reserved bit. */
static inline int32_t h2_frames_id(const uint8_t *at)
{
    return (int32_t)((uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
                     at[3]);
}

/* The next frame header in `*bytes`, which nghttp2 is about to get; they move behind it. Where it
 * began is in `*start`, at the earliest their first byte: then it may have begun before. */
enum h2_frame h2_frames_next(struct h2_frames *f, weir_str *bytes, const char **start);

/* NULL, or what is wrong with the frame just found (not OTHER), once all before it has been
 * handled. */
const char *h2_frames_fault(const struct h2_conn *c, enum h2_frame kind, uint32_t *code);

/* A stream that we have reset: what still comes for it was on its way. */
void h2_frames_reset(struct h2_conn *c, int32_t id);

/* A field block is incomplete. */
bool h2_frames_in_block(const struct h2_frames *f);

#endif
