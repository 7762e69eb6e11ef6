/* fields.c -- what a proxy has to do to the fields of messages that pass (RFC 9110 7.6), and the
 * phases that edit them. */
#include "codec/chars.h"
#include "codec/forwarded.h"
#include "proxy/module.h"
#include "proxy/session.h"

static bool all_known(struct weir_session *s)
{
    for (struct field *f = head_first_id(&s->req, FIELD_EXPECT); f != NULL;
         f = head_next_id(&s->req, f)) {
        weir_str list = { f->value, f->value_len }, one;

        while (take_element(&list, &one))
            if (one.len > 0 && !weir_eq_nocase(one, "100-continue"))
                return false;
    }
    return true;
}

/* Expect: only 100-continue is defined (RFC 9110 10.1.1), for a body that will follow. A client has
 * nothing to wait for without one, and HTTP/1.0 clients cannot mean it: then it goes no further. */
static int check_expect(struct weir_session *s)
{
    const struct framing *f = &s->down->framing;

    if (!head_has_id(&s->req, FIELD_EXPECT))
        return 0;
    if (s->req.minor > 0 && !all_known(s))
        return WEIR_EEXPECT;
    if (s->req.minor == 0 || f->mode == BODY_NONE || (f->mode == BODY_LENGTH && f->length == 0) ||
        !head_lists_token(&s->req, FIELD_EXPECT, LIT("100-continue")))
        head_del_id(&s->req, FIELD_EXPECT);
    return 0;
}

/* What stands before a version; also where that is glued on, as in h2c-14. */
static weir_str protocol_name(weir_str protocol)
{
    size_t n = 0;

    while (n < protocol.len && protocol.ptr[n] != '/' && protocol.ptr[n] != '-')
        n++;
    return (weir_str){ protocol.ptr, n };
}

/* Protocols that are HTTP again, or a layer below it: what they would carry through a tunnel is
 * requests that no phase of the proxy has seen. */
static bool hides_requests(weir_str protocols)
{
    static const weir_str names[] = { LIT("h2"), LIT("h2c"), LIT("http"), LIT("tls") };
    weir_str list = protocols, one;

    while (take_element(&list, &one))
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (weir_str_eq_nocase(protocol_name(one), names[i]))
                return true;
    return false;
}

static int note_upgrade(struct weir_session *s)
{
    weir_str offered;

    if (!head_has_id(&s->req, FIELD_UPGRADE) || !head_asks_upgrade(&s->req))
        return 0;
    offered = head_join_id(&s->req, FIELD_UPGRADE, &s->arena);
    if (offered.ptr == NULL)
        return WEIR_ENOMEM;
    if (!hides_requests(offered))
        s->upgrade = offered;
    return 0;
}

int fields_check_request(struct weir_session *s)
{
    const char *reason = NULL;
    int rc;

    if (s->req.method_id == METHOD_CONNECT &&
        !(s->service->connect && s->down->ops->tunnel != NULL))
        return WEIR_EMETHOD;
    rc = head_check_connection(&s->req, &reason);
    if (rc < 0)
        return session_fail(s, rc, reason);
    TRY(note_upgrade(s));
    return check_expect(s);
}

int fields_check_length(struct weir_session *s)
{
    const struct framing *f = &s->down->framing;

    return f->mode == BODY_LENGTH && f->length > s->max_body ? WEIR_EBODYSIZE : 0;
}

static bool trusted(const struct weir_session *s)
{
    for (unsigned i = 0; i < s->service->trusted_count; i++)
        if (addr_net_has(&s->service->trusted[i], s->client))
            return true;
    return false;
}

/* What all lines of X-Forwarded-For said before, with the client behind it. */
static weir_str behind_others(struct weir_session *s, const struct weir_head *up, weir_str client)
{
    weir_str all = { "", 0 };

    for (struct field *f = head_first_id(up, FIELD_X_FORWARDED_FOR); f != NULL;
         f = head_next_id(up, f))
        if (f->value_len > 0)
            all = arena_printf(&s->arena, WEIR_FMT "%.*s, ", WEIR_ARG(all), (int)f->value_len,
                               f->value);
    return arena_printf(&s->arena, WEIR_FMT WEIR_FMT, WEIR_ARG(all), WEIR_ARG(client));
}

/* X-Forwarded-For, -Proto, -Host. */
static void add_x_forwarded(struct weir_session *s, struct weir_head *up, weir_str client,
                            weir_str proto, bool append)
{
    if (append)
        client = behind_others(s, up, client);
    if (client.ptr == NULL) {
        up->failed = WEIR_ENOMEM;
        return;
    }
    head_set_id(up, FIELD_X_FORWARDED_FOR, client);
    if (!append || !head_has_id(up, FIELD_X_FORWARDED_PROTO))
        head_set_id(up, FIELD_X_FORWARDED_PROTO, proto);
    if (!append || !head_has_id(up, FIELD_X_FORWARDED_HOST))
        head_set_id(up, FIELD_X_FORWARDED_HOST, s->req.authority);
}

/* Forwarded (RFC 7239). */
static void add_forwarded(struct weir_session *s, struct weir_head *up, weir_str client,
                          weir_str proto)
{
    bool known = s->client->kind != ADDR_UNIX;
    weir_str mine = forwarded_print(&(struct forwarded){ .from = known ? client : LIT("unknown"),
                                                         .host = s->req.authority,
                                                         .proto = proto },
                                    &s->arena);

    weir_str others = head_join_id(up, FIELD_FORWARDED, &s->arena);

    if (others.ptr == NULL)
        mine = others;
    else if (forwarded_goes_on(others))
        mine = arena_printf(&s->arena, WEIR_FMT ", " WEIR_FMT, WEIR_ARG(others), WEIR_ARG(mine));
    if (mine.ptr == NULL)
        up->failed = WEIR_ENOMEM;
    else
        head_set_id(up, FIELD_FORWARDED, mine);
}

/* Who asked, and how. What a client may have forged goes, in either spelling. */
static void add_forwarding(struct weir_session *s, struct weir_head *up)
{
    enum weir_forwarded_as as = s->service->forwarded_as;
    bool append = s->service->forwarding == WEIR_FORWARD_APPEND && trusted(s);
    weir_str proto = s->down->tls != NULL ? LIT("https") : LIT("http");
    weir_str client =
        s->client->kind == ADDR_UNIX ? LIT("unix") : addr_host_in(&s->arena, s->client);

    if (!append) {
        head_del_id(up, FIELD_X_FORWARDED_FOR);
        head_del_id(up, FIELD_X_FORWARDED_PROTO);
        head_del_id(up, FIELD_X_FORWARDED_HOST);
        head_del_id(up, FIELD_FORWARDED);
    }
    if (client.ptr == NULL)
        up->failed = WEIR_ENOMEM;
    else if (as != WEIR_FORWARDED_RFC7239)
        add_x_forwarded(s, up, client, proto, append);
    if (client.ptr != NULL && as != WEIR_FORWARDED_X)
        add_forwarded(s, up, client, proto);
}

static void count_down(struct weir_session *s, struct weir_head *up)
{
    unsigned left;

    if (head_has_id(up, FIELD_MAX_FORWARDS) && max_forwards(&s->req, &left) == FORWARDS_LESS)
        weir_head_set(up, LIT("Max-Forwards"), arena_printf(&s->arena, "%u", left));
}

/* HTTP/1.1 wants a Host, HTTP/2 one that is not empty (RFC 9113 8.3.1); what a client did not say
 * is the name of whom we ask. */
static void require_host(struct weir_session *s, struct weir_head *up)
{
    const struct addr *to = s->peer.internal.address;

    if (!head_has_id(up, FIELD_HOST) ||
        (s->up_h2 != NULL && head_get_id(up, FIELD_HOST).len == 0))
        head_set_id(up, FIELD_HOST,
                    to->kind == ADDR_UNIX ? LIT("localhost") : addr_print_in(&s->arena, to));
}

static void add_via(struct weir_session *s, struct weir_head *h, unsigned minor)
{
    if (s->service->via)
        head_add_line(h, FIELD_VIA, minor == 0 ? LIT("Via: 1.0 weir") : LIT("Via: 1.1 weir"));
}

int fields_for_upstream(struct weir_session *s)
{
    struct weir_head *up = &s->up_req;
    int rc;

    if (s->uses != NULL)
        modules_next_try(s);
    TRY(head_copy_end_to_end(up, &s->req, &s->arena));
    if (body_may_grow_down(s) || s->whole) { /* its filter is to see whole bodies */
        head_del_id(up, FIELD_RANGE);
        weir_head_del(up, LIT("If-Range"));
    }
    if (s->continued || s->received > 0)
        head_del_id(up, FIELD_EXPECT); /* the client does not wait any more */
    require_host(s, up);
    if (s->service->forwarding != WEIR_FORWARD_OFF)
        add_forwarding(s, up);
    add_via(s, up, s->req.minor);
    count_down(s, up);
    if (up->failed != 0)
        return session_fail(s, up->failed, NULL);
    s->te_trailers = head_lists_token(&s->req, FIELD_TE, LIT("trailers"));
    TRY(websocket_ask(s));
    rc = s->uses != NULL ? modules_upstream_request(s, up) : 0;
    if (rc == 0)
        rc = PHASE(s, upstream_request_filter, s, up);
    if (rc == 0)
        body_adapt_request(s);
    return rc;
}

/* A part of what is to be edited: once more, without Range. (A 206 to who asked for no part, or to
 * something else than GET, is nothing that one could edit.) */
static int ask_for_all(struct weir_session *s)
{
    if (s->whole || !head_has_id(&s->up_req, FIELD_RANGE) || s->req.method_id != METHOD_GET ||
        s->received > 0)
        return session_fail(s, WEIR_EUPHEAD, "a part of a body that is to be edited as a whole");
    s->whole = true;
    s->fresh = true;
    s->answered = 0;
    return WEIR_RETRY;
}

int fields_for_client(struct weir_session *s)
{
    int rc = PHASE(s, upstream_response_filter, s, &s->up_res);

    if (rc == 0 && s->uses != NULL)
        rc = modules_upstream_response(s, &s->up_res);
    if (rc != 0)
        return rc;
    TRY(head_copy_end_to_end(&s->res, &s->up_res, &s->arena));
    add_via(s, &s->res, s->up_res.minor);
    rc = PHASE(s, response_filter, s, &s->res);
    if (rc == 0 && s->uses != NULL)
        rc = modules_response(s, &s->res);
    if (rc != 0)
        return rc;
    if (s->edit_down != NULL && s->res.status == 206)
        return ask_for_all(s);
    body_adapt_response(s);
    return 0;
}
