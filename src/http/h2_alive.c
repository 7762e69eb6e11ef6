/* h2_alive.c -- is there still somebody at the other end? A path that broke says nothing, and many
 * requests share a connection.
 *
 * Silence alone proves nothing, so it is broken by a PING (RFC 9113 6.7), which needs an answer
 * within as long again; any byte will do. Where requests wait for answers the PING goes along.
 * Where a connection was idle, what is posted for it waits until the answer has come: nothing of it
 * was sent if none does, so that any request can go elsewhere. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

/* Answers may take long, and servers count PINGs during which they send nothing: gRPC's end a
 * connection at the fourth. Other deadlines follow. */
enum { ASK_MAX = 2 };

void h2_client_watch(struct h2_conn *c, void (*settled)(void *owner), void *owner, weir_dur silence)
{
    c->settled = settled;
    c->owner = owner;
    c->silence = silence == WEIR_FOREVER ? 0 : silence;
}

static void ask(struct h2_conn *c)
{
    nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
    c->asked_at = rt_now();
    c->asked++;
}

void h2_alive_heard(struct h2_conn *c)
{
    c->heard_at = rt_now();
    c->asked_at = 0;
    if (!c->held)
        return;
    c->held = false;
    event_set(&c->wake);
}

void h2_alive_resume(struct h2_conn *c)
{
    if (c->silence == 0 || c->asked_at != 0 || !link_alone(&c->streams) ||
        rt_now() - c->heard_at < c->silence)
        return;
    c->held = true;
    ask(c);
}

/* Does it owe us something that a PING could show to be lost? */
static bool may_ask(const struct h2_conn *c)
{
    return c->silence > 0 && c->asked_at == 0 && c->asked < ASK_MAX && !link_alone(&c->streams);
}

bool h2_alive_step(struct h2_conn *c)
{
    if (c->asked_at != 0)
        return rt_now() - c->asked_at < c->silence;
    if (may_ask(c) && rt_now() - c->heard_at >= c->silence)
        ask(c);
    return true;
}

int64_t h2_alive_next(const struct h2_conn *c)
{
    if (c->asked_at != 0)
        return c->asked_at + c->silence;
    return may_ask(c) ? c->heard_at + c->silence : INT64_MAX;
}
