/* upstream.c -- where a request goes, and the connection that takes it there. */
#include <string.h>

#include "proxy/session.h"
#include "runtime/runtime.h"
#include "tls/tls.h"

int weir_lb_pick(struct weir_lb *lb, struct weir_session *s, struct weir_peer *peer)
{
    struct backend *b;

    TRY(lb_choose(lb, &s->tried, &b));
    peer->internal.address = &b->addr;
    peer->internal.backend = b;
    peer->internal.name = b->name;
    return 0;
}

int weir_peer_address(struct weir_session *s, struct weir_peer *peer, const char *addr)
{
    weir_str copy = weir_printf(s, "%s", addr);
    struct addr *a = weir_alloc(s, sizeof *a);
    struct addr_spec spec;
    const char *wrong;

    if (copy.ptr == NULL || a == NULL)
        return WEIR_ENOMEM;
    wrong = addr_parse(copy.ptr, &spec);
    if (wrong == NULL && spec.form != SPEC_ADDR)
        wrong = "no address (a host name needs weir_lb_new, which resolves it)";
    if (wrong != NULL)
        return session_fail(s, WEIR_EINVALID, weir_printf(s, "\"%s\": %s", addr, wrong).ptr);
    *a = spec.addr;
    peer->internal.address = a;
    peer->internal.name = copy.ptr;
    return 0;
}

weir_str weir_peer_name(const struct weir_peer *peer)
{
    return weir_str_from(peer->internal.name);
}

static weir_dur or_default(weir_dur given, weir_dur usual)
{
    return given != 0 ? given : usual;
}

static bool asked_in_vain(const struct weir_session *s, const struct addr *addr)
{
    for (unsigned i = 0; i < s->connect_fails; i++)
        if (addr_eq(s->connect_failed[i], addr))
            return true;
    return false;
}

int upstream_choose(struct weir_session *s)
{
    const struct service *svc = s->service;
    struct weir_peer *peer = &s->peer;
    int rc;

    if (s->fresh) /* the same peer once more: only the pooled connection was bad */
        return 0;
    memset(peer, 0, sizeof *peer);
    rc = PHASE(s, upstream_peer, s, peer);
    if (rc == WEIR_ENOUPSTREAM && s->connect_err != 0 && s->err == 0)
        return session_fail(s, s->connect_err, s->connect_fault); /* why the last one failed */
    if (rc != 0)
        return rc;
    if (peer->internal.address == NULL)
        return session_fail(s, WEIR_EINVALID, "upstream_peer chose no address");
    if (asked_in_vain(s, peer->internal.address))
        return session_fail(s, s->connect_err, s->connect_fault);
    s->up_name = peer->internal.name;
    peer->connect_timeout = or_default(peer->connect_timeout, svc->connect_timeout);
    peer->read_timeout = or_default(peer->read_timeout, svc->upstream_timeout);
    peer->write_timeout = or_default(peer->write_timeout, svc->upstream_timeout);
    peer->idle_timeout = or_default(peer->idle_timeout, 60 * WEIR_SEC);
    s->up_read =
        (struct pace){ .limit = s->limit, .gap = peer->read_timeout, .gap_err = WEIR_EUPTIME };
    s->up_write =
        (struct pace){ .limit = s->limit, .gap = peer->write_timeout, .gap_err = WEIR_EUPTIME };
    return 0;
}

/* RFC 9110 9.2.2. */
static bool idempotent(const struct weir_session *s)
{
    switch (s->req.method_id) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE:
        return true;
    default:
        return false;
    }
}

/* May the request be sent once more, although a part of it may have been received? */
static bool repeatable(const struct weir_session *s)
{
    return idempotent(s) && s->down->framing.mode == BODY_NONE;
}

/* TLS on a connection just made, in as much time again. What failed is said in the words of the
 * try. */
static int secure(struct weir_session *s, const struct addr *addr)
{
    struct deadline until;
    struct tls_client *client;
    char why[TLS_WHY];
    int rc = tls_client_get(&s->peer, &client, why);

    if (rc == 0) {
        until = deadline_in(rt_now(), s->peer.connect_timeout, WEIR_EUPTLSTIME);
        rc = tls_connect(&s->up->h1.net, client, addr, deadline_min(until, s->limit), why);
        tls_client_put(&client);
    }
    if (rc < 0) {
        s->connect_fault = arena_printf(&s->arena, "%s", why).ptr;
        upstream_close(&s->up);
    }
    return rc == WEIR_EINVALID ? session_fail(s, rc, s->connect_fault) : rc;
}

static int open_new(struct weir_session *s, const struct peer_key *key, const struct addr *addr)
{
    struct deadline until = deadline_in(rt_now(), s->peer.connect_timeout, WEIR_ECONNTIME);

    TRY(upstream_open(key, addr, s->peer.idle_timeout, deadline_min(until, s->limit), &s->up));
    return tls_wanted(&s->peer) ? secure(s, addr) : 0;
}

int upstream_obtain(struct weir_session *s)
{
    const struct addr *addr = s->peer.internal.address;
    struct peer_key key;

    if (peer_key_make(&key, addr, &s->peer) < 0)
        return session_fail(s, WEIR_EINVALID, "the peer's names are too long");
    s->connect_fault = NULL;
    s->tries++;
    if (!s->fresh && s->req.method_id != METHOD_CONNECT)
        s->up = pool_take(&key, !repeatable(s));
    s->reused = s->up != NULL;
    s->fresh = false;
    s->untouched = true;
    if (!s->reused)
        TRY(open_new(s, &key, addr));
    s->up->h1.limits =
        &s->service->answer_limits; /* a pooled one may have served another service */
    return 0;
}

/* Without the phase: another backend, but not too many. */
static int connect_elsewhere(struct weir_session *s, int rc)
{
    s->connect_err = rc;
    s->connect_failed[s->connect_fails++] = s->peer.internal.address;
    if (s->connect_fails < CONNECT_BACKENDS)
        return WEIR_RETRY;
    return session_fail(s, rc, s->connect_fault);
}

/* `tried` holds the backend. */
static void count_failure(const struct weir_session *s, int rc)
{
    if (s->peer.internal.backend != NULL && weir_error_source(rc) == WEIR_SRC_UPSTREAM)
        backend_failed((struct backend *)s->peer.internal.backend);
}

static int not_connected(struct weir_session *s, int rc)
{
    count_failure(s, rc);
    if (rc >= 0 || s->err != 0 || weir_error_source(rc) != WEIR_SRC_UPSTREAM)
        return rc;
    if (s->service->proxy->fail_to_connect == NULL)
        return connect_elsewhere(s, rc);
    s->connect_err = rc;
    return phase_fail_to_connect(s, rc, s->connect_fault);
}

/* A pooled connection that ended before a byte of response may have been closed by the upstream
 * just before our request came: then one more try on a new connection is safe, if the request may
 * be repeated. */
static bool was_stale(const struct weir_session *s, int rc)
{
    return s->reused && !s->untouched && !s->up->h1.heard && s->err == 0 &&
           (rc == WEIR_EUPCLOSED || rc == WEIR_EUPRESET) && repeatable(s) && !s->down->head_sent;
}

int upstream_leave(struct weir_session *s, int rc)
{
    struct h1_conn *h1;
    bool stale;

    if (s->up == NULL)
        return not_connected(s, rc);
    h1 = &s->up->h1;
    if (rc == WEIR_ECANCELED)
        rc = strand_cause();
    if (rc < 0) {
        stale = was_stale(s, rc);
        if (!stale) /* that may happen to the best of backends */
            count_failure(s, rc);
        rc = phase_error_while_proxy(s, rc, h1->http.fault, stale);
    }
    if (s->req.method_id == METHOD_CONNECT)
        s->untouched = false; /* its peer need not even speak HTTP */
    if ((s->untouched || (rc >= 0 && h1_reusable(h1))) && s->peer.idle_timeout > 0)
        pool_give(&s->up);
    else
        upstream_close(&s->up);
    return rc;
}
