/* module.h -- the modules of a request. Without any, s->uses is NULL, and nothing of this is
 * called. */
#ifndef PROXY_MODULE_H
#define PROXY_MODULE_H

#include <weir/module.h>

#include "proxy/session.h"

/* In their order from client to upstream. */
struct uses {
    unsigned count;
    struct weir_use use[WEIR_MODULES];
};

/* Those of the service. 0 or WEIR_ENOMEM. */
int modules_begin(struct weir_session *s);

/* Forgets what was said of the bodies of an earlier try. */
void modules_next_try(struct weir_session *s);

/* A phase of each, in the order of its direction, until one does not return 0. */
int modules_early_request(struct weir_session *s);
int modules_request(struct weir_session *s);
int modules_connected(struct weir_session *s);
int modules_upstream_request(struct weir_session *s, struct weir_head *req);
int modules_request_body(struct weir_session *s, weir_str *chunk, bool end);
int modules_request_trailers(struct weir_session *s, struct weir_head *trailers);
int modules_upstream_response(struct weir_session *s, struct weir_head *res);
int modules_response(struct weir_session *s, struct weir_head *res);
/* And with `end` the trailers behind it, if there are any (s->up_http->trailers). */
int modules_response_body(struct weir_session *s, weir_str *chunk, bool end);

/* Does one take part that may change this body; that wants to see the trailers of the request? */
bool modules_filter_up(const struct weir_session *s);
bool modules_filter_down(const struct weir_session *s);
bool modules_filter_trailers_up(const struct weir_session *s);

/* Those of the service that are not in use yet come in for it: a request that failed early. */
void modules_fail(struct weir_session *s);
void modules_logging(struct weir_session *s);

#endif
