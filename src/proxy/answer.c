/* answer.c -- answers of our own: what a phase sends, and what a client is told when a request
 * fails. */
#include "codec/h1_print.h"
#include "http/h1.h"
#include "proxy/downstream.h"
#include "proxy/local.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

/* An answer that is complete before the request's body was read: the connection goes on only if the
 * rest is known to be small. */
void answer_settle(struct weir_session *s)
{
    struct http_stream *down = s->down;
    bool small;

    if (downstream_draining())
        down->persistent = false;
    if (down->body_done)
        return;
    small = down->framing.mode == BODY_LENGTH && down->framing.length - s->received <= H1_DRAIN_MAX;
    if (!small || (head_has_id(&s->req, FIELD_EXPECT) && !s->continued))
        down->persistent = false;
}

int answer_send(struct weir_session *s, struct weir_head *res, weir_str body)
{
    bool bodyless = res->status == 204 || res->status == 304;
    bool head_only = s->req.method_id == METHOD_HEAD;
    struct http_message m = { .head = res };

    if (s->own)
        return session_fail(s, WEIR_EINVALID, "there is no client to answer");
    if (s->down->head_sent)
        return session_fail(s, WEIR_EINVALID, "a second response to one request");
    if (res->failed != 0)
        return session_fail(s, res->failed, NULL);
    TRY(co_check()); /* if only a scope of the phase is over, it may answer behind that */
    if (bodyless || head_only) {
        if (!bodyless)
            m.length_as = arena_printf(&s->arena, "%zu", body.len);
        body.len = 0;
    } else {
        m.framing = (struct framing){ .mode = BODY_LENGTH, .length = body.len };
    }
    if (s->service->server_name.len > 0 && !head_has_id(res, FIELD_SERVER))
        head_set_id(res, FIELD_SERVER, s->service->server_name);
    m.date = http_date_now();
    answer_settle(s);
    s->status = res->status;
    s->told = res;
    s->answered_here = true;
    TRY(http_write(s->down, &m, body, true, &s->down_write));
    s->sent += body.len;
    return WEIR_ANSWERED;
}

struct weir_head *weir_new_response(struct weir_session *s, int status)
{
    struct weir_head *res = arena_alloc(&s->arena, sizeof *res);

    if (res == NULL) {
        session_fail(s, WEIR_ENOMEM, NULL);
        res = &s->res; /* never NULL; the phase fails anyway */
    }
    head_init(res, &s->arena, 0);
    if (status < 200 || status > 599) {
        session_fail(s, WEIR_EINVALID, "weir_new_response: the status is not 200 to 599");
        status = 500;
    }
    res->status = (uint16_t)status;
    return res;
}

int weir_send_str(struct weir_session *s, struct weir_head *res, weir_str body)
{
    if (s->err != 0 && !s->failing)
        return s->err;
    if (res == NULL || res->status == 0)
        return session_fail(s, WEIR_EINVALID, "weir_send needs a head of weir_new_response");
    if (body.ptr == NULL)
        body.len = 0; /* absent, whatever its length */
    return answer_send(s, res, body);
}

int weir_respond(struct weir_session *s, int status, const char *body)
{
    struct weir_head *res = weir_new_response(s, status);
    weir_str text = weir_str_from(body);

    if (text.len > 0)
        head_set_id(res, FIELD_CONTENT_TYPE, LIT("text/plain; charset=utf-8"));
    return weir_send_str(s, res, text);
}

weir_str answer_methods(const struct weir_session *s)
{
    return s->service->connect
               ? LIT("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT")
               : LIT("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
}

/* What a client is told: the status and its phrase, nothing of the inside. */
static void send_error(struct weir_session *s, int status)
{
    struct weir_head *head = &s->res; /* whatever is in it was not sent */
    const struct error_page *page = page_find(s->service, status);
    weir_str phrase = status_reason(status);

    head_init(head, &s->arena, 0);
    head->status = (uint16_t)status;
    head_set_id(head, FIELD_CONTENT_TYPE,
                page != NULL ? page->type : LIT("text/plain; charset=utf-8"));
    if (status == 405) /* RFC 9110 15.5.6 */
        weir_head_set(head, LIT("Allow"), answer_methods(s));
    answer_send(s, head,
                page != NULL ? page->text
                             : arena_printf(&s->arena, "%d " WEIR_FMT "\n", status,
                                            WEIR_ARG(phrase)));
}

void answer_error(struct weir_session *s)
{
    int status = s->fail_status != 0 ? s->fail_status : weir_error_status(s->err);

    if (status == 408 || status == 413 || status == 0)
        s->down->persistent = false; /* RFC 9110 15.5.9, 15.5.14 */
    phase_fail_to_proxy(s);
    if (!s->down->head_sent && status != 0)
        send_error(s, status);
    if (!s->down->message_sent)
        http_reset(s->down); /* a cut-off response must not look complete */
}
