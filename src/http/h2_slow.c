/* h2_slow.c -- is it the peer that a stream waits for?
 *
 * A stream may wait although its peer reads all the time: behind others of higher priority, or
 * behind bytes that the socket still has. So what the peer takes of others counts for it as well,
 * for the gap as for the rate; bytes of bodies only, as everything else costs a peer nothing.
 * But a stream whose own window is closed waits for nothing else once the last byte that was sent
 * on it is taken: then others do not count, or one that is read could keep all of them for ever.
 *
 * Asked between two writes: what the buffer held has left. */
#include "http/h2_parts.h"

void h2_slow_sent(struct h2_stream *st, size_t len)
{
    struct h2_conn *c = st->conn;

    st->sent_own += len;
    c->sent_all += len;
    c->last_at = st->last_at = c->written + c->out_len;
}

void h2_slow_look(struct h2_stream *st)
{
    st->seen.own = st->sent_own;
    st->seen.all = st->conn->sent_all;
}

/* Of all that was written; of TLS somewhat less, as the kernel counts what that adds. */
static uint64_t taken_by_peer(const struct h2_conn *c)
{
    return c->written - MIN(c->written, stream_untaken(c->net));
}

struct h2_taken h2_slow_taken(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    bool shut = nghttp2_session_get_stream_remote_window_size(c->session, st->id) <= 0;
    uint64_t all = c->sent_all - st->seen.all, at = taken_by_peer(c);
    struct h2_taken t = { .own = st->sent_own - st->seen.own };

    if (!shut)
        t.others = all - t.own;
    if (at < (shut ? st->last_at : c->last_at) && at > st->seen.taken)
        t.others = MAX(t.others, at - st->seen.taken);
    h2_slow_look(st);
    st->seen.taken = at;
    return t;
}
