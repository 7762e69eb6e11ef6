/* tls.c -- see tls.h. */
#include "common/tls.h"

#include "common/tool.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { READ_AHEAD = 64 << 10 };

static const char suite_1_3[] = "TLS_AES_128_GCM_SHA256";
static const char suite_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
static const char groups[] = "X25519:P-256";

const char *tls_error(void)
{
    static char text[256];
    unsigned long error = ERR_peek_last_error();

    ERR_clear_error();
    if (error == 0)
        return "";
    ERR_error_string_n(error, text, sizeof(text));
    return text;
}

static void must(int rc, const char *what)
{
    if (rc != 1)
        die(EXIT_FAILURE, "%s: %s", what, tls_error());
}

static SSL_CTX *make(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    must(ctx != NULL, "TLS");
    must(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION), "TLS 1.2");
    must(SSL_CTX_set1_groups_list(ctx, groups), groups);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* Lengths tell whether all is there, so an end without close_notify can hide nothing. */
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
    return ctx;
}

SSL_CTX *tls_client(enum tls_version version, bool h2)
{
    SSL_CTX *ctx = make(TLS_client_method());

    must(SSL_CTX_set_ciphersuites(ctx, suite_1_3), suite_1_3);
    must(SSL_CTX_set_cipher_list(ctx, suite_1_2), suite_1_2);
    if (version == TLS_1_2)
        must(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), "TLS 1.2");
    if (version == TLS_1_3)
        must(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), "TLS 1.3");
    if (h2)
        must(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\2h2", 3) == 0, "ALPN");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    /* Off: whoever wants to resume keeps the session itself. OpenSSL's cache would drop one of TLS
     * 1.3 after a single use, and not every server hands out a new one then. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                     const unsigned char *in, unsigned len, void *arg)
{
    (void)ssl, (void)arg;
    for (unsigned i = 0; i < len; i += in[i] + 1u)
        if (in[i] == 2 && len - i > 2 && memcmp(in + i + 1, "h2", 2) == 0) {
            *out = in + i + 1;
            *out_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *tls_server(const char *cert, const char *key, bool h2)
{
    SSL_CTX *ctx = make(TLS_server_method());

    must(SSL_CTX_use_certificate_chain_file(ctx, cert), cert);
    must(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), key);
    must(SSL_CTX_check_private_key(ctx), key);
    if (h2)
        SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
    return ctx;
}
