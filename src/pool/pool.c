/* pool.c -- taking, giving, bounding. Each way out of the pool ends in one of few functions, so
 * that places and counters stay right. */
#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "net/connect.h"
#include "pool/shard.h"
#include "pool/shared.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"

/* An idle connection older than this is peeked at before it is used again. */
#define FRESH (1 * WEIR_SEC)

static struct {
    struct shard *shards; /* one a worker */
    unsigned count, max_idle;

    /* Places taken: by idle connections, by those that are about to become idle, and those that
     * shards have kept. */
    _Alignas(CACHE_LINE) atomic_uint places;
} pool;

static struct slab upstreams;

/* Responses within the defaults of CONVENTIONS. */
static const struct h1_limits response_limits = {
    .max_head = 32 * 1024,
    .max_field = 16 * 1024,
    .max_target = 8 * 1024,
    .max_fields = 100,
};

int pool_start(unsigned max_idle)
{
    unsigned count = rt_workers();

    TRY(slab_start(&upstreams, &(struct slab_type){
                                   .size = sizeof(struct upstream),
                                   .max = 1 << 26,
                                   .retire = slab_forgotten,
                               }));
    pool.shards = aligned_alloc(CACHE_LINE, count * sizeof *pool.shards);
    if (pool.shards == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < count; i++)
        shard_init(&pool.shards[i]);
    pool.count = count;
    pool.max_idle = max_idle;
    shared_start();
    atomic_init(&pool.places, 0);
    return 0;
}

void pool_stop(void)
{
    for (unsigned i = 0; i < pool.count; i++)
        shard_done(&pool.shards[i]);
    free(pool.shards);
    pool.shards = NULL;
    pool.count = 0;
    slab_stop(&upstreams);
}

static struct shard *shard_of(const struct upstream *up)
{
    return &pool.shards[slot_home(up->h1.net.slot)];
}

static void count(struct shard *sh, uint64_t *counter, int step)
{
    spin_lock(&sh->lock);
    *counter += (uint64_t)step;
    spin_unlock(&sh->lock);
}

/* Ends a connection that has left the lists and gives its place back. */
static void leave(struct upstream *up)
{
    atomic_fetch_sub_explicit(&pool.places, 1, memory_order_relaxed);
    upstream_close(&up);
}

/* The shard whose oldest is older than the others'. The figures may be stale by now: a neighbour
 * in age is as good. */
static struct shard *oldest_shard(void)
{
    struct shard *oldest = pool.shards;
    int64_t since = INT64_MAX;

    for (unsigned i = 0; i < pool.count; i++) {
        int64_t at = atomic_load_explicit(&pool.shards[i].seen.oldest, memory_order_relaxed);

        if (at < since) {
            since = at;
            oldest = &pool.shards[i];
        }
    }
    return oldest;
}

static bool evict_from(struct shard *sh)
{
    struct upstream *up = shard_pop_oldest(sh);

    if (up == NULL)
        return false;
    count(sh, &sh->counts.evicted, 1);
    leave(up);
    return true;
}

static bool evict_oldest(void)
{
    if (evict_from(oldest_shard()))
        return true;
    for (unsigned i = 0; i < pool.count; i++) /* its connections were just being won by others */
        if (evict_from(&pool.shards[i]))
            return true;
    return false;
}

/* One that a shard has kept for a connection that was taken. */
static bool kept_place(void)
{
    for (unsigned i = 0; i < pool.count; i++) {
        struct shard *sh = &pool.shards[i];
        bool got;

        spin_lock(&sh->lock);
        got = shard_take_place(sh);
        spin_unlock(&sh->lock);
        if (got)
            return true;
    }
    return false;
}

/* A place for one more idle connection, at the cost of the oldest if need be: taken before
 * linking, so that there are never more than max_idle. A connection that is taken leaves its place
 * with its shard, where it will be given back: so this is for those that are new. */
static bool get_place(void)
{
    unsigned taken = atomic_fetch_add_explicit(&pool.places, 1, memory_order_relaxed);
    bool got;

    if (taken < pool.max_idle)
        return true;
    got = kept_place();
    if (!got && evict_oldest())
        return true; /* the place of that one is free */
    atomic_fetch_sub_explicit(&pool.places, 1, memory_order_relaxed);
    return got;
}

static void end(struct upstream *up, bool placed)
{
    if (placed)
        leave(up);
    else
        upstream_close(&up);
}

/* Makes a connection idle that is ours, with its place (`placed`) or one that it finds; or closes
 * it, if its peer closed it or talked, or there is no place. */
static void settle(struct upstream *up, bool placed)
{
    struct shard *sh = shard_of(up);
    struct slot *slot = up->h1.net.slot;
    int64_t until = deadline_in(up->idle_since, up->idle_timeout, 0).at;
    bool armed = false;

    while (!armed) {
        if (!stream_quiet(&up->h1.net, false)) {
            count(sh, &sh->counts.closed_by_peer, 1);
            end(up, placed);
            return;
        }
        if (!placed && atomic_load_explicit(&sh->seen.places, memory_order_relaxed) == 0) {
            if (!get_place()) {
                count(sh, &sh->counts.evicted, 1);
                end(up, false);
                return;
            }
            placed = true;
        }
        spin_lock(&sh->lock);
        if (sh->draining) {
            spin_unlock(&sh->lock);
            end(up, placed);
            return;
        }
        placed = placed || shard_take_place(sh);
        if (placed) {
            shard_link(sh, up);
            armed = slot_arm(slot, until);
            if (!armed)
                shard_unlink(sh, up);
        }
        spin_unlock(&sh->lock);
    }
}

/* Something was reported on an idle connection. It may have been an event of bytes read long
 * ago, which another worker held in its hands meanwhile: then it stays. */
static void on_ready(struct slot *slot, void *owner)
{
    struct upstream *up = owner;
    struct shard *sh = shard_of(up);

    (void)slot;
    spin_lock(&sh->lock);
    shard_unlink(sh, up);
    spin_unlock(&sh->lock);
    settle(up, true);
}

static void on_expire(struct slot *slot, void *owner)
{
    struct upstream *up = owner;
    struct shard *sh = shard_of(up);

    (void)slot;
    spin_lock(&sh->lock);
    shard_unlink(sh, up);
    sh->counts.expired++;
    spin_unlock(&sh->lock);
    leave(up);
}

static const struct slot_class upstream_class = {
    .name = "upstream",
    .ready = on_ready,
    .expire = on_expire,
};

void pool_give(struct upstream **given)
{
    struct upstream *up = *given;

    *given = NULL;
    up->requests++;
    up->idle_since = rt_now();
    h1_release(&up->h1);
    settle(up, false);
}

/* Bytes that came before our request would be taken for its answer (RUNTIME.md S10). The word is
 * looked at always; the kernel's buffer only where the word may be behind or a mistake would
 * cost more. */
static bool is_usable(struct upstream *up, bool look)
{
    struct stream *st = &up->h1.net;

    if (st->filter == NULL && slot_flags(slot_load(st->slot, DIR_IN)) != 0)
        return false;
    return stream_quiet(st, look || rt_now() - up->idle_since > FRESH);
}

static struct upstream *take_from(struct shard *sh, const struct peer_key *key, bool look)
{
    struct upstream *up;

    while ((up = shard_pop(sh, key)) != NULL) {
        if (is_usable(up, look)) {
            h1_next(&up->h1);
            return up;
        }
        spin_lock(&sh->lock);
        sh->counts.reused--; /* after all not */
        sh->counts.closed_by_peer++;
        spin_unlock(&sh->lock);
        upstream_close(&up);
    }
    return NULL;
}

struct upstream *pool_take(const struct peer_key *key, bool careful)
{
    unsigned own = rt_worker_id();
    struct upstream *up = NULL;

    ensure(own < pool.count);
    for (unsigned i = 0; i < pool.count && up == NULL; i++) {
        struct shard *sh = &pool.shards[(own + i) % pool.count];

        /* A shard of another worker: its events may be on their way through that worker's hands. */
        if (atomic_load_explicit(&sh->seen.idle, memory_order_relaxed) > 0)
            up = take_from(sh, key, careful || i > 0);
    }
    return up;
}

int upstream_open(const struct peer_key *key, const struct addr *addr, const struct addr *from,
                  weir_dur idle_timeout, struct deadline until, struct upstream **out)
{
    struct upstream *up = slab_get(&upstreams, NULL);
    struct stream net;
    int rc;

    *out = NULL;
    if (up == NULL)
        return WEIR_ENOMEM;
    rc = net_connect(addr, from, &upstream_class, up, until, &net);
    if (rc < 0) {
        slab_put(&upstreams, NULL, up);
        return rc;
    }
    *up = (struct upstream){
        .item = up->item,
        .addr = *addr,
        .node = shard_hold(&pool.shards[slot_home(net.slot)], key),
        .idle_timeout = idle_timeout,
        .ref = slot_name(net.slot),
    };
    if (up->node == NULL) {
        stream_close(&net, false);
        slab_put(&upstreams, NULL, up);
        return WEIR_ENOMEM;
    }
    if (addr->kind == ADDR_UNIX)
        up->addr.path = up->node->bytes + KEY_HOST_AT;
    link_init(&up->by_peer);
    link_init(&up->by_age);
    h1_init(&up->h1, H1_CLIENT, net, &response_limits);
    *out = up;
    return 0;
}

void upstream_close(struct upstream **closed)
{
    struct upstream *up = *closed;
    struct shard *sh;

    if (up == NULL)
        return;
    *closed = NULL;
    sh = shard_of(up);
    h1_close(&up->h1);
    shard_drop(sh, up->node);
    slab_put(&upstreams, NULL, up);
}

void upstream_let_go(struct upstream **gone)
{
    struct upstream *up = *gone;

    *gone = NULL;
    shard_drop(shard_of(up), up->node);
    slab_put(&upstreams, NULL, up);
}

void pool_drain(void)
{
    shared_drain();
    for (unsigned i = 0; i < pool.count; i++) {
        struct shard *sh = &pool.shards[i];
        struct upstream *up;

        spin_lock(&sh->lock);
        sh->draining = true;
        spin_unlock(&sh->lock);
        while ((up = shard_pop_oldest(sh)) != NULL)
            leave(up);
    }
}

void pool_stats(struct pool_stats *out)
{
    *out = (struct pool_stats){ .opened = 0 };
    shared_stats(&out->reused);
    for (unsigned i = 0; i < pool.count; i++) /* nobody else holds two of them */
        spin_lock(&pool.shards[i].lock);
    for (unsigned i = 0; i < pool.count; i++) {
        struct shard *sh = &pool.shards[i];

        out->opened += sh->counts.opened;
        out->reused += sh->counts.reused;
        out->evicted += sh->counts.evicted;
        out->expired += sh->counts.expired;
        out->closed_by_peer += sh->counts.closed_by_peer;
        out->idle += sh->counts.idle;
    }
    for (unsigned i = pool.count; i-- > 0;)
        spin_unlock(&pool.shards[i].lock);
}
