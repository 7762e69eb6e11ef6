/* fetch.c -- requests of our own to other services, while a client's request waits, or for nobody.
 *
 * A fetch is a session without a client: it goes the same way to an upstream as a forwarded request
 * does (choose, obtain, leave), so that the pool, TLS, HTTP/2, stale connections and deadlines are
 * those of upstream.c. Its proxy has one phase, which names the address. */
#include "proxy/fetch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

#define FETCH_TIME (5 * WEIR_SEC)

enum { BODY_MAX = 1024 * 1024, FIRST_PIECE = 1024 };

/* The session of a fetch, with what it has in place of a client and a service. */
struct fetch_run {
    struct weir_session session;
    struct http_stream nobody;
    struct service service;
    struct deferred end;
};

/* ---- whom to ask ----------------------------------------------------------------------------- */

static int find_addresses(struct weir_session *s, struct fetch *f)
{
    struct addr_spec spec;
    const char *why;
    int n;

    if (addr_parse(f->name, &spec) == NULL && spec.form == SPEC_ADDR) {
        f->addrs[0] = spec.addr;
        f->count = 1;
        return 0;
    }
    n = names_find(f->host.ptr, f->port, f->addrs, s->limit, &why);
    if (why != NULL)
        return session_fail(s, n, why);
    if (n < 0)
        return n;
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

    if (piece.len == 0 || f->options->drop_body)
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
    if (up->framing.mode == BODY_LENGTH && up->framing.length > SIZE_MAX / 2 &&
        !f->options->drop_body)
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
    struct weir_session *sub = arg;
    struct fetch *f = sub->ctx;

    free(f->body);
    session_end(sub);
}

/* A session for the fetch, in the arena of the one that asks. */
static struct weir_session *begin_run(struct weir_session *s, struct fetch *f, weir_dur timeout)
{
    static const struct weir_proxy proxy = { .name = "weir_fetch", .upstream_peer = fetch_peer };
    struct deadline until = /* by the clock: the phase may have computed for long */
        deadline_in(clock_now(), timeout != 0 ? timeout : FETCH_TIME, WEIR_EUPTIME);
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
    sub->number = s->number;
    sub->started = rt_now();
    sub->req = f->req;
    sub->limit = scope_limit(deadline_min(until, s->limit), WEIR_ETIMEOUT);
    session_defer(s, &run->end, end_run, sub);
    return sub;
}

/* Perhaps the name has moved. */
static bool is_connect_error(int rc)
{
    return rc == WEIR_EREFUSED || rc == WEIR_ECONNECT || rc == WEIR_ECONNTIME;
}

static int fetch(struct weir_session *s, struct weir_session *sub, struct fetch *f)
{
    int rc = find_addresses(sub, f);

    while (rc == 0 || rc == WEIR_RETRY) {
        rc = try_once(sub, f, s->service);
        if (rc == 0)
            return 0;
    }
    if (is_connect_error(rc))
        names_forget(f->host.ptr);
    return rc;
}

/* Why there is no answer; what ends the whole request ends it. That a scope of the phase is over
 * does not. */
static void explain(struct weir_session *s, const struct weir_session *sub, const char *name,
                    int rc)
{
    int cause = rc == WEIR_ECANCELED ? strand_cause() : rc;
    int over = cause == WEIR_EREQUESTTIME ? cause : strand_ended();
    const char *text = sub != NULL && sub->fault != NULL ? sub->fault : weir_error_text(cause);

    if (over != 0)
        session_fail(s, over, NULL);
    s->fetch_why = arena_printf(&s->arena, "%s%s%s", name != NULL ? name : "",
                                name != NULL ? ": " : "", text).ptr;
}

static const struct weir_fetch_options defaults;

const struct weir_head *weir_fetch_with(struct weir_session *s, struct weir_head *req,
                                        weir_dur timeout, const struct weir_fetch_options *options)
{
    struct fetch *f = fetch_of(s, req);
    const char *wrong = co_inside() ? fetch_unfit(s, f) : "weir_fetch is for coroutines";
    struct weir_session *sub = NULL;
    int rc = WEIR_ENOMEM;

    s->fetch_why = wrong;
    if (wrong != NULL)
        return NULL;
    f->options = options != NULL ? options : &defaults;
    f->done = true;
    co_label(s->service->proxy->name, "weir_fetch");
    sub = begin_run(s, f, timeout);
    if (sub != NULL)
        rc = fetch(s, sub, f);
    if (rc < 0) {
        explain(s, sub, f->name, rc);
        return NULL;
    }
    f->answer = &sub->up_res;
    return f->answer;
}

const struct weir_head *weir_fetch(struct weir_session *s, struct weir_head *req, weir_dur timeout)
{
    return weir_fetch_with(s, req, timeout, &defaults);
}

weir_str weir_fetched_body(struct weir_session *s, const struct weir_head *answer)
{
    const struct fetch *f = fetch_of(s, answer);

    if (f == NULL || f->answer != answer)
        return (weir_str){ NULL, 0 };
    return f->body_len > 0 ? (weir_str){ f->body, f->body_len } : LIT("");
}
