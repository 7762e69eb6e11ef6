/* demo_tls.c -- what of the demo is OpenSSL: a certificate that signs itself, and the client's side
 * of TLS. Any program that uses the library may do this; the library itself is not asked. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "demo.h"

/* ---- the certificate ------------------------------------------------------------------------- */

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool added = e != NULL && X509_add_ext(x, e, -1) == 1;

    X509_EXTENSION_free(e);
    return added;
}

static bool fill_in(X509 *x, EVP_PKEY *key)
{
    enum { HOUR = 3600, MONTH = 30 * 24 * HOUR };
    X509_NAME *name = X509_get_subject_name(x);

    return X509_set_version(x, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_int64(X509_get_serialNumber(x), demo_now()) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), MONTH) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"weir demo",
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost") &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

static bool write_pem(X509 *x, EVP_PKEY *key, const char *name, char path[DEMO_ADDR])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    long len;
    bool written;

    if (bio == NULL)
        return false;
    written = x != NULL ? PEM_write_bio_X509(bio, x) == 1
                        : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    len = BIO_get_mem_data(bio, &bytes);
    written = written && len > 0 && demo_file(name, bytes, (size_t)len, path) >= 0;
    BIO_free(bio);
    return written;
}

bool demo_tls_certificate(char cert[DEMO_ADDR], char key[DEMO_ADDR])
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    bool made = pair != NULL && x != NULL && fill_in(x, pair) &&
                write_pem(x, NULL, "weir-demo-cert", cert) &&
                write_pem(NULL, pair, "weir-demo-key", key);

    X509_free(x);
    EVP_PKEY_free(pair);
    return made;
}

/* ---- the client ------------------------------------------------------------------------------ */

struct demo_tls_client {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest ticket: the next connection resumes with it */
};

struct demo_tls {
    SSL *ssl;
};

/* Takes over the session that OpenSSL offers: 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct demo_tls_client *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(t->session);
    t->session = session;
    return 1;
}

struct demo_tls_client *demo_tls_client_new(const char *cert)
{
    struct demo_tls_client *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (t->ctx == NULL || SSL_CTX_load_verify_file(t->ctx, cert) != 1 ||
        SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1) {
        demo_tls_client_free(&t);
        return NULL;
    }
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_app_data(t->ctx, t);
    SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(t->ctx, on_session);
    return t;
}

void demo_tls_client_free(struct demo_tls_client **t)
{
    if (*t == NULL)
        return;
    SSL_SESSION_free((*t)->session);
    SSL_CTX_free((*t)->ctx);
    free(*t);
    *t = NULL;
}

struct demo_tls *demo_tls_open(struct demo_tls_client *t, int fd)
{
    struct demo_tls *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->ssl = SSL_new(t->ctx);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 ||
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), "127.0.0.1") != 1 ||
        (t->session != NULL && SSL_set_session(c->ssl, t->session) != 1)) {
        demo_tls_close(&c);
        return NULL;
    }
    SSL_set_connect_state(c->ssl);
    return c;
}

void demo_tls_close(struct demo_tls **t)
{
    if (*t == NULL)
        return;
    if (SSL_is_init_finished((*t)->ssl))
        SSL_shutdown((*t)->ssl); /* a close_notify, if the socket takes it */
    ERR_clear_error();
    SSL_free((*t)->ssl);
    free(*t);
    *t = NULL;
}

bool demo_tls_resumed(const struct demo_tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}

static int result(struct demo_tls *t, int rc)
{
    int why = SSL_get_error(t->ssl, rc);

    ERR_clear_error();
    switch (why) {
    case SSL_ERROR_NONE:
        return rc;
    case SSL_ERROR_WANT_READ:
        return DEMO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return DEMO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        SSL_set_quiet_shutdown(t->ssl, 1); /* there is nobody left to be told */
        return DEMO_BROKEN;
    }
}

int demo_tls_read(struct demo_tls *t, void *buf, size_t len)
{
    ERR_clear_error();
    return result(t, SSL_read(t->ssl, buf, (int)len));
}

int demo_tls_write(struct demo_tls *t, const void *buf, size_t len)
{
    ERR_clear_error();
    return result(t, SSL_write(t->ssl, buf, (int)len));
}
