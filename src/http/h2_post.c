/* h2_post.c -- posts: what the strands of streams tell their connection.
 *
 * A stream is in the list of its connection at most once, newest first; what it has to say are bits
 * that are collected until they are taken. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

void h2_post(struct h2_stream *st, unsigned what)
{
    struct h2_conn *c = st->conn;
    unsigned old = atomic_fetch_or_explicit(&st->posts, what | H2_QUEUED, memory_order_acq_rel);
    struct h2_stream *first;

    if (old & H2_QUEUED)
        return;
    first = atomic_load_explicit(&c->posted, memory_order_relaxed);
    do
        st->next_post = first;
    while (!atomic_compare_exchange_weak_explicit(&c->posted, &first, st, memory_order_acq_rel,
                                                  memory_order_relaxed));
    event_set(&c->wake);
}

/* ---- what was written ------------------------------------------------------------------------ */

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
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = h2_data_read };
    nghttp2_data_provider *with = alone ? NULL : &body;
    struct h2_conn *c = st->conn;

    if (c->server) {
        if (nghttp2_submit_response(c->session, st->id, o->nv, o->nvlen, with) != 0)
            h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
    } else if (submit_request(st, o, with) != 0) {
        atomic_store(&c->full, true);
        st->closed = true;
        h2_stream_over(st, h2_refused(c));
    }
}

/* Interim heads may be many: their text is copied, so that it can go at once. */
static void send_interim(struct h2_stream *st, struct h2_out *o)
{
    for (size_t i = 0; i < o->nvlen; i++)
        o->nv[i].flags &= (uint8_t) ~(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    h2_needed(st->conn, nghttp2_submit_headers(st->conn->session, NGHTTP2_FLAG_NONE, st->id, NULL,
                                               o->nv, o->nvlen, NULL));
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
        h2_resume(st->conn, st->id);
}

/* Its writer has waited for as long as a peer may take. */
static void judge(struct h2_stream *st)
{
    struct h2_taken taken = h2_slow_taken(st);

    spin_lock(&st->lock);
    st->taken = taken;
    st->judged = true;
    spin_unlock(&st->lock);
    event_set(&st->out_event);
}

/* ---- the end of a strand, and other posts ---------------------------------------------------- */

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
    h2_consumed(st->conn, st->id, n);
}

/* What a client is told of a message, or a tunnel, that does not come to its end (RFC 9113 8.5, RFC
 * 8441 5). */
static uint32_t why_cut(const struct h2_stream *st)
{
    if (st->misused)
        return NGHTTP2_PROTOCOL_ERROR;
    if (!st->tunnel)
        return NGHTTP2_INTERNAL_ERROR;
    return st->http.connect_protocol ? NGHTTP2_CANCEL : NGHTTP2_CONNECT_ERROR;
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
        h2_stream_reset(st, NGHTTP2_CANCEL); /* what is left of the response has no reader */
    else if (!st->http.message_sent)
        h2_stream_reset(st, why_cut(st));
    h2_end_linger(st);
}

/* A reset goes past what waits to be sent on its stream: that leaves first, as far as it can. */
static void reset(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    if (c->server)
        h2_collect(c);
    if (!st->closed)
        h2_stream_reset(st, c->server ? why_cut(st) : NGHTTP2_CANCEL);
}

static void take_post(struct h2_stream *st)
{
    unsigned what = atomic_exchange_explicit(&st->posts, 0, memory_order_acq_rel);
    struct h2_conn *c = st->conn;

    if (!st->listed)
        h2_stream_list(st);
    if (what & H2_POST_LATE)
        judge(st);
    if (what & H2_POST_OUT) {
        h2_slow_look(st);
        take_out(st);
    }
    if (what & H2_POST_CONSUMED)
        h2_consumed(c, st->id, atomic_exchange_explicit(&st->consumed, 0, memory_order_relaxed));
    if (what & H2_POST_RESET)
        reset(st);
    if (what & H2_POST_DROP)
        drop(st);
}

void h2_post_take(struct h2_conn *c)
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
