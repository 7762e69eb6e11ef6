/* downstream.h -- a client's connection: from accept to close, idle between requests. */
#ifndef PROXY_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_H

#include "base/list.h"
#include "http/h1.h"
#include "http/h2.h"
#include "proxy/service.h"
#include "tls/tls.h"

struct downstream {
    struct h1_conn h1;
    struct h2_conn *h2; /* NULL: it speaks HTTP/1; else h1 has but the stream */
    struct link h2_link;
    struct service *service;
    const struct tls_server *tls; /* a handshake is to come; NULL: it is over, or plain */
    bool h2c;                     /* HTTP/2 may begin by prior knowledge */
    struct addr client;
    weir_dur idle_timeout; /* the service's, or what the last request set */
    uint64_t requests;     /* begun on this connection */
    void *_Atomic user;    /* weir_connection_ctx; NULL: none */
};

/* Takes an accepted descriptor, and gives it to worker `id` as an idle connection whose first byte
 * starts a request, or with `tls` a handshake; `h2c`: HTTP/2 may begin without one. 0, or
 * WEIR_ENOMEM (the descriptor is closed then). From any worker's stack; never blocks. */
int downstream_accept(struct service *svc, const struct tls_server *tls, bool h2c, int fd,
                      const struct addr *client, unsigned id);

/* Shutdown (`on`; a server that starts says false): from now on responses say `Connection: close`,
 * and no connection becomes idle. downstream_close_idle closes those that are (from a worker's
 * stack); downstream_cancel_all cancels the requests that still run (after the grace). */
void downstream_drain(bool on);
bool downstream_draining(void);
void downstream_close_idle(void);
void downstream_cancel_all(void);

/* downstream_h2.c: how a service's HTTP/2 connections are served; it points into `svc`. */
struct h2_config downstream_h2_config(const struct service *svc);

/* The connection turns out to speak HTTP/2. 0 or WEIR_ENOMEM. */
int downstream_h2_start(struct downstream *d);

/* Serves it; blocks. true: it may become idle. */
bool downstream_h2_serve(struct downstream *d);
void downstream_h2_done(struct downstream *d);
void downstream_h2_drain_all(void);

#endif
