/* proxy.h -- what a proxy does, phase by phase, and the service that runs it. */
#ifndef WEIR_PROXY_H
#define WEIR_PROXY_H

#include <weir/module.h>
#include <weir/peer.h>
#include <weir/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A proxy: name the phases you care about, leave out the others: they cost nothing. Only
 * upstream_peer is required. The struct must outlive the server (make it static const).
 *
 * Phases may call whatever blocks in this library, but for the moment in which the request is
 * cancelled (the client left, the process ends): then such calls return an error at once. They
 * return 0 to go on, a negative error (forwarded, or made by weir_fail), or an outcome named here.
 * WEIR_ANSWERED, after weir_respond or weir_send, ends the request from any phase that runs before
 * a response head has left (0 after such an answer means the same). In the order in which they
 * run: */
struct weir_proxy {
    const char *name;     /* for logs and reports */
    size_t      ctx_size; /* bytes for weir_ctx, zeroed for each request */

    /* The request head is there and well-formed. Before all else: settings for this request
     * (weir_set_max_body, weir_set_timeout, ...). */
    int (*early_request_filter)(struct weir_session *s);

    /* Check the request, refuse it, answer it: WEIR_ANSWERED. */
    int (*request_filter)(struct weir_session *s);

    /* Choose where it goes; once for each try. */
    int (*upstream_peer)(struct weir_session *s, struct weir_peer *peer);

    /* No connection to `peer` could be made, so nothing of the request was sent: WEIR_RETRY for
     * another try (upstream_peer is asked again; at most max_tries), or `err`, or weir_fail, whose
     * words and status then replace `err`. Left out: up to three different backends are tried. */
    int (*fail_to_connect)(struct weir_session *s, const struct weir_peer *peer, int err);

    /* There is a connection: a new one, or (`reused`) one from the pool. Once for each try. After
     * an error a connection on which nothing was sent goes back to the pool. */
    int (*connected_to_upstream)(struct weir_session *s, const struct weir_peer *peer, bool reused);

    /* Edit the head that goes upstream: a copy for this try, hop-by-hop fields already removed. The
     * connection writes what frames the body; Host is passed on unless changed here. */
    int (*upstream_request_filter)(struct weir_session *s, struct weir_head *req);

    /* A piece of the request body on its way up; `end` with the last one, which may be empty. Set
     * *chunk to send something else (it must live until the next call, or the request's end), to
     * an absent or empty slice to send nothing for it; the bytes handed in are read-only and live
     * until the next call. Not called for a request without a body. It may run while a response is
     * already coming down; an error or WEIR_ANSWERED ends both. See "Bodies" below. */
    int (*request_body_filter)(struct weir_session *s, weir_str *chunk, bool end);

    /* Edit the trailers behind the request body (RFC 9110 6.5), when all of it has been read; not
     * called where there are none. What must not stand there (6.5.1) does not go out. */
    int (*request_trailer_filter)(struct weir_session *s, struct weir_head *trailers);

    /* Edit the response head as the upstream sent it. Informational responses (1xx) are not shown,
     * but for a 101 that was asked for. */
    int (*upstream_response_filter)(struct weir_session *s, struct weir_head *res);

    /* Edit the head that goes to the client, hop-by-hop fields already removed. */
    int (*response_filter)(struct weir_session *s, struct weir_head *res);

    /* A piece of the response body on its way down, as request_body_filter; not called for a
     * response without a body, nor with `end` for one that the upstream cut off. The response head
     * leaves with the first piece: an error before it becomes an error page, a later one cuts the
     * response off. */
    int (*response_body_filter)(struct weir_session *s, weir_str *chunk, bool end);

    /* Edit the trailers behind the response body, as request_trailer_filter. */
    int (*response_trailer_filter)(struct weir_session *s, struct weir_head *trailers);

    /* A try failed after its connection was there, whoever's fault it was. Return `err` to let the
     * default of docs/retry.md stand. WEIR_RETRY: one more try (upstream_peer is asked again; at
     * most max_tries), also for methods that are not idempotent: your word. It counts unless a
     * response head has left, a byte of the request body is not kept (`replay`), the retry budget
     * is spent, or the client, a cancelling or request_timeout was the cause. Another error, or
     * weir_fail: that is final, and replaces `err`. */
    int (*error_while_proxy)(struct weir_session *s, const struct weir_peer *peer, int err,
                             bool reused);

    /* The request has failed, for whatever reason, at whatever point: also if its head could not be
     * read (then weir_request is empty or incomplete). If weir_response is NULL and the client is
     * still there, an own page may be sent: WEIR_ANSWERED after it. Otherwise the default page goes
     * out. Waits in here end after a second in all. */
    int (*fail_to_proxy)(struct weir_session *s, int err);

    /* May the error log do without this request, which ended with `err`, or without this try, which
     * failed with it and is followed by another? Must not block. */
    bool (*suppress_error_log)(struct weir_session *s, int err);

    /* What the error log says of the request, as `summary`, in place of method, host and target;
     * absent: those. Must not block. */
    weir_str (*request_summary)(struct weir_session *s);

    /* Always, once, last; `err` is 0 or what the request failed with. */
    void (*logging)(struct weir_session *s, int err);
};

/* Bodies. A filter or editor (<weir/body.h>) may change how long a body is and what it says, so
 * where there is one:
 * - its Content-Length is not passed on: the message is sent chunked (closed at the end for a
 *   client of HTTP/1.0), or with its new length if all of it was there with its head; none is
 *   stated for HEAD and 304;
 * - Content-MD5, Digest, Content-Digest and Repr-Digest go;
 * - of a response, a strong ETag becomes a weak one, and Accept-Ranges goes; Range and If-Range
 *   are not sent upstream, so that the filter sees whole bodies (a filter of the request head that
 *   sets Range again has to cope with 206 and Content-Range itself);
 * - a 304 says what the 200 would have said: it is adapted where the filter or editor is there for
 *   it, and also, since a phase may not see in a 304 what page it is about, where If-None-Match has
 *   the weak form of its strong ETag, which the client then has from us. If-None-Match goes up as
 *   it came: weak tags match there (RFC 9110 13.1.2). In If-Match and If-Range none does, so that
 *   nothing is overwritten, or continued, by who has seen an edited page (13.1.1, 13.1.5).
 *
 * Fields that upstream_request_filter or response_filter has set itself stay as they are. A filter
 * that only looks, or does nothing for this request, says so by weir_body_unchanged, and all of
 * that is left as it came. */

/* Tunnels. A request of HTTP/1.1 that asks for another protocol (Upgrade; WebSocket is one) offers
 * it to the upstream, but for h2c, HTTP and TLS, which would hide requests from the phases. If that
 * switches (101) to what was offered, both sides are connected: bytes pass as they are, until both
 * have ended; one that ends its direction may still receive. A WebSocket over HTTP/2 (an extended
 * CONNECT, RFC 8441) is to all phases the GET with Upgrade that it becomes for the upstream; other
 * protocols of such a CONNECT are refused (501). CONNECT, where the service allows it, is connected
 * to whom upstream_peer chooses, by `weir_target` of the request: check whom you let through where.
 * It has no upstream_request_filter and no upstream_response_filter; response_filter sees the 200.
 * Body filters do not see the bytes of a tunnel; weir_bytes_received and weir_bytes_sent count
 * them. */

/* Room of the arrays of a service: WEIR_LISTENERS of `listen`, WEIR_TRUSTED of `trusted`,
 * WEIR_ERROR_PAGES of `error_pages`. */
enum { WEIR_LISTENERS = 16, WEIR_TRUSTED = 16, WEIR_ERROR_PAGES = 16 };

/* Where a service listens, and how. */
struct weir_listen {
    /* `1.2.3.4:80`, `[::1]:80`, `:80` (all, IPv4 and IPv6), `unix:/path`; port 0 lets the kernel
     * choose. */
    const char *addr;

    /* Without `cert` it is plain, and WEIR_H2 in `alpn` lets clients speak HTTP/2 at once, by prior
     * knowledge (RFC 9113 3.3), beside those that speak HTTP/1.
     *
     * With `cert` it speaks TLS, 1.2 or newer (docs/tls.md). The files are read once, at the
     * start. */
    const char *cert;       /* PEM: the certificate, then the chain to the CA, as `fullchain.pem` */
    const char *key;        /* PEM: its key, not encrypted; NULL: it is in the file `cert` */
    unsigned    alpn;       /* WEIR_H1 | WEIR_H2: what to offer by ALPN; 0: both */
    bool        shared_key; /* the key file may be readable by everybody, or writable by others */
};

/* X-Forwarded-For, -Proto and -Host: OFF passes them as they came; REPLACE writes our own; APPEND
 * adds to what clients inside `trusted` sent, and replaces for others. */
enum weir_forwarding { WEIR_FORWARD_OFF, WEIR_FORWARD_REPLACE, WEIR_FORWARD_APPEND };

/* In which fields: X is X-Forwarded-*, RFC7239 is Forwarded, BOTH both. */
enum weir_forwarded_as { WEIR_FORWARDED_X, WEIR_FORWARDED_RFC7239, WEIR_FORWARDED_BOTH };

/* What a client gets as the body of an error answer of ours: a file, read at the start (1 MiB at
 * most), or a text. fail_to_proxy, if it answers, comes before. */
struct weir_error_page {
    int         status; /* 400 to 599; or 4 or 5: those of that class that have no other page */
    const char *file;   /* its path; NULL: `text` */
    const char *text;   /* the page itself */
    const char *type;   /* Content-Type; NULL: "text/html; charset=utf-8" */
};

/* A service: a proxy, its state, its listeners, its deadlines and bounds. Durations: 0 is the
 * default in brackets, WEIR_FOREVER switches off. Sizes and counts: 0 is the default,
 * WEIR_UNLIMITED switches off where that makes sense. */
struct weir_service {
    const struct weir_proxy *proxy;                   /* what it does with requests */
    void                    *state;                   /* yours: weir_state */
    struct weir_listen       listen[WEIR_LISTENERS]; /* the first without an address ends it */
    struct weir_service_module modules[WEIR_MODULES]; /* <weir/module.h>; NULL ends them */

    /* Who may connect: called for each connection before TLS and before a byte is read; false
     * closes it at once, without a word or a line in the log. On the worker's stack: must not
     * block. NULL: everybody. `state` is the service's. */
    bool (*connection_filter)(void *state, const struct weir_connection *c);

    weir_dur header_timeout;   /* [10s] a request head, from its first byte to its end: 408 */
    weir_dur body_timeout;     /* [30s] between two bytes of a request body: 408 */
    weir_dur send_timeout;     /* [30s] between two bytes that a client takes */
    weir_dur idle_timeout;     /* [60s] a kept-alive connection */
    weir_dur connect_timeout;  /* [5s] TCP to an upstream: 504 */
    weir_dur upstream_timeout; /* [60s] the response head, and between two bytes of its body: 504 */
    weir_dur request_timeout;  /* [off] a whole request */
    weir_dur try_timeout;      /* [off] one try until its response head: 504, or another try */
    weir_dur retry_backoff;    /* [25ms] before a second try at the same address; doubles, up to ten
                                  times that */
    weir_dur tunnel_timeout;   /* [1h] an upgraded or CONNECT tunnel without a byte either way */

    uint64_t max_head;         /* [32KiB] 431 */
    uint64_t max_field;        /* [16KiB] one field line: 431 */
    uint64_t max_target;       /* [8KiB] 414 */
    uint64_t max_fields;       /* [100] 431 */
    uint64_t max_body;         /* [1GiB] 413 */
    uint64_t max_requests;     /* [10000] on one connection */
    uint64_t max_connections;  /* [90 % of RLIMIT_NOFILE / 2] then new ones wait in the backlog */
    uint64_t max_per_client;   /* [off] connections of one address: 503 */
    uint64_t min_rate;         /* [256 B/s after 5 s] of bodies, both ways, while we wait */

    /* Sending a request again (docs/retry.md). */
    uint64_t max_tries;        /* [16] of one request; 1: nothing is sent again */
    uint64_t replay;           /* [64KiB] of a request body, kept in memory for further tries; with
                                  WEIR_UNLIMITED nothing is */
    uint64_t replay_file;      /* [off] and so much of it in a temporary file ($TMPDIR, /tmp) */
    uint64_t buffer_request;   /* [off] a request body is read, up to so much (more: 413), before
                                  upstream_peer: weir_request_body */
    uint64_t retry_percent;    /* [20] of requests: how many tries more there may be ... */
    uint64_t retry_rate;       /* [10] ... and so many a second beside them */

    enum weir_forwarding   forwarding;   /* [OFF] what upstreams are told of the client ... */
    enum weir_forwarded_as forwarded_as; /* [X] ... and in which fields */
    const char *trusted[WEIR_TRUSTED]; /* addresses or networks (`10.0.0.0/8`, `::1`) for APPEND */
    bool        connect;               /* serve CONNECT (see "Tunnels"); otherwise: 405 */

    /* A request that an upstream has in full goes on when its client leaves: the response is read
     * to its end, through all phases, and dropped, and the request then fails with what the client
     * did. (Of HTTP/1 a client that has only ended its own direction gets its answer then.)
     * Otherwise (and as long as a byte of its body is missing) it is cancelled at once: the
     * upstream's connection is closed, its stream of HTTP/2 reset. */
    bool finish_when_client_leaves;

    bool        via;                   /* add Via (RFC 9110 7.6.3) both ways */
    struct weir_error_page error_pages[WEIR_ERROR_PAGES]; /* the first without a status ends them */
    const char *server_name;           /* Server of our own answers; NULL: "weir", "": none */
};

#ifdef __cplusplus
}
#endif

#endif
