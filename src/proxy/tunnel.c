/* tunnel.c -- a connection that leaves HTTP, by a 101 to an upgrade or by CONNECT (RFC 9110 7.8,
 * 9.3.6): bytes both ways, until both sides have said their end.
 *
 * Two coroutines of the request's strand, one for each direction; one that waits holds no
 * buffer. A side that ends its direction is told to the other, which may go on. A side that
 * breaks is cut off from the other by a reset. Bytes that were read behind a head are the first
 * ones of the tunnel. */
#include "proxy/downstream.h"
#include "proxy/local.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

/* A tunnel is idle only if nothing moves in either direction. */
static struct deadline idle_end(const struct weir_session *s)
{
    struct deadline idle = deadline_in(s->moved, s->service->tunnel_timeout, WEIR_ETUNNELTIME);

    return deadline_min(idle, s->limit);
}

static int read_some(struct weir_session *s, struct http_stream *from, weir_str *piece)
{
    int rc;

    do {
        struct pace pace = { .limit = idle_end(s), .gap = WEIR_FOREVER };

        rc = http_read_body(from, piece, &pace);
    } while (rc == WEIR_ETUNNELTIME && idle_end(s).at > rt_now());
    return rc;
}

/* Nothing more is read before the other side has taken what is there. */
static int write_some(struct weir_session *s, struct http_stream *to, weir_str piece, bool end)
{
    int rc;

    s->moved = rt_now();
    struct pace pace = {
        .limit = s->limit,
        .gap = s->service->tunnel_timeout,
        .gap_err = WEIR_ETUNNELTIME,
    };
    rc = http_write(to, NULL, piece, end, &pace);
    s->moved = rt_now();
    return rc;
}

/* One direction, to its end. */
static int pump(struct weir_session *s, struct http_stream *from, struct http_stream *to,
                uint64_t *taken, uint64_t *given)
{
    weir_str piece;

    do {
        TRY(read_some(s, from, &piece));
        *taken += piece.len;
        TRY(write_some(s, to, piece, from->body_done));
        *given += piece.len;
        session_moved(s, piece.len);
    } while (!from->body_done);
    return 0;
}

/* The helper: from the client, when its request body is gone. */
static int pump_up(void *arg)
{
    struct weir_session *s = arg;
    struct http_stream *up = s->up_http;

    co_label(s->service->proxy->name, "a tunnel, to the upstream");
    if (s->uploading)
        TRY(task_join(&s->upload));
    if (s->upload_broken)
        return 0;
    http_tunnel_in(s->down);
    http_tunnel_out(up);
    return pump(s, s->down, up, &s->received, &s->up_sent);
}

/* What a request holds of the configuration is given back: a tunnel may live for days. */
static void let_go(struct weir_session *s)
{
    s->up_name = arena_printf(&s->arena, "%s", s->up_name).ptr;
    s->peer.internal.backend = NULL;
    tried_done(&s->tried);
}

static int open_tunnel(struct weir_session *s, const struct http_message *m)
{
    struct http_stream *up = s->up_http;
    int rc;

    if (s->answered_here)
        return WEIR_ECANCELED; /* by the filter of the request body: see `forward` */
    s->down->persistent = false;
    s->status = s->res.status;
    s->told = &s->res;
    TRY(http_write(s->down, m, LIT(""), false, &s->down_write));
    http_tunnel_out(s->down);
    http_tunnel_in(up);
    let_go(s);
    s->moved = rt_now();
    TRY(task_start(&s->scope, &s->tunnel, pump_up, s));
    co_label(s->service->proxy->name, "a tunnel, to the client");
    rc = pump(s, up, s->down, &s->up_received, &s->sent);
    if (rc == 0)
        rc = task_join(&s->tunnel);
    if (rc < 0)
        http_reset(up);
    return rc;
}

int tunnel_switch(struct weir_session *s)
{
    struct http_message m = {
        .head = &s->res,
        .date = http_date_now(),
        .upgrade = head_join_id(&s->up_res, FIELD_UPGRADE, &s->arena),
        .tunnel = true,
    };

    return m.upgrade.ptr != NULL ? open_tunnel(s, &m) : WEIR_ENOMEM;
}

/* The peer is reached: that is all the answer there is. */
static int accept_connect(struct weir_session *s)
{
    struct http_message m = { .head = &s->res, .date = http_date_now(), .tunnel = true };
    int rc;

    head_init(&s->res, &s->arena, 0);
    s->res.status = 200;
    s->answered = rt_now();
    rc = PHASE(s, response_filter, s, &s->res);
    return rc != 0 ? rc : open_tunnel(s, &m);
}

int tunnel_connect(struct weir_session *s)
{
    int rc;

    s->untouched = s->uploading = s->upload_broken = false;
    scope_open(&s->scope);
    rc = http_gone(s->down);
    if (rc == 0)
        rc = accept_connect(s);
    return scope_close(&s->scope, rc);
}
