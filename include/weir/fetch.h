/* fetch.h -- asking other services from within a phase.
 *
 *     struct weir_head *ask = weir_new_get(s, "http://127.0.0.1:9009/check");
 *     const struct weir_head *verdict = weir_fetch(s, ask, 200 * WEIR_MS);
 *
 *     if (!verdict)
 *         return weir_fail(s, 503, "auth service: %s", weir_why(s));
 *
 * Connections come from the pool that all requests share, and go back to it; HTTP/2 is spoken where
 * it is agreed on. Redirects are not followed, nothing is cached, and what the client has sent
 * (cookies, passwords) does not go along unless you set it. */
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
    unsigned alpn;      /* as in struct weir_peer; 0: both for https, HTTP/1.1 for http */
    weir_str ca_file, cert_file, key_file; /* as in struct weir_peer */
    bool     no_verify; /* DANGER: whoever answers is trusted */
};

/* Sends `req` (made by one of the above for this session) and waits for the whole answer: at most
 * `timeout` (0: 5 s), all steps together, and no longer than the request may take. A stale pooled
 * connection is replaced once, as for requests of clients.
 *
 * The answer's head, whatever its status; NULL if there is none, and weir_why says why: that fails
 * nothing by itself, the phase decides. (But once the client is gone, or request_timeout has passed,
 * the request has failed.) More than 8 requests that each made the next one, over any number of
 * proxies, are a loop and fail; Via counts them. Blocks; only this request waits. */
const struct weir_head *weir_fetch(struct weir_session *s, struct weir_head *req, weir_dur timeout);
const struct weir_head *weir_fetch_with(struct weir_session *s, struct weir_head *req,
                                        weir_dur timeout, const struct weir_fetch_options *options);

/* The body of an answer that weir_fetch has returned: empty if it has none, absent for any other
 * head. It lives as long as the session. Never blocks. */
weir_str weir_fetched_body(struct weir_session *s, const struct weir_head *answer);

#ifdef __cplusplus
}
#endif

#endif
