/* h2_stream.c -- a stream: its life, between the strand that serves it and its connection, and what
 * the connection puts into it. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

/* ---- calls of struct http_stream ------------------------------------------------------------- */

static void h2_reset(struct http_stream *http)
{
    h2_post(h2_of(http), H2_POST_RESET);
}

static int h2_gone(struct http_stream *http)
{
    struct h2_stream *st = h2_of(http);
    int err;

    spin_lock(&st->lock);
    err = st->error;
    spin_unlock(&st->lock);
    return err;
}

/* DATA frames carry whatever it is (RFC 9113 8.5): only the end has to be looked for anew. */
static void h2_tunnel(struct http_stream *http, bool in)
{
    struct h2_stream *st = h2_of(http);

    if (!in) {
        st->tunnel = true; /* an end of ours is not the end of both */
        return;
    }
    spin_lock(&st->lock);
    http->body_done = st->in_ended && st->in_first == NULL;
    spin_unlock(&st->lock);
}

static const struct http_ops h2_ops = {
    .read_head = h2_read_head,
    .read_body = h2_read_body,
    .write = h2_write,
    .tunnel = h2_tunnel,
    .reset = h2_reset,
    .gone = h2_gone,
};

/* ---- its life -------------------------------------------------------------------------------- */

struct h2_stream *h2_stream_new(struct h2_conn *c)
{
    struct h2_stream *st = malloc(sizeof *st);

    if (st == NULL)
        return NULL;
    *st = (struct h2_stream){
        .http = { .ops = &h2_ops, .persistent = true, .version = "HTTP/2.0" },
        .conn = c,
    };
    st->http.tls = tls_info(c->net);
    st->in_end = &st->in_first;
    st->out_end = &st->out_first;
    st->sending_end = &st->sending;
    event_init(&st->in_event);
    event_init(&st->out_event);
    link_init(&st->link);
    link_init(&st->wait);
    return st;
}

/* The connection gets to know it. */
void h2_stream_list(struct h2_stream *st)
{
    st->listed = true;
    link_before(&st->conn->streams, &st->link);
    if (!st->conn->server)
        st->conn->running++;
}

struct h2_stream *h2_open(struct h2_conn *c)
{
    struct h2_stream *st;

    if (atomic_load(&c->full))
        return NULL;
    if (atomic_fetch_add(&c->open, 1) >= atomic_load(&c->limit) ||
        (st = h2_stream_new(c)) == NULL) {
        atomic_fetch_sub(&c->open, 1);
        return NULL;
    }
    atomic_fetch_add_explicit(&c->users, 1, memory_order_relaxed);
    return st;
}

int h2_stream_begin(struct h2_stream *st)
{
    int err;

    spin_lock(&st->lock);
    st->strand = strand_self();
    err = st->error;
    spin_unlock(&st->lock);
    return err;
}

void h2_stream_end(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    h2_post(st, H2_POST_DROP);
    h2_leave(c); /* the stream is not ours any more; nor may the connection be */
}

struct http_stream *h2_stream_http(struct h2_stream *st)
{
    return &st->http;
}

const struct stream *h2_stream_net(const struct h2_stream *st)
{
    return st->conn->net;
}

void *h2_stream_owner(struct h2_stream *st)
{
    return st->conn->owner;
}

void h2_stream_free(struct h2_stream *st)
{
    h2_in_free(st->in_first);
    h2_in_free(st->held);
    h2_in_free(st->block);
    h2_out_free(st->out_first);
    h2_out_free(st->sending);
    h2_out_free(st->sent);
    nghttp2_session_set_stream_user_data(st->conn->session, st->id, NULL);
    link_remove(&st->link);
    link_remove(&st->wait);
    free(st);
}

/* ---- what its connection tells it ------------------------------------------------------------ */

void h2_stream_over(struct h2_stream *st, int err)
{
    strand_ref strand;

    spin_lock(&st->lock);
    if (st->error == 0)
        st->error = err;
    strand = st->strand;
    spin_unlock(&st->lock);
    event_set(&st->in_event);
    event_set(&st->out_event);
    if (strand != 0 && !st->dropped && !st->http.carry_on)
        strand_cancel(strand, err); /* a server's: nobody wants the response any more */
}

void h2_stream_push(struct h2_stream *st, struct h2_in *in, bool ended)
{
    spin_lock(&st->lock);
    if (in != NULL) {
        in->next = NULL;
        *st->in_end = in;
        st->in_end = &in->next;
    }
    st->in_ended |= ended;
    spin_unlock(&st->lock);
    event_set(&st->in_event);
}

size_t h2_stream_unread(struct h2_stream *st)
{
    size_t n = 0;

    spin_lock(&st->lock);
    for (const struct h2_in *in = st->in_first; in != NULL; in = in->next)
        n += sizeof *in + in->cap;
    spin_unlock(&st->lock);
    return n;
}

static struct h2_in *new_buffer(void)
{
    struct h2_in *in = (struct h2_in *)buf_get();

    if (in != NULL)
        *in = (struct h2_in){ .kind = H2_IN_DATA, .pooled = true, .cap = BUF_SIZE - sizeof *in };
    return in;
}

/* Into what is left of the last buffer, and new ones. The windows bound how much that can be. */
bool h2_stream_append(struct h2_stream *st, const uint8_t *data, size_t len)
{
    bool ok = true;

    spin_lock(&st->lock);
    while (len > 0 && ok) {
        struct h2_in *last =
            st->in_first != NULL ? container_of(st->in_end, struct h2_in, next) : NULL;
        size_t n;

        if (last == NULL || last->kind != H2_IN_DATA || last->used == last->cap) {
            last = new_buffer();
            ok = last != NULL;
            if (!ok)
                break;
            *st->in_end = last;
            st->in_end = &last->next;
        }
        n = MIN(len, (size_t)(last->cap - last->used));
        memcpy(last->bytes + last->used, data, n);
        last->used += (uint32_t)n;
        data += n;
        len -= n;
    }
    spin_unlock(&st->lock);
    event_set(&st->in_event);
    return ok;
}
