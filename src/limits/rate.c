/* rate.c -- a hash of chains in each shard, and a list of its keys from the oldest window to the
 * newest: since all windows are equally long, those that are over are always at its front. Entries
 * lie together: the last one moves to the place of one that leaves. So what a peak took is behind
 * them, and goes back to the kernel. */
#include "limits/rate.h"

#include <stdalign.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "runtime/spin.h"

enum {
    SHARED = 1024, /* places of a shard for keys that found none of their own */
    LET_GO = 8,    /* old keys that leave when a new one comes: more than come, at a bounded cost */
    SPARE = 16384, /* bytes of a shard that stay for keys to come, and the least that goes back */
};

/* Packed, for 40 bytes a key. */
struct count {
    int64_t since; /* its window began */
    uint32_t events;
} __attribute__((packed, aligned(4)));

/* Entries are named by their number. Number 0 is the end of chains, and the head of the list. */
struct entry {
    struct hash128 key;
    struct count count;
    uint32_t next;         /* in its chain */
    uint32_t older, newer; /* in the list, a ring */
};

struct shard {
    alignas(64) struct spin lock;
    bool crowded;          /* some key has once found no place */
    uint32_t used;         /* the entries 1 to `used` are in the list, and no others */
    size_t touched;        /* so many bytes of the entries have memory */
    struct entry *entries; /* from the beginning of a page */
    uint32_t *chains;
    struct count *shared;
};

struct weir_rate {
    struct shard shards[RATE_SHARDS];
    struct hash_secret secret;
    weir_dur window;
    uint32_t keys;   /* of a shard */
    uint32_t chains; /* of a shard, a power of two */
    size_t page;
    size_t size; /* of the whole mapping */
};

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* One mapping, whose pages take memory when they are touched; small ones, for few keys touch
 * few. */
struct weir_rate *rate_new(weir_dur window, uint32_t keys)
{
    uint32_t each = keys / RATE_SHARDS, chains = 1;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
    size_t first = round_up(sizeof(struct weir_rate), page);
    size_t entries = round_up((each + 1) * sizeof(struct entry), page);
    struct weir_rate *r;
    char *at;

    ensure(each > 0 && keys % RATE_SHARDS == 0 && window > 0);
    while (chains < each)
        chains *= 2;
    size =
        first + RATE_SHARDS * (entries + chains * sizeof(uint32_t) + SHARED * sizeof(struct count));
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_NOHUGEPAGE); /* fails where there is no THP */
    r = (struct weir_rate *)at;
    at += first;
    hash_secret_init(&r->secret);
    r->window = window;
    r->keys = each;
    r->chains = chains;
    r->page = page;
    r->size = size;
    for (unsigned i = 0; i < RATE_SHARDS; i++, at += entries)
        r->shards[i].entries = (struct entry *)at;
    for (unsigned i = 0; i < RATE_SHARDS; i++, at += chains * sizeof(uint32_t))
        r->shards[i].chains = (uint32_t *)at;
    for (unsigned i = 0; i < RATE_SHARDS; i++, at += SHARED * sizeof(struct count))
        r->shards[i].shared = (struct count *)at;
    return r;
}

void rate_free(struct weir_rate **r)
{
    if (*r != NULL)
        munmap(*r, (*r)->size);
    *r = NULL;
}

/* ---- the places of a shard, under its lock --------------------------------------------------- */

static uint32_t *chain_of(struct weir_rate *r, struct shard *sh, struct hash128 key)
{
    return &sh->chains[key.low & (r->chains - 1)];
}

static uint32_t find(struct weir_rate *r, struct shard *sh, struct hash128 key)
{
    uint32_t i = *chain_of(r, sh, key);

    while (i != 0 && (sh->entries[i].key.low != key.low || sh->entries[i].key.high != key.high))
        i = sh->entries[i].next;
    return i;
}

/* Where it is said that `i` is next in its chain. */
static uint32_t *link_of(struct weir_rate *r, struct shard *sh, uint32_t i)
{
    uint32_t *link = chain_of(r, sh, sh->entries[i].key);

    while (*link != i)
        link = &sh->entries[*link].next;
    return link;
}

static void let_go(struct weir_rate *r, struct shard *sh, uint32_t i)
{
    struct entry *all = sh->entries;
    uint32_t last = sh->used--;

    *link_of(r, sh, i) = all[i].next;
    all[all[i].older].newer = all[i].newer;
    all[all[i].newer].older = all[i].older;
    if (i == last)
        return;
    *link_of(r, sh, last) = i;
    all[all[last].older].newer = i;
    all[all[last].newer].older = i;
    all[i] = all[last];
}

/* What nobody is in any more, but for some; in pieces, as the lock is held. */
static void give_back(struct weir_rate *r, struct shard *sh)
{
    size_t keep = round_up((sh->used + 1) * sizeof(struct entry) + SPARE, r->page);

    if (sh->touched < keep + SPARE)
        return;
    madvise((char *)sh->entries + keep, sh->touched - keep, MADV_DONTNEED);
    sh->touched = keep;
}

/* A place for a key that has none, as the newest; 0: there is none. */
static uint32_t enter(struct weir_rate *r, struct shard *sh, struct hash128 key, struct count count)
{
    struct entry *all = sh->entries;
    uint32_t *chain = chain_of(r, sh, key), newest = all[0].older, i;

    if (sh->used == r->keys)
        return 0;
    i = ++sh->used;
    sh->touched = MAX(sh->touched, (i + 1) * sizeof *all);
    all[i] = (struct entry){ .key = key, .count = count, .next = *chain, .older = newest };
    *chain = i;
    all[newest].newer = all[0].older = i;
    return i;
}

/* ---- counting -------------------------------------------------------------------------------- */

static bool is_over(const struct weir_rate *r, const struct count *c, int64_t now)
{
    return c->events == 0 || now - c->since >= r->window;
}

static void forget_old(struct weir_rate *r, struct shard *sh, int64_t now)
{
    for (unsigned n = 0; n < LET_GO; n++) {
        uint32_t oldest = sh->entries[0].newer;

        if (oldest == 0 || !is_over(r, &sh->entries[oldest].count, now))
            break;
        let_go(r, sh, oldest);
    }
    give_back(r, sh);
}

/* Where the key is counted now; NULL: nothing of it is. A key without a place of its own may have
 * been counted in its shared one. */
static struct count *look(struct weir_rate *r, struct shard *sh, struct hash128 key, int64_t now)
{
    struct count *shared = &sh->shared[key.high / RATE_SHARDS % SHARED];
    uint32_t i = find(r, sh, key);

    if (i != 0 && !is_over(r, &sh->entries[i].count, now))
        return &sh->entries[i].count;
    return sh->crowded && !is_over(r, shared, now) ? shared : NULL;
}

/* The place where events of this key are to be counted: its own; else a new one, which begins with
 * what its shared place has counted; else the shared one. */
static struct count *place(struct weir_rate *r, struct shard *sh, struct hash128 key, int64_t now)
{
    struct count *shared = &sh->shared[key.high / RATE_SHARDS % SHARED];
    struct count fresh = { .since = now };
    uint32_t i = find(r, sh, key);

    if (i != 0 && !is_over(r, &sh->entries[i].count, now))
        return &sh->entries[i].count;
    if (i != 0)
        let_go(r, sh, i);
    forget_old(r, sh, now);
    if (sh->crowded && !is_over(r, shared, now))
        fresh = *shared;
    i = enter(r, sh, key, fresh);
    if (i != 0)
        return &sh->entries[i].count;
    sh->crowded = true;
    *shared = fresh;
    return shared;
}

unsigned rate_observe(struct weir_rate *r, weir_str key, unsigned n, int64_t now)
{
    struct hash128 hash = hash_keyed(&r->secret, key.ptr, key.len);
    struct shard *sh = &r->shards[hash.high % RATE_SHARDS];
    struct count *c;
    unsigned events = 0;

    spin_lock(&sh->lock);
    c = n > 0 ? place(r, sh, hash, now) : look(r, sh, hash, now);
    if (c != NULL) {
        events = n < UINT32_MAX - c->events ? c->events + n : UINT32_MAX;
        c->events = events;
    }
    spin_unlock(&sh->lock);
    return events;
}

weir_dur rate_left(struct weir_rate *r, weir_str key, int64_t now)
{
    struct hash128 hash = hash_keyed(&r->secret, key.ptr, key.len);
    struct shard *sh = &r->shards[hash.high % RATE_SHARDS];
    const struct count *c;
    weir_dur left = 0;

    spin_lock(&sh->lock);
    c = look(r, sh, hash, now);
    if (c != NULL)
        left = r->window - MAX(now - c->since, 0);
    spin_unlock(&sh->lock);
    return left;
}

unsigned weir_rate_observe(struct weir_rate *r, weir_str key, unsigned n)
{
    if (key.ptr == NULL)
        key.len = 0; /* absent, whatever its length */
    return r != NULL ? rate_observe(r, key, n, clock_now()) : n;
}

weir_dur weir_rate_left(struct weir_rate *r, weir_str key)
{
    if (key.ptr == NULL)
        key.len = 0;
    return r != NULL ? rate_left(r, key, clock_now()) : 0;
}
