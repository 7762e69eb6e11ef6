/* client_load.c -- the context for an identity of a peer: whom it trusts, who it is, what it
 * speaks. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"
#include "tls/parts.h"

/* The system's CAs are read once. A folder of hashed names would be read during handshakes. */
static X509_STORE *system_store; /* guarded by the lock of client.c, under which all here runs */

static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
    "/etc/ssl/cert.pem",
};

static const char *bundle(void)
{
    const char *path = getenv(X509_get_default_cert_file_env()); /* SSL_CERT_FILE */

    if (path != NULL && path[0] != '\0')
        return path;
    for (size_t i = 0; i < ARRAY_LEN(bundles); i++)
        if (access(bundles[i], R_OK) == 0)
            return bundles[i];
    return NULL;
}

static int read_store(const char *path, X509_STORE **out, char why[TLS_WHY])
{
    X509_STORE *store = X509_STORE_new();
    int rc = store != NULL ? pem_read_store(path, store, why) : WEIR_ENOMEM;

    *out = rc == 0 ? store : NULL;
    if (rc < 0)
        X509_STORE_free(store);
    return rc;
}

static int use_system_store(SSL_CTX *ctx, char why[TLS_WHY])
{
    if (system_store == NULL) {
        const char *path = bundle();

        if (path == NULL)
            return tls_fault(why, WEIR_EINVALID,
                             "this system has no list of CAs (package ca-certificates); "
                             "SSL_CERT_FILE or a file of the peer's CA can name one");
        TRY(read_store(path, &system_store, why));
    }
    SSL_CTX_set1_cert_store(ctx, system_store);
    return 0;
}

void client_forget_store(void)
{
    X509_STORE_free(system_store);
    system_store = NULL;
}

/* A text of the peer as a C string, or NULL for an empty one. */
static int text_of(weir_str text, char **out, const char *what, char why[TLS_WHY])
{
    *out = NULL;
    if (text.len == 0)
        return 0;
    if (memchr(text.ptr, '\0', text.len) != NULL)
        return tls_fault(why, WEIR_EINVALID, "%s: a NUL in it", what);
    *out = strndup(text.ptr, text.len);
    return *out != NULL ? 0 : WEIR_ENOMEM;
}

/* OpenSSL lets `*` stand for letters, digits and hyphens alone, but names of hosts in use have
 * underscores in their first label. In its place stands one that no certificate was made for, so
 * that nothing but a wildcard covers it. */
static int add_host(X509_VERIFY_PARAM *param, const char *name)
{
    const char *dot = strchr(name, '.');
    char other[TLSEXT_MAXLEN_host_name + 20];
    struct random random;

    if (X509_VERIFY_PARAM_add1_host(param, name, 0) != 1)
        return WEIR_ENOMEM;
    if (dot == NULL || memchr(name, '_', (size_t)(dot - name)) == NULL)
        return 0;
    random_init(&random);
    snprintf(other, sizeof other, "u%016" PRIx64 "%s", random_next(&random), dot);
    return X509_VERIFY_PARAM_add1_host(param, other, 0) == 1 ? 0 : WEIR_ENOMEM;
}

/* The names of certificates are those of RFC 9525: the common name of the subject is none. */
static int verify_name(struct tls_client *c)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c->ctx);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (c->name == NULL || c->any_name)
        return 0; /* the address of each connection, or nothing */
    if (c->sni == NULL)
        return X509_VERIFY_PARAM_set1_ip_asc(param, c->name) == 1 ? 0 : WEIR_ENOMEM;
    TRY(add_host(param, c->name));
    return c->alt != NULL ? add_host(param, c->alt) : 0;
}

static bool is_ip(const char *name)
{
    unsigned char ip[16];

    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

/* The name of a host as peers write it: without the dot that ends an absolute one, which is neither
 * sent (RFC 6066 3) nor in certificates. */
static int name_of(weir_str text, char **out, const char *what, char why[TLS_WHY])
{
    if (text.len > 1 && text.ptr[text.len - 1] == '.')
        text.len--;
    TRY(text_of(text, out, what, why));
    return *out == NULL || strlen(*out) <= TLSEXT_MAXLEN_host_name
               ? 0
               : tls_fault(why, WEIR_EINVALID, "%s: longer than 255 bytes", what);
}

/* Another name, beside one. */
static int set_alt(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    TRY(name_of(peer->alt_name, &c->alt, "alt_name", why));
    if (c->alt == NULL)
        return 0;
    if (c->sni == NULL || is_ip(c->alt))
        return tls_fault(why, WEIR_EINVALID, "alt_name: a host name beside an sni that is one");
    return 0;
}

/* The name; an address that stands in its place is not sent (RFC 6066 3). */
static int set_name(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    TRY(name_of(peer->sni, &c->name, "sni", why));
    if (c->name != NULL && !is_ip(c->name))
        c->sni = c->name;
    return set_alt(peer, c, why);
}

static int set_trust(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    X509_STORE *store;
    char *path;
    int rc;

    c->verify = !peer->no_verify;
    c->any_name = peer->any_name;
    if (!c->verify)
        return 0;
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    TRY(verify_name(c));
    TRY(text_of(peer->ca_file, &path, "ca_file", why));
    if (path == NULL)
        return use_system_store(c->ctx, why);
    rc = read_store(path, &store, why);
    if (rc == 0)
        SSL_CTX_set_cert_store(c->ctx, store);
    free(path);
    return rc;
}

static int use_pair(const char *cert, const char *key, struct tls_client *c, char why[TLS_WHY])
{
    struct pem_pair pair;
    int rc;

    if (cert == NULL)
        return tls_fault(why, WEIR_EINVALID, "key_file without cert_file");
    TRY(pem_read_pair(cert, key, false, &pair, why));
    rc = pem_use_pair(c->ctx, &pair, cert, why);
    c->slowness = policy_slowness(pair.key);
    pem_pair_done(&pair);
    return rc;
}

static int set_certificate(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    char *cert = NULL, *key = NULL;
    int rc = text_of(peer->cert_file, &cert, "cert_file", why);

    if (rc == 0)
        rc = text_of(peer->key_file, &key, "key_file", why);
    if (rc == 0 && (cert != NULL || key != NULL))
        rc = use_pair(cert, key, c, why);
    free(cert);
    free(key);
    return rc;
}

static int set_protocols(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    static const char both[] = "\x02h2\x08http/1.1";
    size_t from = peer->alpn & WEIR_H2 ? 0 : 3, to = peer->alpn & WEIR_H1 ? sizeof both - 1 : 3;

    if (peer->alpn == 0)
        return 0;
    if (from >= to)
        return tls_fault(why, WEIR_EINVALID, "alpn: neither WEIR_H1 nor WEIR_H2");
    return SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)both + from,
                                   (unsigned)(to - from)) == 0
               ? 0
               : WEIR_ENOMEM;
}

/* The peer has sent a session. 0: OpenSSL's reference is not taken over. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = BIO_get_data(SSL_get_rbio(ssl));

    client_keep(t->client, t->address, session);
    return 0;
}

int client_load(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY])
{
    c->ctx = policy_ctx(TLS_client_method());
    if (c->ctx == NULL)
        return WEIR_ENOMEM;
    TRY(set_name(peer, c, why));
    TRY(set_trust(peer, c, why));
    TRY(set_certificate(peer, c, why));
    TRY(set_protocols(peer, c, why));
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, on_session);
    return 0;
}

void client_unload(struct tls_client *c)
{
    SSL_CTX_free(c->ctx);
    free(c->name);
    free(c->alt);
}
