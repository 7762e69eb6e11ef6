/* h2_send.c -- from what strands post to the bytes of one write.
 *
 * All posts that have come are taken at once, and everything they make goes into one buffer: frames
 * of many streams leave in one call. Body bytes are copied once, from where the writer has them to
 * that buffer. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum {
    FRAME_HEAD = 9,
    FRAME_ROOM = 16384 + 64, /* the largest chunk that nghttp2 hands out */
    DRIBBLE = 256,           /* a window that is smaller than this is hardly one */
};

/* ---- the buffer ------------------------------------------------------------------------------ */

static bool out_full(const struct h2_conn *c)
{
    return c->out_len + FRAME_ROOM > ARRAY_LEN(c->out) * BUF_SIZE;
}

static bool append(struct h2_conn *c, const void *bytes, size_t len)
{
    const char *from = bytes;

    while (len > 0) {
        size_t piece = c->out_len / BUF_SIZE, used = c->out_len % BUF_SIZE;
        size_t n = MIN(len, BUF_SIZE - used);

        ensure(piece < ARRAY_LEN(c->out));
        if (c->out[piece] == NULL && (c->out[piece] = buf_get()) == NULL)
            return false;
        memcpy(c->out[piece] + used, from, n);
        c->out_len += n;
        from += n;
        len -= n;
    }
    return true;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* The first piece is used up. One that was lent goes back to its writer. Under the lock. */
static void piece_done(struct h2_stream *st)
{
    struct h2_out *o = st->sending;

    st->sending = o->next;
    if (st->sending == NULL)
        st->sending_end = &st->sending;
    if (o->borrowed)
        st->lent = false;
    else
        st->queued -= o->len;
    if (o->end)
        st->out_ended = true;
    if (o->nvlen > 0) { /* its fields may not have left yet */
        o->next = st->sent;
        st->sent = o;
    } else {
        free(o);
    }
    event_set(&st->out_event);
}

/* Empty pieces are nothing to wait for. */
static struct h2_out *first_piece(struct h2_stream *st)
{
    while (st->sending != NULL && st->sending->off == st->sending->len &&
           st->sending->kind != H2_OUT_TRAILERS)
        piece_done(st);
    return st->sending;
}

/* false: there is no memory for it, and an end without them would look complete. */
static bool send_trailers(struct h2_stream *st, uint32_t *flags)
{
    struct h2_out *o = st->sending;

    st->sending = NULL;
    st->sending_end = &st->sending;
    o->next = st->sent;
    st->sent = o;
    st->out_ended = true;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(st->conn->session, st->id, o->nv, o->nvlen) == 0;
}

/* How much of the body may leave now; the copy is made in h2_data_sent. */
static ssize_t offer(struct h2_stream *st, size_t max, uint32_t *flags)
{
    bool dribbles = false;
    struct h2_out *o;
    size_t n = 0;

    spin_lock(&st->lock);
    if (st->withdrawn) {
        spin_unlock(&st->lock);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    o = first_piece(st);
    if (o != NULL && o->kind != H2_OUT_TRAILERS && h2_squeeze_waits(st, max, o->len - o->off)) {
        spin_unlock(&st->lock);
        return NGHTTP2_ERR_DEFERRED;
    }
    if (o != NULL && o->kind != H2_OUT_TRAILERS) {
        n = MIN(max, o->len - o->off);
        dribbles = max < DRIBBLE && n == max;
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (o->end && n == o->len - o->off)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (o != NULL || st->out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    spin_unlock(&st->lock);
    if (o != NULL && o->kind == H2_OUT_TRAILERS && !send_trailers(st, flags))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (dribbles)
        h2_spend(st->conn, H2_COST_DRIBBLE, "a window that opens by some bytes at a time");
    if (n == 0 && !(*flags & NGHTTP2_DATA_FLAG_EOF))
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)n;
}

ssize_t h2_data_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                     uint32_t *flags, nghttp2_data_source *source, void *conn)
{
    (void)session;
    (void)id;
    (void)buf;
    (void)conn;
    return offer(source->ptr, length, flags);
}

int h2_data_sent(struct h2_conn *c, struct h2_stream *st, const uint8_t *head, size_t len)
{
    struct h2_out *o;
    bool ok = true;

    if (out_full(c)) /* nghttp2 goes from frame to frame by itself */
        return NGHTTP2_ERR_WOULDBLOCK;
    spin_lock(&st->lock);
    o = st->sending;
    if (len > 0 && st->withdrawn) {
        spin_unlock(&st->lock);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    ok = append(c, head, FRAME_HEAD);
    if (ok && len > 0) {
        ok = append(c, o->data + o->off, len);
        o->off += len;
        h2_slow_sent(st, len);
        if (o->off == o->len)
            piece_done(st);
    }
    spin_unlock(&st->lock);
    return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- frames ---------------------------------------------------------------------------------- */

void h2_collect(struct h2_conn *c)
{
    if (rt_now() >= h2_squeeze_next(c))
        h2_squeeze_opened(c);
    while (!out_full(c)) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);

        if (n == 0)
            return;
        if (n < 0 || !append(c, bytes, (size_t)n)) {
            c->eof = c->cut = true;
            c->err = c->err != 0 ? c->err : WEIR_ENOMEM;
            return;
        }
    }
}
