/* downstream.h -- a client's connection: from accept to close, idle between requests. */
#ifndef PROXY_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_H

#include "base/list.h"
#include "http/h1.h"
#include "http/h2.h"
#include "proxy/service.h"
#include "runtime/slab.h"
#include "tls/tls.h"

enum speaks { SPEAKS_H1, SPEAKS_H2, SPEAKS_TLS_FIRST };

/* All there is of an idle connection, beside its slot, and what TLS and HTTP/2 keep. */
struct downstream {
    _Alignas(64) struct slab_item item;
    struct stream net;        /* while it is idle, and of HTTP/2; else it is in `h1` */
    struct h1_conn *h1;       /* on the stack of the strand that serves it; NULL: it is idle */
    union {
        const struct tls_server *tls; /* SPEAKS_TLS_FIRST: a handshake is to come */
        struct downstream_h2 *h2;     /* SPEAKS_H2 */
    };
    struct service *service;
    struct addr client;
    weir_dur idle_timeout; /* the service's, or what the last request set */
    void *_Atomic user;    /* weir_connection_ctx; NULL: none */
    uint32_t requests;     /* begun on this connection; at its limit it stays */
    uint8_t speaks;        /* enum speaks */
    bool h2c : 1;          /* HTTP/2 may begin by prior knowledge */
    bool roomy : 1;        /* as in `h1`, while it is idle */
};
static_assert(sizeof(struct downstream) == 128, "two cache lines, not a byte lost");

/* Takes an accepted descriptor, and gives it to worker `id` as an idle connection whose first byte
 * starts a request, or with `tls` a handshake; `h2c`: HTTP/2 may begin without one. 0, or
 * WEIR_ENOMEM (the descriptor is closed then). From any worker's stack; never blocks. */
int downstream_accept(struct service *svc, const struct tls_server *tls, bool h2c, int fd,
                      const struct addr *client, unsigned id);

/* Before workers accept: 0 or WEIR_ENOMEM. downstream_stop after they have ended. */
must_use int downstream_start(void);
void downstream_stop(void);

/* Shutdown: from now on responses say `Connection: close`, and no connection becomes idle.
 * downstream_close_idle closes those that are (from a worker's stack); downstream_cancel_all
 * cancels the requests that still run (after the grace). */
void downstream_drain(void);
bool downstream_draining(void);
void downstream_close_idle(void);
void downstream_cancel_all(void);

/* downstream_h2.c: how a service's HTTP/2 connections are served; it points into `svc`. */
struct h2_config downstream_h2_config(const struct service *svc);

/* The connection turns out to speak HTTP/2. 0 or WEIR_ENOMEM. */
int downstream_h2_start(struct downstream *d);

/* Serves it; blocks. true: it may become idle. */
bool downstream_h2_serve(struct downstream *d);
void downstream_h2_end(struct downstream *d); /* idle for too long: served once more it ends */
void downstream_h2_done(struct downstream *d);
void downstream_h2_drain_all(void);

#endif
