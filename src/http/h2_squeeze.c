/* h2_squeeze.c -- windows that are nearly used up.
 *
 * A peer that gives back each frame's bytes at once, a usual one, would get ever smaller frames if
 * what is left of a window were used to the last byte: each small one comes back as a small window
 * (RFC 9293 3.8.6.2.1 tells of TCP's). So a window waits until it is worth a frame, or for a
 * moment, as some peers open none before it is used up. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

#define SQUEEZE_AFTER (50 * WEIR_MS)

enum { FRAME_WORTH = 4096 }; /* what is left of a window is used if it is so large, or half of it */

static size_t worth_a_frame(const struct h2_conn *c)
{
    uint32_t whole =
        nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);

    return MIN(FRAME_WORTH, whole / 2);
}

bool h2_squeeze_waits(struct h2_stream *st, size_t max, size_t left)
{
    struct h2_conn *c = st->conn;
    int64_t now = rt_now();

    if (max >= left || max >= worth_a_frame(c) ||
        (st->squeezed_at != 0 && now >= st->squeezed_at + SQUEEZE_AFTER)) {
        st->squeezed_at = 0;
        return false;
    }
    if (st->squeezed_at == 0)
        st->squeezed_at = now;
    if (c->squeezed_at == 0 || st->squeezed_at < c->squeezed_at)
        c->squeezed_at = st->squeezed_at;
    return true;
}

/* Those whose window is still small wait on, by their own clock. */
void h2_squeeze_opened(struct h2_conn *c)
{
    if (c->squeezed_at == 0)
        return;
    c->squeezed_at = 0;
    for (struct link *l = c->streams.next; l != &c->streams; l = l->next) {
        struct h2_stream *st = container_of(l, struct h2_stream, link);

        if (st->squeezed_at != 0)
            h2_resume(c, st->id);
    }
}

int64_t h2_squeeze_next(const struct h2_conn *c)
{
    return c->squeezed_at != 0 ? c->squeezed_at + SQUEEZE_AFTER : INT64_MAX;
}
