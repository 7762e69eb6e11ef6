/* policy.c -- what we agree to: Mozilla's "intermediate" (version 5), for both sides, but without
 * finite-field Diffie-Hellman, whose handshakes cost a server far more than a client
 * (CVE-2002-20001) and which no client needs that knows elliptic curves. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tls/parts.h"

static const char ciphers[] = /* of TLS 1.2 */
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const char suites[] = /* of TLS 1.3, best first */
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

static const char groups[] = "X25519:P-256:P-384";

SSL_CTX *policy_ctx(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL)
        return NULL;
    /* IGNORE_UNEXPECTED_EOF: a FIN without close_notify must not end our own direction as well. It
     * is noticed all the same (tls.eof). */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, suites) == 1 && SSL_CTX_set_cipher_list(ctx, ciphers) == 1 &&
        SSL_CTX_set1_groups_list(ctx, groups) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* Measured per signature on one core: P-256 20 us, Ed25519 40 us, RSA-2048 and P-521 0.3 ms, P-384
 * 0.8 ms, RSA-3072 1.8 ms, RSA-4096 4 ms. */
enum slowness policy_slowness(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return EVP_PKEY_get_bits(key) > 2048 ? KEY_VERY_SLOW : KEY_SLOW;
    return EVP_PKEY_get_bits(key) > 256 ? KEY_SLOW : KEY_FAST;
}

const char *tls_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const char *policy_error(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason != NULL ? reason : "unknown";
}

int tls_fault(char why[TLS_WHY], int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, TLS_WHY, fmt, ap);
    va_end(ap);
    return err;
}
