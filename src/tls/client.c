/* client.c -- what connections to a peer share, by identity, and the sessions it offers.
 *
 * The identity is all that decides whom we trust and who we are: so a session, which skips the
 * certificates, is offered only where a full handshake would have asked the same. Identities are
 * found in a short list, last used first, which is only looked at when a connection is opened. */
#include <stdlib.h>

#include "base/hash.h"
#include "runtime/blocking.h"
#include "runtime/runtime.h"
#include "runtime/spin.h"
#include "tls/parts.h"

enum { CLIENTS_MAX = 256, KEY_MAX = 4096 };

static struct {
    struct spin lock;
    struct tls_client *first;
    unsigned count;
    pthread_mutex_t loading; /* one at a time: who comes second finds what the first has loaded */
} clients = { .loading = PTHREAD_MUTEX_INITIALIZER };

/* ---- identities ------------------------------------------------------------------------------ */

struct client_key {
    uint64_t hash;
    size_t len;
    char bytes[KEY_MAX];
};

static bool put(struct client_key *k, const void *bytes, size_t len)
{
    if (len > sizeof k->bytes - k->len)
        return false;
    if (len > 0)
        memcpy(k->bytes + k->len, bytes, len);
    k->len += len;
    return true;
}

static bool put_text(struct client_key *k, weir_str text)
{
    uint32_t len = (uint32_t)MIN(text.len, KEY_MAX + 1);

    return put(k, &len, sizeof len) && put(k, text.ptr, len);
}

static bool make_key(struct client_key *k, const struct weir_peer *peer)
{
    k->len = 0;
    if (!put(k, &peer->no_verify, sizeof peer->no_verify) ||
        !put(k, &peer->any_name, sizeof peer->any_name) ||
        !put(k, &peer->alpn, sizeof peer->alpn) || !put_text(k, peer->sni) ||
        !put_text(k, peer->alt_name) || !put_text(k, peer->ca_file) ||
        !put_text(k, peer->cert_file) || !put_text(k, peer->key_file))
        return false;
    k->hash = hash_bytes(k->bytes, k->len);
    return true;
}

static void put_last(struct tls_client *c, struct tls_client **free_it)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        *free_it = c;
}

static void client_free(struct tls_client *c)
{
    client_unload(c);
    for (unsigned i = 0; c->sessions != NULL && i < CLIENT_SESSIONS; i++)
        SSL_SESSION_free(c->sessions->kept[i].session);
    free(c->sessions);
    free(c->key);
    free(c);
}

/* Finds it, moves it to the front, takes a reference. The lock is held. */
static struct tls_client *find(const struct client_key *k)
{
    for (struct tls_client **at = &clients.first, *c; (c = *at) != NULL; at = &c->next) {
        if (c->hash == k->hash && c->key_len == k->len && memcmp(c->key, k->bytes, k->len) == 0) {
            *at = c->next;
            c->next = clients.first;
            clients.first = c;
            atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
            return c;
        }
    }
    return NULL;
}

static struct tls_client *look_up(const struct client_key *k)
{
    struct tls_client *c;

    spin_lock(&clients.lock);
    c = find(k);
    spin_unlock(&clients.lock);
    return c;
}

/* In front, with the list's own reference; the one that was used longest ago makes room. */
static void enlist(struct tls_client *c)
{
    struct tls_client *gone = NULL, *free_it = NULL;

    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    spin_lock(&clients.lock);
    c->next = clients.first;
    clients.first = c;
    if (++clients.count > CLIENTS_MAX) {
        struct tls_client **at = &clients.first;

        while ((*at)->next != NULL)
            at = &(*at)->next;
        gone = *at;
        *at = NULL;
        clients.count--;
    }
    spin_unlock(&clients.lock);
    if (gone != NULL)
        put_last(gone, &free_it);
    if (free_it != NULL)
        client_free(free_it);
}

/* ---- made on first use ----------------------------------------------------------------------- */

struct loading {
    const struct weir_peer *peer;
    const struct client_key *key;
    struct tls_client *made;
    char *why;
};

static int load_new(struct loading *l)
{
    struct tls_client *c = calloc(1, sizeof *c);
    int rc = WEIR_ENOMEM;

    if (c == NULL)
        return WEIR_ENOMEM;
    atomic_init(&c->refs, 1);
    c->hash = l->key->hash;
    c->key_len = l->key->len;
    c->key = malloc(l->key->len);
    c->sessions = calloc(1, sizeof *c->sessions);
    if (c->key != NULL && c->sessions != NULL) {
        memcpy(c->key, l->key->bytes, l->key->len);
        rc = client_load(l->peer, c, l->why);
    }
    if (rc < 0) {
        client_free(c);
        return rc;
    }
    enlist(c);
    l->made = c;
    return 0;
}

/* On a helper thread. */
static int load(void *arg)
{
    struct loading *l = arg;
    int rc = 0;

    pthread_mutex_lock(&clients.loading);
    l->made = look_up(l->key);
    if (l->made == NULL)
        rc = load_new(l);
    pthread_mutex_unlock(&clients.loading);
    return rc;
}

int tls_client_get(const struct weir_peer *peer, struct tls_client **out, char why[TLS_WHY])
{
    struct client_key *key = malloc(sizeof *key);
    struct loading l = { .peer = peer, .key = key, .why = why };
    int rc = 0;

    *out = NULL;
    tls_fault(why, 0, "%s", weir_error_text(WEIR_ENOMEM));
    if (key == NULL)
        return WEIR_ENOMEM;
    if (!make_key(key, peer))
        rc = tls_fault(why, WEIR_EINVALID, "name and files of a peer are longer than 4 KiB");
    if (rc == 0)
        l.made = look_up(key);
    if (rc == 0 && l.made == NULL)
        rc = co_inside() ? blocking_run(load, &l) : load(&l);
    free(key);
    *out = l.made;
    return rc;
}

void tls_client_put(struct tls_client **client)
{
    struct tls_client *free_it = NULL;

    if (*client != NULL)
        put_last(*client, &free_it);
    *client = NULL;
    if (free_it != NULL)
        client_free(free_it);
}

void tls_clients_forget(void)
{
    struct tls_client *list;

    spin_lock(&clients.lock);
    list = clients.first;
    clients.first = NULL;
    clients.count = 0;
    spin_unlock(&clients.lock);
    while (list != NULL) {
        struct tls_client *c = list;

        list = c->next;
        tls_client_put(&c);
    }
    client_forget_store();
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* Kept and handed out as copies: a connection writes into the session that it has (one that breaks
 * marks it as not to be resumed), and connections of one client live on several workers. */

static struct kept_session *place_of(struct tls_client *c, uint64_t address)
{
    return &c->sessions->kept[address % CLIENT_SESSIONS];
}

SSL_SESSION *client_session(struct tls_client *c, uint64_t address)
{
    struct kept_session *kept = place_of(c, address);
    SSL_SESSION *session = NULL;

    spin_lock(&c->sessions->lock);
    if (kept->session != NULL && kept->address == address)
        session = SSL_SESSION_dup(kept->session);
    spin_unlock(&c->sessions->lock);
    return session;
}

void client_keep(struct tls_client *c, uint64_t address, SSL_SESSION *session)
{
    struct kept_session *kept = place_of(c, address);
    SSL_SESSION *copy = SSL_SESSION_dup(session), *before;

    if (copy == NULL)
        return;

    spin_lock(&c->sessions->lock);
    before = kept->session;
    *kept = (struct kept_session){ .address = address, .session = copy };
    spin_unlock(&c->sessions->lock);
    SSL_SESSION_free(before);
}
