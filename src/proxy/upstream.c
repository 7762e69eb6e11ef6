/* upstream.c -- where a request goes, and the connection that takes it there. */
#include <string.h>

#include "pool/shared.h"
#include "proxy/replay.h"
#include "proxy/retry.h"
#include "proxy/session.h"
#include "runtime/runtime.h"
#include "tls/tls.h"

/* So often, without a word of the app, what an upstream has refused or not answered in time. */
enum { REPEATS = 3 };

int weir_lb_pick(struct weir_lb *lb, struct weir_session *s, struct weir_peer *peer)
{
    struct backend *b;

    if (lb == NULL || peer == NULL)
        return session_fail(s, WEIR_EINVALID, "weir_lb_pick needs a balancer and a peer");
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
    if (addr == NULL || peer == NULL)
        return session_fail(s, WEIR_EINVALID, "weir_peer_address needs a peer and an address");
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
    return weir_str_from(peer != NULL ? peer->internal.name : NULL);
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

static int choose(struct weir_session *s)
{
    memset(&s->peer, 0, sizeof s->peer);
    return PHASE(s, upstream_peer, s, &s->peer);
}

/* A connection that was stale may have been closed by an upstream that is just going: another one
 * is better, if there is one. */
static SELDOM int choose_after_stale(struct weir_session *s)
{
    const struct weir_peer last = s->peer;
    int rc = choose(s);

    if (rc == WEIR_ENOUPSTREAM && s->err == 0) {
        s->peer = last;
        return 0;
    }
    return rc;
}

static void set_try_limit(struct weir_session *s)
{
    weir_dur span = or_default(s->peer.try_timeout, s->service->try_timeout);

    s->try_limit = deadline_min(deadline_in(rt_now(), span, WEIR_ETRYTIME), s->limit);
}

int upstream_choose(struct weir_session *s)
{
    const struct service *svc = s->service;
    struct weir_peer *peer = &s->peer;
    int rc = s->fresh ? choose_after_stale(s) : choose(s);

    if (rc == WEIR_ENOUPSTREAM && s->connect_err != 0 && s->err == 0)
        return session_fail(s, s->connect_err, s->connect_fault); /* why the last one failed */
    if (rc != 0)
        return rc;
    if (peer->internal.address == NULL)
        return session_fail(s, WEIR_EINVALID, "upstream_peer chose no address");
    if (asked_in_vain(s, peer->internal.address))
        return session_fail(s, s->connect_err, s->connect_fault);
    if (s->connect_unlogged) /* now that there will be another try */
        record_retry(s, s->connect_err, s->connect_fault);
    s->connect_unlogged = false;
    s->up_name = peer->internal.name;
    peer->connect_timeout = or_default(peer->connect_timeout, svc->connect_timeout);
    peer->read_timeout = or_default(peer->read_timeout, svc->upstream_timeout);
    peer->write_timeout = or_default(peer->write_timeout, svc->upstream_timeout);
    peer->idle_timeout = or_default(peer->idle_timeout, 60 * WEIR_SEC);
    peer->ping_after = or_default(peer->ping_after, 10 * WEIR_SEC);
    TRY(retry_back_off(s));
    set_try_limit(s); /* it begins when the wait before it is over */
    s->up_read =
        (struct pace){ .limit = s->limit, .gap = peer->read_timeout, .gap_err = WEIR_EUPTIME };
    s->up_write =
        (struct pace){ .limit = s->try_limit, .gap = peer->write_timeout, .gap_err = WEIR_EUPTIME };
    return 0;
}

/* May the request be sent once more, although a part of it may have been received? */
static bool repeatable(const struct weir_session *s)
{
    return retry_idempotent(s) && replay_possible(s);
}

/* TLS on a connection just made, in as much time again. What failed is said in the words of the
 * try. With a frame of its own, as in `greet`: who connects without TLS has no such words. */
static __attribute__((noinline)) int secure(struct weir_session *s, const struct addr *addr)
{
    struct deadline until;
    struct tls_client *client;
    char why[TLS_WHY];
    int rc = tls_client_get(&s->peer, &client, why);

    if (rc == 0) {
        until = deadline_in(rt_now(), s->peer.connect_timeout, WEIR_EUPTLSTIME);
        rc = tls_connect(&s->up->h1.net, client, addr, deadline_min(until, s->try_limit), why);
        tls_client_put(&client);
    }
    if (rc < 0) {
        s->connect_fault = arena_printf(&s->arena, "%s", why).ptr;
        upstream_close(&s->up);
    }
    return rc == WEIR_EINVALID ? session_fail(s, rc, s->connect_fault) : rc;
}

static bool has_tls(const struct weir_session *s)
{
    return tls_wanted(&s->peer);
}

/* Without TLS there is nothing to negotiate: HTTP/2 only where nothing else is allowed. */
static bool wants_h2(const struct weir_session *s)
{
    return (s->peer.alpn & WEIR_H2) && (has_tls(s) || !(s->peer.alpn & WEIR_H1));
}

static bool speaks_h2(const struct weir_session *s)
{
    const struct tls_info *tls = tls_info(&s->up->h1.net);

    return tls != NULL ? tls->alpn == WEIR_H2 : wants_h2(s);
}

/* Where the peer wants its connections to come from. */
static SELDOM int source_of(struct weir_session *s, const struct addr **out)
{
    struct addr_spec *spec = arena_alloc(&s->arena, sizeof *spec);
    weir_str text = arena_printf(&s->arena, WEIR_FMT, WEIR_ARG(s->peer.bind));

    if (spec == NULL || text.ptr == NULL)
        return WEIR_ENOMEM;
    *out = &spec->addr;
    if (addr_parse(text.ptr, spec) == NULL && spec->form == SPEC_ADDR &&
        spec->addr.kind != ADDR_UNIX)
        return 0;
    return session_fail(s, WEIR_EINVALID, "bind: no address of this machine, as 192.0.2.1:0");
}

static int open_new(struct weir_session *s, const struct peer_key *key, const struct addr *addr)
{
    struct deadline until = deadline_in(rt_now(), s->peer.connect_timeout, WEIR_ECONNTIME);
    const struct addr *from = NULL;

    if (s->peer.bind.len > 0)
        TRY(source_of(s, &from));
    TRY(upstream_open(key, addr, from, s->peer.idle_timeout, deadline_min(until, s->try_limit),
                      &s->up));
    return has_tls(s) ? secure(s, addr) : 0;
}

/* A new connection, by the turn of shared_obtain or not (`ours`): others may be waiting for what
 * comes of it. */
static int open_and_share(struct weir_session *s, const struct peer_key *key,
                          const struct addr *addr, bool ours)
{
    int rc = open_new(s, key, addr);

    if (rc == 0 && speaks_h2(s))
        return shared_publish(key, &s->up,
                              &(struct shared_terms){
                                  .https = has_tls(s),
                                  .turn = ours,
                                  .silence = s->peer.ping_after,
                              },
                              &s->up_h2);
    if (rc == 0 && wants_h2(s) && !(s->peer.alpn & WEIR_H1)) {
        upstream_close(&s->up);
        rc = session_fail(s, WEIR_EUPH2, "the upstream does not speak HTTP/2");
    }
    if (rc == 0 && ours)
        shared_h1(key);
    else if (ours)
        shared_failed(key, rc);
    return rc;
}

static int obtain_shared(struct weir_session *s, const struct peer_key *key,
                         const struct addr *addr)
{
    struct deadline until = deadline_in(rt_now(), s->peer.connect_timeout, WEIR_ECONNTIME);
    int rc = shared_obtain(key, deadline_min(until, s->try_limit), &s->up_h2);

    if (rc == SHARED_OPEN)
        return open_and_share(s, key, addr, true);
    s->reused = rc == SHARED_STREAM;
    return rc;
}

static int obtain_alone(struct weir_session *s, const struct peer_key *key, const struct addr *addr)
{
    bool careful = !retry_idempotent(s) || s->down->framing.mode != BODY_NONE;

    if (!s->fresh && s->req.method_id != METHOD_CONNECT)
        s->up = pool_take(key, careful);
    s->reused = s->up != NULL;
    return s->reused ? 0 : open_and_share(s, key, addr, false);
}

/* In the arena, as long as it is: whoever waits for a connection shall not have a thousand bytes of
 * stack above him that are there for the longest of names. */
static int make_key(struct weir_session *s, const struct peer_key **out)
{
    struct peer_key *key = arena_alloc(&s->arena, sizeof *key);

    if (key == NULL)
        return WEIR_ENOMEM;
    if (peer_key_make(key, s->peer.internal.address, &s->peer) < 0)
        return session_fail(s, WEIR_EINVALID, "the peer's names are too long");
    arena_shrink(&s->arena, key, offsetof(struct peer_key, bytes) + key->len);
    *out = key;
    return 0;
}

/* A backend has its key ready, unless the peer is more than that backend. */
static int key_of(struct weir_session *s, const struct peer_key **out)
{
    const struct backend *b = s->peer.internal.backend;

    if (b == NULL || s->peer.internal.address != &b->addr || !peer_is_plain(&s->peer))
        return make_key(s, out);
    *out = b->plain_key;
    return 0;
}

int upstream_obtain(struct weir_session *s)
{
    const struct addr *addr = s->peer.internal.address;
    const struct peer_key *key = NULL;
    int rc;

    if (s->req.method_id == METHOD_CONNECT || s->upgrade.len > 0)
        s->peer.alpn &= WEIR_H1; /* such a connection will be ours alone */
    TRY(key_of(s, &key));
    s->connect_fault = NULL;
    s->tries++;
    s->reused = false;
    s->connected = 0;
    s->untouched = true;
    rc = wants_h2(s) ? obtain_shared(s, key, addr) : SHARED_H1;
    if (rc == SHARED_ONLY_H1) {
        s->peer.alpn = WEIR_H1;
        TRY(key_of(s, &key));
        rc = SHARED_H1;
    }
    if (rc == SHARED_H1)
        rc = obtain_alone(s, key, addr);
    s->fresh = false;
    if (rc < 0)
        return rc;
    s->connected = rt_now();
    if (s->up_h2 != NULL) {
        s->up_http = h2_stream_http(s->up_h2);
        return 0;
    }
    s->up_http = &s->up->h1.http;
    s->up->h1.limits =
        &s->service->answer_limits; /* a pooled one may have served another service */
    return 0;
}

/* Without the phase: another backend, but not too many. */
static int connect_elsewhere(struct weir_session *s, int rc)
{
    s->connect_err = rc;
    s->connect_failed[s->connect_fails++] = s->peer.internal.address;
    if (s->connect_fails < CONNECT_BACKENDS && retry_possible(s)) {
        s->connect_unlogged = true;
        return WEIR_RETRY;
    }
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
    s->failed_at = s->peer.internal.address;
    return phase_fail_to_connect(s, rc, s->connect_fault);
}

/* The first write has failed: the kernel took nothing of the request. Of TLS we do not know. */
static bool nothing_sent(const struct weir_session *s)
{
    return s->up_h2 == NULL && s->up_http->tls == NULL && s->up_write.bytes == 0;
}

/* A connection that was there, and ended before a byte of response, may have been closed by the
 * upstream just before our request came: then one more try on a new one is safe, if the request
 * may be repeated. A stream of HTTP/2 that is reset alone is another matter: the upstream has
 * seen it. */
static bool was_stale(const struct weir_session *s, int rc)
{
    return s->reused && !s->untouched && !s->up_http->heard && s->err == 0 &&
           (rc == WEIR_EUPCLOSED || (rc == WEIR_EUPRESET && s->up_h2 == NULL)) &&
           (repeatable(s) || nothing_sent(s));
}

/* RFC 9113 8.7: what the upstream says it has not processed may be sent again, whatever it is. */
static bool was_refused(struct weir_session *s, int rc)
{
    return rc == WEIR_EUPREFUSED && s->err == 0 && s->repeats++ < REPEATS;
}

/* Who sets a time for a try wants another one after it. */
static bool was_too_slow(struct weir_session *s, int rc)
{
    return rc == WEIR_ETRYTIME && s->err == 0 && repeatable(s) && s->repeats++ < REPEATS;
}

/* The upstream wants HTTP/1 instead (RFC 9113 7): that is remembered, and this request goes out
 * that way, as far as TLS lets us choose. */
static bool wants_h1(struct weir_session *s, int rc)
{
    const struct peer_key *key = NULL;

    if (rc != WEIR_EUPH1 || !(s->peer.alpn & WEIR_H1) || key_of(s, &key) < 0)
        return false;
    shared_only_h1(key);
    s->peer.alpn = WEIR_H1;
    return s->err == 0 && s->repeats++ < REPEATS;
}

/* Back to where it came from, or closed. */
static void let_go(struct weir_session *s, int rc)
{
    if (s->up_h2 != NULL)
        h2_stream_end(s->up_h2);
    else if ((s->untouched || (rc >= 0 && h1_reusable(&s->up->h1))) && s->peer.idle_timeout > 0)
        pool_give(&s->up);
    else
        upstream_close(&s->up);
    s->up_h2 = NULL;
    s->up_http = NULL;
}

int upstream_leave(struct weir_session *s, int rc)
{
    bool stale, again;

    if (s->up_http == NULL)
        return not_connected(s, rc);
    if (rc == WEIR_ECANCELED)
        rc = strand_cause();
    if (rc < 0) {
        stale = was_stale(s, rc);
        again = stale || was_refused(s, rc) || was_too_slow(s, rc) || wants_h1(s, rc);
        if (!again || rc == WEIR_ETRYTIME) /* the others may happen to the best of backends */
            count_failure(s, rc);
        s->failed_at = stale || rc == WEIR_EUPH1 ? NULL : s->peer.internal.address;
        rc = phase_error_while_proxy(s, rc, s->up_http->fault, again);
    }
    if (s->req.method_id == METHOD_CONNECT)
        s->untouched = false; /* its peer need not even speak HTTP */
    let_go(s, rc);
    return rc == 0 ? s->left : rc;
}
