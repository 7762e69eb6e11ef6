/* session.c -- a session's memory, its first error, and the calls of <weir/session.h> that concern
 * them. */
#include "proxy/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/local.h"
#include "proxy/replay.h"
#include "runtime/runtime.h"

enum { BURST = 256 * 1024 };

static_assert(sizeof(struct weir_session) + 512 <= REQUEST_FRONT,
              "a small request lives in one page: runtime/stack.h");

static void set_paces(struct weir_session *s, const struct service *svc)
{
    s->down_read = (struct pace){
        .limit = s->limit,
        .gap = svc->body_timeout,
        .gap_err = WEIR_EBODYTIME,
        .min_rate = svc->min_rate,
        .rate_err = WEIR_ESLOWBODY,
    };
    s->down_write = (struct pace){
        .limit = s->limit,
        .gap = svc->send_timeout,
        .gap_err = WEIR_ESENDTIME,
        .min_rate = svc->min_rate,
        .rate_err = WEIR_ESLOWSEND,
    };
}

/* For the budget of retries, without a word that workers share. One lost now and then does no
 * harm. */
static void count(struct service *svc)
{
    uint32_t n = atomic_load_explicit(&svc->begun, memory_order_relaxed) + 1;

    atomic_store_explicit(&svc->begun, n, memory_order_relaxed);
    if (n % RETRY_STEP == 0)
        atomic_fetch_add_explicit(&svc->budget->requests, RETRY_STEP, memory_order_relaxed);
}

struct weir_session *session_begin(struct service *svc, struct http_stream *down,
                                   const struct addr *client)
{
    struct weir_session *s = co_room();
    char *rest = (char *)(s + 1);

    memset(&s->ctx, 0, offsetof(struct weir_session, req) - offsetof(struct weir_session, ctx));
    arena_init(&s->arena, rest, REQUEST_ROOM - sizeof *s);
    head_init(&s->req, &s->arena, 0);
    s->res.failed = s->up_req.failed = s->up_res.failed = 0;
    s->tried.count = 0;
    s->service = svc;
    s->down = down;
    s->client = client;
    s->number = request_number();
    s->started = rt_now();
    s->limit = deadline_in(s->started, svc->request_timeout, WEIR_EREQUESTTIME);
    s->max_body = svc->max_body;
    s->idle_timeout = svc->idle_timeout;
    s->replay_max = (size_t)svc->replay;
    s->replay_file = svc->replay_file;
    s->buffer_max = svc->buffer_request;
    set_paces(s, svc);
    count(svc);
    return s;
}

int session_context(struct weir_session *s)
{
    size_t size = s->service->proxy->ctx_size;

    if (size == 0)
        return 0;
    s->ctx = arena_alloc(&s->arena, size);
    if (s->ctx == NULL)
        return WEIR_ENOMEM;
    memset(s->ctx, 0, size);
    return 0;
}

void session_end(struct weir_session *s)
{
    for (struct deferred *d = s->deferred; d != NULL; d = d->next)
        d->fn(d->arg);
    replay_done(s);
    tried_done(&s->tried);
    arena_done(&s->arena);
}

void session_defer(struct weir_session *s, struct deferred *d, void (*fn)(void *), void *arg)
{
    *d = (struct deferred){ .next = s->deferred, .fn = fn, .arg = arg };
    s->deferred = d;
}

int session_fail(struct weir_session *s, int err, const char *fault)
{
    if (s->err == 0) {
        s->err = err;
        s->fault = fault;
        s->fetch_why = NULL;
    }
    return s->err;
}

void session_moved(struct weir_session *s, size_t n)
{
    s->burst += n;
    if (s->burst < BURST)
        return;
    s->burst = 0;
    co_yield ();
}

void *weir_ctx(struct weir_session *s)
{
    return s->ctx;
}

void *weir_state(struct weir_session *s)
{
    return s->service->state;
}

const struct weir_head *weir_request(struct weir_session *s)
{
    return &s->req;
}

weir_str weir_request_id(struct weir_session *s)
{
    return weir_printf(s, REQUEST_ID_FORMAT, request_id(s->number));
}

weir_str weir_client(struct weir_session *s)
{
    if (s->client->kind == ADDR_NONE)
        return (weir_str){ NULL, 0 };
    return addr_print_in(&s->arena, s->client);
}

weir_str weir_client_host(struct weir_session *s)
{
    return addr_host_in(&s->arena, s->client);
}

void *weir_alloc(struct weir_session *s, size_t n)
{
    void *p = arena_alloc(&s->arena, n);

    if (p == NULL)
        session_fail(s, WEIR_ENOMEM, NULL);
    return p;
}

weir_str weir_printf(struct weir_session *s, const char *fmt, ...)
{
    weir_str out;
    va_list ap;

    if (fmt == NULL) {
        session_fail(s, WEIR_EINVALID, "weir_printf needs a format");
        return (weir_str){ NULL, 0 };
    }
    va_start(ap, fmt);
    out = arena_vprintf(&s->arena, fmt, ap);
    va_end(ap);
    if (out.ptr == NULL)
        session_fail(s, WEIR_ENOMEM, NULL);
    return out;
}

void weir_defer(struct weir_session *s, void (*fn)(void *), void *arg)
{
    struct deferred *d;

    if (fn == NULL) {
        session_fail(s, WEIR_EINVALID, "weir_defer needs a function");
        return;
    }
    d = weir_alloc(s, sizeof *d);
    if (d == NULL) {
        fn(arg); /* nothing is lost: what was to be ended later is ended now; the request fails */
        return;
    }
    session_defer(s, d, fn, arg);
}

int weir_sleep(struct weir_session *s, weir_dur span)
{
    struct deadline until;

    if (!co_inside())
        return WEIR_EINVALID;
    until = deadline_in(span > 0 ? clock_now() : rt_now(), span, 0); /* as public_until */
    return co_sleep(scope_limit(deadline_min(until, s->limit), WEIR_ETIMEOUT));
}

int weir_fail(struct weir_session *s, int status, const char *fmt, ...)
{
    weir_str text = { NULL, 0 };
    va_list ap;

    if (s->err != 0 && !s->judging)
        return s->err;
    va_start(ap, fmt);
    if (fmt != NULL)
        text = arena_vprintf(&s->arena, fmt, ap);
    va_end(ap);
    if (s->judging)
        s->err = 0;
    s->fail_status = 0;
    if (status < 400 || status > 599)
        return session_fail(s, WEIR_EINVALID,
                            arena_printf(&s->arena, "weir_fail: %d is no status of 400 to 599%s%s",
                                         status, text.ptr != NULL ? ": " : "",
                                         text.ptr != NULL ? text.ptr : "")
                                .ptr);
    s->fail_status = status;
    return session_fail(s, WEIR_EFILTER, text.ptr);
}

const char *weir_why(struct weir_session *s)
{
    if (s->fetch_why != NULL)
        return s->fetch_why;
    if (s->err == 0)
        return "";
    return s->fault != NULL ? s->fault : weir_error_text(s->err);
}
