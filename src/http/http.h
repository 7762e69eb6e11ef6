/* http.h -- one exchange of a request and a response on one side, whatever the version.
 *
 * A `struct http_stream` is the server's or the client's view of one request: an HTTP/1 connection
 * while it serves that request, or one stream of an HTTP/2 connection. Nothing above src/http knows
 * which. One coroutine may read while another of the same strand writes; each direction has one
 * user at a time. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdatomic.h>

#include "codec/framing.h"
#include "net/pace.h"

struct http_stream;
struct tls_info;

/* A message head on its way out, with what the connection must know to frame its body. */
struct http_message {
    const struct weir_head *head;
    struct framing framing; /* BODY_NONE, BODY_LENGTH; CHUNKED or CLOSE: of unknown length,
                                          framed as the connection and its peer can */
    weir_str length_as;     /* a Content-Length to state without a body (HEAD, 304) */
    bool te_trailers;       /* a request: its client takes trailers (RFC 9110 10.1.4) */
    weir_str date;          /* for a response without one; absent: none is added */
    weir_str upgrade;       /* what a request offers, a 101 switches to, a 426 wants */
    size_t room;            /* so many bytes in front of the first piece may be written over, as by
                                          http_room: the head can be printed there */
    bool tunnel;            /* a 101, or a 2xx to CONNECT: no body follows, but a tunnel */
};

enum { HTTP_END = 0, HTTP_PIECE = 1, HTTP_LATER = 2 };

struct http_ops {
    /* Reads a head; `out` is initialised with the arena that keeps it. Blocks until the deadline,
     * which starts to count for a server with the first byte. 1: got it; 0: the peer closed before
     * a first byte (server side); < 0: an error, with st->fault saying more where there is more to
     * say. `method` is that of the request (client side). Afterwards st->framing tells the body's
     * length. */
    int (*read_head)(struct http_stream *st, struct weir_head *out, enum method method,
                     struct deadline until);

    /* The next piece of the body, a slice that lives until the next read on this stream. HTTP_PIECE
     * (then st->body_done tells whether it was the last), HTTP_END (st->trailers may be set now), <
     * 0. With `pace` NULL it never blocks: HTTP_LATER if nothing is there yet. */
    int (*read_body)(struct http_stream *st, weir_str *piece, struct pace *pace);

    /* Writes a head (NULL: none, later pieces of the same message), a piece of its body (may be
     * empty), and with `end` whatever ends it (st->send_trailers too, if set). Heads with status
     * 1xx are interim: others follow. All of it has left when the call returns 0. Blocks. */
    int (*write)(struct http_stream *st, const struct http_message *m, weir_str piece, bool end,
                 struct pace *pace);

    /* Moves what has come of the body on to `to`, a stream of the same kind that is amid the same
     * body, without showing it: HTTP_PIECE with `*moved` bytes, all of which have left; HTTP_END;
     * HTTP_LATER: not this body, or not now: read and write it; < 0, with `*moved` bytes used up
     * all the same. Ends the message of `to` with the body. `in` and `out` are the paces of both
     * sides; without `in` it does not wait for `st`, but says HTTP_LATER. Blocks. NULL: it never
     * can. */
    int (*pass_body)(struct http_stream *st, struct http_stream *to, struct pace *in,
                     struct pace *out, size_t *moved);

    /* What follows in this direction, behind the body, belongs to another protocol: from now on
     * read_body gives bytes as they come, and HTTP_END when the peer ends its direction; write
     * sends pieces as they are, and with `end` ends ours. Never blocks. NULL: it cannot. */
    void (*tunnel)(struct http_stream *st, bool in);

    /* Nobody will go on here: what has been sent must not look complete, and is seen to be cut off.
     * Never blocks. The connection is closed by its owner afterwards (h1) or goes on (h2). */
    void (*reset)(struct http_stream *st);

    /* Has the peer gone away for good, with nothing of it left to be served? 0, or the error. Never
     * blocks. */
    int (*gone)(struct http_stream *st);
};

struct http_stream {
    const struct http_ops *ops;
    const struct tls_info *tls;            /* of the connection; NULL: it is plain */
    const char *version;                   /* for logs, where it is not HTTP/1; else NULL */
    const char *fault;                     /* words for the last error, static; NULL: none */
    struct weir_head *trailers;            /* received, after HTTP_END; NULL: none */
    const struct weir_head *send_trailers; /* to be sent with `end`; NULL: none */
    struct framing framing;                /* of the message being read */
    const char *piece_at;                  /* the last piece of its body, and how many bytes */
    size_t room;                           /* in front of it nobody needs: http_room */
    bool heard;                            /* a byte of the message to be read has come */
    _Atomic bool carry_on;                 /* a server's: a client that leaves does not cancel it */
    bool body_done;                        /* its body has been read to its end */
    bool head_sent;                        /* a final head has left, at least in part */
    bool message_sent;                     /* a message has left completely */
    bool connect_protocol;                 /* its upgrade is asked for by an extended CONNECT */
    bool more; /* to be set before a write behind which http_pass_body follows at once, with this
                  stream as `to`: the last bytes need not leave before */
    bool persistent; /* this exchange may be followed by another; clear it to end the connection
                        (before a head is sent: and to say so) */
};

/* Who reads it elsewhere asks for nothing but the last word. */
static inline void http_carry_on(struct http_stream *st, bool yes)
{
    atomic_store_explicit(&st->carry_on, yes, memory_order_relaxed);
}

/* How many bytes in front of `piece` may be written over by whoever sends it on, before the next
 * read: none unless it is what read_body gave. */
static inline size_t http_room(const struct http_stream *st, weir_str piece)
{
    return piece.ptr == st->piece_at ? st->room : 0;
}

/* The calls by name. */
static inline int http_read_head(struct http_stream *st, struct weir_head *out, enum method method,
                                 struct deadline until)
{
    return st->ops->read_head(st, out, method, until);
}

static inline int http_read_body(struct http_stream *st, weir_str *piece, struct pace *pace)
{
    return st->ops->read_body(st, piece, pace);
}

static inline int http_write(struct http_stream *st, const struct http_message *m, weir_str piece,
                             bool end, struct pace *pace)
{
    return st->ops->write(st, m, piece, end, pace);
}

/* Are they of one kind that can pass a body on? */
static inline bool http_may_pass(const struct http_stream *from, const struct http_stream *to)
{
    return from->ops == to->ops && from->ops->pass_body != NULL;
}

static inline int http_pass_body(struct http_stream *from, struct http_stream *to, struct pace *in,
                                 struct pace *out, size_t *moved)
{
    *moved = 0;
    if (!http_may_pass(from, to))
        return HTTP_LATER;
    return from->ops->pass_body(from, to, in, out, moved);
}

static inline void http_tunnel_in(struct http_stream *st)
{
    st->ops->tunnel(st, true);
}

static inline void http_tunnel_out(struct http_stream *st)
{
    st->ops->tunnel(st, false);
}

static inline void http_reset(struct http_stream *st)
{
    st->ops->reset(st);
}

static inline int http_gone(struct http_stream *st)
{
    return st->ops->gone(st);
}

#endif
