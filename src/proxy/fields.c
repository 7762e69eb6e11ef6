/* fields.c -- what a proxy has to do to the fields of messages that pass (RFC 9110 7.6), and the
 * phases that edit them. */
#include "proxy/session.h"

/* Expect: only 100-continue is defined (RFC 9110 10.1.1). HTTP/1.0 clients cannot mean it: it is
 * ignored for them. */
static int check_expect(struct weir_session *s)
{
    if (!head_has_id(&s->req, FIELD_EXPECT))
        return 0;
    if (s->req.minor == 0 || s->down->framing.mode == BODY_NONE) {
        head_del_id(&s->req, FIELD_EXPECT);
        return 0;
    }
    for (struct field *f = head_first_id(&s->req, FIELD_EXPECT); f != NULL;
         f = head_next_id(&s->req, f))
        if (!weir_eq_nocase(((weir_str){ f->value, f->value_len }), "100-continue"))
            return WEIR_EEXPECT;
    return 0;
}

int fields_check_request(struct weir_session *s)
{
    const char *reason = NULL;
    int rc;

    if (s->req.method_id == METHOD_CONNECT)
        return WEIR_EMETHOD;
    rc = head_check_connection(&s->req, &reason);
    if (rc < 0)
        return session_fail(s, rc, reason);
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

/* Who asked, and how: X-Forwarded-For, -Proto, -Host. A client's own Forwarded (RFC 7239) goes with
 * those it may have forged. */
static void add_forwarding(struct weir_session *s, struct weir_head *up)
{
    char buf[ADDR_TEXT];
    weir_str client;
    bool append = s->service->forwarding == WEIR_FORWARD_APPEND && trusted(s);

    client = arena_copy(&s->arena,
                        s->client->kind == ADDR_UNIX ? LIT("unix") : addr_host(s->client, buf));
    if (append)
        client = behind_others(s, up, client);
    if (client.ptr == NULL) {
        up->failed = WEIR_ENOMEM;
        return;
    }
    head_set_id(up, FIELD_X_FORWARDED_FOR, client);
    if (!append || !head_has_id(up, FIELD_X_FORWARDED_PROTO))
        head_set_id(up, FIELD_X_FORWARDED_PROTO,
                    s->down->tls != NULL ? LIT("https") : LIT("http"));
    if (!append || !head_has_id(up, FIELD_X_FORWARDED_HOST))
        head_set_id(up, FIELD_X_FORWARDED_HOST, s->req.authority);
    if (!append)
        head_del_id(up, FIELD_FORWARDED);
}

/* HTTP/1.1 wants a Host; what a client of HTTP/1.0 did not say is the name of whom we ask. */
static void require_host(struct weir_session *s, struct weir_head *up)
{
    const struct addr *to = s->peer.internal.address;
    char buf[ADDR_TEXT];

    if (!head_has_id(up, FIELD_HOST))
        head_set_id(up, FIELD_HOST,
                    to->kind == ADDR_UNIX ? LIT("localhost")
                                          : arena_copy(&s->arena, addr_print(to, buf)));
}

static void add_via(struct weir_session *s, struct weir_head *h, unsigned minor)
{
    if (s->service->via)
        head_add_id(h, FIELD_VIA, minor == 0 ? LIT("1.0 weir") : LIT("1.1 weir"));
}

int fields_for_upstream(struct weir_session *s)
{
    struct weir_head *up = &s->up_req;
    int rc;

    TRY(head_copy_end_to_end(up, &s->req, &s->arena));
    if (body_may_grow_down(s)) { /* its filter is to see whole bodies */
        head_del_id(up, FIELD_RANGE);
        weir_head_del(up, LIT("If-Range"));
    }
    require_host(s, up);
    if (s->service->forwarding != WEIR_FORWARD_OFF)
        add_forwarding(s, up);
    add_via(s, up, s->req.minor);
    if (up->failed != 0)
        return session_fail(s, up->failed, NULL);
    rc = PHASE(s, upstream_request_filter, s, up);
    if (rc == 0)
        body_adapt_request(s);
    return rc;
}

int fields_for_client(struct weir_session *s)
{
    int rc = PHASE(s, upstream_response_filter, s, &s->up_res);

    if (rc != 0)
        return rc;
    TRY(head_copy_end_to_end(&s->res, &s->up_res, &s->arena));
    add_via(s, &s->res, s->up_res.minor);
    rc = PHASE(s, response_filter, s, &s->res);
    if (rc == 0)
        body_adapt_response(s);
    return rc;
}
