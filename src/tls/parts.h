/* parts.h -- what the files of this folder share. */
#ifndef TLS_PARTS_H
#define TLS_PARTS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "runtime/spin.h"
#include "tls/tls.h"

/* A connection's TLS: what stream.state points to. */
struct tls {
    struct tls_info info;
    SSL *ssl;
    struct slot *slot;
    struct tls_client *client; /* a reference; NULL: we are the server */
    uint64_t address;          /* client: hash of the peer's address, for its sessions */
    uint8_t end;               /* END_*: why there is nothing more to read */
    uint8_t blocked;           /* the last look at the socket found nothing to do: BLOCKED_* */
    bool drains;               /* as stream.drains */
    bool look;                 /* ask the kernel also without a reported event */
    bool more;                 /* OpenSSL holds bytes that were not looked at yet */
    bool heard;                /* a byte has come */
    bool eof;                  /* the peer's FIN was read */
    bool broken;               /* the socket failed */
    bool up;                   /* the handshake is over */
};

enum { BLOCKED_IN = 1, BLOCKED_OUT = 2 };
enum { END_NOT, END_CLEAN, END_CUT, END_FAILED, END_BROKEN };

static inline struct tls *tls_of(const struct stream *st)
{
    return st->state;
}

/* bio.c: OpenSSL's way to the socket, through the slot. NULL without memory. */
BIO *bio_new(struct tls *t);

/* policy.c: a context with what both sides have in common. NULL without memory. `level` of keys and
 * signatures is the system's. */
SSL_CTX *policy_ctx(const SSL_METHOD *method);

/* Is signing with this key so slow that others should not wait for it? */
enum slowness { KEY_FAST, KEY_SLOW, KEY_VERY_SLOW };
enum slowness policy_slowness(const EVP_PKEY *key);

/* Words for what OpenSSL failed with last on this thread, and nothing of it is left. */
const char *policy_error(void);

/* Printed into `why`; returns `err`. */
int tls_fault(char why[TLS_WHY], int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* pem.c: certificate chain and key from files. 0, WEIR_EINVALID, WEIR_ENOMEM. They may block. */
struct pem_pair {
    X509 *cert;
    STACK_OF(X509) *chain; /* without it */
    EVP_PKEY *key;
};
must_use int pem_read_pair(const char *cert, const char *key, bool shared_key, struct pem_pair *out,
                           char why[TLS_WHY]);
void         pem_pair_done(struct pem_pair *pair);
must_use int pem_use_pair(SSL_CTX *ctx, const struct pem_pair *pair, const char *cert,
                          char why[TLS_WHY]);

/* Adds the certificates of a file to a store of trusted ones. */
must_use int pem_read_store(const char *path, X509_STORE *store, char why[TLS_WHY]);

/* server.c */
struct tickets;
struct tls_server {
    SSL_CTX *ctx;
    struct tickets *tickets;
    enum slowness slowness;
    unsigned alpn; /* WEIR_H1 | WEIR_H2 */
    char warning[TLS_WHY];
};

/* tickets.c: keys for session tickets that change with time; the context owns nothing of it.
 * NULL without memory or randomness. */
struct tickets *tickets_new(SSL_CTX *ctx);
void            tickets_free(struct tickets **tickets);

/* client.c */
/* Sessions of a client by address: a table in which a newer one takes the place. */
enum { CLIENT_SESSIONS = 64 };

struct kept_session {
    uint64_t address;
    SSL_SESSION *session;
};

struct client_sessions {
    struct spin lock;
    struct kept_session kept[CLIENT_SESSIONS];
};

struct tls_client {
    struct tls_client *next; /* in the list, last used first */
    atomic_uint refs;
    uint64_t hash;
    size_t key_len;
    char *key;   /* all that makes it, as bytes */
    SSL_CTX *ctx;
    char *name;      /* that the certificate has to carry; NULL: the address */
    char *alt;       /* or this one; NULL: no other */
    const char *sni; /* that is asked for: `name`, unless it is an address; NULL: none */
    bool verify;     /* is the certificate looked at? */
    bool any_name;   /* but not whose it is */
    enum slowness slowness; /* of our own key */
    struct client_sessions *sessions;
};

/* The session to offer to that address, a copy for the caller; NULL: none. */
SSL_SESSION *client_session(struct tls_client *c, uint64_t address);

/* Keeps a copy of a session for that address. */
void client_keep(struct tls_client *c, uint64_t address, SSL_SESSION *session);

/* client_load.c: the context of a client, from files; may block for long. */
must_use int client_load(const struct weir_peer *peer, struct tls_client *c, char why[TLS_WHY]);
void         client_unload(struct tls_client *c);
void         client_forget_store(void); /* the system's CAs */

/* stream.c */
extern const struct stream_filter tls_filter;
void tls_free(struct tls *t); /* without a word to the peer */

#endif
