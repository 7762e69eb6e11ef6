/* forward.c -- a request goes up while its response comes down.
 *
 * The head leaves with what is there of the body. If more is to come, a helper coroutine sends it
 * while this one waits for the response: a server may answer before it has read everything. The
 * helper belongs to the scope of this try. If reading from the client fails, or a filter of the
 * request body, the scope is cancelled with that cause; if the upstream takes no more, the helper
 * ends quietly, because an answer that explains it may be waiting. */
#include "proxy/forward.h"

#include "proxy/module.h"
#include "proxy/replay.h"
#include "runtime/runtime.h"

/* Why the upstream takes no more is told by its response, or by the lack of one. */
static bool broke_upstream(int rc)
{
    return rc < 0 && weir_error_source(rc) == WEIR_SRC_UPSTREAM;
}

/* Has the try a time of its own? */
static bool times_try(const struct weir_session *s)
{
    return s->try_limit.at != INT64_MAX && s->try_limit.err == WEIR_ETRYTIME;
}

void forward_pause(struct weir_session *s)
{
    int64_t now;

    if (s->upload_asks == 0 || !times_try(s))
        return;
    now = rt_now();
    s->try_limit =
        deadline_min(deadline_in(s->try_limit.at, now - s->upload_asks, WEIR_ETRYTIME), s->limit);
    s->up_write.limit = s->try_limit;
    s->upload_asks = now;
}

int forward_take(struct weir_session *s, weir_str *piece, struct pace *pace)
{
    int rc;

    s->upload_asks = pace != NULL ? rt_now() : 0; /* a slow client is no fault of the upstream */
    rc = replay_read(s, piece, pace);
    forward_pause(s);
    s->upload_asks = 0;
    if (rc < 0 || rc == HTTP_LATER)
        return MIN(rc, 0);
    return body_filter_up(s, piece);
}

int forward_up(struct weir_session *s, const struct http_message *m, weir_str piece, bool end)
{
    struct http_stream *up = s->up_http;
    int rc;

    if (end)
        up->send_trailers = s->up_trailers;
    s->untouched = false;
    rc = http_write(up, m, piece, end, &s->up_write);
    s->upload_moved = rt_now();
    if (broke_upstream(rc)) {
        s->upload_broken = true;
        return 0;
    }
    s->up_sent += piece.len;
    return body_written(s, rc, s->request_unchanged);
}

static bool may_pass_up(const struct weir_session *s)
{
    return s->service->proxy->request_body_filter == NULL && !modules_filter_up(s) &&
           replay_passes(s) && http_may_pass(s->down, s->up_http);
}

/* The same for what needs no look at it: HTTP_PIECE, HTTP_LATER, < 0. Where a try has a time, the
 * client is waited for in forward_take, which does not count that. */
static int pass_upstream(struct weir_session *s)
{
    struct pace *pace = times_try(s) ? NULL : &s->down_read;
    size_t moved;
    int rc;

    if (!may_pass_up(s))
        return HTTP_LATER;
    rc = http_pass_body(s->down, s->up_http, pace, &s->up_write, &moved);
    if (pace == NULL)
        s->down_read.bytes += moved;
    s->received += moved;
    s->up_sent += moved;
    if (moved > 0) {
        s->body_lost = true;
        s->upload_moved = rt_now();
    }
    if (broke_upstream(rc)) {
        s->upload_broken = true;
        return HTTP_PIECE;
    }
    session_moved(s, moved);
    return rc;
}

void forward_sent(struct weir_session *s)
{
    if (!replay_ended(s) || s->upload_broken)
        return;
    s->request_sent = s->upload_moved;
    if (s->service->finish && s->upgrade.ptr == NULL)
        http_carry_on(s->down, true);
}

/* The helper: what is left of the request body. */
static int upload(void *arg)
{
    struct weir_session *s = arg;
    weir_str piece;
    int rc;

    co_label(s->service->proxy->name, "sending the request body");
    while (!replay_ended(s) && !s->upload_broken) {
        rc = pass_upstream(s);
        if (rc == HTTP_PIECE)
            continue;
        if (rc < 0)
            return rc == WEIR_ECANCELED ? rc : session_fail(s, rc, s->down->fault);
        rc = forward_take(s, &piece, &s->down_read);
        if (rc == WEIR_ANSWERED)
            scope_cancel(&s->scope, WEIR_ECANCELED); /* no response is waited for: see `forward` */
        if (rc != 0)
            return rc > 0 || rc == WEIR_ECANCELED ? rc : session_fail(s, rc, s->down->fault);
        TRY(forward_up(s, NULL, piece, replay_ended(s)));
        session_moved(s, piece.len);
    }
    forward_sent(s);
    return 0;
}

bool forward_client_waits(const struct weir_session *s)
{
    return s->uploading && !s->upload.done && s->received == 0 && !s->continued &&
           head_has_id(&s->req, FIELD_EXPECT);
}

SELDOM int tell_to_continue(struct weir_session *s)
{
    struct weir_head head;
    struct http_message m = { .head = &head };

    s->continued = s->our_continue = true;
    head_init(&head, &s->arena, 1);
    head.status = 100;
    return http_write(s->down, &m, LIT(""), false, &s->down_write);
}

static int send_request(struct weir_session *s)
{
    struct http_message m = {
        .head = &s->up_req,
        .framing = s->down->framing,
        .upgrade = s->upgrade,
        .te_trailers = s->te_trailers,
    };
    weir_str piece;
    int rc;

    if (s->edit_up != NULL && m.framing.mode != BODY_NONE)
        return forward_edited_request(s, &m);
    rc = forward_take(s, &piece, NULL);
    if (rc != 0)
        return rc;
    if (body_may_grow_up(s) || (s->buffered && m.framing.mode == BODY_CHUNKED))
        m.framing = body_reframe(m.framing, piece, replay_ended(s) && s->up_trailers == NULL);
    TRY(forward_up(s, &m, piece, replay_ended(s)));
    forward_sent(s);
    if (replay_ended(s) || s->upload_broken)
        return 0;
    s->uploading = true;
    return task_start(&s->scope, &s->upload, upload, s);
}

int forward(struct weir_session *s)
{
    int rc;

    s->uploading = s->upload_broken = false;
    s->body_begun[WEIR_REQUEST_BODY] = true;
    s->upload_moved = rt_now();
    s->upload_asks = 0;
    s->request_sent = 0;
    s->up_trailers = NULL;
    http_carry_on(s->down, false);
    replay_rewind(s);
    scope_open(&s->scope);
    rc = send_request(s);
    if (rc == 0)
        rc = forward_response(s);
    rc = scope_close(&s->scope, rc);
    return s->answered_here && rc == WEIR_ECANCELED ? WEIR_ANSWERED : rc;
}
