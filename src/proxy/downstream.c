/* downstream.c -- a client's connection between its requests.
 *
 * Idle, it is this struct and a slot. The first readable byte starts a strand that serves one
 * request after the other until nothing more has arrived, and then the connection is idle again,
 * without coroutine, stack or buffer. What HTTP/1 needs meanwhile is on that strand's stack. Who
 * leaves while he is idle starts nothing. */
#include "proxy/downstream.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/session.h"
#include "runtime/runtime.h"

#define DRAIN_TIME (1 * WEIR_SEC)

static _Atomic bool draining;
static struct slab downstreams;

static void serve(void *owner);

static void downstream_free(struct downstream *d)
{
    struct service *svc = d->service;
    struct addr client = d->client;

    downstream_h2_done(d);
    if (d->h1 != NULL)
        h1_close(d->h1);
    else
        stream_close(&d->net, false);
    free(d->user);
    slab_put(&downstreams, NULL, d);
    svc->closed(svc, &client);
}

static void ready(struct slot *slot, void *owner)
{
    struct downstream *d = owner;

    if (unlikely(slot_flags(slot_load(slot, DIR_IN)) & (SLOT_HUP | SLOT_ERR)) &&
        stream_gone(&d->net))
        downstream_free(d);
    else
        slot_start_strand(slot, serve);
}

static void expire(struct slot *slot, void *owner)
{
    struct downstream *d = owner;

    if (d->speaks != SPEAKS_H2) {
        downstream_free(d);
        return;
    }
    downstream_h2_end(d);
    slot_start_strand(slot, serve);
}

static const struct slot_class client_class = {
    .name = "client",
    .ready = ready,
    .expire = expire,
    .watched = true,
};

static int64_t idle_until(const struct downstream *d)
{
    return deadline_in(rt_now(), d->idle_timeout, WEIR_EIDLETIME).at;
}

/* Until when a first byte has to come. The time of a TLS handshake begins when it is accepted:
 * nobody connects to such a port in advance. */
static int64_t first_until(const struct downstream *d)
{
    int64_t until = deadline_in(rt_now(), d->service->header_timeout, WEIR_ETLSTIME).at;

    return d->speaks == SPEAKS_TLS_FIRST ? MIN(until, idle_until(d)) : idle_until(d);
}

int downstream_accept(struct service *svc, const struct tls_server *tls, bool h2c, int fd,
                      const struct addr *client, unsigned id)
{
    struct downstream *d = slab_get(&downstreams, NULL);
    struct slot *slot = slot_new(fd, &client_class, d);

    if (d == NULL || slot == NULL || slot_register(slot, id) < 0) {
        if (slot != NULL)
            slot_close(&slot);
        if (d != NULL)
            slab_put(&downstreams, NULL, d);
        return WEIR_ENOMEM;
    }
    *d = (struct downstream){
        .item = d->item,
        .net = {
            .slot = slot,
            .reset_err = WEIR_ECLIENTGONE,
            .drains = client->kind != ADDR_UNIX,
        },
        .service = svc,
        .tls = tls,
        .speaks = tls != NULL ? SPEAKS_TLS_FIRST : SPEAKS_H1,
        .h2c = h2c,
        .client = *client,
        .idle_timeout = svc->idle_timeout,
    };
    if (!slot_arm(slot, first_until(d))) /* the first bytes are here already */
        slot_start_strand(slot, serve);
    return 0;
}

/* A notice that the client hung up: is that a reason to stop what is done for it? */
static int client_left(void *arg)
{
    struct weir_session *s = arg;

    return s->down->carry_on ? 0 : http_gone(s->down);
}

/* On a port that also speaks HTTP/2, what began no request of HTTP/1: its preface, or neither, and
 * then no answer would be understood. */
static bool may_be_h2(struct downstream *d)
{
    if (!d->h1->alien)
        return d->h1->preface;
    record_connection(&d->client, WEIR_EH2PROTOCOL, "neither HTTP/1 nor the preface of HTTP/2");
    return true;
}

/* One request. false: the connection ends. */
static bool serve_one(struct downstream *d)
{
    struct service *svc = d->service;
    struct http_stream *down = &d->h1->http;
    struct weir_session *s = session_begin(svc, down, &d->client);
    struct deadline head = deadline_in(s->started, svc->header_timeout, WEIR_EHEADTIME);
    int rc;

    h1_next(d->h1);
    co_label(svc->proxy->name, "reading a request head");
    rc = http_read_head(down, &s->req, METHOD_OTHER, deadline_min(head, s->limit));
    if (rc == 0 || (rc < 0 && d->h2c && d->requests == 0 && may_be_h2(d))) {
        session_end(s);
        return d->h1->preface && downstream_h2_start(d) == 0;
    }
    d->requests += d->requests < UINT32_MAX;
    if (d->requests >= svc->max_requests || rc < 0) /* the rest of a head is no request */
        down->persistent = false;
    strand_on_notice(client_left, s);
    exchange(s, rc);
    strand_on_notice(NULL, NULL);
    d->idle_timeout = s->idle_timeout;
    session_end(s);
    if (down->persistent && !h1_drain(d->h1, deadline_in(rt_now(), DRAIN_TIME, WEIR_EBODYTIME)))
        return false;
    return h1_reusable(d->h1);
}

enum next { NEXT_SERVE, NEXT_CLOSE, NEXT_IDLE };

/* All that is in `h1` and has to stay goes to the connection, which becomes idle. false: not yet,
 * something has happened. */
static bool arm(struct downstream *d)
{
    struct h1_conn *h1 = d->h1;

    h1_release(h1);
    if (d->speaks != SPEAKS_H2)
        d->net = h1->net;
    d->roomy = h1->roomy;
    d->h1 = NULL;
    if (slot_arm(d->net.slot, idle_until(d)))
        return true;
    d->h1 = h1;
    return false;
}

/* After a request. NEXT_IDLE: not ours any more. */
static enum next go_idle(struct downstream *d)
{
    if (d->speaks == SPEAKS_H2)
        return NEXT_SERVE;
    while (!h1_buffered(d->h1) && !downstream_draining()) {
        if (stream_pending(&d->h1->net) && h1_poll(d->h1))
            return NEXT_SERVE;
        if (arm(d))
            return NEXT_IDLE;
        if (h1_poll(d->h1))
            return NEXT_SERVE;
    }
    return h1_buffered(d->h1) ? NEXT_SERVE : NEXT_CLOSE;
}

/* To who speaks plain HTTP where TLS is spoken: in words that it understands. */
static void answer_in_plain(struct downstream *d)
{
#define PLAIN_BODY "400 Bad Request: this port speaks TLS\n"
    char text[256];
    struct iovec iov = { .iov_base = text };
    struct pace pace = { .gap = WEIR_FOREVER }; /* its limit has passed: what would wait fails */

    iov.iov_len = (size_t)snprintf(text, sizeof text,
                                   "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                                   sizeof PLAIN_BODY - 1, PLAIN_BODY);
    if (stream_write(&d->h1->net, &iov, 1, &pace) == 0)
        record_unread(d->service, &d->client, WEIR_EPLAINHTTP, 400, sizeof PLAIN_BODY - 1);
    else
        record_unread(d->service, &d->client, WEIR_EPLAINHTTP, 0, 0);
}

/* The TLS handshake. false: the connection ends. With a frame of its own: its words would lie below
 * every request. */
static __attribute__((noinline)) bool greet(struct downstream *d)
{
    const struct service *svc = d->service;
    struct deadline until = deadline_in(rt_now(), svc->header_timeout, WEIR_ETLSTIME);
    char why[TLS_WHY];
    int rc;

    co_label(svc->proxy->name, "shaking hands with a client");
    rc = tls_accept(&d->h1->net, d->tls, until, why);
    d->speaks = SPEAKS_H1;
    h1_secured(d->h1);
    if (rc < 0 && why[0] != '\0')
        record_connection(&d->client, rc == WEIR_ECANCELED ? WEIR_ESHUTDOWN : rc, why);
    if (rc == WEIR_EPLAINHTTP)
        answer_in_plain(d);
    if (rc < 0)
        h1_linger(d->h1); /* so that what was said arrives */
    return rc == 0 && (d->h1->http.tls->alpn != WEIR_H2 || downstream_h2_start(d) == 0);
}

static enum next serve_h1(struct downstream *d)
{
    return serve_one(d) ? go_idle(d) : NEXT_CLOSE;
}

static enum next serve_h2(struct downstream *d)
{
    if (!downstream_h2_serve(d)) {
        h1_linger(d->h1); /* its acknowledgements and windows may cross our GOAWAY */
        return NEXT_CLOSE;
    }
    if (stream_pending(&d->net)) /* what TLS holds already gives no event */
        return NEXT_SERVE;
    return arm(d) ? NEXT_IDLE : NEXT_SERVE;
}

static void serve(void *owner)
{
    struct downstream *d = owner;
    enum next next = NEXT_SERVE;
    struct h1_conn h1;

    h1_init(&h1, H1_SERVER, d->net, &d->service->limits);
    h1_secured(&h1);
    h1.roomy = d->roomy;
    d->h1 = &h1;
    slot_watch(d->net.slot);
    if (d->speaks == SPEAKS_TLS_FIRST)
        next = greet(d) ? go_idle(d) : NEXT_CLOSE;
    while (next == NEXT_SERVE)
        next = d->speaks == SPEAKS_H2 ? serve_h2(d) : serve_h1(d);
    if (next == NEXT_CLOSE)
        downstream_free(d);
}

int downstream_start(void)
{
    atomic_store(&draining, false);
    return slab_start(&downstreams, &(struct slab_type){
                                        .size = sizeof(struct downstream),
                                        .max = 1 << 26,
                                        .retire = slab_forgotten,
                                    });
}

void downstream_stop(void)
{
    slab_stop(&downstreams);
}

void downstream_drain(void)
{
    atomic_store(&draining, true);
}

bool downstream_draining(void)
{
    return atomic_load_explicit(&draining, memory_order_relaxed);
}

static void close_one(struct slot *slot, void *owner, void *arg)
{
    struct downstream *d = owner;

    (void)arg;
    if (d->speaks == SPEAKS_H2)
        slot_start_strand(slot, serve); /* it says good-bye first */
    else
        downstream_free(d);
}

void downstream_close_idle(void)
{
    downstream_h2_drain_all();
    slot_take_all(&client_class, close_one, NULL);
}

void downstream_cancel_all(void)
{
    strand_cancel_all(WEIR_ESHUTDOWN);
}
