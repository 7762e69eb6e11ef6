/* h2out.h -- what an HTTP/2 session has to say, in as few writes as possible. */
#ifndef BENCH_H2OUT_H
#define BENCH_H2OUT_H

#include "common/wire.h"

struct nghttp2_session;

/* What the wire did not take yet. Zeroed at first; h2out_free() frees it. */
struct h2out {
    char *rest;
    size_t rest_len;
};

/* Writes all frames that `session` has; 0 once it has none, -EAGAIN, -errno. */
int h2out_send(struct h2out *o, struct wire *w, struct nghttp2_session *session);

void h2out_free(struct h2out *o);

#endif
