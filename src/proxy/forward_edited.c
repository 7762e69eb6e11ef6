/* forward_edited.c -- both directions of a try where a body has editors: the two ends of each
 * chain.
 *
 * The request is always sent by the helper, from its first byte, since an editor may wait for more
 * than there is. The response stays with the coroutine that has read its head. */
#include "proxy/editor.h"
#include "proxy/forward.h"
#include "proxy/replay.h"
#include "runtime/event.h"
#include "runtime/runtime.h"

/* ---- the request ----------------------------------------------------------------------------- */

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
        if (wait && forward_client_waits(s) && !s->edited_upload->head_sent && !s->down->head_sent)
            TRY(tell_to_continue(s)); /* the upstream cannot: it knows nothing of it yet */
        rc = forward_take(s, piece, wait ? &s->down_read : NULL);
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
    rc = forward_up(s, m, piece, end);
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
        forward_sent(s);
    return rc;
}

int forward_edited_request(struct weir_session *s, const struct http_message *m)
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

/* ---- the response ---------------------------------------------------------------------------- */

static int take_response(struct weir_session *s, weir_str *piece, bool wait)
{
    struct http_stream *up = s->up_http;
    int rc;

    do {
        rc = http_read_body(up, piece, wait ? &s->up_read : NULL);
        if (rc < 0 || rc == HTTP_LATER)
            return rc < 0 ? rc : BODY_LATER;
        s->up_received += piece->len;
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
    return forward_down(s, piece, end);
}

int forward_edited_response(struct weir_session *s)
{
    static const struct editor_ends ends = { take_response, give_response };

    return editors_run(s, s->edit_down, &ends);
}
