/* h2_recv.c -- what nghttp2's callbacks make of the frames that come.
 *
 * Of what a peer may send for nothing each frame costs it some of its budget (h2_budget.c). All of
 * this runs on the worker's stack and never blocks. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum { LIST_MAX = 4 }; /* a decoded field block above so many times the limit ends all */

/* ---- heads ----------------------------------------------------------------------------------- */

/* The clock of a header block runs from its first byte to its last, whatever frames it comes in.
 * One for a stream that is over is decoded, and of that nghttp2 tells nobody. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *conn)
{
    struct h2_conn *c = conn;

    if (hd->type == NGHTTP2_HEADERS) {
        c->head_since = rt_now();
        if (c->unseen && c->server) /* an upstream's answers cross with resets of ours */
            h2_spend(c, H2_COST_LATE, "too many field blocks for streams that are over");
        c->unseen = true;
    }
    if (hd->type == NGHTTP2_SETTINGS)
        c->queued = nghttp2_session_get_outbound_queue_size(session);
    if (hd->type == NGHTTP2_PRIORITY_UPDATE)
        h2_priority_begin(c);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_conn *c = conn;

    (void)session;
    c->unseen = false;
    c->list_size = 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* a response, or trailers: the stream is there */
    return h2_admit_new(c, frame->hd.stream_id);
}

/* Beyond its limit a block is dropped, but still decoded, as the next one builds upon it; a block
 * that grows and grows out of its table is not (CVE-2016-6581). */
static bool bursts(struct h2_conn *c, size_t text)
{
    c->list_size += text + H2_FIELD_COST;
    return c->list_size > LIST_MAX * c->config->limits->max_head;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = h2_stream_by_id(c, frame->hd.stream_id);
    weir_str n = h2_text(nghttp2_rcbuf_get_buf(name)), v = h2_text(nghttp2_rcbuf_get_buf(value));

    (void)session;
    if (bursts(c, n.len + v.len)) {
        h2_conn_calm(c, "a field block many times as large as it may be");
        return NGHTTP2_ERR_PAUSE;
    }
    if (st == NULL) /* refused */
        return 0;
    if (!h2_block_add(&st->block, c->config->limits, n, v, flags & NGHTTP2_NV_FLAG_NO_INDEX))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

/* A field that RFC 9113 does not allow makes the request malformed; without this it would just be
 * left out. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *conn)
{
    struct h2_stream *st = h2_stream_by_id(conn, frame->hd.stream_id);

    (void)session;
    (void)name;
    (void)value;
    (void)flags;
    if (st != NULL)
        st->malformed = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Interim responses are followed by another head. */
static bool is_interim(const struct h2_in *block)
{
    static const char field[] = ":status1";

    return block->used > sizeof(struct h2_field_size) + sizeof field &&
           memcmp(block->bytes + sizeof(struct h2_field_size), field, sizeof field - 1) == 0;
}

/* Interim heads are in no window: an upstream may send many while the client is slow to take them.
 * What waits is bounded by what one head may be. */
static bool too_many_interim(struct h2_conn *c, struct h2_stream *st)
{
    if (st->malformed) /* its reset is on the way */
        return true;
    if (h2_stream_unread(st) <= c->config->limits->max_head)
        return false;
    st->malformed = true;
    h2_stream_reset(st, NGHTTP2_ENHANCE_YOUR_CALM);
    return true;
}

/* A header block is complete. */
static void headers_in(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *st = h2_stream_by_id(c, frame->hd.stream_id);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct h2_in *block;
    bool interim;

    if (st == NULL)
        return;
    block = st->block;
    st->block = NULL;
    if (block == NULL) { /* trailers without a field */
        h2_stream_push(st, NULL, ended);
        return;
    }
    block->kind = st->head_in ? H2_IN_TRAILERS : H2_IN_HEAD;
    if (!st->head_in && c->server) {
        h2_priority_open(c, st->id);
        h2_admit_ready(c, st);
    }
    interim = !c->server && !st->head_in && is_interim(block);
    if (interim && too_many_interim(c, st)) {
        h2_in_free(block);
        return;
    }
    st->head_in |= !interim;
    h2_stream_push(st, block, ended);
}

/* ---- other frames ---------------------------------------------------------------------------- */

static void data_in(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *st = h2_stream_by_id(c, frame->hd.stream_id);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.length > 0 && frame->hd.length == frame->data.padlen && !ended)
        h2_spend(c, H2_COST_EMPTY, "too many empty DATA frames");
    if (st != NULL && ended)
        h2_stream_push(st, NULL, true);
}

/* How many streams the peer lets us open at once. */
static void settle_limit(struct h2_conn *c)
{
    uint32_t most =
        nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    atomic_store(&c->limit, MIN(most, c->config->max_streams));
    if (c->settled != NULL) {
        c->settled(c->owner);
        c->settled = NULL;
    }
}

/* A window of a stream that grows beyond 2^31-1 by SETTINGS is an error of the connection (RFC 9113
 * 6.9.2). nghttp2 resets that stream, and of this it tells nobody: but only the ACK and such resets
 * are queued while it takes a SETTINGS frame in. */
static void check_windows(struct h2_conn *c)
{
    if (nghttp2_session_get_outbound_queue_size(c->session) > c->queued + 1)
        h2_conn_wrong(c, NGHTTP2_FLOW_CONTROL_ERROR,
                      "SETTINGS that make a window larger than 2^31-1");
}

/* The first ones have to be, and so has the answer to ours. */
static void settings_in(struct h2_conn *c, bool answer)
{
    if (c->greeted && !answer)
        h2_spend(c, H2_COST_SETTINGS, "too many SETTINGS frames");
    c->greeted = true;
    check_windows(c);
    settle_limit(c);
    h2_squeeze_opened(c);
}

/* Ours belong to us, the client's to it: a server can only reset what we have opened. */
static void reset_in(struct h2_conn *c)
{
    if (c->server)
        h2_spend(c, H2_COST_RESET, "too many RST_STREAM frames");
}

/* A server takes no new streams: those that wait for one that it has can go elsewhere at once. */
static void goaway_in(struct h2_conn *c, uint32_t code)
{
    atomic_store(&c->full, true);
    c->wants_h1 |= code == NGHTTP2_HTTP_1_1_REQUIRED;
    for (struct link *l = c->streams.next; l != &c->streams && !c->server; l = l->next) {
        struct h2_stream *st = container_of(l, struct h2_stream, link);

        if (!st->head_out && !st->dropped)
            h2_stream_over(st, h2_refused(c));
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_conn *c = conn;

    (void)session;
    if (frame->hd.type != NGHTTP2_PING)
        c->asked = 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        headers_in(c, frame);
        break;
    case NGHTTP2_DATA:
        data_in(c, frame);
        break;
    case NGHTTP2_RST_STREAM:
        reset_in(c);
        break;
    case NGHTTP2_GOAWAY:
        goaway_in(c, frame->goaway.error_code);
        h2_spend(c, H2_COST_PING, "too many GOAWAY frames");
        break;
    case NGHTTP2_SETTINGS:
        settings_in(c, (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            c->drain_until = c->drain_until != 0 ? 1 : 0; /* it has seen our first GOAWAY */
        h2_spend(c, H2_COST_PING, "too many PING frames");
        break;
    case NGHTTP2_WINDOW_UPDATE:
        h2_spend(c, H2_COST_WINDOW, "too many WINDOW_UPDATE frames");
        h2_squeeze_opened(c);
        break;
    case NGHTTP2_PRIORITY_UPDATE:
        h2_priority_update(c, &frame->hd);
        h2_spend(c, H2_COST_PRIORITY, "too many priority frames");
        break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = h2_stream_by_id(c, frame->hd.stream_id);

    (void)session;
    c->unseen = false;
    if (st != NULL)
        st->malformed = true;
    if (error == NGHTTP2_ERR_REFUSED_STREAM) /* more than we take, and it may not know yet */
        h2_spend(c, H2_COST_RESET, "too many streams that had to be refused");
    else
        h2_spend(c, H2_COST_WRONG, "too many frames that are wrong");
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = h2_stream_by_id(c, id);

    (void)session;
    (void)flags;
    if (st == NULL || st->dropped) { /* nobody reads it: the window must not fill */
        h2_consumed(c, id, len);
        return 0;
    }
    if (h2_stream_append(st, data, len))
        return 0;
    h2_conn_fail(c, WEIR_ENOMEM, NGHTTP2_INTERNAL_ERROR, NULL);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

void h2_recv_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
}
