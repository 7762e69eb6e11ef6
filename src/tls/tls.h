/* tls.h -- TLS on a stream, either side. Only this folder knows that it is OpenSSL.
 *
 * Two things are shared by all workers and made once: a `struct tls_server` for each listener
 * (certificate, key, ticket keys) and a `struct tls_client` for each identity of a peer (name, CAs,
 * certificate of ours, sessions to resume). A connection is a plain stream until tls_accept or
 * tls_connect put TLS in between; its state is touched by its strand alone. docs/tls.md tells what
 * is on by default and why. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <weir/peer.h>

#include "net/stream.h"

struct tls_server;
struct tls_client;

enum { TLS_WHY = 320 }; /* room for the words of a failure */

/* What was negotiated, as long as the connection has TLS. */
struct tls_info {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_128_GCM_SHA256"; static */
    const char *sni;     /* the name asked for; NULL: none */
    unsigned    alpn;    /* WEIR_H1, WEIR_H2; 0: nothing was negotiated, which means HTTP/1.1 */
    bool        resumed; /* an earlier session went on */
};

/* NULL: the stream is plain. */
const struct tls_info *tls_info(const struct stream *st);

/* "3.0.19": the version of OpenSSL that is loaded. Static. */
const char *tls_library(void);

/* For protocols that want them: a hash that protects nothing, and bytes that nobody can guess. 0,
 * or WEIR_EINTERNAL. */
enum { TLS_SHA1 = 20 };
int tls_sha1(weir_str text, unsigned char out[TLS_SHA1]);
int tls_random(void *out, size_t len);

/* ---- listeners ------------------------------------------------------------------------------- */

struct tls_server_config {
    const char *cert, *key; /* PEM files; key NULL: it is in `cert` */
    unsigned    alpn;       /* WEIR_H1 | WEIR_H2; 0: both */
    bool        shared_key; /* others may read or write the key file */
};

/* Reads the files, which may block. 0, or WEIR_EINVALID or WEIR_ENOMEM with words that name file
 * and reason in `why`. It serves any number of listeners and workers at once. */
must_use int tls_server_new(const struct tls_server_config *config, struct tls_server **out,
                            char why[TLS_WHY]);
void         tls_server_free(struct tls_server **server); /* NULL: nothing; connections go on */

/* Something to tell at the start that does not prevent it (an expired certificate), or NULL. */
const char *tls_server_warning(const struct tls_server *server);

/* The client's handshake. 0, and the stream has TLS; or, with words in `why`, and the stream is
 * plain again and can only be closed: WEIR_ETLS; WEIR_EPLAINHTTP (it sent a plain request);
 * WEIR_ECLIENTGONE (it closed or reset; `why` is empty if it had not said anything); the
 * deadline's error; WEIR_ECANCELED; WEIR_ENOMEM. Blocks. */
must_use int tls_accept(struct stream *st, const struct tls_server *server, struct deadline until,
                        char why[TLS_WHY]);

/* ---- upstreams ------------------------------------------------------------------------------- */

/* Does this peer want TLS? */
static inline bool tls_wanted(const struct weir_peer *peer)
{
    return peer->tls || peer->sni.len > 0;
}

/* What all connections to such peers share, with a reference for the caller. The first time it is
 * made, which reads files on a helper thread and blocks; from then on it is looked up. 0; or
 * WEIR_EINVALID (a file, a name) with words in `why`; WEIR_ENOMEM. */
must_use int tls_client_get(const struct weir_peer *peer, struct tls_client **out,
                            char why[TLS_WHY]);
void         tls_client_put(struct tls_client **client); /* NULL: nothing */

/* Forgets all of them (a server that ends). */
void tls_clients_forget(void);

/* The handshake with a peer at `to`. 0, and the stream has TLS; or, with words in `why`, and the
 * stream is plain again and can only be closed: WEIR_EUPCERT, WEIR_EUPTLS, WEIR_EINVALID (TLS to a
 * Unix socket without a name to verify), the deadline's error, WEIR_ECANCELED, WEIR_ENOMEM.
 * Blocks. */
must_use int tls_connect(struct stream *st, struct tls_client *client, const struct addr *to,
                         struct deadline until, char why[TLS_WHY]);

#endif
