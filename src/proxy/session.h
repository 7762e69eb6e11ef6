/* session.h -- one request while it lives: the inside of `struct weir_session`.
 *
 * It lies in the room above its coroutine's stack, the first piece of its arena behind it, so that
 * a plain request allocates nothing. Only its strand touches it. */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include <weir/session.h>

#include "http/http.h"
#include "lb/lb.h"
#include "pool/pool.h"
#include "proxy/service.h"
#include "runtime/co.h"

struct editing;
struct fetch;
struct phase_times;
struct uses;
struct edited_upload;
struct replay;

/* So many backends are tried when connecting fails and the proxy has no fail_to_connect. */
enum { CONNECT_BACKENDS = 3 };

/* What a session does at its end. */
struct deferred {
    struct deferred *next;
    void (*fn)(void *);
    void *arg;
};

struct weir_session {
    /* Set when it is made. */
    struct arena arena;
    const struct service *service;
    struct http_stream *down;
    const struct addr *client;
    uint64_t number;       /* local.h */
    int64_t started;       /* monotonic */
    struct deadline limit; /* of the whole request */
    uint64_t max_body;
    weir_dur idle_timeout; /* of the connection, after this request */
    size_t replay_max;     /* what is kept of the request body, for another try, in memory */
    uint64_t replay_file;  /* and in a file */
    uint64_t buffer_max;   /* it is read before a peer is chosen, up to so much; 0: it is not */

    /* Cleared when it is made: from `ctx` to `phases`. */
    void *ctx;
    struct deferred *deferred; /* newest first */

    const struct weir_head *told; /* the final head sent to the client; NULL: none */
    int status;                   /* of that head, 0: none */

    /* The first cause. */
    int err;
    int fail_status;    /* 0: the error table's */
    bool judging;       /* a phase is asked about a failed try: weir_fail replaces the cause */
    bool failing;       /* fail_to_proxy runs: it may answer in spite of the error */
    bool answered_here; /* a phase has sent a response of its own */
    bool own;           /* it has no client: own.c */
    const char *fault;  /* words beside the table's, or NULL */

    /* This try. */
    struct upstream *up;         /* HTTP/1: the connection is ours alone */
    struct h2_stream *up_h2;     /* HTTP/2: a stream of one that is shared */
    struct http_stream *up_http; /* either; NULL: there is none */
    const struct weir_head *up_trailers; /* of the request; NULL: none */
    const char *up_name;                 /* the last upstream's, for logs; NULL: none */
    unsigned tries;
    unsigned connect_fails;
    const char *connect_fault;    /* words for the last of them, or NULL */
    int connect_err;              /* of an earlier try */
    unsigned repeats;             /* of what an upstream refused, or was too slow for */
    unsigned waits;               /* before tries, so far */
    int left;                     /* why the client gets no more of the response; the upstream
                                   * goes on */
    const struct addr *failed_at; /* where the last try failed; NULL: that does not matter */
    size_t interim;               /* what the heads of interim responses came to */
    bool connect_unlogged;        /* the last failure to connect */
    bool reused;                  /* the connection came from the pool */
    bool fresh;                   /* the next one must not: a pooled one was stale */
    bool untouched;               /* nothing was sent on this connection yet */
    bool upload_broken;           /* the upstream takes no more of the request body */
    bool continued;               /* the client has been told to go on with its body */
    bool our_continue;            /* by us, not by the upstream */
    bool te_trailers;             /* the upstream may send them: the client takes them, or a module
                                   * does */
    bool uploading;               /* the task `upload` was started */
    bool body_begun[2];           /* enum weir_body_of: on its way, too late for an editor */
    bool whole;                   /* a part was to be edited: no Range any more */

    /* The request body, for every try. */
    bool buffered;     /* it was read before a peer was chosen */
    bool body_lost;    /* what comes of it is not kept */
    bool budget_spent; /* it would have been sent again, but for the budget */
    bool request_unchanged, response_unchanged; /* what filters promised of the bodies */
    bool had_edited; /* the response is a 304 about what we have once made of a page */
    struct replay *replay; /* what is kept; NULL: nothing yet */

    weir_str upgrade;       /* the protocols that the client offers; absent: none */
    weir_str websocket_key; /* sent along with it for a client of HTTP/2 */

    struct editing *edit_up, *edit_down; /* of this try, editor.h; NULL: none */
    struct edited_upload *edited_upload; /* what edit_up writes */
    struct uses *uses;                   /* its modules, module.h; NULL: none */
    struct fetch *fetches;               /* fetch.c: newest first */
    const char *fetch_why;               /* why the last one failed; NULL: it did not */

    uint64_t received, sent;       /* body bytes from and to the client */
    uint64_t up_received, up_sent; /* and from and to upstreams, in all tries */
    size_t burst;                  /* that passed since the last yield */

    /* When, in this try: there was a connection; all of the request was taken; the response head
     * came. 0: never. */
    int64_t connected, request_sent, answered;

    int64_t chosen;             /* when upstream_peer was called */
    struct phase_times *phases; /* and the other phases; NULL: none was */

    /* Set before anything looks at it, but that `failed` of heads and what tells how many there are
     * are cleared. */
    struct weir_head req;            /* the client's */
    struct weir_head res;            /* what was sent to it, or is about to be */
    struct weir_head up_req, up_res; /* of this try, as the peer */
    struct weir_peer peer;
    struct tried tried;
    const struct addr *connect_failed[CONNECT_BACKENDS]; /* whom not to ask again by default */
    struct deadline try_limit; /* of this try, until its response head */
    int64_t upload_moved;      /* when the upstream last took a byte */
    int64_t upload_asks;       /* since then it is the client that is waited for; 0: it is not */
    int64_t moved;             /* when the tunnel last moved a byte */
    struct pace down_read, down_write, up_read, up_write;
    struct scope scope;
    struct task upload, tunnel;
};

/* Makes a session in the room of this coroutine, for the next request on `down`. */
struct weir_session *session_begin(struct service *svc, struct http_stream *down,
                                   const struct addr *client);

/* Makes the context. 0 or WEIR_ENOMEM. */
int session_context(struct weir_session *s);

/* Runs what was deferred, drops what the session holds. */
void session_end(struct weir_session *s);

/* As weir_defer, in room `d` of the caller's that is there until then: it cannot fail. */
void session_defer(struct weir_session *s, struct deferred *d, void (*fn)(void *), void *arg);

/* Notes the first cause; returns the error that stands. `fault`: further words, static or in the
 * arena, or NULL. */
int session_fail(struct weir_session *s, int err, const char *fault);

/* `n` bytes have passed: lets others run from time to time, however fast both sides are. */
void session_moved(struct weir_session *s, size_t n);

/* Runs a phase under its name for reports: 0, an error, or WEIR_ANSWERED if it has answered the
 * client. */
#define PHASE(s, phase, ...) \
    ((s)->service->proxy->phase == NULL \
         ? WEIR_OK \
         : (PHASE_BEGINS(s, (s)->service->proxy->name, phase), \
            phase_result((s), (s)->service->proxy->phase(__VA_ARGS__))))
int phase_result(struct weir_session *s, int rc);

/* Notes that a phase of `who`, the proxy or a module, begins. */
#define PHASE_BEGINS(s, who, phase) (co_label(who, #phase), phase_begins((s), PHASE_OF(phase)))
void phase_begins(struct weir_session *s, enum weir_phase phase);
int64_t phase_began(const struct weir_session *s, enum weir_phase phase); /* last; 0: never */

/* The phase of that name: all but the last stand in `struct weir_proxy` as they are counted. */
#define PHASE_OF(phase) \
    ((enum weir_phase)((offsetof(struct weir_proxy, phase) - \
                        offsetof(struct weir_proxy, early_request_filter)) / \
                       sizeof(void (*)(void))))

/* phases.c: the phases that are asked when something failed. The first two return the error that
 * stands, or WEIR_RETRY: then the session is as before the try. `again`: the default is to try once
 * more, on a new connection, to another peer if there is one. */
int phase_fail_to_connect(struct weir_session *s, int err, const char *fault);
int phase_error_while_proxy(struct weir_session *s, int err, const char *fault, bool again);
void phase_fail_to_proxy(struct weir_session *s);

/* body.c: pieces through the filters (0, WEIR_ANSWERED, < 0), and the heads and framing of bodies
 * that a filter may change: may it; adapt the head after its phase; the framing of what begins with
 * `piece` (`all`: and is nothing more); what a write of a promised length returned. */
int body_filter_up(struct weir_session *s, weir_str *piece);
int body_filter_down(struct weir_session *s, weir_str *piece);
bool body_may_grow_up(const struct weir_session *s);
bool body_may_grow_down(const struct weir_session *s);
void body_adapt_request(struct weir_session *s);
void body_adapt_response(struct weir_session *s);
/* Has the client the weak form of this strong tag, by its If-None-Match? */
bool body_client_has_weak(struct weir_session *s, weir_str etag);
struct framing body_reframe(struct framing was, weir_str piece, bool all);
int body_written(struct weir_session *s, int rc, bool promised);
/* Behind a filter of trailers that returned `rc`: takes out what must not stand there. */
int body_check_trailers(struct weir_session *s, struct weir_head *trailers, int rc);

/* exchange.c: the life of one request, from its head (`rc`: what reading it returned, 1 or an
 * error) to its log line. */
void exchange(struct weir_session *s, int rc);

/* upstream.c */
int upstream_choose(struct weir_session *s); /* peer and address for this try */
int upstream_obtain(struct weir_session *s); /* s->up: from the pool, or a new connection; blocks */
/* Pool or close; WEIR_RETRY if it is to be tried again. */
int upstream_leave(struct weir_session *s, int rc);

/* buffer.c: reads the request body, if that was asked for: 0 or < 0. Blocks. */
int buffer_request(struct weir_session *s);

/* forward.c: request up, response down, at the same time; a 100 of our own. And one interim
 * response more, s->up_res: 0, or it is one too many. */
int forward(struct weir_session *s);
int tell_to_continue(struct weir_session *s);
int forward_count_interim(struct weir_session *s);

/* tunnel.c: from the 101 in s->up_res on, within the scope of the try; after CONNECT, in the place
 * of `forward`. */
int tunnel_switch(struct weir_session *s);
int tunnel_connect(struct weir_session *s);

/* websocket.c: for a client of HTTP/2, the key in s->up_req, and what s->up_res answers to it.
 * Nothing for others. */
int websocket_ask(struct weir_session *s);
int websocket_answered(struct weir_session *s);

/* last_hop.c: WEIR_ANSWERED if the request is for us. */
int last_hop(struct weir_session *s);

/* fields.c */
int fields_check_request(struct weir_session *s);
int fields_check_length(struct weir_session *s); /* against the bound, once filters have set it */
int fields_for_upstream(struct weir_session *s); /* s->up_req from s->req, filtered */
int fields_for_client(struct weir_session *s);   /* s->res from s->up_res, filtered */

/* answer.c */
void answer_error(struct weir_session *s); /* s->err, to the client */
void answer_settle(struct weir_session *s); /* before a head: does the connection go on? */
int answer_send(struct weir_session *s, struct weir_head *res, weir_str body);
weir_str answer_methods(const struct weir_session *s); /* a value of Allow */

/* page.c: the page for a status that the service has, or NULL. */
const struct error_page *page_find(const struct service *svc, int status);

/* record.c */
void record_access(struct weir_session *s, int err);
void record_error(struct weir_session *s, int err);
/* A try that failed and is followed by another. */
void record_retry(struct weir_session *s, int err, const char *fault);
/* What a client's connection ended with, of none of its requests. `detail`: or NULL. */
void record_connection(const struct addr *client, int err, const char *detail);

#endif
