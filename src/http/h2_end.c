/* h2_end.c -- how an HTTP/2 connection ends: by a fault, wound up in two steps, or at once. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum { TOLD_AT_ONCE = 2 }; /* streams, that their connection has ended */

#define DRAIN_STEP (1 * WEIR_SEC) /* how long the first GOAWAY may take to be seen */

/* ---- faults ---------------------------------------------------------------------------------- */

void h2_conn_fail(struct h2_conn *c, int err, uint32_t code, const char *fault)
{
    if (c->err != 0)
        return;
    c->err = err;
    c->fault = fault;
    nghttp2_session_terminate_session(c->session, code);
}

int h2_conn_blame(const struct h2_conn *c)
{
    return c->server ? WEIR_EH2PROTOCOL : WEIR_EUPH2;
}

void h2_conn_wrong(struct h2_conn *c, uint32_t code, const char *fault)
{
    h2_conn_fail(c, h2_conn_blame(c), code, fault);
}

void h2_conn_calm(struct h2_conn *c, const char *fault)
{
    h2_conn_fail(c, c->server ? WEIR_EH2ABUSE : WEIR_EUPH2, NGHTTP2_ENHANCE_YOUR_CALM, fault);
}

int h2_error(const struct h2_conn *c, const char **fault)
{
    *fault = c->fault;
    return c->err;
}

/* ---- wound up -------------------------------------------------------------------------------- */

void h2_drain(struct h2_conn *c)
{
    atomic_store(&c->draining, true);
    event_set(&c->wake);
}

void h2_end(struct h2_conn *c)
{
    c->drain_until =
        rt_now(); /* without the first step: nothing is on its way, as far as we know */
}

static void final_goaway(struct h2_conn *c)
{
    nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    c->drained = true;
}

/* GOAWAY with the largest id first, so that what the client has sent meanwhile is still served;
 * when it must have seen that, GOAWAY with the last one that is (RFC 9113 6.8). */
static void drain_step(struct h2_conn *c)
{
    if (c->drained)
        return;
    if (c->drain_until == 0) {
        if (!atomic_load(&c->draining) && c->requests < c->config->max_requests)
            return;
        if (!c->server) { /* who opens the streams knows which were the last */
            final_goaway(c);
            return;
        }
        nghttp2_submit_shutdown_notice(c->session);
        nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
        c->drain_until = rt_now() + DRAIN_STEP;
    } else if (rt_now() >= c->drain_until) {
        final_goaway(c);
    }
}

bool h2_end_reached(const struct h2_conn *c)
{
    if (c->eof)
        return true;
    if (c->drained && link_alone(&c->streams))
        return true;
    if (nghttp2_session_want_write(c->session))
        return false;
    return c->err != 0 || !nghttp2_session_want_read(c->session); /* GOAWAY may lack memory */
}

/* Streams whose strand has ended and whose peer does not take what is left. */
void h2_end_linger(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;

    st->linger_until = deadline_in(rt_now(), c->config->send_timeout, 0).at;
    link_before(&c->lingering, &st->wait);
}

static int64_t next_lingering(const struct h2_conn *c)
{
    return link_alone(&c->lingering)
               ? INT64_MAX
               : container_of(c->lingering.next, struct h2_stream, wait)->linger_until;
}

/* Each time as long as a peer may take for a byte, if it took as much as it has to meanwhile. */
static bool lingers_on(struct h2_stream *st)
{
    const struct h2_config *config = st->conn->config;
    struct h2_taken taken = h2_slow_taken(st);
    uint64_t bytes = taken.own + taken.others;

    return bytes > 0 &&
           bytes / (uint64_t)MAX(config->send_timeout / WEIR_SEC, 1) >= config->min_rate;
}

static void end_lingering(struct h2_conn *c)
{
    int64_t now = rt_now();

    while (next_lingering(c) <= now) {
        struct h2_stream *st = container_of(c->lingering.next, struct h2_stream, wait);

        link_remove(&st->wait);
        if (lingers_on(st))
            h2_end_linger(st);
        else
            h2_stream_reset(st, NGHTTP2_CANCEL);
    }
}

void h2_end_step(struct h2_conn *c)
{
    drain_step(c);
    end_lingering(c);
}

bool h2_end_draining(const struct h2_conn *c)
{
    return c->drain_until != 0 && !c->drained;
}

int64_t h2_end_next(const struct h2_conn *c)
{
    int64_t lingering = next_lingering(c);

    return h2_end_draining(c) ? MIN(lingering, c->drain_until) : lingering;
}

/* ---- at once --------------------------------------------------------------------------------- */

/* What the end of the connection means for a stream. One whose response has begun is cut off; of
 * one whose head has not left nothing was processed. */
static int why_over(const struct h2_conn *c, const struct h2_stream *st)
{
    if (c->server)
        return WEIR_ECLIENTGONE;
    if (st->head_in)
        return WEIR_EUPCUT;
    if (c->err == WEIR_EUPH2)
        return WEIR_EUPH2;
    return st->head_out ? WEIR_EUPCLOSED : h2_refused(c);
}

/* Each is told once; one that carries on without its client again, as it may stop doing so.
 * Requests are told a few at a time: what a hundred of them do when they are cut off (a record in
 * the log, an upstream connection closed: 100 to 200 us each) would else be done before anybody
 * else's next request. None leaves the list meanwhile: that is up to us, in h2_gather. */
static void fail_all(struct h2_conn *c)
{
    unsigned told = 0;

    for (struct link *l = c->streams.next; l != &c->streams; l = l->next) {
        struct h2_stream *st = container_of(l, struct h2_stream, link);

        if (st->told)
            continue;
        st->told = !st->http.carry_on;
        h2_stream_over(st, why_over(c, st));
        if (c->server && ++told % TOLD_AT_ONCE == 0)
            co_sleep(deadline_in(rt_now(), WEIR_MS, 0));
    }
}

void h2_end_streams(struct h2_conn *c)
{
    co_mask();
    if (c->err == 0)
        nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
    atomic_store(&c->full, true);
    c->held = false;
    for (;;) {
        h2_gather(c); /* GOAWAY goes first */
        if (c->out_len > 0)
            h2_write_out(c, (struct deadline){ .at = 0, .err = WEIR_ESENDTIME });
        if (c->running == 0 && atomic_load(&c->open) == 0)
            break;
        fail_all(c);
        event_wait(&c->wake, NEVER);
    }
    co_unmask();
}
