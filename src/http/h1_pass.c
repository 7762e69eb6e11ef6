/* h1_pass.c -- the bulk of a body from one HTTP/1 connection to another inside the kernel.
 *
 * Only what the framing does not interrupt: a length that both sides were told, or a body that is
 * ended by closing on both sides. */
#include "http/h1_parts.h"
#include "net/splice.h"

static bool same_body(const struct h1_conn *from, const struct h1_conn *to)
{
    if (from->read_mode != to->write_mode || h1_buffered(from) || from->http.body_done)
        return false;
    if (from->read_mode == BODY_LENGTH)
        return from->read_left >= H1_PASS_MIN && from->read_left == to->write_left;
    return from->read_mode == BODY_CLOSE && !from->tunnel;
}

/* So many bytes have gone. */
static void account(struct h1_conn *from, struct h1_conn *to, size_t moved)
{
    if (from->read_mode == BODY_LENGTH) {
        from->read_left -= moved;
        to->write_left -= moved;
        from->http.body_done = from->read_left == 0;
    }
}

int h1_pass_body(struct http_stream *st, struct http_stream *to, struct pace *in, struct pace *out,
                 size_t *moved)
{
    struct h1_conn *c = h1_of(st), *other = h1_of(to);
    size_t most = c->read_mode == BODY_LENGTH ? MIN(c->read_left, SIZE_MAX) : SIZE_MAX;
    int rc;

    h1_release(c);
    rc = SPLICE_CANNOT;
    if (same_body(c, other))
        rc = stream_splice(&c->net, &other->net, most, in, out, moved);
    account(c, other, *moved);
    to->more = false;
    c->bulky = *moved > 0 && c->role == H1_CLIENT;
    if (rc == SPLICE_CANNOT) {
        stream_flush(&other->net);
        return HTTP_LATER;
    }
    if (rc == SPLICE_ENDED)
        rc = h1_body_cut(c);
    else if (rc > 0)
        rc = HTTP_PIECE;
    if (*moved > 0 && rc < 0) { /* what is in the pipe is lost */
        to->persistent = false;
        other->broken = true;
    }
    if (rc >= 0)
        to->message_sent = st->body_done;
    return rc;
}
