/* shared_conn.c -- one shared connection: served by a strand while streams are open on it, armed
 * while none is. */
#include <stdlib.h>

#include "base/clock.h"
#include "pool/shared_parts.h"
#include "runtime/runtime.h"

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

static _Atomic bool draining;

/* ---- in the table, and out of it ------------------------------------------------------------- */

void shared_end(struct shared *c)
{
    h2_free(&c->h2);
    stream_close(&c->net, false);
    free(c);
}

static void take_out(struct part *part, struct shared *c)
{
    link_remove(&c->link);
    peers_forget(part);
}

/* How many streams it takes is known, or that it takes none. Under the lock. */
static void settle(struct shared *c, int err)
{
    c->settled = true;
    if (c->turn)
        peers_attempt_over(c->peer, err);
    c->turn = false;
}

static void on_settled(void *owner)
{
    struct shared *c = owner;
    struct part *part = peers_part(c->peer->hash);

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

/* ---- served, and idle ------------------------------------------------------------------------ */

/* Becomes idle, if nobody has opened a stream meanwhile. */
static bool rest(struct part *part, struct shared *c)
{
    bool armed = false;

    spin_lock(&part->lock);
    if (h2_open_count(c->h2) == 0 && !atomic_load(&draining) && !stream_pending(&c->net)) {
        c->idle = true;
        armed = slot_arm(c->net.slot, deadline_in(rt_now(), c->idle_timeout, 0).at);
        c->idle = armed;
    }
    spin_unlock(&part->lock);
    return armed;
}

/* The strand of a connection while it is in use. */
static void serve(void *owner)
{
    struct shared *c = owner;
    struct part *part = peers_part(c->peer->hash);

    co_label("HTTP/2", "serving an upstream connection");
    for (;;) {
        enum h2_next next;

        if (atomic_load(&draining))
            h2_drain(c->h2);
        next = h2_serve(c->h2, LIT(""));
        if (next == H2_IDLE && rest(part, c))
            return;
        if (next == H2_CLOSE && leave_table(part, c))
            break;
    }
    shared_end(c);
}

/* Something was reported while it was idle: nobody but its strand can tell what. */
static void on_ready(struct slot *slot, void *owner)
{
    struct shared *c = owner;
    struct part *part = peers_part(c->peer->hash);

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
    struct part *part = peers_part(c->peer->hash);
    bool in_use;

    spin_lock(&part->lock);
    in_use = h2_open_count(c->h2) > 0;
    if (!in_use)
        take_out(part, c);
    spin_unlock(&part->lock);
    if (in_use)
        slot_start_strand(slot, serve);
    else
        shared_end(c);
}

static const struct slot_class shared_class = {
    .name = "shared upstream",
    .ready = on_ready,
    .expire = on_expire,
};

/* It is woken for it if it is idle. */
struct h2_stream *shared_open(struct shared *c)
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

/* ---- made ------------------------------------------------------------------------------------ */

/* What the pool had around it is let go. */
struct shared *shared_make(struct upstream **up, const struct shared_terms *terms)
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

/* With its first stream it cannot become idle before that. */
bool shared_insert(struct part *part, const struct peer_key *key, struct shared *c,
                   struct h2_stream **out)
{
    struct peer *p;

    spin_lock(&part->lock);
    p = peers_make(part, key);
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

void shared_start_serving(struct shared *c)
{
    if (strand_start(serve, c) < 0)
        slot_start_strand(c->net.slot, serve); /* waits its turn for a stack */
}

/* ---- shutdown -------------------------------------------------------------------------------- */

static void close_idle(struct slot *slot, void *owner, void *arg)
{
    (void)arg;
    on_ready(slot, owner); /* its strand sees that we drain, and says good-bye */
}

static void drain(struct shared *c)
{
    h2_drain(c->h2);
}

void shared_drain(void)
{
    atomic_store(&draining, true);
    peers_each_conn(drain);
    slot_take_all(&shared_class, close_idle, NULL);
}

void shared_start(void)
{
    atomic_store(&draining, false);
}
