/* key.c -- a peer as bytes: kind, port, zone, host, group, and all that decides what TLS to it
 * means. Every part has a fixed size or its length before it, so no two peers share a key. */
#include <stdlib.h>

#include "base/hash.h"
#include "pool/shard.h"

struct writer {
    char *at, *end;
    bool full;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (len > (size_t)(w->end - w->at)) {
        w->full = true;
        return;
    }
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void put_host(struct writer *w, const struct addr *addr)
{
    const void *host = addr->kind == ADDR_UNIX ? (const void *)addr->path : addr->ip;
    uint16_t len = addr->kind == ADDR_V4   ? 4
                   : addr->kind == ADDR_V6 ? 16
                                           : (uint16_t)(strlen(addr->path) + 1); /* and its NUL */

    put(w, &len, sizeof len);
    put(w, host, len);
}

static void put_text(struct writer *w, weir_str text)
{
    uint32_t len = (uint32_t)MIN(text.len, UINT32_MAX);

    put(w, &len, sizeof len);
    if (text.len > 0)
        put(w, text.ptr, text.len);
}

/* Two peers that differ in one of these must not share a connection: it was made, and trusted,
 * under the other's terms. */
static void put_tls(struct writer *w, const struct weir_peer *peer)
{
    put(w, &peer->no_verify, sizeof peer->no_verify);
    put(w, &peer->any_name, sizeof peer->any_name);
    put(w, &peer->alpn, sizeof peer->alpn);
    put_text(w, peer->sni);
    put_text(w, peer->alt_name);
    put_text(w, peer->ca_file);
    put_text(w, peer->cert_file);
    put_text(w, peer->key_file);
}

int peer_key_make(struct peer_key *key, const struct addr *addr, const struct weir_peer *peer)
{
    struct writer w = { .at = key->bytes, .end = key->bytes + sizeof key->bytes };
    bool tls = peer->tls || peer->sni.len > 0;

    put(&w, &addr->kind, sizeof addr->kind);
    put(&w, &addr->port, sizeof addr->port);
    put(&w, &addr->scope, sizeof addr->scope);
    put_host(&w, addr);
    put_text(&w, peer->group);
    put_text(&w, peer->bind);
    put(&w, &tls, sizeof tls);
    if (tls)
        put_tls(&w, peer);
    if (w.full)
        return WEIR_EINVALID;
    key->len = (size_t)(w.at - key->bytes);
    key->hash = hash_bytes(key->bytes, key->len);
    return 0;
}

struct peer_key *peer_key_plain(const struct addr *addr)
{
    struct peer_key *key = malloc(sizeof *key), *small;

    if (key == NULL)
        return NULL;
    ensure(peer_key_make(key, addr, &(struct weir_peer){ .tls = false }) == 0);
    small = realloc(key, offsetof(struct peer_key, bytes) + key->len);
    return small != NULL ? small : key;
}
