/* h1.c -- the life of an HTTP/1 connection: made, readied for each exchange, drained, closed. */
#include "http/h1.h"

#include <stdlib.h>

#include "http/h1_parts.h"
#include "net/linger.h"
#include "runtime/buf.h"
#include "runtime/buf_wide.h"
#include "runtime/runtime.h"
#include "tls/tls.h"

void h1_release(struct h1_conn *c)
{
    if (c->buf == NULL || c->pos < c->end)
        return;
    if (c->cap == BUF_SIZE)
        buf_put(&c->buf);
    else if (c->cap == BUF_WIDE)
        buf_wide_put(&c->buf);
    else
        free(c->buf);
    c->buf = NULL;
    c->pos = c->end = c->cap = 0;
    c->http.piece_at = NULL; /* what lay in it is gone, and so is the room in front */
    c->http.room = 0;
}

int h1_fail(struct h1_conn *c, int err, const char *fault)
{
    c->http.fault = fault;
    c->http.persistent = false;
    c->broken = true;
    return err;
}

/* A client that sent RST is gone at once. A FIN before its request was read, or amid its body, only
 * tells that nothing will follow (RFC 9112 9.6): it may have pipelined all it has to ask. One that
 * comes while the client waits, and nothing of it is left to be served, is most likely its end:
 * close() looks like that (RUNTIME.md S4). */
static int h1_gone(struct http_stream *st)
{
    struct h1_conn *c = h1_of(st);
    unsigned flags = slot_flags(slot_load(c->net.slot, DIR_IN));

    if (flags & SLOT_ERR)
        return c->net.reset_err;
    if (c->tunnel || c->last_word) /* a FIN ends one direction */
        return 0;
    if (!(flags & SLOT_HUP) || !st->body_done || h1_buffered(c))
        return 0;
    return stream_gone(&c->net) ? c->net.reset_err : 0;
}

static void h1_reset(struct http_stream *st)
{
    struct h1_conn *c = h1_of(st);

    st->persistent = false;
    c->broken = true;
    c->cut = true;
}

static void h1_tunnel(struct http_stream *st, bool in)
{
    struct h1_conn *c = h1_of(st);

    st->persistent = false;
    c->tunnel = true;
    if (in) {
        st->body_done = false;
        c->read_mode = BODY_CLOSE;
    } else {
        st->message_sent = false;
        c->tunnel_out = true;
        c->write_mode = BODY_CLOSE;
    }
}

static const struct http_ops h1_ops = {
    .read_head = h1_read_head,
    .read_body = h1_read_body,
    .write = h1_write,
    .pass_body = h1_pass_body,
    .tunnel = h1_tunnel,
    .reset = h1_reset,
    .gone = h1_gone,
};

static_assert(sizeof(struct h1_conn) == 30 * 8, "h1_init knows all members");

void h1_init(struct h1_conn *c, enum h1_role role, struct stream net,
             const struct h1_limits *limits)
{
    /* One by one, as in head_init: a server makes it anew whenever its client was idle. What
     * h1_next sets is left to it, and c->chunked to who reads a head. */
    c->http.ops = &h1_ops;
    c->http.tls = NULL;
    c->http.version = NULL;
    c->http.connect_protocol = c->http.more = false;
    c->net = net;
    c->limits = limits;
    c->buf = NULL;
    c->pos = c->end = c->cap = 0;
    c->roomy = c->bulky = false;
    c->role = (uint8_t)role;
    c->peer_minor = 0;
    c->broken = c->last_word = c->tunnel = c->tunnel_out = c->cut = c->lingers = c->alien =
        c->preface = false;
    c->arena = NULL;
    h1_next(c);
}

void h1_next(struct h1_conn *c)
{
    struct http_stream *st = &c->http;

    st->fault = NULL;
    st->trailers = NULL;
    st->send_trailers = NULL;
    st->piece_at = NULL;
    st->room = 0;
    st->framing = (struct framing){ .mode = BODY_NONE };
    st->head_sent = st->message_sent = false;
    st->body_done = c->role == H1_SERVER; /* a server owes nothing before a request */
    st->persistent = true;
    c->read_mode = c->write_mode = BODY_NONE;
    c->read_left = c->write_left = 0;
    c->full = false;
    c->http.heard = false;
    http_carry_on(st, false);
}

void h1_secured(struct h1_conn *c)
{
    c->http.tls = tls_info(&c->net);
}

bool h1_buffered(const struct h1_conn *c)
{
    return c->pos < c->end;
}

weir_str h1_take_buffered(struct h1_conn *c)
{
    weir_str bytes = { c->buf + c->pos, c->end - c->pos };

    c->pos = c->end;
    return bytes;
}

bool h1_reusable(const struct h1_conn *c)
{
    const struct http_stream *st = &c->http;

    if (c->broken || !st->persistent || !st->body_done || !st->message_sent)
        return false;
    return c->role == H1_SERVER || !h1_buffered(c);
}

bool h1_drain(struct h1_conn *c, struct deadline until)
{
    struct http_stream *st = &c->http;
    struct pace pace = { .limit = until, .gap = WEIR_FOREVER };
    size_t dropped = 0;
    weir_str piece;
    int rc;

    if (st->body_done)
        return true;
    if (c->broken || (c->read_mode == BODY_LENGTH && c->read_left > H1_DRAIN_MAX))
        return false;
    while ((rc = h1_read_body(st, &piece, &pace)) == HTTP_PIECE) {
        dropped += piece.len;
        if (st->body_done)
            return true;
        if (dropped > H1_DRAIN_MAX)
            return false;
    }
    return rc == HTTP_END;
}

void h1_linger(struct h1_conn *c)
{
    c->lingers = true;
}

/* Is it we who do not go on? Then the client may be sending its next request just now. */
static bool surprises(const struct h1_conn *c)
{
    return c->http.message_sent && c->http.framing.persistent && !c->tunnel;
}

void h1_close(struct h1_conn *c)
{
    /* Unread bytes would turn our close into an RST that destroys the answer on its way (RFC 9112
     * 9.6). */
    bool more =
        !c->http.body_done || h1_buffered(c) || c->http.fault != NULL || c->lingers || surprises(c);

    c->pos = c->end;
    h1_release(c);
    if (c->role == H1_SERVER && !c->cut && (more || stream_readable(&c->net)))
        linger_close(&c->net);
    else
        stream_close(&c->net, c->cut);
}
