/* settings.c -- what a phase may ask about its request, and what it may set for it alone. */
#include "proxy/session.h"

/* Of one request, in memory. */
#define REPLAY_MOST (1024u * 1024 * 1024)

const struct weir_head *weir_response(struct weir_session *s)
{
    return s->told;
}

uint64_t weir_bytes_received(struct weir_session *s)
{
    return s->received;
}

uint64_t weir_bytes_sent(struct weir_session *s)
{
    return s->sent;
}

uint64_t weir_upstream_bytes_sent(struct weir_session *s)
{
    return s->up_sent;
}

uint64_t weir_upstream_bytes_received(struct weir_session *s)
{
    return s->up_received;
}

weir_str weir_upstream(struct weir_session *s)
{
    return weir_str_from(s->up_name);
}

bool weir_upstream_reused(struct weir_session *s)
{
    return s->reused;
}

unsigned weir_tries(struct weir_session *s)
{
    return s->tries;
}

void weir_set_max_body(struct weir_session *s, uint64_t bytes)
{
    s->max_body = bytes;
}

void weir_set_min_rate(struct weir_session *s, uint64_t bytes_per_second)
{
    s->down_read.min_rate = s->down_write.min_rate = bytes_per_second;
}

void weir_set_replay(struct weir_session *s, uint64_t bytes)
{
    s->replay_max = (size_t)MIN(bytes, (uint64_t)REPLAY_MOST);
}

void weir_set_buffer_request(struct weir_session *s, uint64_t bytes)
{
    s->buffer_max = MIN(bytes, (uint64_t)REPLAY_MOST);
}

static void set_request_timeout(struct weir_session *s, weir_dur span)
{
    s->limit = deadline_in(s->started, span, WEIR_EREQUESTTIME);
    s->down_read.limit = s->down_write.limit = s->limit;
    s->up_read.limit = s->up_write.limit = s->limit;
}

void weir_set_timeout(struct weir_session *s, enum weir_timeout which, weir_dur span)
{
    if (span < 0 || (unsigned)which > WEIR_TIMEOUT_IDLE)
        session_fail(s, WEIR_EINVALID, "weir_set_timeout: no such deadline, or a negative span");
    if (span <= 0)
        return;
    switch (which) {
    case WEIR_TIMEOUT_REQUEST:
        set_request_timeout(s, span);
        break;
    case WEIR_TIMEOUT_BODY:
        s->down_read.gap = span;
        break;
    case WEIR_TIMEOUT_SEND:
        s->down_write.gap = span;
        break;
    case WEIR_TIMEOUT_IDLE:
        s->idle_timeout = span;
        break;
    }
}

void weir_close_client(struct weir_session *s)
{
    s->down->persistent = false;
}

void weir_body_unchanged(struct weir_session *s, enum weir_body_of which)
{
    if (which == WEIR_REQUEST_BODY)
        s->request_unchanged = true;
    else
        s->response_unchanged = true;
}
