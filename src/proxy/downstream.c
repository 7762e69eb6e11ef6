/* downstream.c -- a client's connection between its requests.
 *
 * Idle, it is this struct and a slot. The first readable byte starts a strand that serves one
 * request after the other until nothing more has arrived, and then the connection is idle again,
 * without coroutine, stack or buffer. */
#include "proxy/downstream.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/session.h"
#include "runtime/runtime.h"

#define DRAIN_TIME (1 * WEIR_SEC)

static _Atomic bool draining;

static void serve(void *owner);

static void downstream_free(struct downstream *d)
{
    struct service *svc = d->service;
    struct addr client = d->client;

    h1_close(&d->h1);
    free(d);
    svc->closed(svc, &client);
}

static void ready(struct slot *slot, void *owner)
{
    (void)owner;
    slot_start_strand(slot, serve);
}

static void expire(struct slot *slot, void *owner)
{
    (void)slot;
    downstream_free(owner);
}

static const struct slot_class client_class = {
    .name = "client",
    .ready = ready,
    .expire = expire,
};

static int64_t idle_until(const struct downstream *d)
{
    return deadline_in(rt_now(), d->idle_timeout, WEIR_EIDLETIME).at;
}

int downstream_accept(struct service *svc, int fd, const struct addr *client, unsigned id)
{
    struct downstream *d = malloc(sizeof *d);
    struct stream net = { .reset_err = WEIR_ECLIENTGONE, .drains = client->kind != ADDR_UNIX };

    net.slot = slot_new(fd, &client_class, d);
    if (d == NULL || net.slot == NULL || slot_register(net.slot, id) < 0) {
        if (net.slot != NULL)
            slot_close(&net.slot);
        free(d);
        return WEIR_ENOMEM;
    }
    *d = (struct downstream){
        .service = svc,
        .client = *client,
        .idle_timeout = svc->idle_timeout,
    };
    h1_init(&d->h1, H1_SERVER, net, &svc->limits);
    if (!slot_arm(net.slot, idle_until(d))) /* the first bytes are here already */
        slot_start_strand(net.slot, serve);
    return 0;
}

/* A notice that the client hung up: is that a reason to stop what is done for it? */
static int client_left(void *arg)
{
    struct weir_session *s = arg;

    return http_gone(s->down);
}

/* One request. false: the connection ends. */
static bool serve_one(struct downstream *d)
{
    struct service *svc = d->service;
    struct http_stream *down = &d->h1.http;
    struct weir_session *s = session_begin(svc, down, &d->client);
    struct deadline head = deadline_in(s->started, svc->header_timeout, WEIR_EHEADTIME);
    int rc;

    h1_next(&d->h1);
    co_label(svc->proxy->name, "reading a request head");
    rc = http_read_head(down, &s->req, METHOD_OTHER, deadline_min(head, s->limit));
    if (rc == 0) {
        session_end(s);
        return false;
    }
    if (++d->requests >= svc->max_requests)
        down->persistent = false;
    strand_on_notice(client_left, s);
    exchange(s, rc);
    strand_on_notice(NULL, NULL);
    d->idle_timeout = s->idle_timeout;
    session_end(s);
    if (down->persistent && !h1_drain(&d->h1, deadline_in(rt_now(), DRAIN_TIME, WEIR_EBODYTIME)))
        return false;
    return h1_reusable(&d->h1);
}

enum next { NEXT_SERVE, NEXT_CLOSE, NEXT_IDLE };

/* After a request. NEXT_IDLE: not ours any more. */
static enum next go_idle(struct downstream *d)
{
    while (!h1_buffered(&d->h1) && !downstream_draining()) {
        h1_release(&d->h1);
        if (slot_arm(d->h1.net.slot, idle_until(d)))
            return NEXT_IDLE;
        if (h1_poll(&d->h1))
            return NEXT_SERVE;
    }
    return h1_buffered(&d->h1) ? NEXT_SERVE : NEXT_CLOSE;
}

static void serve(void *owner)
{
    struct downstream *d = owner;

    enum next next = NEXT_SERVE;

    slot_watch(d->h1.net.slot);
    while (next == NEXT_SERVE)
        next = serve_one(d) ? go_idle(d) : NEXT_CLOSE;
    if (next == NEXT_CLOSE)
        downstream_free(d);
}

void downstream_drain(bool on)
{
    atomic_store(&draining, on);
}

bool downstream_draining(void)
{
    return atomic_load_explicit(&draining, memory_order_relaxed);
}

static void close_one(struct slot *slot, void *owner, void *arg)
{
    (void)slot;
    (void)arg;
    downstream_free(owner);
}

void downstream_close_idle(void)
{
    slot_take_all(&client_class, close_one, NULL);
}

void downstream_cancel_all(void)
{
    strand_cancel_all(WEIR_ESHUTDOWN);
}
