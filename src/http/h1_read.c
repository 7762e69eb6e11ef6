/* h1_read.c -- heads and bodies from an HTTP/1 connection (RFC 9112).
 *
 * Heads take two passes: h1_scan finds the end while bytes arrive, then the complete head is copied
 * to the request's arena and parsed there, so that the buffer goes back before anything waits.
 * Bodies are handed out as slices of the buffer. A connection that waits with nothing unread holds
 * no buffer. */
#include <stdlib.h>
#include <string.h>

#include "codec/h1_scan.h"
#include "http/h1_parts.h"
#include "http/h2.h"
#include "runtime/buf.h"
#include "runtime/buf_wide.h"

enum { HEAD_ALONE = 4096 };

/* What is left free in front of a response: with the room of its head, which is copied, enough for
 * the head that goes on with the body. */
enum { LEAD = 512 };

/* Makes room behind the unread bytes; the caller has made sure that some can be had. */
static int make_room(struct h1_conn *c)
{
    if (c->buf == NULL) {
        c->buf = c->full || (c->roomy && !c->http.heard) ? buf_wide_get() : NULL;
        c->cap = BUF_WIDE;
        if (c->buf == NULL) {
            c->buf = buf_get();
            c->cap = BUF_SIZE;
        }
        c->pos = c->end = c->role == H1_CLIENT && !c->http.heard ? LEAD : 0;
        if (c->buf == NULL)
            return h1_fail(c, WEIR_ENOMEM, NULL);
    } else if (c->end == c->cap && c->pos > 0) {
        memmove(c->buf, c->buf + c->pos, c->end - c->pos);
        c->end -= c->pos;
        c->pos = 0;
    }
    return 0;
}

/* How much the next read takes. What comes after the head of a bulky body is better left in the
 * kernel. */
static size_t room(const struct h1_conn *c)
{
    size_t all = c->cap - c->end;

    return c->bulky && !c->http.heard ? MIN(all, HEAD_ALONE) : all;
}

/* Reads more: > 0 bytes, 0 the peer has closed, < 0 an error. */
static int fill(struct h1_conn *c, struct pace *pace)
{
    size_t most;
    ssize_t n;
    int rc;

    h1_release(c);
    if (c->buf == NULL && !stream_readable(&c->net)) {
        rc = stream_wait_readable(&c->net, pace);
        if (rc < 0)
            return rc; /* nothing was consumed: a cancelled read may go on later */
    }
    TRY(make_room(c));
    most = room(c);
    n = stream_read(&c->net, c->buf + c->end, most, pace);
    c->full = n == (ssize_t)most;
    if (!c->http.heard)
        c->roomy = n >= BUF_SIZE && c->role == H1_SERVER;
    if (n > 0)
        c->end += (uint32_t)n;
    else
        h1_release(c);
    return (int)n;
}

/* Does a head fill its buffer? */
static bool is_full(const struct h1_conn *c)
{
    return c->buf != NULL && c->end == c->cap && c->pos == 0;
}

/* A head that does not fit into an ordinary buffer: a larger one, for all that a head may have. */
static SELDOM int grow_for_head(struct h1_conn *c)
{
    size_t cap = MAX(c->limits->max_head + 2 + BUF_SIZE, BUF_WIDE + 1u);
    size_t used = c->end - c->pos;
    char *bigger;

    if (c->cap >= cap)
        return 0;
    bigger = malloc(cap);
    if (bigger == NULL)
        return h1_fail(c, WEIR_ENOMEM, NULL);
    if (used > 0)
        memcpy(bigger, c->buf + c->pos, used);
    c->pos = c->end; /* so that the old one is released */
    h1_release(c);
    c->buf = bigger;
    c->cap = (uint32_t)cap;
    c->end = (uint32_t)used;
    return 0;
}

/* The peer closed amid a head, or before it. */
static int head_cut(struct h1_conn *c)
{
    if (c->role == H1_SERVER)
        return h1_buffered(c) ? h1_fail(c, WEIR_ECLIENTGONE, "closed amid a request head") : 0;
    return h1_fail(c, WEIR_EUPCLOSED, h1_buffered(c) ? "closed amid a response head" : NULL);
}

/* A client that is gone, or too slow, before it began a request wants no answer. */
static int unheard(const struct h1_conn *c, int err)
{
    return c->role == H1_SERVER && !h1_buffered(c) && !c->http.heard ? 0 : err;
}

/* Collects a whole head: 1 with its length in scan->at, 0 the peer closed, < 0. */
static int collect_head(struct h1_conn *c, struct h1_scan *scan, struct pace *pace)
{
    enum h1_side side = c->role == H1_SERVER ? H1_REQUEST : H1_RESPONSE;
    struct h1_fault fault = { NULL };
    int rc;

    for (;;) {
        if (h1_buffered(c)) {
            weir_str in = { c->buf + c->pos, c->end - c->pos };

            rc = h1_collect(scan, side, c->limits, &in, &fault);
            c->pos = c->end - (uint32_t)in.len;
            if (rc < 0)
                return h1_fail(c, rc, fault.reason);
            if (rc > 0)
                return 1;
        }
        if (unlikely(is_full(c)))
            TRY(grow_for_head(c));
        rc = fill(c, pace);
        if (rc == 0)
            return head_cut(c);
        if (rc < 0)
            return unheard(c, rc);
        c->http.heard = true;
    }
}

/* What a parsed head says of its body and of the connection behind it. */
static int frame(struct h1_conn *c, const struct weir_head *head, enum method method)
{
    struct http_stream *st = &c->http;
    struct h1_fault fault = { NULL };
    int rc;

    if (c->role == H1_SERVER)
        rc = framing_request(head, &st->framing, &fault);
    else
        rc = framing_response(head, method, &st->framing, &fault);
    if (rc < 0)
        return h1_fail(c, rc, fault.reason);
    c->peer_minor = head->minor;
    st->persistent = st->persistent && st->framing.persistent;
    if (c->role == H1_CLIENT && head->status < 200)
        return 1; /* interim: the body belongs to a later head */
    c->read_mode = (uint8_t)st->framing.mode;
    c->read_left = st->framing.mode == BODY_LENGTH ? st->framing.length : 0;
    chunked_init(&c->chunked);
    c->bulky = c->bulky && c->read_left >= H1_PASS_MIN;
    c->last_word = c->role == H1_SERVER && slot_flags(slot_load(c->net.slot, DIR_IN)) & SLOT_HUP;
    st->body_done = st->framing.mode == BODY_NONE ||
                    (st->framing.mode == BODY_LENGTH && st->framing.length == 0);
    return 1;
}

/* A copy of a head's text for the parser, which may read a little past it. */
static char *keep(struct arena *arena, const char *from, size_t len)
{
    char *text = arena_text(arena, len + H1_PAD);

    if (text == NULL)
        return NULL;
    memset(text + len, 0, H1_PAD);
    return memcpy(text, from, len);
}

/* Whoever knows that we speak HTTP/2 begins with it (RFC 9113 3.4), in the form of a head: so
 * nobody ever waits for more bytes to find out. */
static bool is_preface(const struct h1_conn *c, size_t len)
{
    return len == sizeof H2_PREFACE_HEAD - 1 && memcmp(c->buf + c->pos, H2_PREFACE_HEAD, len) == 0;
}

/* Does a first line end with a version of HTTP, whatever it is? */
static bool names_http(const char *text, size_t len)
{
    static const char name[] = "HTTP/";
    const char *cr = memchr(text, '\r', len);

    return cr != NULL && memmem(text, (size_t)(cr - text), name, sizeof name - 1) != NULL;
}

/* A head that is refused before it was parsed has no method yet; but whoever begins with HEAD takes
 * no body for an answer (RFC 9110 9.3.2). */
static SELDOM int refuse_unparsed(const struct h1_conn *c, struct weir_head *out, int rc)
{
    static const char word[] = "HEAD ";

    if (c->role == H1_SERVER && c->end - c->pos >= sizeof word - 1 &&
        memcmp(c->buf + c->pos, word, sizeof word - 1) == 0)
        out->method_id = METHOD_HEAD;
    return rc;
}

static __attribute__((noinline)) int read_head(struct h1_conn *c, struct weir_head *out,
                                               enum method method, struct pace *pace)
{
    struct h1_fault fault = { NULL };
    struct h1_scan scan;
    char *text;
    int rc;

    h1_scan_init(&scan);
    rc = collect_head(c, &scan, pace);
    if (rc <= 0)
        return rc < 0 ? refuse_unparsed(c, out, rc) : 0;
    if (c->role == H1_SERVER && is_preface(c, scan.at)) {
        c->preface = true;
        return h1_fail(c, WEIR_EVERSION, "HTTP/2 is not spoken here");
    }
    text = keep(out->arena, c->buf + c->pos, scan.at);
    if (text == NULL)
        return h1_fail(c, WEIR_ENOMEM, NULL);
    c->pos += (uint32_t)scan.at;
    h1_release(c);
    c->arena = out->arena;

    if (c->role == H1_SERVER)
        rc = h1_parse_request(text, &scan, c->limits, out, &fault);
    else
        rc = h1_parse_response(text, &scan, c->limits, out, &fault);
    if (rc < 0) {
        c->alien = rc == WEIR_EBADHEAD && !names_http(text, scan.at);
        return h1_fail(c, rc, fault.reason);
    }
    return frame(c, out, method);
}

/* The long wait, for a response, is here and not amid `read_head`, which has half a kilobyte of
 * stack for the places of lines: what waits shall touch one page (runtime/stack.h). */
int h1_read_head(struct http_stream *st, struct weir_head *out, enum method method,
                 struct deadline until)
{
    struct h1_conn *c = h1_of(st);
    struct pace pace = { .limit = until, .gap = WEIR_FOREVER };
    int rc = 0;

    if (c->role == H1_CLIENT && !h1_buffered(c) && !stream_readable(&c->net)) {
        h1_release(c);
        rc = stream_wait_readable(&c->net, &pace);
    }
    return rc < 0 ? rc : read_head(c, out, method, &pace);
}

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
        text = keep(c->arena, in.ptr, (size_t)len);
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
 * leaves as one piece, and the end of the body is seen with the last of it. */
static int take_chunks(struct h1_conn *c, weir_str *piece)
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
    memcpy(wide + LEAD, c->buf + c->pos, there);
    c->pos = c->end; /* so that the old one is released */
    h1_release(c);
    c->buf = wide;
    c->cap = BUF_WIDE;
    c->pos = LEAD;
    c->end = LEAD + there;
    n = stream_read(&c->net, wide + c->end, BUF_WIDE - c->end, &look);
    c->end += n > 0 ? (uint32_t)n : 0;
    c->full = false;
}

int h1_read_body(struct http_stream *st, weir_str *piece, struct pace *pace)
{
    struct h1_conn *c = h1_of(st);
    int rc;

    if (pace == NULL && may_gather(c))
        gather(c);
    for (;;) {
        rc = take_piece(c, piece);
        if (rc != HTTP_LATER || pace == NULL)
            return rc;
        rc = fill(c, pace);
        if (rc == 0)
            return h1_body_cut(c);
        if (rc < 0)
            return rc;
    }
}

bool h1_poll(struct h1_conn *c)
{
    struct pace pace = { .limit = { .at = 0, .err = WEIR_EIDLETIME }, .gap = WEIR_FOREVER };

    return h1_buffered(c) || (stream_readable(&c->net) && fill(c, &pace) != WEIR_EIDLETIME);
}
