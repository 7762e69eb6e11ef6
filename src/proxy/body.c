/* body.c -- bodies through the user's filters, and what a filter that may change one does to the
 * head in front of it (the rules are in <weir/proxy.h>, "Bodies").
 *
 * Fields that a phase has set itself are left alone: what was copied from the peer's head still
 * points to the peer's text. */
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
    return s->service->proxy->request_body_filter != NULL && !s->request_unchanged &&
           s->down->framing.mode != BODY_NONE;
}

bool body_may_grow_down(const struct weir_session *s)
{
    return s->service->proxy->response_body_filter != NULL && !s->response_unchanged;
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

void body_adapt_response(struct weir_session *s)
{
    struct weir_head *now = &s->res, *was = &s->up_res;
    weir_str etag = head_get_id(was, FIELD_ETAG);

    if (!body_may_grow_down(s))
        return;
    drop_digests(now, was);
    if (same(now, was, LIT("Accept-Ranges")))
        weir_head_del(now, LIT("Accept-Ranges"));
    if (weir_starts(etag, "\"") && same(now, was, LIT("ETag"))) /* RFC 9110 8.8.1 */
        weir_head_set(now, LIT("ETag"), arena_printf(&s->arena, "W/" WEIR_FMT, WEIR_ARG(etag)));
}

struct framing body_reframe(struct framing was, const struct http_stream *from, weir_str piece)
{
    if (was.mode == BODY_NONE)
        return was;
    if (from->body_done && from->trailers == NULL)
        return (struct framing){ .mode = BODY_LENGTH, .length = piece.len };
    return (struct framing){ .mode = BODY_CHUNKED };
}

int body_filter_up(struct weir_session *s, weir_str *piece)
{
    const struct weir_proxy *proxy = s->service->proxy;

    if (proxy->request_body_filter == NULL || s->down->framing.mode == BODY_NONE)
        return 0;
    co_label(proxy->name, "request_body_filter");
    return phase_result(s, proxy->request_body_filter(s, piece, s->down->body_done));
}

int body_filter_down(struct weir_session *s, weir_str *piece)
{
    const struct weir_proxy *proxy = s->service->proxy;
    const struct http_stream *up = s->up_http;

    if (proxy->response_body_filter == NULL || up->framing.mode == BODY_NONE)
        return 0;
    co_label(proxy->name, "response_body_filter");
    return phase_result(s, proxy->response_body_filter(s, piece, up->body_done));
}

int body_written(struct weir_session *s, int rc, bool promised)
{
    if (rc == WEIR_EINTERNAL && promised)
        return session_fail(s, WEIR_EFILTER, "a body filter changed a length that it promised");
    return rc;
}
