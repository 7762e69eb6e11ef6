/* own.c -- sessions that a program makes itself: for fetches outside of phases, and for what goes
 * on when the request it is done for is over.
 *
 * Such a session has no client. Of the request it is made for it keeps copies, so that it may
 * outlive it. */
#include "proxy/own.h"

#include <stdlib.h>

#include <weir/fetch.h>

#include "proxy/local.h"
#include "proxy/replay.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

enum { FIRST_PIECE = 2048 };

struct own {
    struct weir_session session;
    struct http_stream nobody;
    struct addr client; /* of the request it is made for */
    _Alignas(16) char first[FIRST_PIECE];
};

static const struct service *usual;

void own_start(const struct service *svc)
{
    usual = svc;
}

static void copy_head(struct weir_head *to, const struct weir_head *from)
{
    weir_str name, value;

    to->minor = from->minor;
    to->method_id = from->method_id;
    to->method = arena_copy(to->arena, from->method);
    to->target = arena_copy(to->arena, from->target);
    to->authority = arena_copy(to->arena, from->authority);
    for (size_t i = 0; weir_head_at(from, i, &name, &value); i++)
        head_add_raw(to, arena_copy(to->arena, name), arena_copy(to->arena, value),
                     from->fields[i].id);
}

/* Is what was copied all there? */
static bool whole(const struct weir_head *to, const struct weir_head *from)
{
    if (to->failed != 0 || (from->method.ptr != NULL && to->method.ptr == NULL) ||
        (from->target.ptr != NULL && to->target.ptr == NULL) ||
        (from->authority.ptr != NULL && to->authority.ptr == NULL))
        return false;
    for (uint32_t i = 0; i < to->count; i++)
        if (to->fields[i].name == NULL || to->fields[i].value == NULL)
            return false;
    return true;
}

static bool copy_body(struct weir_session *s, struct weir_session *from)
{
    weir_str body = weir_request_body(from);
    struct replay *r;

    s->buffered = from->buffered;
    if (body.len == 0)
        return true;
    r = arena_alloc(&s->arena, sizeof *r);
    if (r == NULL)
        return false;
    *r = (struct replay){ .file = -1, .bytes = malloc(body.len), .buffered = true };
    if (r->bytes == NULL)
        return false;
    memcpy(r->bytes, body.ptr, body.len);
    r->kept = r->cap = body.len;
    s->replay = r;
    return true;
}

static bool copy_request(struct own *o, struct weir_session *from)
{
    struct weir_session *s = &o->session;

    o->client = *from->client;
    s->number = from->number;
    s->service = from->service;
    copy_head(&s->req, &from->req);
    return whole(&s->req, &from->req) && copy_body(s, from);
}

static void done(struct own *o)
{
    session_end(&o->session);
    free(o);
}

struct weir_session *weir_session_new(struct weir_session *from)
{
    struct own *o = co_inside() ? malloc(sizeof *o) : NULL;
    struct weir_session *s;

    if (o == NULL)
        return NULL;
    memset(o, 0, offsetof(struct own, first));
    s = &o->session;
    arena_init(&s->arena, o->first, sizeof o->first);
    head_init(&s->req, &s->arena, 0);
    s->own = true;
    s->service = usual;
    s->down = &o->nobody;
    s->down->body_done = true;
    s->client = &o->client;
    s->number = request_number();
    s->started = rt_now();
    s->limit = NEVER;
    if (from != NULL && !copy_request(o, from)) {
        done(o);
        return NULL;
    }
    return s;
}

void weir_session_free(struct weir_session **s)
{
    struct weir_session *own = s != NULL ? *s : NULL;

    if (own == NULL)
        return;
    *s = NULL;
    if (!own->own) {
        session_fail(own, WEIR_EINVALID, "weir_session_free: it is not one of weir_session_new");
        return;
    }
    record_error(own, own->err);
    done(container_of(own, struct own, session));
}
