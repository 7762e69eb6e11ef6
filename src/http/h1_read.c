/* h1_read.c -- heads from an HTTP/1 connection (RFC 9112), and the buffer they come in.
 *
 * Heads take two passes: h1_scan finds the end while bytes arrive, then the complete head is copied
 * to the request's arena and parsed there, so that the buffer goes back before anything waits. A
 * connection that waits with nothing unread holds no buffer. */
#include <stdlib.h>
#include <string.h>

#include "codec/h1_scan.h"
#include "http/h1_parts.h"
#include "http/h2.h"
#include "runtime/buf.h"
#include "runtime/buf_wide.h"

enum { HEAD_ALONE = 4096 };

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
        c->pos = c->end = c->role == H1_CLIENT && !c->http.heard ? H1_LEAD : 0;
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

int h1_fill(struct h1_conn *c, struct pace *pace)
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
        rc = h1_fill(c, pace);
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

char *h1_keep(struct arena *arena, const char *from, size_t len)
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
    text = h1_keep(out->arena, c->buf + c->pos, scan.at);
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

bool h1_poll(struct h1_conn *c)
{
    struct pace pace = { .limit = { .at = 0, .err = WEIR_EIDLETIME }, .gap = WEIR_FOREVER };

    return h1_buffered(c) || (stream_readable(&c->net) && h1_fill(c, &pace) != WEIR_EIDLETIME);
}
