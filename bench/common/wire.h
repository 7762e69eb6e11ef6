/* wire.h -- the bytes of one connection, whatever carries them: TCP or a Unix socket, or TLS there.
 *
 * Everything above speaks in these calls and does not know the carrier; a wire that has to
 * negotiate does so in wire_ready(). None of them blocks: -EAGAIN asks to be called again when
 * the descriptor is readable or writable. What TLS complains about is -EPROTO. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "common/sock.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;         /* OpenSSL's SSL, */
struct ssl_ctx_st;     /* SSL_CTX, */
struct ssl_session_st; /* SSL_SESSION */

struct wire {
    int fd;                         /* for epoll; -1 = not open */
    struct ssl_st *ssl;             /* NULL = plain */
    bool resume;                    /* keep the session at wire_close(), show it at wire_open() */
    struct ssl_session_st *session; /* what was kept */
};

/* Starts to connect, with TLS if `tls` is given. 0 or -errno. */
int wire_open(struct wire *w, const struct address *address, struct ssl_ctx_st *tls);

/* Takes over an accepted descriptor, as a server if `tls` is given. */
void wire_accept(struct wire *w, int fd, struct ssl_ctx_st *tls);

/* 0 once the wire carries bytes; -EAGAIN while it is being set up; -errno. */
int wire_ready(struct wire *w);

/* Bytes read, 0 at the orderly end, -EAGAIN, -errno. */
ssize_t wire_read(struct wire *w, void *buffer, size_t len);

/* Whether there may be more after `n` bytes were read into a buffer of `len`, though no end was
 * announced. A short read empties a socket; of TLS it ends with a record. */
static inline bool wire_more(const struct wire *w, size_t n, size_t len)
{
    return w->ssl || n == len;
}

/* Bytes written, -EAGAIN, -errno. */
ssize_t wire_write(struct wire *w, const void *data, size_t len);

/* The same for two pieces, of which the first may be empty. */
ssize_t wire_write_two(struct wire *w, const struct iovec parts[static 2]);

/* Whether its handshake took up an earlier session. */
bool wire_resumed(const struct wire *w);

/* Whether HTTP/2 was agreed on by ALPN. */
bool wire_is_h2(const struct wire *w);

/* Version, cipher suite and key exchange in words; "" if it is plain. */
void wire_describe(const struct wire *w, char *text, size_t size);

/* An error that one of these calls returned, in words. */
const char *wire_error(int error);

void wire_close(struct wire *w);

/* Frees the session. */
void wire_forget(struct wire *w);

#endif
