/* serve.h -- the origin's connections: read a request to its end, answer, go on. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdbool.h>
#include <stdint.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

struct serve_config {
    uint64_t body;          /* the response's, where the path does not tell: /b/N does */
    uint64_t delay;         /* ns from the end of a request to its answer */
    const char *delayed;    /* only paths that begin so are; NULL = all */
    uint64_t idle_close;    /* ns after which an idle connection is closed; 0 = never */
    bool h2;                /* HTTP/2: by ALPN over TLS, else by prior knowledge */
    struct ssl_ctx_st *tls; /* NULL = plain */
};

/* Counted from the start; never reset, so that a reader takes differences. */
struct serve_counters {
    uint64_t requests; /* read to their end */
    uint64_t refused;  /* of them or instead of them: malformed */
    uint64_t accepted;
    uint64_t resumed;     /* of them: by an earlier TLS session */
    uint64_t closed_idle; /* by us */
    uint64_t open;
    uint64_t body_in, body_out;
};

extern struct serve_counters serve_counters;

/* Serves a listening socket and `quit`, a descriptor, in one epoll loop; `on_quit` is called when
 * that becomes readable, and ends the loop by returning false. Blocks until then. */
void serve(const struct serve_config *config, int listener, int quit, bool (*on_quit)(int quit));

#endif
