/* handshake.c -- from a plain stream to one with TLS, either side.
 *
 * A handshake is a few steps, each as far as what has arrived allows. Most cost some 100 us, which
 * a worker does itself. Signing with RSA costs much more, and meanwhile no other connection of this
 * worker would be served: so a step that may sign with a slow key goes to a helper thread, if
 * others are waiting for this worker, and with a very slow one always (4 ms are long also for who
 * comes next; the way to a helper and back is some 20 us). P-256 and Ed25519 sign in 20 to 40 us:
 * they stay. The strand is parked meanwhile, so the connection has one user at any time. */
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "runtime/blocking.h"
#include "runtime/runtime.h"
#include "tls/parts.h"

struct shake {
    struct tls *t;
    struct stream *st;
    enum slowness slowness;
    bool done, failed;
    bool plain_http;
    long verified;    /* X509_V_OK, or why not */
    char reason[128]; /* failed: OpenSSL's words */
};

/* ---- a step ---------------------------------------------------------------------------------- */

/* What was negotiated. The name is copied: OpenSSL's goes with the session it belongs to. */
static void note_info(struct tls *t)
{
    const unsigned char *alpn;
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &alpn, &len);
    t->info.version = SSL_get_version(t->ssl);
    t->info.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl));
    t->info.resumed = SSL_session_reused(t->ssl) == 1;
    t->info.sni = name != NULL && name[0] != '\0' ? strdup(name) : NULL;
    if (len == 8 && memcmp(alpn, "http/1.1", 8) == 0)
        t->info.alpn = WEIR_H1;
    else if (len == 2 && memcmp(alpn, "h2", 2) == 0)
        t->info.alpn = WEIR_H2;
}

static void note_failure(struct shake *s)
{
    unsigned long err = ERR_peek_last_error();

    s->failed = true;
    s->plain_http = ERR_GET_LIB(err) == ERR_LIB_SSL && ERR_GET_REASON(err) == SSL_R_HTTP_REQUEST;
    s->verified = SSL_get_verify_result(s->t->ssl);
    snprintf(s->reason, sizeof s->reason, "%s", policy_error());
}

static void step(void *arg)
{
    struct shake *s = arg;
    struct tls *t = s->t;

    ERR_clear_error();
    t->blocked = 0;
    if (SSL_do_handshake(t->ssl) == 1) {
        note_info(t);
        t->more = SSL_has_pending(t->ssl);
        t->up = s->done = true;
    } else if (t->blocked == 0) {
        note_failure(s);
    }
}

static int step_elsewhere(void *arg)
{
    step(arg);
    return 0;
}

static int take_step(struct shake *s)
{
    if (s->slowness == KEY_VERY_SLOW || (s->slowness == KEY_SLOW && rt_busy()))
        return blocking_run(step_elsewhere, s);
    rt_on_worker_stack(step, s);
    return 0;
}

/* 0, also if it failed in the protocol (s->failed). */
static int take_steps(struct shake *s, struct deadline until)
{
    for (;;) {
        struct tls *t = s->t;

        TRY(co_check());
        TRY(take_step(s));
        if (s->done || s->failed)
            return 0;
        if (slot_flags(slot_load(t->slot, t->blocked == BLOCKED_IN ? DIR_IN : DIR_OUT)) == 0)
            TRY(slot_wait(t->slot, t->blocked == BLOCKED_IN ? DIR_IN : DIR_OUT, until));
    }
}

/* ---- set-up and end -------------------------------------------------------------------------- */

struct making {
    struct tls *t;
    SSL_CTX *ctx;
};

static void make(void *arg)
{
    struct making *m = arg;
    struct tls *t = m->t;
    BIO *bio = bio_new(t);

    t->ssl = bio != NULL ? SSL_new(m->ctx) : NULL;
    if (t->ssl != NULL)
        SSL_set_bio(t->ssl, bio, bio); /* one reference for both directions */
    else
        BIO_free(bio);
}

static struct tls *tls_make(struct stream *st, SSL_CTX *ctx)
{
    struct making m = { .t = calloc(1, sizeof *m.t), .ctx = ctx };

    if (m.t == NULL)
        return NULL;
    m.t->slot = st->slot;
    m.t->drains = st->drains;
    rt_on_worker_stack(make, &m);
    if (m.t->ssl == NULL) {
        free(m.t);
        return NULL;
    }
    return m.t;
}

/* Puts it in between, or throws it away. */
static int settle(struct shake *s, int rc)
{
    if (rc < 0) {
        tls_free(s->t);
        return rc;
    }
    s->st->filter = &tls_filter;
    s->st->state = s->t;
    return 0;
}

/* The words of a wait that ended, of no memory, of cancelling. */
static int ended(int rc, char why[TLS_WHY])
{
    return rc < 0 ? tls_fault(why, rc, "%s", weir_error_text(rc)) : 0;
}

/* ---- the client's side of a listener --------------------------------------------------------- */

static int accept_failed(const struct shake *s, char why[TLS_WHY])
{
    const struct tls *t = s->t;

    if (t->eof || t->broken)
        return tls_fault(why, WEIR_ECLIENTGONE, "%s",
                         t->heard ? "closed amid the TLS handshake" : "");
    if (s->plain_http)
        return tls_fault(why, WEIR_EPLAINHTTP, "a plain request instead of a TLS handshake");
    return tls_fault(why, WEIR_ETLS, "%s", s->reason);
}

int tls_accept(struct stream *st, const struct tls_server *server, struct deadline until,
               char why[TLS_WHY])
{
    struct shake s = { .t = tls_make(st, server->ctx), .st = st, .slowness = server->slowness };
    int rc;

    if (s.t == NULL)
        return ended(WEIR_ENOMEM, why);
    SSL_set_accept_state(s.t->ssl);
    rc = ended(take_steps(&s, until), why);
    if (s.failed)
        rc = accept_failed(&s, why);
    return settle(&s, rc);
}

/* ---- our side to an upstream ----------------------------------------------------------------- */

/* What makes this handshake differ from others of the client: the address, and a session. */
struct aim {
    struct tls *t;
    const struct addr *to;
    bool ok;
};

static void take_aim(void *arg)
{
    struct aim *a = arg;
    struct tls_client *c = a->t->client;
    SSL_SESSION *session = client_session(c, a->t->address);

    SSL_set_connect_state(a->t->ssl);
    if (session != NULL) {
        SSL_set_session(a->t->ssl, session);
        SSL_SESSION_free(session);
    }
    a->ok = c->sni == NULL || SSL_set_tlsext_host_name(a->t->ssl, c->sni) == 1;
    if (a->ok && c->verify && !c->any_name && c->name == NULL)
        a->ok = X509_VERIFY_PARAM_set1_ip(SSL_get0_param(a->t->ssl), a->to->ip,
                                          a->to->kind == ADDR_V4 ? 4 : 16) == 1;
    ERR_clear_error();
}

static uint64_t address_hash(const struct addr *to)
{
    struct addr bare = { .kind = to->kind, .port = to->port, .scope = to->scope };

    if (to->kind == ADDR_UNIX)
        return hash_bytes(to->path, strlen(to->path));
    memcpy(bare.ip, to->ip, to->kind == ADDR_V4 ? 4 : sizeof bare.ip);
    return hash_bytes(&bare, sizeof bare);
}

static int mistrust(const struct shake *s, const struct addr *to, char why[TLS_WHY])
{
    const struct tls_client *c = s->t->client;
    const char *reason = X509_verify_cert_error_string(s->verified);
    char text[ADDR_TEXT];

    if (s->verified == X509_V_ERR_HOSTNAME_MISMATCH ||
        s->verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        addr_host(to, text);
        return tls_fault(why, WEIR_EUPCERT, "the certificate is not for %s",
                         c->name != NULL ? c->name : text);
    }
    return tls_fault(why, WEIR_EUPCERT, "%s", reason);
}

static int connect_failed(const struct shake *s, const struct addr *to, char why[TLS_WHY])
{
    const struct tls *t = s->t;

    if (t->client->verify && s->verified != X509_V_OK)
        return mistrust(s, to, why);
    if (t->broken)
        return tls_fault(why, WEIR_EUPTLS, "reset amid the TLS handshake");
    if (t->eof)
        return tls_fault(why, WEIR_EUPTLS, "closed amid the TLS handshake");
    return tls_fault(why, WEIR_EUPTLS, "%s", s->reason);
}

int tls_connect(struct stream *st, struct tls_client *client, const struct addr *to,
                struct deadline until, char why[TLS_WHY])
{
    struct shake s = { .st = st, .slowness = client->slowness };
    struct aim aim = { .to = to };
    int rc;

    if (client->verify && !client->any_name && client->name == NULL && to->kind == ADDR_UNIX)
        return tls_fault(why, WEIR_EINVALID,
                         "TLS to a Unix socket needs a name (sni) to verify, or no_verify");
    s.t = aim.t = tls_make(st, client->ctx);
    if (s.t == NULL)
        return ended(WEIR_ENOMEM, why);
    s.t->client = client;
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    s.t->address = address_hash(to);
    rt_on_worker_stack(take_aim, &aim);
    rc = aim.ok ? take_steps(&s, until) : WEIR_ENOMEM;
    rc = ended(rc, why);
    if (s.failed)
        rc = connect_failed(&s, to, why);
    return settle(&s, rc);
}
