/* downstream_h2.c -- a client's connection that speaks HTTP/2: each of its streams is a request on
 * a strand of its own. */
#include <stdlib.h>

#include "proxy/downstream.h"
#include "proxy/session.h"
#include "runtime/runtime.h"
#include "runtime/spin.h"

/* Those that speak HTTP/2, to be told of a shutdown. */
static struct {
    struct spin lock;
    struct link all;
} known = { .all = { &known.all, &known.all } };

/* What a connection has more than one that speaks HTTP/1. */
struct downstream_h2 {
    struct h2_conn *conn;
    struct link link; /* known.all */
};

/* The first coroutine of a stream's strand. */
static void serve_stream(void *arg)
{
    struct h2_stream *st = arg;
    struct http_stream *down = h2_stream_http(st);
    struct downstream *d = h2_stream_owner(st);
    struct weir_session *s = session_begin(d->service, down, &d->client);
    int rc = h2_stream_begin(st);

    co_label(d->service->proxy->name, "reading a request head");
    if (rc == 0)
        rc = http_read_head(down, &s->req, METHOD_OTHER, s->limit);
    exchange(s, rc);
    session_end(s);
    h2_stream_end(st);
}

static int open_stream(struct h2_stream *st, void *owner)
{
    (void)owner;
    return strand_start(serve_stream, st);
}

struct h2_config downstream_h2_config(const struct service *svc)
{
    return (struct h2_config){
        .limits = &svc->limits,
        .header_timeout = svc->header_timeout,
        .send_timeout = svc->send_timeout,
        .min_rate = svc->min_rate == WEIR_UNLIMITED ? 0 : svc->min_rate,
        .max_streams = H2_STREAMS,
        .max_requests = svc->max_requests,
        .open = open_stream,
    };
}

int downstream_h2_start(struct downstream *d)
{
    struct downstream_h2 *h2 = malloc(sizeof *h2);

    if (h2 == NULL)
        return WEIR_ENOMEM;
    d->net = d->h1->net; /* there it stays: the connection points to it */
    h2->conn = h2_server_new(&d->net, &d->service->h2, d);
    if (h2->conn == NULL) {
        free(h2);
        return WEIR_ENOMEM;
    }
    d->h2 = h2;
    d->speaks = SPEAKS_H2;
    spin_lock(&known.lock);
    link_before(&known.all, &h2->link);
    spin_unlock(&known.lock);
    return 0;
}

/* What a connection did wrong belongs to none of its requests. */
static void record_end(const struct downstream *d)
{
    const char *fault;
    int err = h2_error(d->h2->conn, &fault);

    if (err != 0 && err != WEIR_ECLIENTGONE)
        record_connection(&d->client, err, fault);
}

bool downstream_h2_serve(struct downstream *d)
{
    if (downstream_draining())
        h2_drain(d->h2->conn);
    if (h2_serve(d->h2->conn, h1_take_buffered(d->h1)) == H2_IDLE)
        return true;
    record_end(d);
    return false;
}

void downstream_h2_end(struct downstream *d)
{
    h2_end(d->h2->conn);
}

void downstream_h2_done(struct downstream *d)
{
    if (d->speaks != SPEAKS_H2)
        return;
    spin_lock(&known.lock);
    link_remove(&d->h2->link);
    spin_unlock(&known.lock);
    h2_free(&d->h2->conn);
    free(d->h2);
    d->speaks = SPEAKS_H1;
}

void downstream_h2_drain_all(void)
{
    spin_lock(&known.lock);
    for (struct link *l = known.all.next; l != &known.all; l = l->next)
        h2_drain(container_of(l, struct downstream_h2, link)->conn);
    spin_unlock(&known.lock);
}
