/* tickets.c -- keys for session tickets, new ones every few hours.
 *
 * A ticket is the session itself, sealed with a key of ours: whoever gets that key later can read
 * the TLS 1.2 sessions that were recorded. OpenSSL keeps one key for ever. Ours are drawn at
 * random, seal for KEY_LIFE and open for as long again, and never leave the process. All workers
 * share them under a lock that is held for a copy. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tls/parts.h"

#define KEY_LIFE (6 * 3600 * WEIR_SEC)

enum { NAME_LEN = 16, SEAL_LEN = 32, MAC_LEN = 32 };

struct ticket_key {
    unsigned char name[NAME_LEN], seal[SEAL_LEN], mac[MAC_LEN];
    int64_t made; /* 0: not yet */
};

struct tickets {
    pthread_mutex_t lock;
    struct ticket_key keys[2]; /* the one that seals, and the one before it */
};

static bool draw(struct ticket_key *key, int64_t now)
{
    key->made = now;
    return RAND_bytes(key->name, NAME_LEN) == 1 && RAND_priv_bytes(key->seal, SEAL_LEN) == 1 &&
           RAND_priv_bytes(key->mac, MAC_LEN) == 1;
}

/* The key to seal with now. */
static bool sealing_key(struct tickets *t, struct ticket_key *out)
{
    int64_t now = clock_now();
    bool found = true;

    pthread_mutex_lock(&t->lock);
    if (now - t->keys[0].made >= KEY_LIFE) {
        struct ticket_key fresh;

        found = draw(&fresh, now);
        if (found) {
            t->keys[1] = t->keys[0];
            t->keys[0] = fresh;
        }
        OPENSSL_cleanse(&fresh, sizeof fresh);
    }
    *out = t->keys[0];
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* The key of that name: 1 it seals still, 2 it only opens, 0 unknown or too old. */
static int opening_key(struct tickets *t, const unsigned char *name, struct ticket_key *out)
{
    int64_t now = clock_now();
    int found = 0;

    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < 2 && found == 0; i++) {
        const struct ticket_key *key = &t->keys[i];

        if (key->made != 0 && now - key->made < 2 * KEY_LIFE &&
            CRYPTO_memcmp(key->name, name, NAME_LEN) == 0) {
            *out = *key;
            found = i == 0 && now - key->made < KEY_LIFE ? 1 : 2;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static bool start_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, MAC_LEN),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 go on, 2 go on and send a new ticket, 0 no ticket,
 * -1 failed. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int seal)
{
    struct tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    int rc = 1;
    bool started;

    if (seal) {
        if (!sealing_key(t, &key) || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
            return -1;
        memcpy(name, key.name, NAME_LEN);
        started = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.seal, iv) == 1;
    } else {
        rc = opening_key(t, name, &key);
        if (rc == 0)
            return 0;
        if (SSL_version(ssl) == TLS1_3_VERSION)
            rc = 2; /* clients use a ticket once (RFC 8446 C.4): they get another each time */
        started = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.seal, iv) == 1;
    }
    started = started && start_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    return started ? rc : -1;
}

struct tickets *tickets_new(SSL_CTX *ctx)
{
    struct tickets *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    if (!draw(&t->keys[0], clock_now()) || SSL_CTX_set_app_data(ctx, t) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) != 1)
        tickets_free(&t);
    return t;
}

void tickets_free(struct tickets **tickets)
{
    struct tickets *t = *tickets;

    *tickets = NULL;
    if (t == NULL)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t, sizeof *t);
    free(t);
}
