/* wire.c -- see wire.h. */
#include "common/wire.h"

#include "common/tls.h"
#include "common/tool.h"

#include <errno.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tls_said[256]; /* about the last -EPROTO */

static void use_tls(struct wire *w, SSL_CTX *tls, bool server)
{
    w->ssl = SSL_new(tls);
    if (!w->ssl || !SSL_set_fd(w->ssl, w->fd))
        die(EXIT_FAILURE, "TLS: %s", tls_error());
    if (server) {
        SSL_set_accept_state(w->ssl);
        return;
    }
    SSL_set_connect_state(w->ssl);
    SSL_set_tlsext_host_name(w->ssl, "bench.example");
    if (w->session)
        SSL_set_session(w->ssl, w->session);
}

int wire_open(struct wire *w, const struct address *address, SSL_CTX *tls)
{
    int fd = sock_connect(address);

    w->fd = fd < 0 ? -1 : fd;
    w->ssl = NULL;
    if (fd >= 0 && tls)
        use_tls(w, tls, false);
    return fd < 0 ? fd : 0;
}

void wire_accept(struct wire *w, int fd, SSL_CTX *tls)
{
    *w = (struct wire){ .fd = fd };
    if (tls)
        use_tls(w, tls, true);
}

/* What a call of OpenSSL that returned `rc` <= 0 means; 0 is the peer's end. */
static int tls_result(struct wire *w, int rc)
{
    int error = errno;

    switch (SSL_get_error(w->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        tls_error();
        return error ? -error : -ECONNRESET;
    default:
        snprintf(tls_said, sizeof(tls_said), "%s", tls_error());
        return -EPROTO;
    }
}

int wire_ready(struct wire *w)
{
    int rc = sock_result(w->fd);

    if (rc < 0 || !w->ssl)
        return rc;
    errno = 0;
    rc = SSL_do_handshake(w->ssl);
    if (rc == 1)
        return 0;
    rc = tls_result(w, rc);
    return rc == 0 ? -ECONNRESET : rc;
}

ssize_t wire_read(struct wire *w, void *buffer, size_t len)
{
    ssize_t n;

    if (w->ssl) {
        errno = 0;
        n = SSL_read(w->ssl, buffer, len < INT_MAX ? (int)len : INT_MAX);
        return n > 0 ? n : tls_result(w, (int)n);
    }
    n = recv(w->fd, buffer, len, 0);
    return n < 0 ? -errno : n;
}

ssize_t wire_write(struct wire *w, const void *data, size_t len)
{
    ssize_t n;

    if (w->ssl) {
        errno = 0;
        n = SSL_write(w->ssl, data, len < INT_MAX ? (int)len : INT_MAX);
        if (n > 0)
            return n;
        n = tls_result(w, (int)n);
        return n == 0 ? -EPIPE : n;
    }
    n = send(w->fd, data, len, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

ssize_t wire_write_two(struct wire *w, const struct iovec parts[static 2])
{
    struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = 2 };
    const struct iovec *first = &parts[parts[0].iov_len == 0];
    ssize_t n;

    if (w->ssl)
        return wire_write(w, first->iov_base, first->iov_len);
    n = sendmsg(w->fd, &message, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

bool wire_resumed(const struct wire *w)
{
    return w->ssl && SSL_session_reused(w->ssl);
}

bool wire_is_h2(const struct wire *w)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    if (w->ssl)
        SSL_get0_alpn_selected(w->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

void wire_describe(const struct wire *w, char *text, size_t size)
{
    text[0] = '\0';
    if (w->ssl)
        snprintf(text, size, "%s %s %s", SSL_get_version(w->ssl), SSL_get_cipher_name(w->ssl),
                 OBJ_nid2sn((int)SSL_get_negotiated_group(w->ssl)));
}

const char *wire_error(int error)
{
    return error == EPROTO && tls_said[0] ? tls_said : strerror(error);
}

/* The last ticket that came, or the session that was taken up. */
static void keep_session(struct wire *w)
{
    SSL_SESSION *session = SSL_get1_session(w->ssl);

    if (!session || !SSL_SESSION_is_resumable(session)) {
        SSL_SESSION_free(session);
        return;
    }
    wire_forget(w);
    w->session = session;
}

void wire_close(struct wire *w)
{
    if (w->ssl && w->resume)
        keep_session(w);
    if (w->ssl) {
        /* Not a word to the peer; without this OpenSSL would take the session for spoilt. */
        SSL_set_shutdown(w->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(w->ssl);
        w->ssl = NULL;
    }
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

void wire_forget(struct wire *w)
{
    SSL_SESSION_free(w->session);
    w->session = NULL;
}
