/* proxy.h -- what a proxy does, phase by phase, and the service that runs it. */
#ifndef WEIR_PROXY_H
#define WEIR_PROXY_H

#include <weir/peer.h>
#include <weir/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A proxy: name the phases you care about, leave out the others. Only upstream_peer is required. The struct must
 * outlive the server (make it static const). Phases may call whatever blocks in this library. They return 0 to go on, a negative error
 * (forwarded, or made by weir_fail), or an outcome named here. In the order in which they run: */
struct weir_proxy {
    const char *name;     /* for logs and reports */
    size_t      ctx_size; /* bytes for weir_ctx, zeroed for each request */

    /* The request head is there. Check it, refuse it, answer it: WEIR_ANSWERED after weir_respond or weir_send. */
    int (*request_filter)(struct weir_session *s);

    /* Choose where it goes; once for each try. */
    int (*upstream_peer)(struct weir_session *s, struct weir_peer *peer);

    /* Edit the head that goes upstream: a copy for this try, hop-by-hop fields already removed. The connection
     * writes what frames the body; Host is passed on unless changed here. */
    int (*upstream_request_filter)(struct weir_session *s, struct weir_head *req);

    /* Edit the head that goes to the client. Informational responses (1xx) are not shown. */
    int (*response_filter)(struct weir_session *s, struct weir_head *res);

    /* Always, once, last; `err` is 0 or what the request failed with. */
    void (*logging)(struct weir_session *s, int err);
};

enum { WEIR_LISTENERS = 16, WEIR_TRUSTED = 16 };

/* Where a service listens: `1.2.3.4:80`, `[::1]:80`, `:80` (all, IPv4 and IPv6), `unix:/path`; port 0 lets the kernel choose. */
struct weir_listen {
    const char *addr;
};

/* X-Forwarded-For, -Proto and -Host: OFF passes them as they came; REPLACE writes our own; APPEND adds to what clients
 * inside `trusted` sent, and replaces for others. */
enum weir_forwarding { WEIR_FORWARD_OFF, WEIR_FORWARD_REPLACE, WEIR_FORWARD_APPEND };

/* A service: a proxy, its state, its listeners, its deadlines and bounds. Durations: 0 is the default in brackets, WEIR_FOREVER
 * switches off. Sizes and counts: 0 is the default, WEIR_UNLIMITED switches off where that makes sense. */
struct weir_service {
    const struct weir_proxy *proxy;
    void                    *state;
    struct weir_listen       listen[WEIR_LISTENERS]; /* the first without an address ends the list */

    weir_dur header_timeout;   /* [10s] a request head, from its first byte to its end: 408 */
    weir_dur body_timeout;     /* [30s] between two bytes of a request body: 408 */
    weir_dur send_timeout;     /* [30s] between two bytes that a client takes */
    weir_dur idle_timeout;     /* [60s] a kept-alive connection */
    weir_dur connect_timeout;  /* [5s] TCP to an upstream: 504 */
    weir_dur upstream_timeout; /* [60s] the response head, and between two bytes of its body: 504 */
    weir_dur request_timeout;  /* [off] a whole request */

    uint64_t max_head;         /* [32KiB] 431 */
    uint64_t max_field;        /* [16KiB] one field line: 431 */
    uint64_t max_target;       /* [8KiB] 414 */
    uint64_t max_fields;       /* [100] 431 */
    uint64_t max_body;         /* [1GiB] 413 */
    uint64_t max_requests;     /* [10000] on one connection */
    uint64_t max_connections;  /* [90 % of RLIMIT_NOFILE / 2] then new ones wait in the backlog */
    uint64_t max_per_client;   /* [off] connections of one address: 503 */
    uint64_t min_rate;         /* [256 B/s after 5 s] of bodies, both ways, while we wait for bytes */

    enum weir_forwarding forwarding;
    const char *trusted[WEIR_TRUSTED]; /* addresses or networks (`10.0.0.0/8`, `::1`) for APPEND */
    bool        via;                   /* add Via (RFC 9110 7.6.3) both ways */
    const char *server_name;           /* Server of our own answers; NULL: "weir", "": none */
};

#ifdef __cplusplus
}
#endif

#endif
