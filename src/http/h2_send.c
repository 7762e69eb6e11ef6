/* h2_send.c -- from what strands post to the bytes of one write.
 *
 * All posts that have come are taken at once, and everything they make goes into one buffer: frames
 * of many streams leave in one call. Body bytes are copied once, from where the writer has them to
 * that buffer. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

#define SQUEEZE_AFTER (50 * WEIR_MS)

enum {
    FRAME_HEAD = 9,
    FRAME_ROOM = 16384 + 64, /* the largest chunk that nghttp2 hands out */
    FRAME_WORTH = 4096, /* what is left of a window is used if it is so large, or half of it */
    DRIBBLE = 256,           /* a window that is smaller than this is hardly one */
};

void h2_out_free(struct h2_out *list)
{
    while (list != NULL) {
        struct h2_out *next = list->next;

        free(list);
        list = next;
    }
}

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

static void send_trailers(struct h2_stream *st, uint32_t *flags)
{
    struct h2_out *o = st->sending;

    st->sending = NULL;
    st->sending_end = &st->sending;
    o->next = st->sent;
    st->sent = o;
    st->out_ended = true;
    if (nghttp2_submit_trailer(st->conn->session, st->id, o->nv, o->nvlen) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

/* ---- windows that are nearly used up --------------------------------------------------------- */

/* A peer that gives back each frame's bytes at once, a usual one, would get ever smaller frames if
 * what is left of a window were used to the last byte: each small one comes back as a small window
 * (RFC 9293 3.8.6.2.1 tells of TCP's). So a window waits until it is worth a frame, or for a
 * moment, as some peers open none before it is used up. */
static size_t worth_a_frame(const struct h2_conn *c)
{
    uint32_t whole =
        nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);

    return MIN(FRAME_WORTH, whole / 2);
}

static bool window_waits(struct h2_stream *st, size_t max, size_t left)
{
    struct h2_conn *c = st->conn;

    if (max >= left || c->squeezes || max >= worth_a_frame(c))
        return false;
    st->squeezed = true;
    if (c->squeezed_at == 0)
        c->squeezed_at = rt_now();
    return true;
}

void h2_window_opened(struct h2_conn *c)
{
    if (c->squeezed_at == 0)
        return;
    c->squeezed_at = 0;
    for (struct link *l = c->streams.next; l != &c->streams; l = l->next) {
        struct h2_stream *st = container_of(l, struct h2_stream, link);

        if (st->squeezed)
            nghttp2_session_resume_data(c->session, st->id);
        st->squeezed = false;
    }
}

int64_t h2_squeeze_next(const struct h2_conn *c)
{
    return c->squeezed_at != 0 ? c->squeezed_at + SQUEEZE_AFTER : INT64_MAX;
}

/* ---- bodies, read by nghttp2 ----------------------------------------------------------------- */

/* How much of the body may leave now; the copy is made in h2_data_sent. */
ssize_t h2_data_read(struct h2_stream *st, size_t max, uint32_t *flags)
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
    if (o != NULL && o->kind != H2_OUT_TRAILERS && window_waits(st, max, o->len - o->off)) {
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
    if (o != NULL && o->kind == H2_OUT_TRAILERS)
        send_trailers(st, flags);
    if (dribbles)
        h2_session_dribble(st->conn);
    if (n == 0 && !(*flags & NGHTTP2_DATA_FLAG_EOF))
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)n;
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
        if (o->off == o->len)
            piece_done(st);
    }
    spin_unlock(&st->lock);
    return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *conn)
{
    (void)session;
    (void)id;
    (void)buf;
    (void)conn;
    return h2_data_read(source->ptr, length, flags);
}

/* ---- posts ----------------------------------------------------------------------------------- */

static void fail_stream(struct h2_stream *st, uint32_t code)
{
    nghttp2_submit_rst_stream(st->conn->session, NGHTTP2_FLAG_NONE, st->id, code);
}

static int submit_request(struct h2_stream *st, const struct h2_out *o,
                          const nghttp2_data_provider *body)
{
    struct h2_conn *c = st->conn;
    int32_t id = -1;

    if (!atomic_load(&c->full))
        id = nghttp2_submit_request(c->session, NULL, o->nv, o->nvlen, body, st);
    if (id < 0) /* ids are used up, or it said GOAWAY */
        return id;
    st->id = id;
    return 0;
}

/* The fields of a message that is about to leave. */
static void send_head(struct h2_stream *st, struct h2_out *o, bool alone)
{
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_data };
    nghttp2_data_provider *with = alone ? NULL : &body;
    struct h2_conn *c = st->conn;

    if (c->server) {
        if (nghttp2_submit_response(c->session, st->id, o->nv, o->nvlen, with) != 0)
            fail_stream(st, NGHTTP2_INTERNAL_ERROR);
    } else if (submit_request(st, o, with) != 0) {
        atomic_store(&c->full, true);
        st->closed = true;
        h2_stream_over(st, WEIR_EUPREFUSED);
    }
}

/* Interim heads may be many: their text is copied, so that it can go at once. */
static void send_interim(struct h2_stream *st, struct h2_out *o)
{
    for (size_t i = 0; i < o->nvlen; i++)
        o->nv[i].flags &= (uint8_t) ~(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    nghttp2_submit_headers(st->conn->session, NGHTTP2_FLAG_NONE, st->id, NULL, o->nv, o->nvlen,
                           NULL);
    free(o);
    spin_lock(&st->lock);
    st->lent = false;
    spin_unlock(&st->lock);
    event_set(&st->out_event);
}

/* What a strand has written since. */
static void take_out(struct h2_stream *st)
{
    struct h2_out *list, *next;
    bool more = false;

    spin_lock(&st->lock);
    list = st->out_first;
    st->out_first = NULL;
    st->out_end = &st->out_first;
    spin_unlock(&st->lock);
    for (; list != NULL; list = next) {
        next = list->next;
        list->next = NULL;
        if (st->closed) {
            list->next = st->sent;
            st->sent = list;
        } else if (list->kind == H2_OUT_INTERIM) {
            send_interim(st, list);
        } else {
            bool alone = list->kind == H2_OUT_HEAD && list->end && list->len == 0;

            if (list->kind == H2_OUT_HEAD)
                send_head(st, list, alone);
            *st->sending_end = list;
            st->sending_end = &list->next;
            more = true;
        }
    }
    if (more)
        nghttp2_session_resume_data(st->conn->session, st->id);
}

static void start_lingering(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    st->linger_until = deadline_in(rt_now(), c->config->send_timeout, 0).at;
    link_before(&c->lingering, &st->wait);
}

/* What nobody will read any more makes room in the connection's window. */
void h2_credit_rest(struct h2_stream *st)
{
    size_t n = st->unposted + (st->held != NULL ? st->held->used : 0);

    for (struct h2_in *in = st->in_first; in != NULL; in = in->next)
        n += in->kind == H2_IN_DATA ? in->used : 0;
    h2_in_free(st->in_first);
    h2_in_free(st->held);
    st->in_first = st->held = NULL;
    st->in_end = &st->in_first;
    nghttp2_session_consume(st->conn->session, st->id, n);
}

/* Its strand has ended. What it wrote may still have to leave. */
static void drop(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    st->dropped = true;
    c->running--;
    h2_credit_rest(st);
    if (!c->server)
        atomic_fetch_sub(&c->open, 1);
    if (st->closed || st->id == 0) { /* 0: it asked for nothing */
        h2_stream_free(st);
        return;
    }
    if (!c->server)
        fail_stream(st, NGHTTP2_CANCEL); /* what is left of the response has no reader */
    else if (!st->http.message_sent)
        fail_stream(st, NGHTTP2_INTERNAL_ERROR);
    start_lingering(st);
}

/* A reset goes past what waits to be sent on its stream: that leaves first, as far as it can. */
static void reset(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    if (c->server)
        h2_collect(c);
    if (!st->closed)
        fail_stream(st, c->server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
}

static void take_post(struct h2_stream *st)
{
    unsigned what = atomic_exchange_explicit(&st->posts, 0, memory_order_acq_rel);
    struct h2_conn *c = st->conn;

    if (!st->listed)
        h2_stream_list(st);
    if (what & H2_POST_OUT)
        take_out(st);
    if (what & H2_POST_CONSUMED)
        nghttp2_session_consume(c->session, st->id,
                                atomic_exchange_explicit(&st->consumed, 0, memory_order_relaxed));
    if (what & H2_POST_RESET)
        reset(st);
    if (what & H2_POST_DROP)
        drop(st);
}

void h2_take_posts(struct h2_conn *c)
{
    struct h2_stream *newest = atomic_exchange_explicit(&c->posted, NULL, memory_order_acq_rel);
    struct h2_stream *oldest = NULL;

    while (newest != NULL) {
        struct h2_stream *next = newest->next_post;

        newest->next_post = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct h2_stream *next = oldest->next_post; /* it may be posted again, or be gone */

        take_post(oldest);
        oldest = next;
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void collect(struct h2_conn *c)
{
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

void h2_collect(struct h2_conn *c)
{
    bool moment_over = rt_now() >= h2_squeeze_next(c);

    if (moment_over)
        h2_window_opened(c);
    c->squeezes = moment_over;
    collect(c);
    c->squeezes = false;
}
