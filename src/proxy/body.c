/* body.c -- bodies through the user's filters, and what a filter that may change one does to the
 * head in front of it (the rules are in <weir/proxy.h>, "Bodies").
 *
 * Fields that a phase has set itself are left alone: what was copied from the peer's head still
 * points to the peer's text. */
#include "proxy/module.h"
#include "proxy/replay.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

static const weir_str digests[] = {
    LIT("Content-MD5"),
    LIT("Digest"),         /* RFC 3230 */
    LIT("Content-Digest"), /* RFC 9530, as the next */
    LIT("Repr-Digest"),
};

bool body_may_grow_up(const struct weir_session *s)
{
    return ((s->service->proxy->request_body_filter != NULL && !s->request_unchanged) ||
            s->edit_up != NULL || modules_filter_up(s)) &&
           s->down->framing.mode != BODY_NONE;
}

bool body_may_grow_down(const struct weir_session *s)
{
    return (s->service->proxy->response_body_filter != NULL && !s->response_unchanged) ||
           s->edit_down != NULL || s->had_edited || modules_filter_down(s);
}

static bool same(const struct weir_head *now, const struct weir_head *was, weir_str name)
{
    weir_str value = weir_head_get(now, name);

    return value.ptr != NULL && value.ptr == weir_head_get(was, name).ptr;
}

static void drop_digests(struct weir_head *now, const struct weir_head *was)
{
    for (size_t i = 0; i < ARRAY_LEN(digests); i++)
        if (same(now, was, digests[i]))
            weir_head_del(now, digests[i]);
}

void body_adapt_request(struct weir_session *s)
{
    if (body_may_grow_up(s))
        drop_digests(&s->up_req, &s->req);
}

bool body_client_has_weak(struct weir_session *s, weir_str etag)
{
    weir_str weak = { NULL, 0 }, name, value;

    for (size_t i = 0; weir_starts(etag, "\"") && weir_head_at(&s->req, i, &name, &value); i++) {
        if (!weir_eq_nocase(name, "If-None-Match"))
            continue;
        if (weak.ptr == NULL)
            weak = arena_printf(&s->arena, "W/" WEIR_FMT, WEIR_ARG(etag));
        if (weak.ptr != NULL && memmem(value.ptr, value.len, weak.ptr, weak.len) != NULL)
            return true;
    }
    return false;
}

/* A 304 tells a phase too little of its page to set the editor again that made the client's. But
 * who has our weak form of its strong tag has what an editor made, and the strong one in the answer
 * would not be about that (RFC 9111 4.3.4). */
static bool about_edited(struct weir_session *s)
{
    const struct weir_proxy *proxy = s->service->proxy;

    return s->res.status == 304 && !s->response_unchanged &&
           (proxy->response_filter != NULL || proxy->upstream_response_filter != NULL ||
            s->uses != NULL) &&
           body_client_has_weak(s, head_get_id(&s->up_res, FIELD_ETAG));
}

void body_adapt_response(struct weir_session *s)
{
    struct weir_head *now = &s->res, *was = &s->up_res;
    weir_str etag;

    s->had_edited = about_edited(s);
    if (!body_may_grow_down(s))
        return;
    etag = head_get_id(was, FIELD_ETAG);
    drop_digests(now, was);
    if (same(now, was, LIT("Accept-Ranges")))
        weir_head_del(now, LIT("Accept-Ranges"));
    if (weir_starts(etag, "\"") && same(now, was, LIT("ETag"))) /* RFC 9110 8.8.1 */
        weir_head_set(now, LIT("ETag"), arena_printf(&s->arena, "W/" WEIR_FMT, WEIR_ARG(etag)));
}

struct framing body_reframe(struct framing was, weir_str piece, bool all)
{
    if (was.mode == BODY_NONE)
        return was;
    if (all)
        return (struct framing){ .mode = BODY_LENGTH, .length = piece.len };
    return (struct framing){ .mode = BODY_CHUNKED };
}

/* What may stand behind a body is the filter's to say, but for what would be a lie there (RFC 9110
 * 6.5.1). */
int body_check_trailers(struct weir_session *s, struct weir_head *trailers, int rc)
{
    for (uint32_t i = 0; i < trailers->count;) {
        const struct field *f = &trailers->fields[i];
        weir_str name = { f->name, f->name_len };

        if (head_may_trail(name, f->id))
            i++;
        else
            weir_head_del(trailers, name);
    }
    return rc == 0 && trailers->failed != 0 ? session_fail(s, trailers->failed, NULL) : rc;
}

static int filter_trailers_up(struct weir_session *s)
{
    struct weir_head *trailers;
    int rc;

    s->up_trailers = s->down->trailers;
    if (s->up_trailers == NULL || !(s->service->proxy->request_trailer_filter != NULL ||
                                    modules_filter_trailers_up(s)))
        return 0;
    trailers = arena_alloc(&s->arena, sizeof *trailers); /* for this try */
    if (trailers == NULL)
        return WEIR_ENOMEM;
    s->up_trailers = trailers;
    TRY(head_copy_end_to_end(trailers, s->down->trailers, &s->arena));
    rc = s->uses != NULL ? modules_request_trailers(s, trailers) : 0;
    if (rc == 0)
        rc = PHASE(s, request_trailer_filter, s, trailers);
    return body_check_trailers(s, trailers, rc);
}

static int filter_trailers_down(struct weir_session *s)
{
    struct weir_head *trailers = s->up_http->trailers;

    if (trailers == NULL || s->service->proxy->response_trailer_filter == NULL)
        return 0;
    return body_check_trailers(s, trailers, PHASE(s, response_trailer_filter, s, trailers));
}

int body_filter_up(struct weir_session *s, weir_str *piece)
{
    int rc = 0;

    if (s->down->framing.mode == BODY_NONE)
        return 0;
    if (s->uses != NULL)
        rc = modules_request_body(s, piece, replay_ended(s));
    if (rc == 0)
        rc = PHASE(s, request_body_filter, s, piece, replay_ended(s));
    if (piece->ptr == NULL)
        piece->len = 0; /* absent, whatever length a filter gave it */
    return rc == 0 && replay_ended(s) ? filter_trailers_up(s) : rc;
}

int body_filter_down(struct weir_session *s, weir_str *piece)
{
    const struct http_stream *up = s->up_http;
    int rc = 0;

    if (up->framing.mode == BODY_NONE)
        return 0;
    rc = PHASE(s, response_body_filter, s, piece, up->body_done);
    if (piece->ptr == NULL)
        piece->len = 0;
    if (rc == 0 && up->body_done)
        rc = filter_trailers_down(s);
    if (rc == 0 && s->uses != NULL)
        rc = modules_response_body(s, piece, up->body_done);
    return rc;
}

int body_written(struct weir_session *s, int rc, bool promised)
{
    if (rc == WEIR_EINTERNAL && promised)
        return session_fail(s, WEIR_EFILTER, "a body filter changed a length that it promised");
    return rc;
}
