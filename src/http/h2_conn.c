/* h2_conn.c -- the life of an HTTP/2 connection: two coroutines of one strand.
 *
 * The reader gives bytes to nghttp2 and starts a strand for each request that has come. The
 * other one takes what these strands post, collects frames and writes them; while it waits for
 * room the reader goes on. Both use nghttp2 only in calls that do not block, so neither sees it
 * half done. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

#define IDLE_AFTER (10 * WEIR_MS) /* without a stream: then its coroutines end */

enum { YIELD_AFTER = 8 }; /* buffers read in a row */

/* ---- made and freed -------------------------------------------------------------------------- */

static struct h2_conn *conn_new(struct stream *net, const struct h2_config *config, void *owner,
                                bool server)
{
    struct h2_conn *c = malloc(sizeof *c);

    if (c == NULL)
        return NULL;
    *c = (struct h2_conn){
        .net = net,
        .config = config,
        .owner = owner,
        .server = server,
        .users = 1,
        .limit = config->max_streams,
        .head_since = rt_now(),
        .heard_at = rt_now(),
        .budget_at = rt_now(),
    };
    h2_earn(c, INT32_MAX);
    c->born_end = &c->born;
    event_init(&c->wake);
    link_init(&c->streams);
    link_init(&c->lingering);
    c->session = h2_session_new(c);
    if (c->session == NULL) {
        h2_memory_end(c);
        free(c);
        return NULL;
    }
    return c;
}

struct h2_conn *h2_server_new(struct stream *net, const struct h2_config *config, void *owner)
{
    struct h2_conn *c = conn_new(net, config, owner, true);

    if (c != NULL)
        c->frames.skip = NGHTTP2_CLIENT_MAGIC_LEN;
    return c;
}

struct h2_conn *h2_client_new(struct stream *net, const struct h2_config *config, bool https)
{
    struct h2_conn *c = conn_new(net, config, NULL, false);

    if (c != NULL)
        c->https = https;
    return c;
}

void h2_leave(struct h2_conn *c)
{
    if (atomic_fetch_sub_explicit(&c->users, 1, memory_order_acq_rel) == 1)
        free(c);
}

static void output_done(struct h2_conn *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->out); i++)
        buf_put(&c->out[i]);
    c->out_len = 0;
}

void h2_free(struct h2_conn **conn)
{
    struct h2_conn *c = *conn;

    *conn = NULL;
    if (c == NULL)
        return;
    ensure(c->running == 0);
    while (!link_alone(&c->streams))
        h2_stream_free(container_of(c->streams.next, struct h2_stream, link));
    nghttp2_session_del(c->session);
    h2_memory_end(c);
    h2_priority_end(c);
    output_done(c);
    h2_leave(c);
}

unsigned h2_open_count(const struct h2_conn *c)
{
    return atomic_load(&c->open);
}

/* ---- reading --------------------------------------------------------------------------------- */

void h2_feed(struct h2_conn *c, weir_str bytes)
{
    h2_alive_heard(c);
    c->feed = bytes;
    rt_on_worker_stack(h2_session_feed, c);
    h2_admit_start(c);
    if (nghttp2_session_want_write(c->session) || c->err != 0 || c->drain_until != 0 ||
        link_alone(&c->streams))
        event_set(&c->wake);
}

static struct deadline read_deadline(const struct h2_conn *c)
{
    if (c->head_since == 0)
        return NEVER;
    return deadline_in(c->head_since, c->config->header_timeout, WEIR_EHEADTIME);
}

/* 1: more may come. */
static int read_some(struct h2_conn *c)
{
    struct pace pace = { .limit = read_deadline(c), .gap = WEIR_FOREVER };
    char *buf;
    ssize_t n;
    int rc;

    rc = stream_wait_readable(c->net, &pace);
    if (rc < 0)
        return rc;
    buf = buf_get();
    if (buf == NULL)
        return WEIR_ENOMEM;
    n = stream_read(c->net, buf, BUF_SIZE, &pace);
    if (n > 0)
        h2_feed(c, (weir_str){ buf, (size_t)n });
    buf_put(&buf);
    return n > 0 ? 1 : (int)n;
}

static int reader(void *conn)
{
    struct h2_conn *c = conn;
    unsigned row = 0;
    int rc;

    co_label("HTTP/2", "reading frames");
    while ((rc = read_some(c)) > 0 && c->err == 0) {
        if (++row % YIELD_AFTER == 0)
            co_yield ();
    }
    if (rc == WEIR_ECANCELED)
        return 0; /* the connection becomes idle, or ends */
    if (rc == WEIR_EHEADTIME)
        h2_conn_fail(c, rc, NGHTTP2_NO_ERROR, NULL);
    if (rc == WEIR_ENOMEM)
        h2_conn_fail(c, rc, NGHTTP2_INTERNAL_ERROR, NULL);
    if (c->err == 0)
        c->eof = true;
    event_set(&c->wake);
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void work(void *conn)
{
    struct h2_conn *c = conn;

    if (!c->held)
        h2_post_take(c);
    h2_collect(c);
}

void h2_gather(struct h2_conn *c)
{
    rt_on_worker_stack(work, c);
}

int h2_write_out(struct h2_conn *c, struct deadline limit)
{
    struct pace pace = {
        .limit = limit,
        .gap = c->config->send_timeout,
        .gap_err = WEIR_ESENDTIME,
        .min_rate = c->config->min_rate,
        .rate_err = WEIR_ESLOWSEND,
    };
    struct iovec iov[ARRAY_LEN(c->out)];
    size_t left = c->out_len;
    int n = 0, rc = WEIR_ECLIENTGONE;

    for (; left > 0; n++) {
        iov[n] = (struct iovec){ .iov_base = c->out[n], .iov_len = MIN(left, BUF_SIZE) };
        left -= iov[n].iov_len;
    }
    if (!c->cut)
        rc = stream_write(c->net, iov, n, &pace);
    c->written += pace.bytes;
    c->cut |= rc < 0;
    output_done(c);
    return rc;
}

static struct deadline next_step(struct h2_conn *c, bool idle)
{
    struct deadline until = { .at = MIN(h2_end_next(c), h2_alive_next(c)), .err = WEIR_EIDLETIME };

    until.at = MIN(until.at, h2_squeeze_next(c));
    if (idle && !h2_end_draining(c))
        until.at = MIN(until.at, rt_now() + IDLE_AFTER);
    return until;
}

/* What is due, and what is there to be sent now. 1: more may be; 0: nothing is; < 0: it ends. */
static int step(struct h2_conn *c)
{
    h2_end_step(c);
    if (!h2_alive_step(c)) {
        c->fault = "no answer to a PING";
        return WEIR_EUPCLOSED;
    }
    h2_gather(c);
    h2_admit_start(c); /* in place of those that have ended */
    if (c->out_len == 0)
        return 0;
    TRY(h2_write_out(c, NEVER));
    return 1;
}

static bool is_idle(const struct h2_conn *c)
{
    return link_alone(&c->streams) && atomic_load(&c->open) == 0 && c->head_since == 0;
}

/* Until it ends (H2_CLOSE) or nothing is left to do (H2_IDLE). */
static enum h2_next pump(struct h2_conn *c)
{
    for (;;) {
        bool idle;
        int rc;

        while ((rc = step(c)) > 0)
            continue;
        if (rc < 0) {
            c->err = c->err != 0 ? c->err : rc;
            return H2_CLOSE;
        }
        if (h2_end_reached(c))
            return H2_CLOSE;
        idle = is_idle(c);
        rc = event_wait(&c->wake, next_step(c, idle));
        if (rc == WEIR_ECANCELED)
            return H2_CLOSE;
        if (rc == WEIR_EIDLETIME && idle && is_idle(c) && c->drain_until == 0 &&
            c->asked_at == 0 && !nghttp2_session_want_write(c->session))
            return H2_IDLE;
    }
}

/* Both coroutines, until one of them has had enough. */
static enum h2_next serve(struct h2_conn *c)
{
    enum h2_next next = H2_CLOSE;
    struct scope sc;
    struct task read;

    scope_open(&sc);
    if (task_start(&sc, &read, reader, c) < 0)
        c->err = WEIR_ESTACKS;
    else
        next = pump(c);
    scope_close(&sc, 0);
    return next;
}

/* Has something come while the reader ended? */
static bool busy_again(const struct h2_conn *c)
{
    return c->eof || c->err != 0 || c->head_since != 0 || !link_alone(&c->streams);
}

enum h2_next h2_serve(struct h2_conn *c, weir_str early)
{
    enum h2_next next;

    if (early.len > 0)
        h2_feed(c, early);
    h2_alive_resume(c);
    do
        next = serve(c);
    while (next == H2_IDLE && busy_again(c));
    if (next == H2_CLOSE)
        h2_end_streams(c);
    return next;
}
