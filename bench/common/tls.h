/* tls.h -- TLS settings for either side, made once and shared by all connections.
 *
 * The client offers one cipher suite and X25519 first, so that every proxy is asked for the same
 * work. It does not verify who answers: the proxy is our own child, on this host. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stdbool.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

enum tls_version { TLS_ANY, TLS_1_2, TLS_1_3 };

/* What a client asks for; `h2`: HTTP/2 by ALPN. Ends the program if OpenSSL refuses. Lives until
 * the program ends. */
struct ssl_ctx_st *tls_client(enum tls_version version, bool h2);

/* A server with a certificate and its key (PEM files); `h2`: it insists on HTTP/2 by ALPN. Ends the
 * program if they cannot be used. */
struct ssl_ctx_st *tls_server(const char *cert, const char *key, bool h2);

/* The last error of OpenSSL in words; "" if there was none. Forgets it. */
const char *tls_error(void);

#endif
