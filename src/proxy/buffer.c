/* buffer.c -- the request body, read before it is decided where it goes. That can depend on it
 * then, its filter sees all of it before anything is sent, and no upstream waits for a slow
 * client. */
#include "proxy/replay.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

static int read_all(struct weir_session *s)
{
    weir_str piece;
    int rc;

    while (!s->down->body_done) {
        rc = replay_read(s, &piece, &s->down_read);
        if (rc < 0)
            return rc;
        if (s->received > s->buffer_max)
            return WEIR_EBODYSIZE;
        if (s->body_lost)
            return WEIR_ENOMEM;
        session_moved(s, piece.len);
    }
    return 0;
}

int buffer_request(struct weir_session *s)
{
    const struct framing *f = &s->down->framing;

    if (s->buffer_max == 0 || f->mode == BODY_NONE)
        return 0;
    if (f->mode == BODY_LENGTH && f->length > s->buffer_max)
        return WEIR_EBODYSIZE;
    if (head_has_id(&s->req, FIELD_EXPECT) && !s->down->body_done)
        TRY(tell_to_continue(s));
    co_label(s->service->proxy->name, "reading the request body");
    s->replay_max = MAX(s->replay_max, (size_t)s->buffer_max);
    TRY(read_all(s));
    if (!replay_settle(s))
        return WEIR_ENOMEM;
    s->buffered = true;
    replay_rewind(s);
    return 0;
}

weir_str weir_request_body(struct weir_session *s)
{
    if (!s->buffered)
        return (weir_str){ NULL, 0 };
    return s->replay != NULL ? (weir_str){ s->replay->bytes, s->replay->kept } : LIT("");
}
