/* shard.c -- the lists and the table of one shard. */
#include "pool/shard.h"

#include <stdlib.h>

void shard_init(struct shard *sh)
{
    memset(sh, 0, sizeof *sh);
    link_init(&sh->by_age);
    link_init(&sh->spares);
    atomic_init(&sh->seen.idle, 0);
    atomic_init(&sh->seen.places, 0);
    atomic_init(&sh->seen.oldest, INT64_MAX);
}

void shard_done(struct shard *sh)
{
    for (size_t i = 0; i < SHARD_BUCKETS; i++) {
        for (struct pool_node *n = sh->buckets[i], *next; n != NULL; n = next) {
            next = n->next;
            free(n);
        }
    }
}

static struct pool_node **bucket_of(struct shard *sh, uint64_t hash)
{
    return &sh->buckets[hash % SHARD_BUCKETS];
}

static struct pool_node *find(struct shard *sh, const struct peer_key *key)
{
    struct pool_node *n = *bucket_of(sh, key->hash);

    while (n != NULL && (n->hash != key->hash || n->len != key->len ||
                         memcmp(n->bytes, key->bytes, key->len) != 0))
        n = n->next;
    return n;
}

static struct pool_node *node_new(const struct peer_key *key)
{
    struct pool_node *n = malloc(sizeof *n + key->len);

    if (n == NULL)
        return NULL;
    *n = (struct pool_node){ .hash = key->hash, .len = key->len };
    link_init(&n->idle);
    link_init(&n->spare);
    memcpy(n->bytes, key->bytes, key->len);
    return n;
}

static void insert(struct shard *sh, struct pool_node *n)
{
    struct pool_node **bucket = bucket_of(sh, n->hash);

    n->next = *bucket;
    *bucket = n;
}

static void take_out(struct shard *sh, struct pool_node *n)
{
    struct pool_node **at = bucket_of(sh, n->hash);

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
}

struct pool_node *shard_hold(struct shard *sh, const struct peer_key *key)
{
    struct pool_node *fresh = NULL, *n;

    spin_lock(&sh->lock);
    n = find(sh, key);
    if (n == NULL) {
        spin_unlock(&sh->lock); /* malloc may take its time */
        fresh = node_new(key);
        if (fresh == NULL)
            return NULL;
        spin_lock(&sh->lock);
        n = find(sh, key);
        if (n == NULL) {
            insert(sh, fresh);
            n = fresh;
            fresh = NULL;
        }
    }
    if (!link_alone(&n->spare)) {
        link_remove(&n->spare);
        sh->spare_count--;
    }
    n->refs++;
    sh->counts.opened++;
    spin_unlock(&sh->lock);
    free(fresh);
    return n;
}

void shard_drop(struct shard *sh, struct pool_node *node)
{
    struct pool_node *victim = NULL;

    spin_lock(&sh->lock);
    if (--node->refs == 0) {
        link_after(&sh->spares, &node->spare);
        if (++sh->spare_count > SHARD_SPARES) {
            victim = container_of(sh->spares.prev, struct pool_node, spare);
            link_remove(&victim->spare);
            take_out(sh, victim);
            sh->spare_count--;
        }
    }
    spin_unlock(&sh->lock);
    free(victim);
}

/* Tells the others; exact enough for them: they lock before they act. */
static void publish(struct shard *sh)
{
    int64_t oldest = INT64_MAX;

    if (!link_alone(&sh->by_age))
        oldest = container_of(sh->by_age.prev, struct upstream, by_age)->idle_since;
    atomic_store_explicit(&sh->seen.idle, sh->counts.idle, memory_order_relaxed);
    atomic_store_explicit(&sh->seen.oldest, oldest, memory_order_relaxed);
}

void shard_link(struct shard *sh, struct upstream *up)
{
    link_after(&up->node->idle, &up->by_peer);
    link_after(&sh->by_age, &up->by_age);
    sh->counts.idle++;
    publish(sh);
}

void shard_unlink(struct shard *sh, struct upstream *up)
{
    link_remove(&up->by_peer);
    link_remove(&up->by_age);
    sh->counts.idle--;
    publish(sh);
}

static void add_places(struct shard *sh, int n)
{
    unsigned places = atomic_load_explicit(&sh->seen.places, memory_order_relaxed);

    atomic_store_explicit(&sh->seen.places, places + (unsigned)n, memory_order_relaxed);
}

bool shard_take_place(struct shard *sh)
{
    if (atomic_load_explicit(&sh->seen.places, memory_order_relaxed) == 0)
        return false;
    add_places(sh, -1);
    return true;
}

/* A connection that cannot be won has been won by somebody who waits for our lock: the next one
 * then. */
struct upstream *shard_pop(struct shard *sh, const struct peer_key *key)
{
    struct upstream *won = NULL;

    spin_lock(&sh->lock);
    struct pool_node *n = find(sh, key);

    if (n != NULL) {
        for (struct link *l = n->idle.next; l != &n->idle && won == NULL; l = l->next) {
            struct upstream *up = container_of(l, struct upstream, by_peer);

            if (slot_take(up->ref))
                won = up;
        }
    }
    if (won != NULL) {
        shard_unlink(sh, won);
        add_places(sh, 1);
        sh->counts.reused++;
    }
    spin_unlock(&sh->lock);
    return won;
}

struct upstream *shard_pop_oldest(struct shard *sh)
{
    struct upstream *won = NULL;

    spin_lock(&sh->lock);
    for (struct link *l = sh->by_age.prev; l != &sh->by_age && won == NULL; l = l->prev) {
        struct upstream *up = container_of(l, struct upstream, by_age);

        if (slot_take(up->ref))
            won = up;
    }
    if (won != NULL)
        shard_unlink(sh, won);
    spin_unlock(&sh->lock);
    return won;
}
