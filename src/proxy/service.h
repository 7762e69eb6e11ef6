/* service.h -- a service with all defaults filled in: what a connection and a request look at.
 * Made by the server layer, constant while it serves, but for the counters. */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

#include <stdatomic.h>

#include <weir/proxy.h>

#include "codec/h1_parse.h"
#include "http/h2.h"
#include "net/addr.h"
#include "proxy/retry.h"

/* What the client gets in place of our words. */
struct error_page {
    int status; /* or its first digit, for all of that class */
    weir_str text, type;
};

struct service {
    const struct weir_proxy *proxy;
    void *state;
    const struct weir_service_module *modules; /* NULL: none */

    weir_dur header_timeout, body_timeout, send_timeout, idle_timeout;
    weir_dur connect_timeout, upstream_timeout, request_timeout, tunnel_timeout;

    struct h1_limits limits;        /* of request heads */
    struct h1_limits answer_limits; /* of response heads */
    struct h2_config h2;            /* `limits` points to those above */
    uint64_t max_body, max_requests, max_connections, max_per_client, min_rate;

    uint64_t max_tries, replay, replay_file, buffer_request;
    weir_dur try_timeout, retry_backoff;
    struct retry_budget *budget; /* of all shares of the service */
    _Atomic uint32_t begun;      /* requests of this share, modulo 2^32 */

    enum weir_forwarding forwarding;
    enum weir_forwarded_as forwarded_as;
    struct addr_net trusted[WEIR_TRUSTED];
    unsigned trusted_count;
    bool via;
    bool finish;  /* when the client leaves */
    bool connect; /* CONNECT is served */
    bool access_log;
    weir_str server_name; /* empty: no Server of our own */

    const struct error_page *pages; /* WEIR_ERROR_PAGES; the first without a status ends them */

    _Atomic uint64_t connections; /* open now */
    struct clients *clients;      /* connections by client address; NULL: not limited */

    /* A connection has ended; called once for each downstream_accept that succeeded. Never blocks.
     */
    void (*closed)(struct service *svc, const struct addr *client);
    void *owner; /* of the server layer */
};

/* record.c: the line of the access log for a request that was answered, or cut, and not read.
 * `sent`: of the body. By a worker; never blocks. */
void record_unread(const struct service *svc, const struct addr *client, int err, int status,
                   size_t sent);

#endif
