/* fetch.c -- requests of our own to other services, while a client's request waits.
 *
 * A fetch is a session without a client: it goes the same way to an upstream as a forwarded request
 * does (choose, obtain, leave), so that the pool, TLS, HTTP/2, stale connections and deadlines are
 * those of upstream.c. Its proxy has one phase, which names the address. */
#include <weir/fetch.h>

#include <stdlib.h>

#include "codec/chars.h"
#include "codec/uri.h"
#include "net/resolve.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

#define FETCH_TIME (5 * WEIR_SEC)

enum { ADDRESSES = 4, LOOP_MAX = 8, BODY_MAX = 1024 * 1024, FIRST_PIECE = 1024 };

struct fetch {
    struct weir_head req;
    struct fetch *next; /* of the same session */
    const char *wrong;  /* what is wrong with the URL; NULL: nothing */
    bool tls, done;
    weir_str host;    /* without brackets */
    const char *name; /* for weir_why: host and port */
    uint16_t port;
    struct addr addrs[ADDRESSES];
    unsigned count, turn;
    const struct weir_fetch_options *options;
    const struct weir_head *answer; /* NULL: none yet */
    char *body;
    size_t body_len, body_room;
};

/* The session of a fetch, with what it has in place of a client and a service. */
struct fetch_run {
    struct weir_session session;
    struct http_stream nobody;
    struct service service;
};

/* ---- the request ----------------------------------------------------------------------------- */

/* host[":" port], which target_parse has checked. */
static void split_authority(struct fetch *f, weir_str authority)
{
    weir_str host = authority;
    unsigned port = 0;
    size_t at = authority.len;

    while (at > 0 && is_digit(authority.ptr[at - 1]))
        at--;
    if (at > 0 && authority.ptr[at - 1] == ':') {
        host.len = at - 1;
        for (size_t i = at; i < authority.len; i++)
            port = port * 10 + (unsigned)(authority.ptr[i] - '0');
    }
    if (host.len > 1 && host.ptr[0] == '[')
        host = (weir_str){ host.ptr + 1, host.len - 2 };
    f->host = host;
    f->port = port != 0 ? (uint16_t)port : f->tls ? 443 : 80;
}

static void parse_url(struct weir_session *s, struct fetch *f, weir_str url)
{
    struct h1_fault fault = { .reason = NULL };
    struct target t;
    weir_str path;
    bool v6;

    if (target_parse(url, METHOD_GET, &t, &fault) < 0 || t.form != TARGET_ABSOLUTE) {
        f->wrong = "not a URL of http: or https:";
        return;
    }
    f->tls = weir_eq_nocase(t.scheme, "https");
    split_authority(f, t.authority);
    v6 = memchr(f->host.ptr, ':', f->host.len) != NULL;
    f->name = arena_printf(&s->arena, v6 ? "[" WEIR_FMT "]:%u" : WEIR_FMT ":%u", WEIR_ARG(f->host),
                           f->port).ptr;
    path = t.path;
    if (path.len == 0 || path.ptr[0] != '/')
        path = arena_printf(&s->arena, "/" WEIR_FMT, WEIR_ARG(t.path));
    f->req.target = path;
    f->req.authority = t.authority;
    head_set_id(&f->req, FIELD_HOST, t.authority);
    if (path.ptr == NULL || f->name == NULL)
        f->req.failed = WEIR_ENOMEM;
}

struct weir_head *weir_new_request(struct weir_session *s, const char *method, const char *url)
{
    struct fetch *f = weir_alloc(s, sizeof *f);

    if (f == NULL)
        return &s->res; /* never NULL; the phase fails anyway */
    *f = (struct fetch){ .next = s->fetches };
    s->fetches = f;
    head_init(&f->req, &s->arena, 0);
    f->req.minor = 1;
    f->req.method = arena_copy(&s->arena, weir_str_from(method));
    f->req.method_id = method_of(f->req.method);
    if (!is_token(f->req.method) || f->req.method_id == METHOD_CONNECT)
        f->wrong = "not a method";
    else
        parse_url(s, f, arena_copy(&s->arena, weir_str_from(url)));
    return &f->req;
}

struct weir_head *weir_new_get(struct weir_session *s, const char *url)
{
    return weir_new_request(s, "GET", url);
}

static struct fetch *fetch_of(const struct weir_session *s, const struct weir_head *head)
{
    struct fetch *f = s->fetches;

    while (f != NULL && head != &f->req && head != f->answer)
        f = f->next;
    return f;
}

/* How many of the proxies that have passed this on, ourselves included, are of our kind. */
static unsigned weirs_before(const struct weir_session *s)
{
    unsigned n = 0;

    for (struct field *l = head_first_id(&s->req, FIELD_VIA); l != NULL;
         l = head_next_id(&s->req, l)) {
        weir_str list = { l->value, l->value_len }, one;

        while (take_element(&list, &one))
            n += one.len > 5 && weir_eq(((weir_str){ one.ptr + one.len - 5, 5 }), " weir");
    }
    return n;
}

static void add_via(struct fetch *f, unsigned before)
{
    for (unsigned i = 0; i <= before; i++)
        head_add_id(&f->req, FIELD_VIA, LIT("1.1 weir"));
}

/* ---- whom to ask ----------------------------------------------------------------------------- */

static int find_addresses(struct weir_session *s, struct fetch *f)
{
    const char *text = arena_printf(&s->arena, WEIR_FMT, WEIR_ARG(f->host)).ptr;
    struct addr_spec spec;
    const char *why;
    int n;

    if (text == NULL)
        return WEIR_ENOMEM;
    if (addr_parse(f->name, &spec) == NULL && spec.form == SPEC_ADDR) {
        f->addrs[0] = spec.addr;
        f->count = 1;
        return 0;
    }
    n = resolve(text, f->port, f->addrs, ADDRESSES, &why);
    if (n < 0)
        return session_fail(s, n, why);
    f->count = (unsigned)n;
    return 0;
}

static int fetch_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct fetch *f = s->ctx;
    const struct weir_fetch_options *o = f->options;
    struct addr_spec spec;

    peer->internal.address = &f->addrs[f->turn++ % f->count];
    peer->internal.name = f->name;
    peer->alpn = o->alpn != 0 ? o->alpn : f->tls ? WEIR_H1 | WEIR_H2 : WEIR_H1;
    if (!f->tls)
        return 0;
    peer->tls = true;
    if (addr_parse(f->name, &spec) != NULL || spec.form == SPEC_HOST)
        peer->sni = f->host;
    peer->ca_file = o->ca_file;
    peer->cert_file = o->cert_file;
    peer->key_file = o->key_file;
    peer->no_verify = o->no_verify;
    return 0;
}

/* ---- the exchange ---------------------------------------------------------------------------- */

static int ask(struct weir_session *sub, struct fetch *f)
{
    weir_str body = f->options->body.ptr != NULL ? f->options->body : LIT("");
    bool plain = f->options->body.ptr == NULL && f->req.method_id != METHOD_POST &&
                 f->req.method_id != METHOD_PUT && f->req.method_id != METHOD_PATCH;
    struct http_message m = {
        .head = &f->req,
        .framing = { .mode = plain ? BODY_NONE : BODY_LENGTH, .length = body.len },
    };
    int rc;

    sub->untouched = false;
    rc = http_write(sub->up_http, &m, body, true, &sub->up_write);
    return rc == WEIR_EUPRESET ? 0 : rc; /* an answer that explains it may be there */
}

static int hear(struct weir_session *sub)
{
    struct deadline until = deadline_in(rt_now(), sub->peer.read_timeout, WEIR_EUPTIME);

    for (;;) {
        head_init(&sub->up_res, &sub->arena, 0);
        TRY(http_read_head(sub->up_http, &sub->up_res, sub->req.method_id,
                           deadline_min(until, sub->limit)));
        if (sub->up_res.status == 101)
            return WEIR_EUPSWITCH;
        if (sub->up_res.status >= 200)
            return 0;
        TRY(forward_count_interim(sub));
    }
}

static int keep(struct weir_session *sub, struct fetch *f, weir_str piece)
{
    size_t max = f->options->max_body != 0 ? f->options->max_body : BODY_MAX;
    size_t room = f->body_room;
    char *more;

    if (piece.len == 0)
        return 0;
    if (piece.len > max - f->body_len)
        return session_fail(sub, WEIR_EUPBODY, "the body of the answer is too large");
    while (room < f->body_len + piece.len)
        room = room == 0 ? MAX(piece.len, FIRST_PIECE) : room * 2;
    if (room > f->body_room) {
        more = realloc(f->body, room);
        if (more == NULL)
            return WEIR_ENOMEM;
        f->body = more;
        f->body_room = room;
    }
    memcpy(f->body + f->body_len, piece.ptr, piece.len);
    f->body_len += piece.len;
    return 0;
}

static int receive_body(struct weir_session *sub, struct fetch *f)
{
    struct http_stream *up = sub->up_http;
    weir_str piece;
    int rc;

    f->body_len = 0;
    if (up->framing.mode == BODY_LENGTH && up->framing.length > SIZE_MAX / 2)
        return session_fail(sub, WEIR_EUPBODY, "the body of the answer is too large");
    while (!up->body_done) {
        rc = http_read_body(up, &piece, &sub->up_read);
        if (rc < 0)
            return rc;
        TRY(keep(sub, f, piece));
    }
    return 0;
}

static int try_once(struct weir_session *sub, struct fetch *f, const struct service *service)
{
    int rc;

    TRY(upstream_choose(sub));
    rc = upstream_obtain(sub);
    if (sub->up != NULL) /* it will be in the pool when this session is gone */
        sub->up->h1.limits = &service->answer_limits;
    if (rc == 0)
        rc = ask(sub, f);
    if (rc == 0)
        rc = hear(sub);
    if (rc == 0)
        rc = receive_body(sub, f);
    return upstream_leave(sub, rc);
}

static void end_run(void *arg)
{
    session_end(arg);
}

/* A session for the fetch, in the arena of the one that asks. */
static struct weir_session *begin_run(struct weir_session *s, struct fetch *f, weir_dur timeout)
{
    static const struct weir_proxy proxy = { .name = "weir_fetch", .upstream_peer = fetch_peer };
    struct deadline until =
        deadline_in(rt_now(), timeout != 0 ? timeout : FETCH_TIME, WEIR_EUPTIME);
    struct fetch_run *run = weir_alloc(s, sizeof *run + FIRST_PIECE);
    struct weir_session *sub;

    if (run == NULL)
        return NULL;
    memset(run, 0, sizeof *run);
    memcpy(&run->service, s->service, sizeof run->service);
    run->service.proxy = &proxy;
    sub = &run->session;
    arena_init(&sub->arena, run + 1, FIRST_PIECE);
    sub->service = &run->service;
    sub->down = &run->nobody;
    sub->down->body_done = true;
    if (f->options->body.ptr != NULL)
        sub->down->framing.mode = BODY_LENGTH; /* a pooled connection is looked at before */
    sub->client = s->client;
    sub->ctx = f;
    sub->id = s->id;
    sub->started = rt_now();
    sub->req = f->req;
    sub->limit = deadline_min(until, s->limit);
    weir_defer(s, end_run, sub);
    return sub;
}

static int fetch(struct weir_session *s, struct weir_session *sub, struct fetch *f)
{
    int rc = find_addresses(sub, f);

    while (rc == 0 || rc == WEIR_RETRY) {
        rc = try_once(sub, f, s->service);
        if (rc == 0)
            return 0;
    }
    return rc;
}

/* Why there is no answer; what ends the whole request ends it. */
static void explain(struct weir_session *s, const struct weir_session *sub, const char *name,
                    int rc)
{
    int cause = rc == WEIR_ECANCELED ? strand_cause() : rc;
    const char *text = sub != NULL && sub->fault != NULL ? sub->fault : weir_error_text(cause);

    if (cause == WEIR_EREQUESTTIME || (cause != WEIR_ECANCELED && co_check() < 0))
        session_fail(s, cause, NULL);
    s->fetch_why = arena_printf(&s->arena, "%s%s%s", name != NULL ? name : "",
                                name != NULL ? ": " : "", text).ptr;
}

static void free_body(void *arg)
{
    struct fetch *f = arg;

    free(f->body);
}

/* What is wrong with a request before it is sent; NULL: nothing. */
static const char *unfit(const struct fetch *f, unsigned before)
{
    if (f == NULL || f->done)
        return "the head is none of weir_new_get, or was fetched before";
    if (f->wrong != NULL)
        return f->wrong;
    if (f->req.failed != 0)
        return weir_error_text(f->req.failed);
    return before >= LOOP_MAX ? "a loop: too many proxies have asked one another" : NULL;
}

const struct weir_head *weir_fetch_with(struct weir_session *s, struct weir_head *req,
                                        weir_dur timeout, const struct weir_fetch_options *options)
{
    struct fetch *f = fetch_of(s, req);
    unsigned before = weirs_before(s);
    const char *wrong = unfit(f, before);
    struct weir_session *sub = NULL;
    int rc = WEIR_ENOMEM;

    s->fetch_why = wrong;
    if (wrong != NULL)
        return NULL;
    f->options = options;
    add_via(f, before);
    f->done = true;
    co_label(s->service->proxy->name, "weir_fetch");
    sub = begin_run(s, f, timeout);
    if (sub != NULL) {
        weir_defer(s, free_body, f);
        rc = fetch(s, sub, f);
    }
    if (rc < 0) {
        explain(s, sub, f->name, rc);
        return NULL;
    }
    f->answer = &sub->up_res;
    return f->answer;
}

const struct weir_head *weir_fetch(struct weir_session *s, struct weir_head *req, weir_dur timeout)
{
    static const struct weir_fetch_options none;

    return weir_fetch_with(s, req, timeout, &none);
}

weir_str weir_fetched_body(struct weir_session *s, const struct weir_head *answer)
{
    const struct fetch *f = fetch_of(s, answer);

    if (f == NULL || f->answer != answer)
        return (weir_str){ NULL, 0 };
    return f->body_len > 0 ? (weir_str){ f->body, f->body_len } : LIT("");
}
