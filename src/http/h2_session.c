/* h2_session.c -- nghttp2 as we use it: its options, and what its callbacks make of the
 * frames that come.
 *
 * nghttp2 keeps the rules of RFC 9113 about frames, states and pseudo-fields, and answers what
 * breaks them. All of this runs on the worker's stack and never blocks. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

/* What it costs to be told things (h2_budget.c): 200 resets at once and 20 a second, and so on. */
enum {
    COST_RESET = 10,
    COST_WRONG = 20,
    COST_PING = 10,
    COST_SETTINGS = 20,
    COST_PRIORITY = 2,
    COST_WINDOW = 1,
    COST_EMPTY = 10,
    COST_UNKNOWN = 2,
    COST_DRIBBLE = 20,
    GAIN_DATA = 16, /* a client that reads may ping once for what it got (gRPC does) */
};

enum { LIST_MAX = 4 }; /* a decoded field block above so many times the limit ends all */

void h2_conn_fail(struct h2_conn *c, int err, uint32_t code, const char *fault)
{
    if (c->err != 0)
        return;
    c->err = err;
    c->fault = fault;
    nghttp2_session_terminate_session(c->session, code);
}

static int protocol_error(const struct h2_conn *c)
{
    return c->server ? WEIR_EH2PROTOCOL : WEIR_EUPH2;
}

static int abuse_error(const struct h2_conn *c)
{
    return c->server ? WEIR_EH2ABUSE : WEIR_EUPH2;
}

static void calm(struct h2_conn *c, const char *fault)
{
    h2_conn_fail(c, abuse_error(c), NGHTTP2_ENHANCE_YOUR_CALM, fault);
}

static void spend(struct h2_conn *c, unsigned cost, const char *fault)
{
    if (!h2_spend(c, cost))
        calm(c, fault);
}

/* It asks for a response in pieces of some bytes (CVE-2019-9511). */
void h2_session_dribble(struct h2_conn *c)
{
    spend(c, COST_DRIBBLE, "a window that opens by some bytes at a time");
}

static struct h2_stream *stream_of(struct h2_conn *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

/* The clock of a header block runs from its first byte to its last, whatever frames it comes in. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *conn)
{
    struct h2_conn *c = conn;

    if (hd->type == NGHTTP2_HEADERS)
        c->head_since = rt_now();
    if (hd->type == NGHTTP2_SETTINGS)
        c->queued = nghttp2_session_get_outbound_queue_size(session);
    return 0;
}

/* As many as were advertised may run, counting also streams that were reset and whose strand is not
 * yet through with it: an origin never has more of this connection's requests than that
 * (CVE-2023-44487). As many again may wait for one of them to end; beyond that they are refused. */
static int refuse_stream(struct h2_conn *c, int32_t id)
{
    spend(c, COST_RESET, "too many streams that had to be refused");
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st;

    c->list_size = 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* a response, or trailers: the stream is there */
    if (c->running + c->begun >= 2 * c->config->max_streams)
        return refuse_stream(c, frame->hd.stream_id);
    st = h2_stream_new(c);
    if (st == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->begun++;
    st->id = frame->hd.stream_id;
    h2_stream_list(st);
    nghttp2_session_set_stream_user_data(session, st->id, st);
    return 0;
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
    struct h2_stream *st = stream_of(c, frame->hd.stream_id);
    weir_str n = h2_text(nghttp2_rcbuf_get_buf(name)), v = h2_text(nghttp2_rcbuf_get_buf(value));

    (void)session;
    (void)flags;
    if (bursts(c, n.len + v.len)) {
        calm(c, "a field block many times as large as it may be");
        return NGHTTP2_ERR_PAUSE;
    }
    if (st == NULL) /* refused */
        return 0;
    if (!h2_block_add(&st->block, c->config->limits, n, v))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

/* A field that RFC 9113 does not allow makes the request malformed; without this it would just be
 * left out. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *conn)
{
    struct h2_stream *st = stream_of(conn, frame->hd.stream_id);

    (void)session;
    (void)name;
    (void)value;
    (void)flags;
    if (st != NULL)
        st->malformed = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* A request is there: its strand can start. */
static void request_in(struct h2_conn *c, struct h2_stream *st)
{
    c->requests++;
    *c->born_end = st;
    c->born_end = &st->next_post;
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
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_ENHANCE_YOUR_CALM);
    return true;
}

/* A header block is complete. */
static void headers_in(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *st = stream_of(c, frame->hd.stream_id);
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
    if (!st->head_in && c->server)
        request_in(c, st);
    interim = !c->server && !st->head_in && is_interim(block);
    if (interim && too_many_interim(c, st)) {
        h2_in_free(block);
        return;
    }
    st->head_in |= !interim;
    h2_stream_push(st, block, ended);
}

static void data_in(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *st = stream_of(c, frame->hd.stream_id);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.length == frame->data.padlen && !ended)
        spend(c, COST_EMPTY, "too many empty DATA frames");
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
        h2_conn_fail(c, protocol_error(c), NGHTTP2_FLOW_CONTROL_ERROR,
                     "SETTINGS that make a window larger than 2^31-1");
}

/* Ours belong to us, the client's to it: a server can only reset what we have opened. */
static void reset_in(struct h2_conn *c)
{
    if (c->server)
        spend(c, COST_RESET, "too many RST_STREAM frames");
}

static void goaway_in(struct h2_conn *c, uint32_t code)
{
    atomic_store(&c->full, true);
    c->wants_h1 |= code == NGHTTP2_HTTP_1_1_REQUIRED;
}

/* RFC 9218 7.1 */
static void check_update(struct h2_conn *c, const nghttp2_ext_priority_update *update)
{
    if (update->stream_id == 0)
        h2_conn_fail(c, protocol_error(c), NGHTTP2_PROTOCOL_ERROR,
                     "a PRIORITY_UPDATE frame for stream 0");
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
        spend(c, COST_PING, "too many GOAWAY frames");
        break;
    case NGHTTP2_SETTINGS:
        c->greeted = true;
        check_windows(c);
        settle_limit(c);
        h2_window_opened(c);
        spend(c, COST_SETTINGS, "too many SETTINGS frames");
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            c->drain_until = c->drain_until != 0 ? 1 : 0; /* it has seen our first GOAWAY */
        spend(c, COST_PING, "too many PING frames");
        break;
    case NGHTTP2_WINDOW_UPDATE:
        spend(c, COST_WINDOW, "too many WINDOW_UPDATE frames");
        h2_window_opened(c);
        break;
    case NGHTTP2_PRIORITY_UPDATE:
        check_update(c, frame->ext.payload);
        spend(c, COST_PRIORITY, "too many priority frames");
        break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = stream_of(c, frame->hd.stream_id);

    (void)session;
    (void)error;
    if (st != NULL)
        st->malformed = true;
    spend(c, COST_WRONG, "too many frames that are wrong");
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = stream_of(c, id);

    (void)flags;
    if (st == NULL || st->dropped) { /* nobody reads it: the window must not fill */
        nghttp2_session_consume(session, id, len);
        return 0;
    }
    if (!h2_stream_append(st, data, len))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

/* What the end of a stream is called on its side. */
static int why_closed(const struct h2_stream *st, uint32_t code)
{
    if (st->conn->server)
        return WEIR_ECLIENTGONE;
    if (st->malformed)
        return WEIR_EUPH2;
    if (code == NGHTTP2_HTTP_1_1_REQUIRED || st->conn->wants_h1)
        return WEIR_EUPH1;
    return code == NGHTTP2_REFUSED_STREAM ? WEIR_EUPREFUSED : WEIR_EUPRESET;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = stream_of(c, id);

    (void)session;
    if (st == NULL)
        return 0;
    st->closed = true;
    if (c->server && !st->head_in)
        c->begun--;
    if (st->dropped || (c->server && !st->head_in)) /* its strand has ended, or was never started */
        h2_stream_free(st);
    else if (code != NGHTTP2_NO_ERROR || !st->end_sent)
        h2_stream_over(st, why_closed(st, code));
    return 0;
}

/* Our resets that the peer has provoked cost as much as its own: a request was begun in vain
 * (CVE-2025-8671). nghttp2 tells of most of them nowhere else. */
static void reset_sent(struct h2_conn *c, const nghttp2_frame *frame)
{
    uint32_t code = frame->rst_stream.error_code;

    h2_frames_reset(c, frame->hd.stream_id);
    if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
        code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR)
        spend(c, COST_WRONG, "too many streams that had to be reset");
}

/* nghttp2 itself has found what is wrong, and ends the session. */
static void goaway_sent(struct h2_conn *c, uint32_t code)
{
    if (code == NGHTTP2_NO_ERROR || c->err != 0)
        return;
    c->err = protocol_error(c);
    c->fault = nghttp2_http2_strerror(code);
}

/* A response that ends while its request is not read to the end: the client need not send the rest
 * (RFC 9113 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st;

    if (frame->hd.type == NGHTTP2_RST_STREAM)
        reset_sent(c, frame);
    if (frame->hd.type == NGHTTP2_GOAWAY)
        goaway_sent(c, frame->goaway.error_code);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    if (frame->hd.type == NGHTTP2_DATA)
        h2_earn(c, GAIN_DATA);
    st = stream_of(c, frame->hd.stream_id);
    if (st == NULL)
        return 0;
    st->head_out = true;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    st->end_sent = true;
    if (c->server && !st->in_ended && !st->tunnel)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                     size_t length, nghttp2_data_source *source, void *conn)
{
    (void)session;
    (void)frame;
    return h2_data_sent(conn, source->ptr, framehd, length);
}

static void give(struct h2_conn *c, const char *from, const char *to)
{
    ssize_t n;

    if (from == to || c->err != 0)
        return;
    n = nghttp2_session_mem_recv(c->session, (const uint8_t *)from, (size_t)(to - from));
    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        h2_conn_fail(c, protocol_error(c), NGHTTP2_PROTOCOL_ERROR, "not an HTTP/2 preface");
    else if (n == NGHTTP2_ERR_FLOODED)
        h2_conn_fail(c, abuse_error(c), NGHTTP2_ENHANCE_YOUR_CALM,
                     "more frames to be acknowledged than it takes");
    else if (n == NGHTTP2_ERR_NOMEM)
        h2_conn_fail(c, WEIR_ENOMEM, NGHTTP2_INTERNAL_ERROR, NULL);
    else if (n < 0)
        h2_conn_fail(c, protocol_error(c), NGHTTP2_PROTOCOL_ERROR, nghttp2_strerror((int)n));
}

/* What nghttp2 leaves out without a word. */
static void spend_on_ignored(struct h2_conn *c)
{
    uint8_t type = c->frames.kept[3];

    if (type == NGHTTP2_PRIORITY)
        spend(c, COST_PRIORITY, "too many priority frames");
    else if (type > NGHTTP2_CONTINUATION && type != NGHTTP2_PRIORITY_UPDATE)
        spend(c, COST_UNKNOWN, "too many frames of unknown types");
}

/* Up to each frame that wants a look, so that what came before it has been handled by then. */
void h2_session_feed(void *conn)
{
    struct h2_conn *c = conn;
    weir_str left = c->feed;
    const char *given = left.ptr, *start;
    enum h2_frame kind;

    while ((kind = h2_frames_next(&c->frames, &left, &start)) != H2_FRAME_NONE) {
        const char *fault;
        uint32_t code;

        spend_on_ignored(c);
        if (kind == H2_FRAME_OTHER)
            continue;
        start = MAX(start, given);
        give(c, given, start);
        given = start;
        fault = h2_frames_fault(c, kind, &code);
        if (fault != NULL)
            h2_conn_fail(c, kind == H2_FRAME_CONTINUATION ? abuse_error(c) : protocol_error(c),
                         code, fault);
    }
    give(c, given, left.ptr);
    if (c->greeted && !h2_frames_in_block(&c->frames))
        c->head_since = 0; /* nghttp2 does not tell of blocks that it ignores */
}

/* ---- making ---------------------------------------------------------------------------------- */

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

/* Both are read-only once made, and shared by all sessions. */
static bool make_common(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return false;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    if (h2_memory_start() < 0 || nghttp2_option_new(&options) != 0) {
        nghttp2_session_callbacks_del(cb);
        return false;
    }
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_outbound_ack(options, 100);
    nghttp2_option_set_max_settings(options, 32);
    nghttp2_option_set_max_continuations(options, H2_CONTINUATIONS * 9 + 9); /* it counts pieces */
    nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_stream_reset_rate_limit(options, 200, 20);
    callbacks = cb;
    return true;
}

static struct {
    struct spin lock;
    bool made;
} common;

static bool get_common(void)
{
    bool ok;

    spin_lock(&common.lock);
    if (!common.made)
        common.made = make_common();
    ok = common.made;
    spin_unlock(&common.lock);
    return ok;
}

static int start_server(struct h2_conn *c, nghttp2_session **session)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->config->max_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->config->limits->max_head },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }, /* RFC 8441 3 */
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    nghttp2_mem mem = h2_memory_of(c); /* it is copied */
    int rc = nghttp2_session_server_new3(session, callbacks, c, options, &mem);

    return rc != 0 ? rc
                   : nghttp2_submit_settings(*session, NGHTTP2_FLAG_NONE, settings,
                                             ARRAY_LEN(settings));
}

static int start_client(struct h2_conn *c, nghttp2_session **session)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->config->limits->max_head },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    nghttp2_mem mem = h2_memory_of(c);
    int rc = nghttp2_session_client_new3(session, callbacks, c, options, &mem);

    return rc != 0 ? rc
                   : nghttp2_submit_settings(*session, NGHTTP2_FLAG_NONE, settings,
                                             ARRAY_LEN(settings));
}

nghttp2_session *h2_session_new(struct h2_conn *c)
{
    nghttp2_session *session = NULL;
    int rc;

    if (!get_common())
        return NULL;
    rc = c->server ? start_server(c, &session) : start_client(c, &session);
    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
    if (rc == 0)
        return session;
    nghttp2_session_del(session);
    return NULL;
}
