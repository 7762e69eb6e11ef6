/* front.h -- a service as the server runs it: its listeners, and a share of it for each worker.
 *
 * Each worker's connections count in its own share, so that accepting looks for the worker with the
 * fewest, and no request touches a counter of another worker. */
#ifndef SERVER_FRONT_H
#define SERVER_FRONT_H

#include <pthread.h>

#include "proxy/service.h"
#include "runtime/slot.h"
#include "server/clients.h"
#include "server/options.h"
#include "tls/tls.h"

struct weir_server;
struct front;

struct share {
    struct service service;
    struct front *front;
    unsigned worker;
};

/* Why a listener is out of the epolls; several at once are possible. */
enum { PAUSE_FULL = 1, PAUSE_STARVED = 2, PAUSE_ENDED = 4 };

/* A listening socket. */
struct gate {
    struct gate *next;
    struct front *front;
    struct addr addr; /* where it is bound */
    const struct tls_server *tls; /* the front's; NULL: plain */
    bool h2c;                     /* plain, and HTTP/2 may begin by prior knowledge */
    int fd;
    struct listener_slot *slot;
    unsigned paused;     /* PAUSE_*; under acceptor.lock */
    atomic_bool starved; /* no descriptor was left for its last accept */
    int64_t starved_logged;
};

struct front {
    struct front *next;
    struct weir_service config; /* the user's, with all defaults but what the machine decides */
    struct service service;
    struct tls_server *tls[WEIR_LISTENERS]; /* of those with a certificate */
    struct share *shares; /* one per worker; NULL until the workers run */
    struct gate *gates;
    struct retry_budget budget;
    struct error_page pages[WEIR_ERROR_PAGES];
    char *page_files[WEIR_ERROR_PAGES]; /* what is in them, where it came from a file */
    struct clients *clients; /* NULL: not limited */
    _Atomic uint64_t connections;
    atomic_bool full; /* its gates are paused, PAUSE_FULL */
    int64_t full_logged;
};

/* Fills `service` from `config`: what can be known before the machine is asked. NULL, or a static
 * sentence, with the name of the field in `field`. */
const char *front_check(struct front *f, const char **field);

/* Reads the certificate of listener `i`, if it has one. 0, or WEIR_EINVALID or WEIR_ENOMEM with the
 * reason in `why`. May block. */
int front_certificate(struct front *f, unsigned i, char why[TLS_WHY]);

/* Makes error page `i`. As front_certificate. */
int front_page(struct front *f, unsigned i, char why[TLS_WHY]);

/* For what belongs to no service: one without proxy and listeners, with defaults and options. */
void front_defaults(struct front *f, const struct settings *settings);

/* Default of max_connections, table of clients, shares of `workers` workers. 0 or WEIR_ENOMEM. */
int front_prepare(struct front *f, unsigned workers, uint64_t descriptors);

/* Gives back what the two above made. No connection is left. */
void front_done(struct front *f);

/* Opens the sockets of all listeners: the kernel queues connections from here on. 0, or
 * WEIR_EINTERNAL with the reason in `why`. gates_close closes them, before and after accepting. */
int gates_open(struct front *f, int backlog, char *why, size_t size);
void gates_close(struct front *f);

#endif
