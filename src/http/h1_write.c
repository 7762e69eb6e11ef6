/* h1_write.c -- heads and bodies onto an HTTP/1 connection.
 *
 * A head and the first piece of its body leave in one call. If there is room in front of the piece
 * the head is printed there; else small pieces are copied behind the head, which costs less than a
 * vector of two; large ones are not copied. */
#include <stdlib.h>

#include "codec/h1_print.h"
#include "http/h1_parts.h"
#include "runtime/buf.h"

enum { COPY_MAX = 4096 };

/* The bytes of one call on their way out. */
struct output {
    char *buf; /* head and small pieces; NULL: none */
    size_t used, cap;
    size_t listed; /* bytes of `buf` that are in the vector: those behind it will be one piece */
    struct iovec *iov; /* OUTPUT_PIECES */
    int n;
};

enum { OUTPUT_PIECES = 4 };

static void output_done(struct output *out)
{
    char *buf = out->buf;

    if (out->cap > BUF_SIZE)
        free(buf);
    else
        buf_put(&buf);
}

/* What was copied since the last call goes into the vector. */
static void list_copied(struct output *out)
{
    if (out->used == out->listed)
        return;
    out->iov[out->n++] = (struct iovec){ .iov_base = out->buf + out->listed,
                                         .iov_len = out->used - out->listed };
    out->listed = out->used;
}

/* Adds bytes that stay where they are; those that directly follow the last ones extend them. */
static void add(struct output *out, const char *ptr, size_t len)
{
    struct iovec *last;

    if (len == 0)
        return;
    list_copied(out);
    last = out->n > 0 ? &out->iov[out->n - 1] : NULL;
    if (last != NULL && (char *)last->iov_base + last->iov_len == ptr)
        last->iov_len += len;
    else
        out->iov[out->n++] = (struct iovec){ .iov_base = (void *)ptr, .iov_len = len };
}

/* Adds a piece, by copy if it is small and there is a buffer with room. */
static void add_piece(struct output *out, const char *ptr, size_t len)
{
    if (out->buf == NULL || len > COPY_MAX || len > out->cap - out->used) {
        add(out, ptr, len);
    } else if (len > 0) {
        memcpy(out->buf + out->used, ptr, len);
        out->used += len;
    }
}

/* How a body of unknown length ends: chunked where the peer understands it, else by closing. */
static enum body_mode unknown_length(struct h1_conn *c)
{
    if (c->role == H1_CLIENT || c->peer_minor > 0)
        return BODY_CHUNKED;
    c->http.persistent = false;
    return BODY_CLOSE;
}

/* Do others follow that answer the same request? */
static bool is_interim(const struct http_message *m)
{
    return m->head->status != 0 && m->head->status < 200 && !m->tunnel;
}

static weir_str connection_value(const struct h1_conn *c, const struct http_message *m,
                                 bool interim)
{
    if (m->upgrade.ptr != NULL && !m->tunnel && c->role == H1_SERVER && !c->http.persistent)
        return LIT("upgrade, close");
    if (m->upgrade.ptr != NULL)
        return LIT("upgrade");
    if (m->tunnel)
        return (weir_str){ NULL, 0 };
    if (c->role == H1_CLIENT || interim)
        return (weir_str){ NULL, 0 };
    if (!c->http.persistent)
        return LIT("close");
    return c->peer_minor == 0 ? LIT("keep-alive") : (weir_str){ NULL, 0 };
}

/* Where a head is printed that has at most `bound` bytes: right in front of `piece`, if room is
 * there and no size line comes between; else in a buffer. NULL without memory. */
static char *place(struct output *out, size_t bound, size_t room, weir_str piece)
{
    if (room >= bound)
        return (char *)piece.ptr - bound;
    out->cap = bound + CHUNK_HEAD_MAX <= BUF_SIZE ? BUF_SIZE : bound + CHUNK_HEAD_MAX;
    out->buf = out->cap == BUF_SIZE ? buf_get() : malloc(out->cap);
    return out->buf;
}

/* Prints the head and settles how its body will be framed. */
static int put_head(struct h1_conn *c, const struct http_message *m, bool interim, weir_str piece,
                    struct output *out)
{
    const struct weir_head *head = m->head;
    struct h1_extra extra; /* each member that counts is set: none is cleared before */
    size_t bound, len;
    char *at;

    extra.framing.mode = m->framing.mode;
    extra.framing.length = m->framing.length;
    if (m->framing.mode == BODY_CHUNKED || m->framing.mode == BODY_CLOSE)
        extra.framing.mode = unknown_length(c);
    extra.no_length = extra.framing.mode == BODY_NONE;
    extra.length_as = m->length_as;
    extra.connection = connection_value(c, m, interim);
    extra.upgrade = m->upgrade;
    extra.date = interim ? (weir_str){ NULL, 0 } : m->date;

    bound = h1_print_bound(head, &extra);
    at = place(out, bound, extra.framing.mode == BODY_LENGTH ? m->room : 0, piece);
    if (at == NULL)
        return WEIR_ENOMEM;
    if (c->role == H1_CLIENT)
        len = h1_print_request(at, head, &extra);
    else
        len = h1_print_response(at, head, &extra);
    if (out->buf != NULL)
        out->used = len;
    else
        out->iov[out->n++] = (struct iovec){ memmove((char *)piece.ptr - len, at, len), len };
    if (!interim) {
        c->write_mode = (uint8_t)extra.framing.mode;
        c->write_left = extra.framing.mode == BODY_LENGTH ? extra.framing.length : 0;
        c->http.head_sent = true;
    }
    return 0;
}

/* One chunk, and with `end` the last one with the trailers behind it. */
static int put_chunk(struct h1_conn *c, weir_str piece, bool end, char line[CHUNK_HEAD_MAX],
                     struct output *out)
{
    const struct weir_head *trailers = end ? c->http.send_trailers : NULL;

    if (piece.len > 0) {
        add_piece(out, line, chunked_print_head(line, piece.len));
        add_piece(out, piece.ptr, piece.len);
        if (trailers == NULL) {
            weir_str tail = end ? LIT("\r\n0\r\n\r\n") : LIT("\r\n");

            add_piece(out, tail.ptr, tail.len);
            return 0;
        }
        add_piece(out, "\r\n0\r\n", 5);
    } else if (end) {
        add_piece(out, "0\r\n\r\n", trailers == NULL ? 5 : 3);
    }
    if (trailers != NULL) {
        char *text = arena_text(trailers->arena, h1_print_bound(trailers, &(struct h1_extra){ 0 }));

        if (text == NULL)
            return WEIR_ENOMEM;
        add(out, text, h1_print_trailers(text, trailers));
    }
    return 0;
}

static int put_body(struct h1_conn *c, weir_str piece, bool end, char line[CHUNK_HEAD_MAX],
                    struct output *out)
{
    if (c->write_mode == BODY_CHUNKED)
        return put_chunk(c, piece, end, line, out);
    if (c->write_mode == BODY_LENGTH) {
        if (piece.len > c->write_left || (end && piece.len < c->write_left))
            return WEIR_EINTERNAL; /* a length was promised, and the peer has to see it broken */
        c->write_left -= piece.len;
    }
    if (c->write_mode != BODY_NONE)
        add_piece(out, piece.ptr, piece.len);
    return 0;
}

/* Behind a head that did not leave whole nothing can: not even one that tells of the failure. */
static int send_all(struct h1_conn *c, struct output *out, struct pace *pace)
{
    uint64_t before = pace->bytes;
    int rc;

    list_copied(out);
    if (out->n == 0)
        return 0;
    if (c->net.filter != NULL) /* before it may say that a record is on its way */
        TRY(co_check());
    rc = stream_write(&c->net, out->iov, out->n, pace);
    if (rc < 0 && (pace->bytes != before || c->net.filter != NULL))
        c->http.head_sent = true; /* a record of TLS may be on its way as well */
    return rc;
}

int h1_write(struct http_stream *st, const struct http_message *m, weir_str piece, bool end,
             struct pace *pace)
{
    struct h1_conn *c = h1_of(st);
    struct iovec iov[OUTPUT_PIECES];
    struct output out = { .iov = iov };
    char line[CHUNK_HEAD_MAX];
    bool interim = m != NULL && is_interim(m);
    int rc = 0;

    if (m != NULL)
        rc = put_head(c, m, interim, piece, &out);
    if (rc == 0 && !interim)
        rc = put_body(c, piece, end, line, &out);
    c->net.more = st->more && c->net.drains && c->write_left >= H1_PASS_MIN;
    if (rc == 0)
        rc = send_all(c, &out, pace);
    output_done(&out);
    if (rc == 0 && end && c->tunnel_out)
        rc = stream_finish(&c->net, pace);
    if (rc < 0) {
        st->persistent = false;
        c->broken = true;
    } else if (end && !interim) {
        st->message_sent = true;
    }
    return rc;
}
