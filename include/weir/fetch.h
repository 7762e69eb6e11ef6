/* fetch.h -- asking other services: from within a phase, beside a request, or without one.
 *
 *     struct weir_head *ask = weir_new_get(s, "http://127.0.0.1:9009/check");
 *     const struct weir_head *verdict = weir_fetch(s, ask, 200 * WEIR_MS);
 *
 *     if (!verdict)
 *         return weir_fail(s, 503, "auth service: %s", weir_why(s));
 *
 * Connections come from the pool that all requests share, and go back to it; HTTP/2 is spoken where
 * it is agreed on. Redirects are not followed, nothing is cached, and what the client has sent
 * (cookies, passwords) does not go along unless you set it.
 *
 * Outside of phases a session of your own takes the place of the request's: see the end. */
#ifndef WEIR_FETCH_H
#define WEIR_FETCH_H

#include <weir/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A request to an absolute `http:` or `https:` URL (copied), to be filled in and fetched; Host is
 * set. Never NULL; what is wrong with the URL is said by weir_fetch. It can be fetched once. Never
 * blocks. */
struct weir_head *weir_new_get(struct weir_session *s, const char *url);
struct weir_head *weir_new_request(struct weir_session *s, const char *method, const char *url);

/* How to fetch; zero is the default. Slices and strings must live until the call returns. */
struct weir_fetch_options {
    weir_str body;      /* of the request; absent: none */
    size_t   max_body;  /* bound on the body of the answer (1 MiB); SIZE_MAX: none */
    bool     drop_body; /* of the answer: read to its end, of any length, and not kept */
    unsigned alpn;      /* as in struct weir_peer; 0: both for https, HTTP/1.1 for http */
    weir_str ca_file, cert_file, key_file; /* as in struct weir_peer */
    bool     no_verify; /* DANGER: whoever answers is trusted */
};

/* Sends `req` (made by one of the above for this session) and waits for the whole answer: at most
 * `timeout` (0: 5 s), all steps together, and no longer than the request, or a scope around the
 * call, may take. A stale pooled connection is replaced once, as for requests of clients. Names of
 * hosts are looked up once in 30 s, and again after their addresses could not be reached.
 *
 * The answer's head, whatever its status; NULL if there is none, and weir_why says why: that fails
 * nothing by itself, the phase decides. (But once the client is gone, or request_timeout has
 * passed, the request has failed.) More than 8 requests that each made the next one, over any
 * number of proxies, are a loop and fail; Via, which is the library's to set, counts them. Any
 * number may wait at once, in coroutines of a scope (<weir/runtime.h>); one that a scope of yours
 * has cancelled has failed alone. Blocks; only this request waits. `options` may be NULL. */
const struct weir_head *weir_fetch(struct weir_session *s, struct weir_head *req, weir_dur timeout);
const struct weir_head *weir_fetch_with(struct weir_session *s, struct weir_head *req,
                                        weir_dur timeout, const struct weir_fetch_options *options);

/* The body of an answer that weir_fetch has returned: empty if it has none, absent for any other
 * head. It lives as long as the session. Never blocks. */
weir_str weir_fetched_body(struct weir_session *s, const struct weir_head *answer);

/* ---- sessions of your own ----
 *
 * For coroutines that serve no request (weir_run, weir_server_add_task, weir_spawn): clients,
 * tasks, and what goes on beside a request and after it, such as a copy for another server:
 *
 *     static void copy(void *arg)
 *     {
 *         struct weir_session *s = arg;
 *
 *         if (!weir_fetch(s, weir_new_get(s, "http://127.0.0.1:9002/"), 2 * WEIR_SEC))
 *             weir_fail(s, 502, "copy: %s", weir_why(s));
 *         weir_session_free(&s);                     // what has failed is logged
 *     }
 *
 *     static void logging(struct weir_session *s, int err)
 *     {
 *         struct weir_session *own = weir_session_new(s);
 *
 *         if (own != NULL && weir_spawn(copy, own) < 0)
 *             weir_session_free(&own);
 *     }
 *
 * Bound how many there are at once (struct weir_semaphore): each holds a coroutine and what it
 * keeps. When the process is told to stop they may go on for its grace; then their fetches fail. */

/* A session without a client, to be freed by you. Made for the request `from` it has a copy of its
 * head, and of its body if that was read before (`buffer_request`), its id, client's address and
 * `state`, and the deadlines of its service; all of it may be used when `from` is over. With NULL
 * it has an empty head, no state, and the deadlines of the command line. In coroutines only; one at
 * a time uses it, and any may free it. NULL elsewhere, or without memory. Never blocks.
 *
 * What it is good for: fetches, weir_alloc, weir_printf, weir_defer, weir_sleep, weir_fail, the
 * request and what was copied with it. There is nobody to answer (WEIR_EINVALID), no weir_ctx, and
 * no phase of the proxy is called for it. What is allocated stays until it is freed: a program that
 * runs for long makes a new one for each round. */
struct weir_session *weir_session_new(struct weir_session *from);

/* Ends it and clears `*s` (NULL: nothing): runs what was deferred, and writes the first error, if
 * there is one, to the error log, with the id and the client of `from`. Never blocks. */
void weir_session_free(struct weir_session **s);

#ifdef __cplusplus
}
#endif

#endif
