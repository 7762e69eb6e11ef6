/* h2_sent.c -- what nghttp2's callbacks make of frames that leave, and of streams that are over. */
#include "http/h2_parts.h"

/* ---- frames that leave ----------------------------------------------------------------------- */

/* Our resets that the peer has provoked cost as much as its own: a request was begun in vain
 * (CVE-2025-8671). nghttp2 tells of most of them nowhere else. */
static void reset_sent(struct h2_conn *c, const nghttp2_frame *frame)
{
    uint32_t code = frame->rst_stream.error_code;

    h2_frames_reset(c, frame->hd.stream_id);
    if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
        code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR)
        h2_spend(c, H2_COST_WRONG, "too many streams that had to be reset");
}

/* nghttp2 itself has found what is wrong, and ends the session. INTERNAL_ERROR is nobody's fault
 * but ours: a head that memory was short for leaves a table that encodes no other. */
static void goaway_sent(struct h2_conn *c, uint32_t code)
{
    if (code == NGHTTP2_NO_ERROR || c->err != 0)
        return;
    c->err = code == NGHTTP2_INTERNAL_ERROR ? WEIR_EINTERNAL : h2_conn_blame(c);
    c->fault = nghttp2_http2_strerror(code);
}

/* From here on the peer may have seen the head: on_sent is called for a frame only with the next
 * one. */
static int on_sending(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_stream *st = h2_stream_by_id(conn, frame->hd.stream_id);

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && st != NULL)
        st->head_out = true;
    return 0;
}

/* A response that ends while its request is not read to the end: the client need not send the rest
 * (RFC 9113 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st;

    (void)session;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        reset_sent(c, frame);
    if (frame->hd.type == NGHTTP2_GOAWAY)
        goaway_sent(c, frame->goaway.error_code);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    if (frame->hd.type == NGHTTP2_DATA)
        h2_earn(c, H2_GAIN_DATA);
    st = h2_stream_by_id(c, frame->hd.stream_id);
    if (st == NULL)
        return 0;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    st->end_sent = true;
    if (c->server && !st->in_ended && !st->tunnel)
        h2_stream_reset(st, NGHTTP2_NO_ERROR);
    return 0;
}

/* A head or trailers too large for nghttp2: nobody shall wait for what will not come. Of a request,
 * or of a stream that is closed, the peer must not hear; on_stream_close tells us of those. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *conn)
{
    int32_t id = frame->hd.stream_id;

    (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat != NGHTTP2_HCAT_REQUEST &&
        nghttp2_session_find_stream(session, id) != NULL)
        h2_send_reset(conn, id, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                     size_t length, nghttp2_data_source *source, void *conn)
{
    (void)session;
    (void)frame;
    return h2_data_sent(conn, source->ptr, framehd, length);
}

/* ---- streams that are over ------------------------------------------------------------------- */

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

/* Has it ended without one of its ends? Where the response is complete before its request, our own
 * RST_STREAM has ended it (on_sent). */
static bool is_cut(const struct h2_stream *st, uint32_t code)
{
    bool early = st->conn->server && !st->tunnel;

    return code != NGHTTP2_NO_ERROR || !st->end_sent || (!st->in_ended && !early);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_stream *st = h2_stream_by_id(c, id);

    (void)session;
    if (st == NULL)
        return 0;
    st->closed = true;
    if (c->server && !st->started)
        c->begun--;
    if (st->dropped || (c->server && !st->head_in)) /* its strand has ended, or was never started */
        h2_stream_free(st);
    else if (is_cut(st, code))
        h2_stream_over(st, why_closed(st, code));
    return 0;
}

void h2_sent_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, on_sending);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
