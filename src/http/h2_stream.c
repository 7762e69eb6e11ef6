/* h2_stream.c -- one stream, as the strand that serves it sees it: struct http_stream over posts
 * and events. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum {
    COPY_MAX = 4096,        /* a piece up to this size is copied, and its writer goes on */
    QUEUED_MAX = 16 * 1024, /* so many copied bytes may wait to be sent */
    TELL_AFTER =
        16 * 1024, /* bytes consumed before the connection is told: less than half a window */
};

static inline struct h2_stream *h2_of(struct http_stream *http)
{
    return container_of(http, struct h2_stream, http);
}

static void post(struct h2_stream *st, unsigned what)
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

/* ---- the connection's side ------------------------------------------------------------------- */

void h2_in_free(struct h2_in *list)
{
    while (list != NULL) {
        struct h2_in *next = list->next;
        char *buf = (char *)list;

        if (list->pooled)
            buf_put(&buf);
        else
            free(list);
        list = next;
    }
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

/* ---- reading --------------------------------------------------------------------------------- */

/* The next of what came: 1; 0: nothing yet; < 0: nothing more will. */
static int take_in(struct h2_stream *st, struct h2_in **in, bool *last)
{
    int rc = 0;

    spin_lock(&st->lock);
    *in = st->in_first;
    if (*in != NULL) {
        st->in_first = (*in)->next;
        if (st->in_first == NULL)
            st->in_end = &st->in_first;
        (*in)->next = NULL;
        rc = 1;
    } else if (!st->in_ended) {
        rc = st->error;
    }
    *last = st->in_ended && st->in_first == NULL;
    spin_unlock(&st->lock);
    return rc;
}

/* RFC 9110 8.6: a method that is about content says that there is none. */
static struct framing no_body(const struct weir_head *h)
{
    bool stated = head_has_id(h, FIELD_CONTENT_LENGTH) || h->method_id == METHOD_POST ||
                  h->method_id == METHOD_PUT || h->method_id == METHOD_PATCH;

    return (struct framing){ .mode = stated ? BODY_LENGTH : BODY_NONE, .persistent = true };
}

static int h2_read_head(struct http_stream *http, struct weir_head *out, enum method method,
                        struct deadline until)
{
    struct h2_stream *st = h2_of(http);
    const char *fault = NULL;
    struct h2_in *in;
    bool last;
    int rc;

    while ((rc = take_in(st, &in, &last)) == 0)
        TRY(event_wait(&st->in_event, until));
    if (rc < 0)
        return rc;
    http->heard = true;
    st->arena = out->arena;
    rc = st->conn->server
             ? h2_parse_request(in, st->conn->config->limits, out, &http->framing, &fault)
             : h2_parse_response(in, st->conn->config->limits, method, out, &http->framing, &fault);
    h2_in_free(in);
    if (rc < 0) {
        http->fault = fault;
        return rc;
    }
    http->body_done = last;
    http->connect_protocol = st->conn->server && head_has_id(out, FIELD_UPGRADE);
    if (out->method_id == METHOD_CONNECT || http->connect_protocol) {
        http->framing = (struct framing){ .mode = BODY_NONE, .persistent = true };
        http->body_done = true; /* what follows is a tunnel, or nothing */
        return 1;
    }
    if (last && st->conn->server)
        http->framing = no_body(out);
    else if (last && http->framing.mode == BODY_CHUNKED)
        http->framing.mode = BODY_LENGTH; /* of nothing */
    return 1;
}

/* The last piece has been used: its bytes may come anew. */
static void release(struct h2_stream *st)
{
    struct h2_in *in = st->held;

    if (in == NULL)
        return;
    st->held = NULL;
    st->unposted += in->used;
    h2_in_free(in);
    if (st->unposted < TELL_AFTER)
        return;
    atomic_fetch_add_explicit(&st->consumed, st->unposted, memory_order_relaxed);
    st->unposted = 0;
    post(st, H2_POST_CONSUMED);
}

static int read_trailers(struct h2_stream *st, struct h2_in *in)
{
    struct http_stream *http = &st->http;
    struct weir_head *trailers = arena_alloc(st->arena, sizeof *trailers);
    int rc = WEIR_ENOMEM;

    if (trailers != NULL) {
        head_init(trailers, st->arena, 0);
        rc = h2_parse_trailers(in, st->conn->config->limits, trailers,
                               st->conn->server ? WEIR_EBADBODY : WEIR_EUPBODY, &http->fault);
    }
    h2_in_free(in);
    if (rc < 0)
        return rc;
    if (trailers->count > 0)
        http->trailers = trailers;
    http->body_done = true;
    return HTTP_END;
}

static int h2_read_body(struct http_stream *http, weir_str *piece, struct pace *pace)
{
    struct h2_stream *st = h2_of(http);
    struct h2_in *in;
    bool last;
    int rc;

    *piece = (weir_str){ NULL, 0 };
    if (http->body_done)
        return HTTP_END;
    release(st);
    while ((rc = take_in(st, &in, &last)) == 0 && !last) {
        int64_t since = rt_now();

        if (pace == NULL)
            return HTTP_LATER;
        rc = event_wait(&st->in_event, pace_next(pace, since));
        pace->waited += MAX(rt_now() - since, 0);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    if (rc == 0) {
        http->body_done = true;
        return HTTP_END;
    }
    if (in->kind == H2_IN_TRAILERS)
        return read_trailers(st, in);
    st->held = in;
    if (pace != NULL)
        pace->bytes += in->used;
    http->body_done = last;
    *piece = (weir_str){ in->bytes, in->used };
    return HTTP_PIECE;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What is written, as one or two pieces for the connection. */
static int make_out(struct h2_stream *st, const struct http_message *m, weir_str piece, bool end,
                    bool lend, struct h2_out **out)
{
    const struct weir_head *trailers = end ? st->http.send_trailers : NULL;
    weir_str copy = lend ? (weir_str){ NULL, 0 } : piece;
    struct h2_out *o;

    if (m != NULL) {
        o = st->conn->server ? h2_print_response(m, copy)
                             : h2_print_request(m, copy, st->conn->https);
    } else {
        o = malloc(sizeof *o + copy.len);
        if (o != NULL) {
            *o = (struct h2_out){ .kind = H2_OUT_DATA, .len = copy.len };
            o->data = (char *)(o + 1);
            if (copy.len > 0)
                memcpy(o + 1, copy.ptr, copy.len);
        }
    }
    if (o == NULL)
        return WEIR_ENOMEM;
    if (lend) {
        o->borrowed = true;
        o->data = piece.ptr;
        o->len = piece.len;
    }
    o->end = end && trailers == NULL;
    if (trailers != NULL) {
        o->next = h2_print_trailers(trailers);
        if (o->next == NULL) {
            h2_out_free(o);
            return WEIR_ENOMEM;
        }
    }
    *out = o;
    return 0;
}

/* Waits until what was lent is taken, or what is queued has become less. */
static int await_room(struct h2_stream *st, struct pace *pace)
{
    for (;;) {
        int64_t since = rt_now();
        bool wait;
        int rc;

        spin_lock(&st->lock);
        rc = st->error;
        wait = st->lent || st->queued > QUEUED_MAX;
        spin_unlock(&st->lock);
        if (!wait)
            return 0;
        if (rc < 0)
            return rc;
        rc = event_wait(&st->out_event, pace_next(pace, since));
        pace->waited += MAX(rt_now() - since, 0);
        if (rc < 0)
            return rc;
    }
}

/* The writer leaves: nobody may look at its piece any more. Who reads is told the cause. */
static void withdraw(struct h2_stream *st, int err)
{
    spin_lock(&st->lock);
    st->withdrawn = true;
    if (st->error == 0)
        st->error = err;
    spin_unlock(&st->lock);
    event_set(&st->in_event);
    post(st, H2_POST_RESET);
}

static int push_out(struct h2_stream *st, struct h2_out *o, bool lend)
{
    int rc;

    spin_lock(&st->lock);
    rc = st->error;
    if (rc == 0) {
        *st->out_end = o;
        st->lent = lend || o->kind == H2_OUT_INTERIM; /* they count no bytes, but may be many */
        if (!lend)
            st->queued += o->len;
        while (o->next != NULL)
            o = o->next;
        st->out_end = &o->next;
    }
    spin_unlock(&st->lock);
    if (rc < 0)
        h2_out_free(o);
    else
        post(st, H2_POST_OUT);
    return rc;
}

static int h2_write(struct http_stream *http, const struct http_message *m, weir_str piece,
                    bool end, struct pace *pace)
{
    struct h2_stream *st = h2_of(http);
    bool interim = m != NULL && m->head->status != 0 && m->head->status < 200 && !m->tunnel;
    bool bodyless = m != NULL && m->framing.mode == BODY_NONE && !m->tunnel;
    bool lend = piece.len > COPY_MAX;
    struct h2_out *o;
    int rc;

    TRY(co_check());
    if (interim || bodyless)
        lend = false;
    if (interim)
        end = false;
    else if (bodyless)
        end = true;
    if (m == NULL && piece.len == 0 && !end)
        return 0;
    TRY(make_out(st, m, interim || bodyless ? LIT("") : piece, end, lend, &o));
    TRY(push_out(st, o, lend));
    if (m != NULL && !interim)
        http->head_sent = true;
    rc = await_room(st, pace);
    if (rc < 0) {
        withdraw(st, rc);
        return rc;
    }
    pace->bytes += piece.len;
    if (end)
        http->message_sent = true;
    return 0;
}

static void h2_reset(struct http_stream *http)
{
    post(h2_of(http), H2_POST_RESET);
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

    post(st, H2_POST_DROP);
    h2_leave(c); /* the stream is not ours any more; nor may the connection be */
}

struct http_stream *h2_stream_http(struct h2_stream *st)
{
    return &st->http;
}

void *h2_stream_owner(struct h2_stream *st)
{
    return st->conn->owner;
}
