/* h1.h -- an HTTP/1 connection, either side (RFC 9112).
 *
 * The struct is embedded in what the layers above keep for a connection. While it is idle it holds
 * neither a coroutine nor a buffer. All framing state is here, and bytes are consumed and state is
 * moved on without a pause between, so a cancelled read loses nothing. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "codec/chunked.h"
#include "http/http.h"
#include "net/stream.h"

enum h1_role { H1_SERVER, H1_CLIENT };

struct h1_conn {
    struct http_stream http; /* first: ops get a pointer to it */
    struct stream net;
    const struct h1_limits *limits;

    /* Bytes read and not yet consumed: buf[pos..end). */
    char *buf; /* by `cap`: from buf_get, buf_wide_get, or malloc'ed for a large head; NULL: none */
    uint32_t pos, end, cap;
    bool full;  /* the last read used all the room it had: more is likely to be there */
    bool roomy; /* server: the first read of the last request took more than a buffer has */
    bool bulky; /* client: the bulk of the last body was passed on, so a head is read alone */

    /* The message being read, and the one being written. */
    struct chunked chunked;
    uint64_t read_left, write_left;
    uint8_t read_mode, write_mode; /* enum body_mode */
    uint8_t role;
    uint8_t peer_minor;  /* server: version of the current request */
    bool broken;         /* an error on the way: never used again */
    bool last_word;      /* server: the client's FIN was there when this request was read */
    bool tunnel;         /* it has left HTTP, in one direction at least */
    bool tunnel_out;     /* in that of writing */
    bool cut;            /* close by RST: what was sent must not look complete */
    bool lingers;        /* server: close as one that still will be sent to */
    bool alien;          /* server: its first line does not claim to be HTTP/1 */
    bool preface;        /* server: what came, and is still in the buffer, begins HTTP/2 */
    struct arena *arena; /* of the message being read: trailers go there */
};

/* A connection on a fresh stream. Limits must outlive it. */
void h1_init(struct h1_conn *c, enum h1_role role, struct stream net,
             const struct h1_limits *limits);

/* Makes ready for the next exchange (before read_head on a server, before write on a client). */
void h1_next(struct h1_conn *c);

/* Have bytes of a next message arrived already (pipelining)? */
bool h1_buffered(const struct h1_conn *c);

/* The TLS that was put into c->net is told to who reads requests. */
void h1_secured(struct h1_conn *c);

/* The bytes that have come, and are used up with this call; they are good until the next one on
 * this connection. */
weir_str h1_take_buffered(struct h1_conn *c);

/* Gives the input buffer back if nothing in it is left unread. */
void h1_release(struct h1_conn *c);

/* Looks whether anything has come (bytes, a close, an error) without waiting for it; bytes are kept
 * for the next read. For a connection that could not be armed: the readiness may have been that of
 * bytes read meanwhile. */
bool h1_poll(struct h1_conn *c);

/* Both messages complete, persistent, and (client) not a byte too many: may it serve another
 * exchange? */
bool h1_reusable(const struct h1_conn *c);

/* Server, after the response: reads and drops what is left of the request body, at most
 * H1_DRAIN_MAX bytes. true: done, the connection can go on. Blocks until `until`. */
#define H1_DRAIN_MAX (64u * 1024)
bool h1_drain(struct h1_conn *c, struct deadline until);

/* It might be sent to until the end, whatever HTTP/1 knows of that: for who speaks something
 * else. */
void h1_linger(struct h1_conn *c);

/* Closes the stream and gives back the buffer. A server that still might be sent to lingers, so
 * that its last answer arrives; after http_reset it is an RST. Never blocks. */
void h1_close(struct h1_conn *c);

#endif
