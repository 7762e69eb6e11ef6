/* forward_response.c -- the response of a try: interim heads and the final one, then the body,
 * whose first piece leaves with the head. */
#include "proxy/downstream.h"
#include "proxy/forward.h"
#include "proxy/local.h"
#include "proxy/module.h"
#include "proxy/replay.h"
#include "runtime/runtime.h"

#define CONTINUE_AFTER (1 * WEIR_SEC)

enum { INTERIM_MAX = 2 * 1024 * 1024, INTERIM_COST = 1024 };

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
        until = head_deadline(s, forward_client_waits(s));
        head_init(&s->up_res, &s->arena, 0);
        rc = http_read_head(up, &s->up_res, s->req.method_id, until);
        if (rc == WEIR_ETRYTIME)
            forward_pause(s);
        if (rc == WEIR_EEXPECT)
            TRY(tell_to_continue(s));
        else if (rc == WEIR_ETRYTIME && s->try_limit.at > until.at)
            continue;
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
static SELDOM int relay_interim(struct weir_session *s)
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
    s->up_write.limit = s->try_limit = s->limit; /* the time of the try is over */
    return websocket_answered(s);
}

/* How the body of the response, of which `piece` is what there is, goes on to the client. */
static void plan_response(struct weir_session *s, weir_str piece, bool end,
                          struct http_message *out)
{
    const struct http_stream *up = s->up_http;

    *out = (struct http_message){
        .head = &s->res,
        .framing = up->framing,
        .length_as = up->framing.stated,
        .date = http_date_now(),
        .room = http_room(up, piece),
    };

    /* RFC 9110 15.5.22: it must say which, and whoever asks for it through us gets it. */
    if (s->res.status == 426 && s->req.minor > 0 && head_has_id(&s->up_res, FIELD_UPGRADE))
        out->upgrade = head_join_id(&s->up_res, FIELD_UPGRADE, &s->arena);
    if (body_may_grow_down(s)) {
        out->framing = body_reframe(up->framing, piece, end && up->trailers == NULL);
        out->length_as = (weir_str){ NULL, 0 };
    }
}

/* Need nobody here look at the body? */
static bool may_pass_down(const struct weir_session *s)
{
    return s->service->proxy->response_body_filter == NULL && s->edit_down == NULL &&
           !modules_filter_down(s) && !s->service->finish && http_may_pass(s->up_http, s->down);
}

/* A piece of the response, the first with the head. */
int forward_down(struct weir_session *s, weir_str piece, bool end)
{
    struct http_message m;

    if (s->told != NULL)
        return to_client(s, NULL, piece, end);
    plan_response(s, piece, end, &m);
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
    s->up_received += moved;
    session_moved(s, moved);
    return rc;
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
        s->up_received += piece.len;
        if (rc != HTTP_LATER) {
            rc = body_filter_down(s, &piece);
            if (rc != 0)
                return rc;
        }
        if (s->answered_here)
            return task_join(&s->upload); /* the filter of the request has answered meanwhile */
        if (up->body_done)
            down->send_trailers = up->trailers;
        TRY(body_written(s, forward_down(s, piece, up->body_done), s->response_unchanged));
        session_moved(s, piece.len);
        pace = &s->up_read;
    } while (!up->body_done);
    return 0;
}

/* What is still to be sent of the request when the response has ended is not waited for:
 * scope_close ends the helper, and downstream.c drains the client within a bound. */
int forward_response(struct weir_session *s)
{
    int rc;

    if (!s->down->carry_on)
        TRY(http_gone(s->down)); /* before this coroutine waits: later hang-ups come as notices */
    TRY(receive_head(s));
    rc = fields_for_client(s);
    if (rc != 0)
        return rc;
    s->body_begun[WEIR_RESPONSE_BODY] = true;
    if (s->up_res.status == 101)
        return tunnel_switch(s);
    if (s->edit_down != NULL && s->up_http->framing.mode != BODY_NONE)
        return forward_edited_response(s);
    return relay_body(s);
}
