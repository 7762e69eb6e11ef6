/* h2_read.c -- heads and bodies of a stream, for the strand that serves it. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

/* Bytes that are used up before the connection is told: while more are there, and before the strand
 * goes on to something else. What all streams keep to themselves then is less than half of their
 * connection's window, which opens anew when half of it has been used. */
enum { TELL_AFTER = 16 * 1024, TELL_WAITING = H2_CONN_WINDOW / 2 / H2_STREAMS };
static_assert(TELL_AFTER < H2_WINDOW / 2, "a stream's window opens before it is used up");

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

int h2_read_head(struct http_stream *http, struct weir_head *out, enum method method,
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
}

static void tell(struct h2_stream *st, uint32_t least)
{
    if (st->unposted < least)
        return;
    atomic_fetch_add_explicit(&st->consumed, st->unposted, memory_order_relaxed);
    st->unposted = 0;
    h2_post(st, H2_POST_CONSUMED);
}

/* Nobody comes back for more: the last piece counts as used when it is handed out. */
static void tell_last(struct h2_stream *st)
{
    st->unposted += st->held->used;
    st->held->used = 0;
    tell(st, TELL_WAITING);
}

static int read_trailers(struct h2_stream *st, struct h2_in *in)
{
    struct http_stream *http = &st->http;
    struct weir_head *trailers = arena_alloc(st->arena, sizeof *trailers);
    int rc = WEIR_ENOMEM;

    if (st->tunnel) { /* RFC 9113 8.5: nothing but bytes */
        h2_in_free(in);
        st->misused = true;
        http->fault = "a HEADERS frame in a tunnel";
        return WEIR_EBADBODY;
    }
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

int h2_read_body(struct http_stream *http, weir_str *piece, struct pace *pace)
{
    struct h2_stream *st = h2_of(http);
    struct h2_in *in;
    bool last;
    int rc;

    *piece = (weir_str){ NULL, 0 };
    if (http->body_done)
        return HTTP_END;
    release(st);
    tell(st, TELL_AFTER);
    while ((rc = take_in(st, &in, &last)) == 0 && !last) {
        int64_t since = rt_now();

        tell(st, TELL_WAITING);
        if (pace == NULL)
            return HTTP_LATER;
        rc = event_wait(&st->in_event, pace_next(pace, since));
        pace->waited += MAX(rt_now() - since, 0);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    if (rc == 0 || in->kind == H2_IN_TRAILERS)
        tell(st, TELL_WAITING);
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
    if (last)
        tell_last(st);
    return HTTP_PIECE;
}
