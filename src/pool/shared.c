/* shared.c -- who gets a stream on which connection, who opens a new one, who waits for that. */
#include "pool/shared_parts.h"
#include "runtime/runtime.h"

#define REMEMBER (600 * WEIR_SEC) /* that a peer speaks HTTP/1 */

static struct {
    _Atomic uint64_t reused;
    _Atomic unsigned waiting;
} counts;

static struct h2_stream *open_any(struct peer *p)
{
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next) {
        struct shared *c = container_of(l, struct shared, link);
        struct h2_stream *st = c->settled ? shared_open(c) : NULL;

        if (st == NULL)
            continue;
        link_remove(l);
        link_after(&p->conns, l);
        atomic_fetch_add_explicit(&counts.reused, 1, memory_order_relaxed);
        return st;
    }
    return NULL;
}

/* What can be done at once: a turn, < 0, or WAIT and `w` in the line. */
enum { WAIT = 99 };
static int try_obtain(struct part *part, const struct peer_key *key, struct waiter *w,
                      struct h2_stream **out)
{
    struct peer *p = peers_make(part, key);

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
    struct part *part = peers_part(key->hash);
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
        atomic_fetch_add_explicit(&counts.waiting, 1, memory_order_relaxed);
        rc = event_wait(&w.event, until);
        atomic_fetch_sub_explicit(&counts.waiting, 1, memory_order_relaxed);
        if (!leave_line(part, &w) && rc < 0)
            return rc;
        if (w.err < 0)
            return w.err;
    }
}

int shared_publish(const struct peer_key *key, struct upstream **up,
                   const struct shared_terms *terms, struct h2_stream **out)
{
    struct part *part = peers_part(key->hash);
    struct shared *c = shared_make(up, terms);

    if (c == NULL || !shared_insert(part, key, c, out)) {
        if (c != NULL)
            shared_end(c);
        if (terms->turn)
            shared_failed(key, WEIR_ENOMEM);
        upstream_close(up);
        return WEIR_ENOMEM;
    }
    shared_start_serving(c);
    return 0;
}

/* `only`: it has asked for it. Else that is what an attempt has come to. */
static void remember_h1(const struct peer_key *key, bool only)
{
    struct part *part = peers_part(key->hash);
    struct peer *p;

    spin_lock(&part->lock);
    p = peers_make(part, key);
    if (p != NULL) {
        p->h1_until = rt_now() + REMEMBER;
        p->only_h1 |= only;
        if (!only)
            peers_attempt_over(p, 0);
    }
    spin_unlock(&part->lock);
}

void shared_h1(const struct peer_key *key)
{
    remember_h1(key, false);
}

void shared_only_h1(const struct peer_key *key)
{
    remember_h1(key, true);
}

/* Not a time that was up: that was the time of who tried, and others may have more. */
static bool will_fail_others(int err)
{
    return weir_error_source(err) == WEIR_SRC_UPSTREAM && weir_error_status(err) != 504;
}

void shared_failed(const struct peer_key *key, int err)
{
    struct part *part = peers_part(key->hash);
    struct peer *p;

    spin_lock(&part->lock);
    p = peers_find(part, key);
    if (p != NULL) {
        peers_attempt_over(p, will_fail_others(err) ? err : 0);
        peers_forget(part);
    }
    spin_unlock(&part->lock);
}

unsigned shared_waiting(void)
{
    return atomic_load_explicit(&counts.waiting, memory_order_relaxed);
}

void shared_stats(uint64_t *reused)
{
    *reused = atomic_load_explicit(&counts.reused, memory_order_relaxed);
}
