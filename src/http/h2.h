/* h2.h -- an HTTP/2 connection, either side (RFC 9113), on nghttp2.
 *
 * A connection is one strand: only it touches nghttp2, the TLS state and the socket (RUNTIME.md
 * B5). Each stream is served by a strand of its own, on whatever worker has time. The two talk by a
 * list of posts (a head to send, a piece of body, bytes consumed, the end) and by events; the
 * connection takes all posts at once and sends what they made in one write.
 *
 * What is bounded: streams at once (also those that were reset and whose strand still runs), header
 * lists, bytes received and not yet read (a window for each stream and one for the connection),
 * bytes to be sent (a piece for each stream), and how often a peer may do what costs us and gains
 * it nothing. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "codec/h1_parse.h"
#include "http/http.h"
#include "net/stream.h"
#include "runtime/co.h"

enum {
    H2_WINDOW = 64 * 1024,        /* bytes of a stream that wait for their reader */
    H2_CONN_WINDOW = 1024 * 1024, /* of all streams of a connection */
    H2_STREAMS = 100,
};

/* The bytes a client begins with: as a request head they are `PRI * HTTP/2.0`, and six bytes of
 * body. */
#define H2_PREFACE_HEAD "PRI * HTTP/2.0\r\n\r\n"

struct h2_conn;
struct h2_stream;

/* Outlives the connection. */
struct h2_config {
    const struct h1_limits *limits; /* of heads received */
    weir_dur header_timeout;        /* the preface, and a header block from its first byte */
    weir_dur send_timeout;          /* between two bytes that the peer takes */
    uint64_t min_rate;              /* bytes a second, of all that it is sent; 0: none */
    unsigned max_streams;
    uint64_t max_requests; /* then the connection is wound up */

    /* A request head has come: starts a strand for it, which calls h2_stream_begin first and
     * h2_stream_end last. 0, or an error: the stream is refused. Never blocks. */
    int (*open)(struct h2_stream *st, void *owner);
};

/* Server side, over `net`, which stays the caller's and is used until h2_free. NULL without
 * memory. */
struct h2_conn *h2_server_new(struct stream *net, const struct h2_config *config, void *owner);

/* Serves it on the calling strand; `early`: bytes read before (they are used up at once). Blocks.
 * H2_IDLE: nothing is open or left to send, and nothing has come for a moment: it may be armed, and
 * served again later. H2_CLOSE: it has ended, all its strands as well. */
enum h2_next { H2_IDLE, H2_CLOSE };
enum h2_next h2_serve(struct h2_conn *c, weir_str early);

/* Client side. Served by a strand as above; requests of other strands open streams on it. */
struct h2_conn *h2_client_new(struct stream *net, const struct h2_config *config, bool https);

/* Before it is served: what its owner wants. `settled`: called once, when the peer's SETTINGS have
 * told how many streams it takes; never blocks. `silence`: a peer with unanswered streams, or one
 * that a stream is opened on, that was silent for so long is sent a PING; nothing within as long
 * again, and the connection has ended. 0, WEIR_FOREVER: none is sent. */
void h2_client_watch(struct h2_conn *c, void (*settled)(void *owner), void *owner,
                     weir_dur silence);

/* A stream for one request, by the strand that makes it; h2_stream_end gives it back. NULL if the
 * connection takes no more now (as many as the peer allows are open) or will never again.
 * The caller makes sure that it is served. */
struct h2_stream *h2_open(struct h2_conn *c);
unsigned h2_open_count(const struct h2_conn *c);

/* Why it ended, for the log: 0 if in order; `*fault`: words, or NULL. */
int h2_error(const struct h2_conn *c, const char **fault);

/* No more streams: GOAWAY in two steps (RFC 9113 6.8), then it closes when the last stream has
 * ended. From any thread, while it is served or before. */
void h2_drain(struct h2_conn *c);

/* It was idle for too long: served once more it says GOAWAY, and ends. While it is not served. */
void h2_end(struct h2_conn *c);

void h2_free(struct h2_conn **c);

/* By the strand that serves a stream. begin: 0, or an error if the peer has reset it already. After
 * end it is gone. */
int h2_stream_begin(struct h2_stream *st);
void h2_stream_end(struct h2_stream *st);
struct http_stream *h2_stream_http(struct h2_stream *st);
void *h2_stream_owner(struct h2_stream *st); /* of its connection */
const struct stream *h2_stream_net(const struct h2_stream *st); /* the same; only to ask about */

#endif
