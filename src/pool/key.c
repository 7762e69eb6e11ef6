/* key.c -- a peer as bytes: kind, port, zone, length and bytes of the host, length and bytes of
 * the group. Every part has a fixed size or its length before it, so no two peers share a key. */
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

int peer_key_make(struct peer_key *key, const struct addr *addr, weir_str group)
{
    struct writer w = { .at = key->bytes, .end = key->bytes + sizeof key->bytes };
    uint32_t group_len = (uint32_t)group.len;

    if (group.len > sizeof key->bytes)
        return WEIR_EINVALID;
    put(&w, &addr->kind, sizeof addr->kind);
    put(&w, &addr->port, sizeof addr->port);
    put(&w, &addr->scope, sizeof addr->scope);
    put_host(&w, addr);
    put(&w, &group_len, sizeof group_len);
    if (group.len > 0)
        put(&w, group.ptr, group.len);
    if (w.full)
        return WEIR_EINVALID;
    key->len = (size_t)(w.at - key->bytes);
    key->hash = hash_bytes(key->bytes, key->len);
    return 0;
}
