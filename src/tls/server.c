/* server.c -- what all connections to a listener share. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "tls/parts.h"

/* What we speak, best first, as ALPN writes it. */
static const struct {
    unsigned bit;
    const char *name;
    unsigned char len;
} protocols[] = {
    { WEIR_H2, "h2", 2 },
    { WEIR_H1, "http/1.1", 8 },
};

/* RFC 7301 3.2: a client with which we have nothing in common is refused. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_server *s = arg;

    (void)ssl;
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (!(s->alpn & protocols[i].bit))
            continue;
        for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
            if (in[at] == protocols[i].len &&
                memcmp(in + at + 1, protocols[i].name, protocols[i].len) == 0) {
                *out = in + at + 1;
                *out_len = in[at];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void print_date(const ASN1_TIME *at, char out[RFC3339_LEN + 1])
{
    struct tm tm = { 0 };

    ASN1_TIME_to_tm(at, &tm);
    strftime(out, RFC3339_LEN, "%Y-%m-%d %H:%M UTC", &tm);
}

/* A certificate out of its time is served: the one that renews it may come by this very server. */
static void check_dates(struct tls_server *s, const X509 *cert, const char *path)
{
    char date[RFC3339_LEN + 1];

    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        print_date(X509_get0_notAfter(cert), date);
        tls_fault(s->warning, 0, "%s: the certificate expired on %s", path, date);
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        print_date(X509_get0_notBefore(cert), date);
        tls_fault(s->warning, 0, "%s: the certificate is not valid before %s", path, date);
    }
}

/* The context that sessions belong to: the certificate, so that no ticket opens another's door. */
static bool name_sessions(SSL_CTX *ctx, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    return X509_digest(cert, EVP_sha256(), digest, &len) == 1 &&
           SSL_CTX_set_session_id_context(ctx, digest, MIN(len, SSL_MAX_SID_CTX_LENGTH)) == 1;
}

static int prepare(struct tls_server *s, const struct pem_pair *pair, const char *cert,
                   char why[TLS_WHY])
{
    TRY(pem_use_pair(s->ctx, pair, cert, why));
    SSL_CTX_set_alpn_select_cb(s->ctx, choose_protocol, s);
    SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF); /* tickets need no memory */
    if (!name_sessions(s->ctx, pair->cert))
        return WEIR_ENOMEM;
    s->tickets = tickets_new(s->ctx);
    s->slowness = policy_slowness(pair->key);
    check_dates(s, pair->cert, cert);
    return s->tickets != NULL ? 0 : WEIR_ENOMEM;
}

int tls_server_new(const struct tls_server_config *config, struct tls_server **out,
                   char why[TLS_WHY])
{
    struct tls_server *s = calloc(1, sizeof *s);
    struct pem_pair pair;
    int rc;

    *out = NULL;
    tls_fault(why, 0, "%s", weir_error_text(WEIR_ENOMEM));
    if (s == NULL)
        return WEIR_ENOMEM;
    s->alpn = config->alpn != 0 ? config->alpn : WEIR_H2 | WEIR_H1;
    s->ctx = policy_ctx(TLS_server_method());
    rc = s->ctx != NULL ? pem_read_pair(config->cert, config->key, config->shared_key, &pair, why)
                        : WEIR_ENOMEM;
    if (rc == 0) {
        rc = prepare(s, &pair, config->cert, why);
        pem_pair_done(&pair);
    }
    if (rc < 0)
        tls_server_free(&s);
    *out = s;
    return rc;
}

void tls_server_free(struct tls_server **server)
{
    struct tls_server *s = *server;

    *server = NULL;
    if (s == NULL)
        return;
    SSL_CTX_free(s->ctx);
    tickets_free(&s->tickets);
    free(s);
}

const char *tls_server_warning(const struct tls_server *s)
{
    return s->warning[0] != '\0' ? s->warning : NULL;
}
