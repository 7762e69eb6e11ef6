/* forward.c -- a request goes up and its response comes down, at the same time.
 *
 * The head leaves with what is there of the body. If more is to come, a helper coroutine sends it
 * while this one waits for the response: a server may answer before it has read everything. The
 * helper belongs to the scope of this try. If reading from the client fails, or a filter of the
 * request body, the scope is cancelled with that cause; if the upstream takes no more, the helper
 * ends quietly, because an answer that explains it may be waiting. */
#include "proxy/downstream.h"
#include "proxy/editor.h"
#include "proxy/local.h"
#include "proxy/module.h"
#include "proxy/replay.h"
#include "proxy/session.h"
#include "runtime/event.h"
#include "runtime/runtime.h"

#define CONTINUE_AFTER (1 * WEIR_SEC)

enum { INTERIM_MAX = 2 * 1024 * 1024, INTERIM_COST = 1024 };

/* Why the upstream takes no more is told by its response, or by the lack of one. */
static bool broke_upstream(int rc)
{
    return rc < 0 && weir_error_source(rc) == WEIR_SRC_UPSTREAM;
}

/* The next piece of the request body, and what the filter makes of it. 0
 * (without `pace` it may be that nothing was there), WEIR_ANSWERED, < 0. */
static int take_request_body(struct weir_session *s, weir_str *piece, struct pace *pace)
{
    int rc = replay_read(s, piece, pace);

    if (rc < 0 || rc == HTTP_LATER)
        return MIN(rc, 0);
    return body_filter_up(s, piece);
}

static int write_upstream(struct weir_session *s, const struct http_message *m, weir_str piece,
                          bool end)
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
    return body_written(s, rc, s->request_unchanged);
}

static bool may_pass_up(const struct weir_session *s)
{
    return s->service->proxy->request_body_filter == NULL &&
           !modules_filter_up(s) && replay_passes(s) &&
           http_may_pass(s->down, s->up_http);
}

/* The same for what needs no look at it: HTTP_PIECE, HTTP_LATER, < 0. */
static int pass_upstream(struct weir_session *s)
{
    size_t moved;
    int rc;

    if (!may_pass_up(s))
        return HTTP_LATER;
    rc = http_pass_body(s->down, s->up_http, &s->down_read, &s->up_write, &moved);
    s->received += moved;
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

/* The upstream has all of it: from now on the client may leave, if the service says so. */
static void request_sent(struct weir_session *s)
{
    if (s->service->finish && replay_ended(s) && !s->upload_broken && s->upgrade.ptr == NULL)
        s->down->carry_on = true;
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
        rc = take_request_body(s, &piece, &s->down_read);
        if (rc == WEIR_ANSWERED)
            scope_cancel(&s->scope, WEIR_ECANCELED); /* no response is waited for: see `forward` */
        if (rc != 0)
            return rc > 0 || rc == WEIR_ECANCELED ? rc : session_fail(s, rc, s->down->fault);
        TRY(write_upstream(s, NULL, piece, replay_ended(s)));
        session_moved(s, piece.len);
    }
    request_sent(s);
    return 0;
}

/* Does the client wait for word from us before it sends its body? */
static bool client_waits(const struct weir_session *s)
{
    return s->uploading && !s->upload.done && s->received == 0 && !s->continued &&
           head_has_id(&s->req, FIELD_EXPECT);
}

int tell_to_continue(struct weir_session *s)
{
    struct weir_head head;
    struct http_message m = { .head = &head };

    s->continued = s->our_continue = true;
    head_init(&head, &s->arena, 1);
    head.status = 100;
    return http_write(s->down, &m, LIT(""), false, &s->down_write);
}

/* ---- the request body through editors --------------------------------------------------------- */

/* What editors write: the head waits for the first of it. */
struct edited_upload {
    struct http_message message;
    bool head_sent;
    struct event sent;
};

static int take_for_editor(struct weir_session *s, weir_str *piece, bool wait)
{
    int rc;

    do {
        *piece = (weir_str){ NULL, 0 };
        if (wait && client_waits(s) && !s->edited_upload->head_sent && !s->down->head_sent)
            TRY(tell_to_continue(s)); /* the upstream cannot: it knows nothing of it yet */
        rc = take_request_body(s, piece, wait ? &s->down_read : NULL);
        if (rc != 0)
            return rc < 0 ? rc : WEIR_ECANCELED;
        session_moved(s, piece->len);
        if (piece->len > 0)
            return 1;
        if (!wait && !replay_ended(s))
            return BODY_LATER;
    } while (!replay_ended(s));
    return 0;
}

static int give_from_editor(struct weir_session *s, weir_str piece, bool end)
{
    struct edited_upload *upload = s->edited_upload;
    struct http_message *m = upload->head_sent ? NULL : &upload->message;
    int rc;

    if (m != NULL)
        m->framing = body_reframe(m->framing, piece, end && s->up_trailers == NULL);
    rc = write_upstream(s, m, piece, end);
    upload->head_sent = true;
    event_set(&upload->sent);
    return s->upload_broken ? WEIR_EUPRESET : rc;
}

/* The helper, if there are editors. */
static int upload_edited(void *arg)
{
    static const struct editor_ends ends = { take_for_editor, give_from_editor };
    struct weir_session *s = arg;
    int rc = editors_run(s, s->edit_up, &ends);

    if (s->upload_broken)
        return 0;
    if (rc == WEIR_ANSWERED)
        scope_cancel(&s->scope, WEIR_ECANCELED);
    if (rc < 0 && rc != WEIR_ECANCELED)
        return session_fail(s, rc, s->down->fault);
    if (rc == 0)
        request_sent(s);
    return rc;
}

static int edit_request(struct weir_session *s, const struct http_message *m)
{
    struct edited_upload *upload = weir_alloc(s, sizeof *upload);

    if (upload == NULL)
        return WEIR_ENOMEM;
    *upload = (struct edited_upload){ .message = *m };
    event_init(&upload->sent);
    s->edited_upload = upload;
    s->uploading = true;
    TRY(task_start(&s->scope, &s->upload, upload_edited, s));
    return event_wait(&upload->sent, s->limit); /* until then, nobody could answer */
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
        return edit_request(s, &m);
    rc = take_request_body(s, &piece, NULL);
    if (rc != 0)
        return rc;
    if (body_may_grow_up(s) || (s->buffered && m.framing.mode == BODY_CHUNKED))
        m.framing = body_reframe(m.framing, piece, replay_ended(s) && s->up_trailers == NULL);
    TRY(write_upstream(s, &m, piece, replay_ended(s)));
    request_sent(s);
    if (replay_ended(s) || s->upload_broken)
        return 0;
    s->uploading = true;
    return task_start(&s->scope, &s->upload, upload, s);
}

/* Until when the response head has to come: the time counts from the last byte that the upstream
 * took. */
static struct deadline head_deadline(const struct weir_session *s, bool waits)
{
    struct deadline until = deadline_in(s->upload_moved, s->peer.read_timeout, WEIR_EUPTIME);

    if (waits)
        until = deadline_min(until, deadline_in(s->upload_moved, CONTINUE_AFTER, WEIR_EEXPECT));
    return deadline_min(until, s->try_limit);
}

/* One response head, interim or final. */
static int await_head(struct weir_session *s)
{
    struct http_stream *up = s->up_http;
    struct deadline until;
    int rc;

    for (;;) {
        until = head_deadline(s, client_waits(s));
        head_init(&s->up_res, &s->arena, 0);
        rc = http_read_head(up, &s->up_res, s->req.method_id, until);
        if (rc == WEIR_EEXPECT)
            TRY(tell_to_continue(s));
        else if (rc != WEIR_EUPTIME)
            return rc;
        else if (s->uploading && !s->upload.done)
            s->upload_moved = rt_now(); /* the helper has deadlines of its own */
        else if (head_deadline(s, false).at <= until.at)
            return rc;
    }
}

/* Interim heads stay in the arena, so an upstream must not send them for ever: some thousand that
 * say little, fewer that say much. */
int forward_count_interim(struct weir_session *s)
{
    const struct weir_head *head = &s->up_res;

    s->interim += INTERIM_COST;
    for (uint32_t i = 0; i < head->count; i++)
        s->interim += head->fields[i].name_len + head->fields[i].value_len;
    if (s->interim <= INTERIM_MAX)
        return 0;
    return session_fail(s, WEIR_EUPHEAD, "interim responses without an end");
}

/* Where the service wants that, what a client that has left does not take is dropped. */
static int to_client(struct weir_session *s, const struct http_message *m, weir_str piece, bool end)
{
    int rc;

    if (s->left != 0)
        return 0;
    s->sent += piece.len;
    rc = http_write(s->down, m, piece, end, &s->down_write);
    if (!s->down->carry_on || rc >= 0 || weir_error_source(rc) != WEIR_SRC_DOWNSTREAM)
        return rc;
    s->left = rc;
    return 0;
}

/* RFC 9110 15.2: relayed at once, but to HTTP/1.0 clients, and but for a 100 after ours. */
static int relay_interim(struct weir_session *s)
{
    struct weir_head head;
    struct http_message m = { .head = &head };

    if (s->req.minor == 0 || s->down->head_sent)
        return 0;
    if (s->up_res.status == 100) {
        if (s->our_continue)
            return 0;
        s->continued = true;
    }
    TRY(head_copy_end_to_end(&head, &s->up_res, &s->arena));
    return to_client(s, &m, LIT(""), false);
}

/* Is a 101 one that the client can have asked for? */
static bool switch_agrees(const struct weir_session *s)
{
    return s->upgrade.ptr != NULL && head_upgrade_agrees(&s->req, &s->up_res);
}

static int receive_head(struct weir_session *s)
{
    for (;;) {
        TRY(await_head(s));
        if (s->up_res.status == 101 && !switch_agrees(s))
            return session_fail(s, WEIR_EUPSWITCH, NULL);
        if (s->up_res.status == 101 || s->up_res.status >= 200)
            break;
        TRY(forward_count_interim(s));
        TRY(relay_interim(s));
    }
    s->answered = rt_now();
    s->up_write.limit = s->limit; /* the time of the try is over */
    return websocket_answered(s);
}

/* How the body of the response, of which `piece` is what there is, goes on to the client. */
static struct http_message plan_response(struct weir_session *s, weir_str piece, bool end)
{
    const struct http_stream *up = s->up_http;
    struct http_message m = {
        .head = &s->res,
        .framing = up->framing,
        .length_as = up->framing.stated,
        .date = http_date_now(),
    };

    if (body_may_grow_down(s)) {
        m.framing = body_reframe(m.framing, piece, end && up->trailers == NULL);
        m.length_as = (weir_str){ NULL, 0 };
    }
    return m;
}

/* Need nobody here look at the body? */
static bool may_pass_down(const struct weir_session *s)
{
    return s->service->proxy->response_body_filter == NULL && s->edit_down == NULL &&
           !modules_filter_down(s) &&
           !s->service->finish && http_may_pass(s->up_http, s->down);
}

/* A piece of the response, the first with the head. */
static int write_downstream(struct weir_session *s, weir_str piece, bool end)
{
    struct http_message m;

    if (s->told != NULL)
        return to_client(s, NULL, piece, end);
    m = plan_response(s, piece, end);
    replay_stop(s);
    s->status = s->res.status;
    s->told = &s->res;
    s->down->more = piece.len > 0 && may_pass_down(s); /* then more is likely to be there */
    if (end)
        answer_settle(s);
    else if (downstream_draining())
        s->down->persistent = false;
    return to_client(s, &m, piece, end);
}

/* The same for what needs no look at it, behind the head: HTTP_PIECE, HTTP_END, HTTP_LATER, < 0. */
static int pass_downstream(struct weir_session *s)
{
    size_t moved;
    int rc;

    if (s->told == NULL || !may_pass_down(s))
        return HTTP_LATER;
    rc = http_pass_body(s->up_http, s->down, &s->up_read, &s->down_write, &moved);
    s->sent += moved;
    session_moved(s, moved);
    return rc;
}

/* ---- the response body through editors -------------------------------------------------------- */

static int take_response(struct weir_session *s, weir_str *piece, bool wait)
{
    struct http_stream *up = s->up_http;
    int rc;

    do {
        rc = http_read_body(up, piece, wait ? &s->up_read : NULL);
        if (rc < 0 || rc == HTTP_LATER)
            return rc < 0 ? rc : BODY_LATER;
        rc = body_filter_down(s, piece);
        if (rc != 0 || s->answered_here)
            return rc < 0 ? rc : WEIR_ECANCELED;
        session_moved(s, piece->len);
    } while (piece->len == 0 && !up->body_done);
    return piece->len > 0;
}

static int give_response(struct weir_session *s, weir_str piece, bool end)
{
    if (s->answered_here)
        return WEIR_ECANCELED;
    if (end && s->up_http->body_done)
        s->down->send_trailers = s->up_http->trailers;
    return write_downstream(s, piece, end);
}

static int edit_response(struct weir_session *s)
{
    static const struct editor_ends ends = { take_response, give_response };

    return editors_run(s, s->edit_down, &ends);
}

static int relay_body(struct weir_session *s)
{
    struct http_stream *up = s->up_http, *down = s->down;
    struct pace *pace = NULL; /* first what is there: it leaves with the head */
    weir_str piece;
    int rc;

    do {
        rc = pass_downstream(s);
        if (rc == HTTP_PIECE)
            continue;
        if (rc <= HTTP_END)
            return rc;
        rc = http_read_body(up, &piece, pace);
        if (rc < 0)
            return rc;
        if (rc != HTTP_LATER) {
            rc = body_filter_down(s, &piece);
            if (rc != 0)
                return rc;
        }
        if (s->answered_here)
            return task_join(&s->upload); /* the filter of the request has answered meanwhile */
        if (up->body_done)
            down->send_trailers = up->trailers;
        TRY(body_written(s, write_downstream(s, piece, up->body_done), s->response_unchanged));
        session_moved(s, piece.len);
        pace = &s->up_read;
    } while (!up->body_done);
    return 0;
}

/* What is still to be sent of the request when the response has ended is not waited for:
 * scope_close ends the helper, and downstream.c drains the client within a bound. */
static int receive_response(struct weir_session *s)
{
    int rc;

    if (!s->down->carry_on)
        TRY(http_gone(s->down)); /* before this coroutine waits: later hang-ups come as notices */
    TRY(receive_head(s));
    rc = fields_for_client(s);
    if (rc != 0)
        return rc;
    if (s->up_res.status == 101)
        return tunnel_switch(s);
    if (s->edit_down != NULL && s->up_http->framing.mode != BODY_NONE)
        return edit_response(s);
    return relay_body(s);
}

int forward(struct weir_session *s)
{
    int rc;

    s->uploading = s->upload_broken = false;
    s->upload_moved = rt_now();
    s->up_trailers = NULL;
    s->down->carry_on = false;
    replay_rewind(s);
    scope_open(&s->scope);
    rc = send_request(s);
    if (rc == 0)
        rc = receive_response(s);
    rc = scope_close(&s->scope, rc);
    return s->answered_here && rc == WEIR_ECANCELED ? WEIR_ANSWERED : rc;
}
