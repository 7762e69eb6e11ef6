/* session.h -- one request, as its phases see it.
 *
 * All of these are called from phases only, some also with a session of your own (<weir/fetch.h>).
 * What they return lives until the phase `logging` has returned; nothing is freed by you. A request
 * is a strand: its phases never run at the same time, so ctx needs no lock; but request-body and
 * response phases take turns whenever one of them blocks. None of these calls blocks but those that
 * say so. A phase may resume on another thread after a call that blocks: keep no errno,
 * thread_local variable, pthread or std mutex across one. */
#ifndef WEIR_SESSION_H
#define WEIR_SESSION_H

#include <weir/error.h>
#include <weir/head.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_session;

/* The `ctx_size` bytes of this request, zeroed at its start. NULL without memory for them: then the
 * request fails with WEIR_ENOMEM, and only `logging` meets it. */
void *weir_ctx(struct weir_session *s);

/* The service's `state`: plain memory shared by all workers; guarding it is up to you. */
void *weir_state(struct weir_session *s);

/* The client's request, read-only: what goes upstream is handed to upstream_request_filter. */
const struct weir_head *weir_request(struct weir_session *s);

/* Its body, from upstream_peer on, if it was read before (`buffer_request`); absent otherwise, and
 * where a request has none. */
weir_str weir_request_body(struct weir_session *s);

/* The id of this request, as it stands in the logs. */
weir_str weir_request_id(struct weir_session *s);

/* The response head that was sent to the client, wholly or in part; NULL: none was. */
const struct weir_head *weir_response(struct weir_session *s);

/* Bytes of bodies so far: taken from the client, sent to it. */
uint64_t weir_bytes_received(struct weir_session *s);
uint64_t weir_bytes_sent(struct weir_session *s);

/* Likewise towards upstreams, of all tries together: sent to them, taken from them. They differ
 * from those of the client where a body was edited, sent again, or not passed on. */
uint64_t weir_upstream_bytes_sent(struct weir_session *s);
uint64_t weir_upstream_bytes_received(struct weir_session *s);

/* Of the last try: the address of the peer as it stands in the logs (absent: none was chosen), and
 * whether its connection came from the pool. How many tries were begun. */
weir_str weir_upstream(struct weir_session *s);
bool     weir_upstream_reused(struct weir_session *s);
unsigned weir_tries(struct weir_session *s);

/* The client's address, as `1.2.3.4:5678`, `[::1]:5678` or `unix:`; and without port and brackets,
 * the same for all its connections. */
weir_str weir_client(struct weir_session *s);
weir_str weir_client_host(struct weir_session *s);

/* Whom to count as one client: of an IPv6 address its network of `prefix` bits (0: 64, of which one
 * user may have all 2^64 addresses; at most 128), as `2001:db8:0:1::/64`; of others the same as
 * weir_client_host. */
weir_str weir_client_network(struct weir_session *s, unsigned prefix);

/* The address at which the client's connection arrived, likewise; absent if the kernel does not
 * tell. The version of HTTP that the client speaks: "HTTP/1.0", "HTTP/1.1", "HTTP/2.0". */
weir_str    weir_server_address(struct weir_session *s);
const char *weir_client_version(struct weir_session *s);

/* What TLS has agreed on: strings that live as long as the connection. */
struct weir_tls {
    const char *version, *cipher; /* "TLSv1.3", "TLS_AES_128_GCM_SHA256" */
    const char *sni;              /* the name asked for; NULL: none */
    unsigned    alpn;             /* WEIR_H1, WEIR_H2; 0: nothing was negotiated */
    bool        resumed;          /* an earlier session went on */
};

/* That of the client's connection (into `*out`, if that is not NULL); that of the upstream's, from
 * connected_to_upstream to the end of this try. False, and all zero, without TLS (or without a
 * connection). */
bool weir_client_tls(struct weir_session *s, struct weir_tls *out);
bool weir_upstream_tls(struct weir_session *s, struct weir_tls *out);

/* What the kernel knows of a connection (tcp(7), TCP_INFO). On a Unix socket the times and counts
 * are 0. A shared HTTP/2 connection has those of all its streams. */
struct weir_socket {
    weir_str local, remote;       /* the addresses of its ends, as weir_client; absent: unknown */
    weir_dur rtt, rtt_deviation;  /* of a round trip, smoothed (RFC 6298) */
    uint64_t sent, received;      /* bytes of the connection: that the peer has acknowledged, that
                                   * came from it */
    uint32_t retransmits;         /* segments that were sent again */
    uint32_t window;              /* congestion window, in segments */
};

/* That of the client's connection; that of the upstream's, from connected_to_upstream to the end of
 * this try. False, and all zero: there is none. Each asks the kernel. */
bool weir_client_socket(struct weir_session *s, struct weir_socket *out);
bool weir_upstream_socket(struct weir_session *s, struct weir_socket *out);

/* How long ago this request began; how long after that the upstream's response head came (0: none
 * has). */
weir_dur weir_elapsed(struct weir_session *s);
weir_dur weir_answered_after(struct weir_session *s);

/* When it got how far in the last try, counted from the beginning of the request; 0: it has not. */
struct weir_timing {
    weir_dur connected; /* there was a connection: a new one, with TLS, or one from the pool */
    weir_dur sent;      /* the upstream had taken all of the request */
    weir_dur answered;  /* its response head had come: weir_answered_after */
};

/* Writes that to `*out`. */
void weir_request_timing(struct weir_session *s, struct weir_timing *out);

/* The phases of struct weir_proxy that have a time. */
enum weir_phase {
    WEIR_PHASE_EARLY_REQUEST_FILTER,      /* early_request_filter: the head is there */
    WEIR_PHASE_REQUEST_FILTER,            /* request_filter */
    WEIR_PHASE_UPSTREAM_PEER,             /* upstream_peer */
    WEIR_PHASE_FAIL_TO_CONNECT,           /* fail_to_connect */
    WEIR_PHASE_CONNECTED_TO_UPSTREAM,     /* connected_to_upstream */
    WEIR_PHASE_UPSTREAM_REQUEST_FILTER,   /* upstream_request_filter */
    WEIR_PHASE_REQUEST_BODY_FILTER,       /* request_body_filter: its last piece so far */
    WEIR_PHASE_REQUEST_TRAILER_FILTER,    /* request_trailer_filter */
    WEIR_PHASE_UPSTREAM_RESPONSE_FILTER,  /* upstream_response_filter */
    WEIR_PHASE_RESPONSE_FILTER,           /* response_filter */
    WEIR_PHASE_RESPONSE_BODY_FILTER,      /* response_body_filter: its last piece so far */
    WEIR_PHASE_RESPONSE_TRAILER_FILTER,   /* response_trailer_filter */
    WEIR_PHASE_ERROR_WHILE_PROXY,         /* error_while_proxy */
    WEIR_PHASE_FAIL_TO_PROXY,             /* fail_to_proxy */
    WEIR_PHASE_LOGGING,                   /* logging */
};

/* When this phase, the proxy's or that of a module, was last begun, counted from the beginning of
 * the request; 0: it was not, or there is none. The clock is read once in a turn of a worker, so
 * phases between which nothing waited have the same time. */
weir_dur weir_phase_time(struct weir_session *s, enum weir_phase phase);

/* `size` zeroed bytes of the client's connection, the same for all its requests, freed with it; the
 * first call decides on the size. Requests of HTTP/2 share a connection at the same time, on
 * several threads: guarding it is up to you. NULL without memory, and then the phase fails. */
void *weir_connection_ctx(struct weir_session *s, size_t size);

/* The request in one line, for messages: "GET example.com/path from 1.2.3.4:5678". */
weir_str weir_summary(struct weir_session *s);

/* Is the process on its way to its end? What runs for long should come to one. */
bool weir_shutting_down(void);

/* `n` bytes, aligned for any type, not zeroed. NULL without memory, and then the phase fails with
 * WEIR_ENOMEM whatever it returns. */
void *weir_alloc(struct weir_session *s, size_t n);

/* Formats a text (printf; runs on the coroutine's stack for the usual conversions). Absent without
 * memory. */
weir_str weir_printf(struct weir_session *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls fn(arg) after `logging`, last first. fn must not block. */
void weir_defer(struct weir_session *s, void (*fn)(void *), void *arg);

/* Waits for `span`; other requests go on meanwhile. 0; or an error, to be returned by the phase:
 * the request is over (the client has left, request_timeout has passed, the process ends). In a
 * scope of yours also WEIR_ECANCELED and WEIR_ETIMEOUT, as calls of <weir/runtime.h>. Blocks. */
int weir_sleep(struct weir_session *s, weir_dur span);

/* A response head of your own with that status (200 to 599), to be filled and sent. Never NULL. */
struct weir_head *weir_new_response(struct weir_session *s, int status);

/* Sends `res` with `body` to the client and returns WEIR_ANSWERED, or an error if the client is
 * gone, or WEIR_EINVALID if a response was sent before; in a cancelled scope of yours
 * WEIR_ECANCELED, and it may be sent behind that. Content-Length is set; for HEAD, 204 and
 * 304 no body is sent. May block. */
int weir_send_str(struct weir_session *s, struct weir_head *res, weir_str body);

/* Sends a short answer of type text/plain. As weir_send_str. `body` may be NULL. */
int weir_respond(struct weir_session *s, int status, const char *body);

/* Fails the request: the client gets `status` (400 to 599), the log the words. Returns
 * WEIR_EFILTER, to be returned by the phase; for another status it fails with WEIR_EINVALID, a 500.
 * The first cause stays, a second call changes nothing; only in fail_to_connect and
 * error_while_proxy the words take the place of what failed. */
int weir_fail(struct weir_session *s, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Why the last weir_fetch has failed, until the next one; else why this request has; "" if nothing
 * has. */
const char *weir_why(struct weir_session *s);

/* Settings for this request, in place of the service's. In early_request_filter or request_filter;
 * later ones may come too late. */

/* The bound on its body (WEIR_UNLIMITED: none). */
void weir_set_max_body(struct weir_session *s, uint64_t bytes);

/* How much of its body is kept in memory for further tries; 0: nothing. */
void weir_set_replay(struct weir_session *s, uint64_t bytes);

/* Its body is read before upstream_peer is called, up to so many bytes, which stay in memory: 413
 * above; 0: it is not. Its body filter then gets all of it at once, before anything is sent. */
void weir_set_buffer_request(struct weir_session *s, uint64_t bytes);

/* The rate below which either side is cut off (WEIR_UNLIMITED: none). */
void weir_set_min_rate(struct weir_session *s, uint64_t bytes_per_second);

/* The deadlines of a service by these names. (Those towards the upstream are in struct
 * weir_peer.) */
enum weir_timeout {
    WEIR_TIMEOUT_REQUEST, /* the whole request, from its start */
    WEIR_TIMEOUT_BODY,    /* between two bytes of its body */
    WEIR_TIMEOUT_SEND,    /* between two bytes that the client takes */
    WEIR_TIMEOUT_IDLE,    /* how long the client's connection is kept after this request */
};

/* Sets one of them. A span of 0 changes nothing, WEIR_FOREVER switches off. */
void weir_set_timeout(struct weir_session *s, enum weir_timeout which, weir_dur span);

/* The client's connection ends after this request; its response says so. */
void weir_close_client(struct weir_session *s);

/* One of the two bodies of a request. */
enum weir_body_of {
    WEIR_REQUEST_BODY,  /* on its way up */
    WEIR_RESPONSE_BODY, /* on its way down */
};

/* A promise that the body filter changes no byte of this body: see "Bodies" in <weir/proxy.h>. For
 * a request until upstream_request_filter returns, for a response until response_filter does (to
 * keep Range too, before upstream_request_filter). A filter that breaks its word fails the
 * request. */
void weir_body_unchanged(struct weir_session *s, enum weir_body_of which);

#ifdef __cplusplus
}
#endif

/* weir_send_str, for C strings and slices. */
#define weir_send(s, res, body) weir_send_str((s), (res), WEIR(body))

#endif
