/* h2_session.c -- nghttp2 as we use it: its options, our settings, and how it is given the bytes
 * that come.
 *
 * nghttp2 keeps the rules of RFC 9113 about frames, states and pseudo-fields, and answers what
 * breaks them. All of this runs on the worker's stack and never blocks. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

/* ---- making ---------------------------------------------------------------------------------- */

/* Both are read-only once made, and shared by all sessions. */
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

/* A field block that we send: with the bounds of nghttp2 many small fields within ours do not
 * fit. */
enum { BLOCK_MAX = 16 * 1024 * 1024 };

/* What the budget lets pass (h2_budget.c) is nothing that nghttp2 shall count once more: its bound
 * of answers is for a peer that takes none, and that of resets is none. */
enum { ACKS_MAX = 1000 };

static bool make_common(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return false;
    h2_recv_callbacks(cb);
    h2_sent_callbacks(cb);
    h2_priority_callbacks(cb);
    if (h2_memory_start() < 0 || nghttp2_option_new(&options) != 0) {
        nghttp2_session_callbacks_del(cb);
        return false;
    }
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_outbound_ack(options, ACKS_MAX);
    nghttp2_option_set_max_send_header_block_length(options, BLOCK_MAX);
    nghttp2_option_set_max_settings(options, 32);
    nghttp2_option_set_max_continuations(options, H2_CONTINUATIONS * 9 + 9); /* it counts pieces */
    nghttp2_option_set_stream_reset_rate_limit(options, UINT32_MAX, UINT32_MAX);
    nghttp2_option_set_user_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
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

/* What we tell the peer about us. */
static int submit_settings(const struct h2_conn *c, nghttp2_session *session)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->config->limits->max_head },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { c->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
          c->server ? c->config->max_streams : 0 },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }, /* RFC 8441 3: a server's alone */
    };
    size_t n = ARRAY_LEN(settings) - (c->server ? 0 : 1);

    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, n);
}

nghttp2_session *h2_session_new(struct h2_conn *c)
{
    nghttp2_session *session = NULL;
    nghttp2_mem mem = h2_memory_of(c); /* it is copied */
    int rc;

    if (!get_common())
        return NULL;
    rc = c->server ? nghttp2_session_server_new3(&session, callbacks, c, options, &mem)
                   : nghttp2_session_client_new3(&session, callbacks, c, options, &mem);
    if (rc == 0)
        rc = submit_settings(c, session);
    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
    if (rc == 0)
        return session;
    nghttp2_session_del(session);
    return NULL;
}

/* ---- feeding --------------------------------------------------------------------------------- */

static void give(struct h2_conn *c, const char *from, const char *to)
{
    ssize_t n;

    if (from == to || c->err != 0)
        return;
    n = nghttp2_session_mem_recv(c->session, (const uint8_t *)from, (size_t)(to - from));
    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, "not an HTTP/2 preface");
    else if (n == NGHTTP2_ERR_FLOODED)
        h2_conn_calm(c, "more frames to be acknowledged than it takes");
    else if (n == NGHTTP2_ERR_NOMEM)
        h2_conn_fail(c, WEIR_ENOMEM, NGHTTP2_INTERNAL_ERROR, NULL);
    else if (n < 0)
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, nghttp2_strerror((int)n));
}

static bool is_empty_data(const uint8_t *head)
{
    return head[3] == NGHTTP2_DATA && (head[0] | head[1] | head[2]) == 0 &&
           !(head[4] & NGHTTP2_FLAG_END_STREAM);
}

/* What nghttp2 leaves out without a word, always or where the stream is over. */
static void spend_on_ignored(struct h2_conn *c)
{
    uint8_t type = c->frames.kept[3];

    if (type == NGHTTP2_PRIORITY)
        h2_spend(c, H2_COST_PRIORITY, "too many priority frames");
    else if (type > NGHTTP2_CONTINUATION && type != NGHTTP2_PRIORITY_UPDATE)
        h2_spend(c, H2_COST_UNKNOWN, "too many frames of unknown types");
    else if (is_empty_data(c->frames.kept))
        h2_spend(c, H2_COST_EMPTY, "too many empty DATA frames");
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
        if (fault != NULL && kind == H2_FRAME_CONTINUATION)
            h2_conn_calm(c, fault);
        else if (fault != NULL)
            h2_conn_wrong(c, code, fault);
    }
    give(c, given, left.ptr);
    if (c->greeted && !h2_frames_in_block(&c->frames))
        c->head_since = 0; /* nghttp2 does not tell of blocks that it ignores */
}
