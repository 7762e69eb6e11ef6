/* h1_body.c -- bodies from an HTTP/1 connection (RFC 9112 section 6): handed out as slices of the
 * buffer, in which what came in chunks is moved together. */
#include <string.h>

#include "codec/h1_scan.h"
#include "http/h1_parts.h"
#include "runtime/buf.h"
#include "runtime/buf_wide.h"

/* What a malformed body is called on this side. */
static int bad_body(struct h1_conn *c, const char *reason)
{
    return h1_fail(c, c->role == H1_SERVER ? WEIR_EBADBODY : WEIR_EUPBODY, reason);
}

/* The trailer section behind the last chunk: HTTP_END, HTTP_LATER, < 0. */
static int take_trailers(struct h1_conn *c)
{
    weir_str in = { c->buf + c->pos, c->end - c->pos };
    struct h1_fault fault = { NULL };
    struct weir_head *trailers;
    struct h1_scan scan;
    ptrdiff_t len;
    char *text;

    h1_scan_init(&scan);
    len = chunked_trailers(&scan, in);
    if (len < 0)
        return bad_body(c, scan.reason);
    if (len == 0)
        return in.len < BUF_SIZE ? HTTP_LATER : bad_body(c, "the trailer section is too large");
    if (len > 2) {
        trailers = arena_alloc(c->arena, sizeof *trailers);
        text = h1_keep(c->arena, in.ptr, (size_t)len);
        if (trailers == NULL || text == NULL)
            return h1_fail(c, WEIR_ENOMEM, NULL);
        head_init(trailers, c->arena, 0);
        if (h1_parse_trailers(text, &scan, c->limits, trailers,
                              c->role == H1_SERVER ? WEIR_EBADBODY : WEIR_EUPBODY, &fault) < 0)
            return bad_body(c, fault.reason);
        if (trailers->count > 0)
            c->http.trailers = trailers;
    }
    c->pos += (uint32_t)len;
    c->http.body_done = true;
    return HTTP_END;
}

/* Takes all chunk data that is there, moved together in place: what arrived in many small chunks
 * leaves as one piece, and the end of the body is seen with the last of it. Not for each caller of
 * take_piece: most bodies are not chunked. */
static __attribute__((noinline)) int take_chunks(struct h1_conn *c, weir_str *piece)
{
    weir_str in = { c->buf + c->pos, c->end - c->pos }, data;
    char *start = NULL;
    size_t len = 0;
    int rc;

    while ((rc = chunked_next(&c->chunked, &in, &data)) == CHUNKED_DATA) {
        if (start == NULL)
            start = (char *)data.ptr;
        else
            memmove(start + len, data.ptr, data.len);
        len += data.len;
    }
    c->pos = c->end - (uint32_t)in.len;
    if (rc < 0)
        return bad_body(c, c->chunked.reason);
    if (rc == CHUNKED_TRAILERS) {
        rc = take_trailers(c);
        if (rc < 0)
            return rc;
    }
    *piece = (weir_str){ start, len };
    if (len > 0)
        return HTTP_PIECE;
    return c->http.body_done ? HTTP_END : HTTP_LATER;
}

/* From what has arrived: HTTP_PIECE, HTTP_END, HTTP_LATER, < 0. */
static int take_piece(struct h1_conn *c, weir_str *piece)
{
    size_t there = c->end - c->pos;

    *piece = (weir_str){ NULL, 0 };
    if (c->http.body_done)
        return HTTP_END;
    if (there == 0)
        return HTTP_LATER;
    if (c->read_mode == BODY_CHUNKED)
        return take_chunks(c, piece);
    if (c->read_mode == BODY_LENGTH) {
        if (there > c->read_left)
            there = c->read_left;
        c->read_left -= there;
        c->http.body_done = c->read_left == 0;
    }
    *piece = (weir_str){ c->buf + c->pos, there };
    c->http.piece_at = piece->ptr;
    c->http.room = c->pos; /* heads are copied, and pieces before this one used up */
    c->pos += (uint32_t)there;
    return HTTP_PIECE;
}

/* The peer closed amid a body: the end of it only where the close is what ends it. */
int h1_body_cut(struct h1_conn *c)
{
    if (c->read_mode == BODY_CLOSE && c->net.cut && !c->tunnel) /* anybody may send a FIN */
        return h1_fail(c, WEIR_EUPCUT, "closed without close_notify");
    if (c->read_mode == BODY_CLOSE) {
        c->http.body_done = true;
        return HTTP_END;
    }
    if (c->role == H1_SERVER)
        return h1_fail(c, WEIR_ECLIENTGONE, "closed amid a request body");
    return h1_fail(c, WEIR_EUPCUT, NULL);
}

/* Was a buffer not quite enough for the rest of a body? */
static inline bool may_gather(const struct h1_conn *c)
{
    uint32_t there = c->end - c->pos;

    return c->full && c->cap == BUF_SIZE && c->read_mode == BODY_LENGTH && c->read_left > there &&
           c->read_left - there < H1_PASS_MIN && stream_readable(&c->net);
}

/* The end of a body of which the first buffer was not quite enough: it leaves with the rest then,
 * in one call. What goes wrong here goes wrong again when somebody waits for it. */
static __attribute__((noinline)) void gather(struct h1_conn *c)
{
    struct pace look = { .limit = { .at = 0, .err = WEIR_EIDLETIME }, .gap = WEIR_FOREVER };
    uint32_t there = c->end - c->pos;
    char *wide = buf_wide_get();
    ssize_t n;

    if (wide == NULL)
        return;
    memcpy(wide + H1_LEAD, c->buf + c->pos, there);
    c->pos = c->end; /* so that the old one is released */
    h1_release(c);
    c->buf = wide;
    c->cap = BUF_WIDE;
    c->pos = H1_LEAD;
    c->end = H1_LEAD + there;
    n = stream_read(&c->net, wide + c->end, BUF_WIDE - c->end, &look);
    c->end += n > 0 ? (uint32_t)n : 0;
    c->full = false;
}

/* The same, waiting until there is some. */
static __attribute__((noinline)) int await_piece(struct h1_conn *c, weir_str *piece,
                                                 struct pace *pace)
{
    int rc;

    while ((rc = take_piece(c, piece)) == HTTP_LATER) {
        rc = h1_fill(c, pace);
        if (rc == 0)
            return h1_body_cut(c);
        if (rc < 0)
            return rc;
    }
    return rc;
}

int h1_read_body(struct http_stream *st, weir_str *piece, struct pace *pace)
{
    struct h1_conn *c = h1_of(st);

    if (pace != NULL)
        return await_piece(c, piece, pace);
    if (may_gather(c))
        gather(c);
    return take_piece(c, piece);
}
