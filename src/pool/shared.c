/* shared.c -- peers, their connections, and who waits for one.
 *
 * All of it is under the lock of its part of the table: a connection is taken, becomes idle and
 * leaves the table in critical sections, so whoever finds it there may use it. */
#include "pool/shared.h"

#include <stdlib.h>

#include "base/clock.h"
#include "runtime/event.h"
#include "runtime/runtime.h"
#include "runtime/spin.h"

#define REMEMBER (600 * WEIR_SEC) /* that a peer speaks HTTP/1 */

enum { PARTS = 64, KNOWN_MAX = 256 /* peers without a connection, in a part */ };

/* Who waits for a connection that another request opens. On its stack. */
struct waiter {
    struct link link;
    struct event event;
    bool over; /* the attempt is */
    int err;   /* why it failed */
};

struct peer {
    struct peer *next;
    struct link conns, waiters;
    unsigned opening;
    int64_t h1_until;
    bool only_h1; /* until then, even if it would negotiate otherwise */
    uint64_t hash;
    size_t len;
    char bytes[];
};

struct shared {
    struct link link; /* peer.conns, the one used last first */
    struct peer *peer;
    struct h2_conn *h2;
    struct stream net;
    struct slot_ref ref;
    weir_dur idle_timeout;
    bool idle;    /* armed: nobody serves it */
    bool settled; /* how many streams it takes is known: others than its maker may use it */
    bool turn;    /* it is the attempt that others wait for */
};

struct part {
    struct spin lock;
    struct peer *peers;
    unsigned known;
};

static struct {
    struct part parts[PARTS];
    _Atomic uint64_t reused;
    _Atomic unsigned waiting;
    _Atomic bool draining;
} all;

static const struct h1_limits response_limits = {
    .max_head = 64 * 1024,
    .max_field = 32 * 1024,
    .max_target = 8 * 1024,
    .max_fields = 200,
};

static const struct h2_config config = {
    .limits = &response_limits,
    .header_timeout = 60 * WEIR_SEC,
    .send_timeout = 60 * WEIR_SEC,
    .max_streams = H2_STREAMS,
    .max_requests = UINT64_MAX,
};

static struct part *part_of(uint64_t hash)
{
    return &all.parts[(hash >> 8) % PARTS];
}

/* ---- peers ----------------------------------------------------------------------------------- */

static struct peer *find(struct part *part, const struct peer_key *key)
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
static void forget(struct part *part)
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

static struct peer *find_or_make(struct part *part, const struct peer_key *key)
{
    struct peer *p = find(part, key);

    if (p != NULL)
        return p;
    if (part->known >= KNOWN_MAX)
        forget(part);
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

/* An attempt is over: those who waited look again, or fail with it. */
static void attempt_over(struct peer *p, int err)
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

/* ---- connections ----------------------------------------------------------------------------- */

static void end(struct shared *c)
{
    h2_free(&c->h2);
    stream_close(&c->net, false);
    free(c);
}

static void take_out(struct part *part, struct shared *c)
{
    link_remove(&c->link);
    forget(part);
}

/* Becomes idle, if nobody has opened a stream meanwhile. */
static bool rest(struct part *part, struct shared *c)
{
    bool armed = false;

    spin_lock(&part->lock);
    if (h2_open_count(c->h2) == 0 && !atomic_load(&all.draining) && !stream_pending(&c->net)) {
        c->idle = true;
        armed = slot_arm(c->net.slot, deadline_in(rt_now(), c->idle_timeout, 0).at);
        c->idle = armed;
    }
    spin_unlock(&part->lock);
    return armed;
}

/* How many streams it takes is known, or that it takes none. Under the lock. */
static void settle(struct shared *c, int err)
{
    c->settled = true;
    if (c->turn)
        attempt_over(c->peer, err);
    c->turn = false;
}

static void on_settled(void *owner)
{
    struct shared *c = owner;
    struct part *part = part_of(c->peer->hash);

    spin_lock(&part->lock);
    settle(c, 0);
    spin_unlock(&part->lock);
}

/* Of one that ended before it was settled. */
static int why_ended(const struct shared *c)
{
    const char *fault;
    int err = h2_error(c->h2, &fault);

    return err != 0 && weir_error_source(err) == WEIR_SRC_UPSTREAM ? err : WEIR_EUPCLOSED;
}

/* Nobody finds it any more. False: somebody has just opened a stream on it. */
static bool leave_table(struct part *part, struct shared *c)
{
    bool alone;

    spin_lock(&part->lock);
    alone = h2_open_count(c->h2) == 0;
    if (alone) {
        settle(c, why_ended(c));
        take_out(part, c);
    }
    spin_unlock(&part->lock);
    return alone;
}

/* The strand of a connection while it is in use. */
static void serve(void *owner)
{
    struct shared *c = owner;
    struct part *part = part_of(c->peer->hash);

    co_label("HTTP/2", "serving an upstream connection");
    for (;;) {
        enum h2_next next;

        if (atomic_load(&all.draining))
            h2_drain(c->h2);
        next = h2_serve(c->h2, LIT(""));
        if (next == H2_IDLE && rest(part, c))
            return;
        if (next == H2_CLOSE && leave_table(part, c))
            break;
    }
    end(c);
}

/* Something was reported while it was idle: nobody but its strand can tell what. */
static void on_ready(struct slot *slot, void *owner)
{
    struct shared *c = owner;
    struct part *part = part_of(c->peer->hash);

    spin_lock(&part->lock);
    c->idle = false;
    spin_unlock(&part->lock);
    slot_start_strand(slot, serve);
}

/* Its time is over; or it waited for a stack since something was reported, and then a request may
 * have opened a stream on it meanwhile. */
static void on_expire(struct slot *slot, void *owner)
{
    struct shared *c = owner;
    struct part *part = part_of(c->peer->hash);
    bool in_use;

    spin_lock(&part->lock);
    in_use = h2_open_count(c->h2) > 0;
    if (!in_use)
        take_out(part, c);
    spin_unlock(&part->lock);
    if (in_use)
        slot_start_strand(slot, serve);
    else
        end(c);
}

static const struct slot_class shared_class = {
    .name = "shared upstream",
    .ready = on_ready,
    .expire = on_expire,
};

/* A stream on this connection, which is woken for it if it is idle. Under the lock. */
static struct h2_stream *open_on(struct shared *c)
{
    struct h2_stream *st;

    if (c->idle && !slot_take(c->ref))
        return NULL; /* something happened to it just now */
    st = h2_open(c->h2);
    if (!c->idle)
        return st;
    c->idle = false;
    slot_start_strand(c->net.slot, serve);
    return st;
}

static struct h2_stream *open_any(struct peer *p)
{
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next) {
        struct shared *c = container_of(l, struct shared, link);
        struct h2_stream *st = c->settled ? open_on(c) : NULL;

        if (st == NULL)
            continue;
        link_remove(l);
        link_after(&p->conns, l);
        atomic_fetch_add_explicit(&all.reused, 1, memory_order_relaxed);
        return st;
    }
    return NULL;
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* What can be done at once: a turn, < 0, or WAIT and `w` in the line. */
enum { WAIT = 99 };
static int try_obtain(struct part *part, const struct peer_key *key, struct waiter *w,
                      struct h2_stream **out)
{
    struct peer *p = find_or_make(part, key);

    if (p == NULL)
        return WEIR_ENOMEM;
    if (p->h1_until > rt_now())
        return p->only_h1 ? SHARED_ONLY_H1 : SHARED_H1;
    *out = open_any(p);
    if (*out != NULL)
        return SHARED_STREAM;
    if (p->opening == 0) {
        p->opening++;
        return SHARED_OPEN;
    }
    link_before(&p->waiters, &w->link);
    return WAIT;
}

/* Leaves the line; true if the attempt was over by then. */
static bool leave_line(struct part *part, struct waiter *w)
{
    bool over;

    spin_lock(&part->lock);
    over = w->over;
    link_remove(&w->link);
    spin_unlock(&part->lock);
    return over;
}

int shared_obtain(const struct peer_key *key, struct deadline until, struct h2_stream **out)
{
    struct part *part = part_of(key->hash);
    struct waiter w;
    int rc;

    for (;;) {
        w = (struct waiter){ .over = false };
        link_init(&w.link);
        event_init(&w.event);
        spin_lock(&part->lock);
        rc = try_obtain(part, key, &w, out);
        spin_unlock(&part->lock);
        if (rc != WAIT)
            return rc;
        atomic_fetch_add_explicit(&all.waiting, 1, memory_order_relaxed);
        rc = event_wait(&w.event, until);
        atomic_fetch_sub_explicit(&all.waiting, 1, memory_order_relaxed);
        if (!leave_line(part, &w) && rc < 0)
            return rc;
        if (w.err < 0)
            return w.err;
    }
}

/* The connection without what the pool had around it. */
static struct shared *convert(struct upstream **up, const struct shared_terms *terms)
{
    struct shared *c = malloc(sizeof *c);

    if (c == NULL)
        return NULL;
    *c = (struct shared){
        .net = (*up)->h1.net,
        .ref = (*up)->ref,
        .idle_timeout = (*up)->idle_timeout,
        .turn = terms->turn,
    };
    link_init(&c->link);
    c->h2 = h2_client_new(&c->net, &config, terms->https);
    if (c->h2 == NULL) {
        free(c);
        return NULL;
    }
    h2_client_watch(c->h2, on_settled, c, terms->silence);
    slot_set_owner(c->net.slot, &shared_class, c);
    upstream_let_go(up);
    return c;
}

/* Into the table, with a first stream, so that it cannot become idle before. */
static bool insert(struct part *part, const struct peer_key *key, struct shared *c,
                   struct h2_stream **out)
{
    struct peer *p;

    spin_lock(&part->lock);
    p = find_or_make(part, key);
    *out = p != NULL ? h2_open(c->h2) : NULL;
    if (*out != NULL) {
        c->peer = p;
        p->h1_until = 0;
        p->only_h1 = false;
        link_after(&p->conns, &c->link);
    }
    spin_unlock(&part->lock);
    return *out != NULL;
}

int shared_publish(const struct peer_key *key, struct upstream **up,
                   const struct shared_terms *terms, struct h2_stream **out)
{
    struct part *part = part_of(key->hash);
    struct shared *c = convert(up, terms);
    int rc;

    if (c == NULL || !insert(part, key, c, out)) {
        if (c != NULL)
            end(c);
        if (terms->turn)
            shared_failed(key, WEIR_ENOMEM);
        upstream_close(up);
        return WEIR_ENOMEM;
    }
    rc = strand_start(serve, c);
    if (rc < 0)
        slot_start_strand(c->net.slot, serve); /* waits its turn for a stack */
    return 0;
}

void shared_h1(const struct peer_key *key)
{
    struct part *part = part_of(key->hash);
    struct peer *p;

    spin_lock(&part->lock);
    p = find_or_make(part, key);
    if (p != NULL) {
        p->h1_until = rt_now() + REMEMBER;
        attempt_over(p, 0);
    }
    spin_unlock(&part->lock);
}

void shared_only_h1(const struct peer_key *key)
{
    struct part *part = part_of(key->hash);
    struct peer *p;

    spin_lock(&part->lock);
    p = find_or_make(part, key);
    if (p != NULL) {
        p->h1_until = rt_now() + REMEMBER;
        p->only_h1 = true;
    }
    spin_unlock(&part->lock);
}

void shared_failed(const struct peer_key *key, int err)
{
    struct part *part = part_of(key->hash);
    struct peer *p;

    spin_lock(&part->lock);
    p = find(part, key);
    if (p != NULL) {
        attempt_over(p, weir_error_source(err) == WEIR_SRC_UPSTREAM ? err : 0);
        forget(part);
    }
    spin_unlock(&part->lock);
}

static void close_idle(struct slot *slot, void *owner, void *arg)
{
    (void)arg;
    on_ready(slot, owner); /* its strand sees that we drain, and says good-bye */
}

void shared_drain(void)
{
    atomic_store(&all.draining, true);
    for (size_t i = 0; i < PARTS; i++) {
        struct part *part = &all.parts[i];

        spin_lock(&part->lock);
        for (struct peer *p = part->peers; p != NULL; p = p->next)
            for (struct link *l = p->conns.next; l != &p->conns; l = l->next)
                h2_drain(container_of(l, struct shared, link)->h2);
        spin_unlock(&part->lock);
    }
    slot_take_all(&shared_class, close_idle, NULL);
}

void shared_start(void)
{
    atomic_store(&all.draining, false);
}

unsigned shared_waiting(void)
{
    return atomic_load_explicit(&all.waiting, memory_order_relaxed);
}

void shared_stats(uint64_t *reused)
{
    *reused = atomic_load_explicit(&all.reused, memory_order_relaxed);
}
