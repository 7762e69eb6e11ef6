/* shared_peers.c -- who is known: what each peer speaks, its connections, and who waits for one. */
#include <stdlib.h>

#include "pool/shared_parts.h"
#include "runtime/runtime.h"

enum { PARTS = 64, KNOWN_MAX = 256 /* peers without a connection, in a part */ };

static struct part parts[PARTS];

struct part *peers_part(uint64_t hash)
{
    return &parts[(hash >> 8) % PARTS];
}

struct peer *peers_find(struct part *part, const struct peer_key *key)
{
    struct peer *p = part->peers;

    while (p != NULL && (p->hash != key->hash || p->len != key->len ||
                         memcmp(p->bytes, key->bytes, key->len) != 0))
        p = p->next;
    return p;
}

static bool in_use(const struct peer *p)
{
    return p->opening > 0 || !link_alone(&p->conns) || !link_alone(&p->waiters);
}

/* Forgets who is known for nothing, or, when they are many, only for speaking HTTP/1. */
void peers_forget(struct part *part)
{
    bool many = part->known > KNOWN_MAX;
    int64_t now = rt_now();

    for (struct peer **at = &part->peers; *at != NULL;) {
        struct peer *p = *at;

        if (in_use(p) || (!many && p->h1_until > now)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        part->known--;
        free(p);
    }
}

struct peer *peers_make(struct part *part, const struct peer_key *key)
{
    struct peer *p = peers_find(part, key);

    if (p != NULL)
        return p;
    if (part->known >= KNOWN_MAX)
        peers_forget(part);
    p = malloc(sizeof *p + key->len);
    if (p == NULL)
        return NULL;
    *p = (struct peer){ .next = part->peers, .hash = key->hash, .len = key->len };
    link_init(&p->conns);
    link_init(&p->waiters);
    memcpy(p->bytes, key->bytes, key->len);
    part->peers = p;
    part->known++;
    return p;
}

void peers_attempt_over(struct peer *p, int err)
{
    if (p->opening > 0)
        p->opening--;
    while (!link_alone(&p->waiters)) {
        struct waiter *w = container_of(p->waiters.next, struct waiter, link);

        link_remove(&w->link);
        w->over = true;
        w->err = err;
        event_set(&w->event); /* the last touch: its stack may go */
    }
}

void peers_each_conn(void (*fn)(struct shared *c))
{
    for (size_t i = 0; i < PARTS; i++) {
        struct part *part = &parts[i];

        spin_lock(&part->lock);
        for (struct peer *p = part->peers; p != NULL; p = p->next)
            for (struct link *l = p->conns.next; l != &p->conns; l = l->next)
                fn(container_of(l, struct shared, link));
        spin_unlock(&part->lock);
    }
}
