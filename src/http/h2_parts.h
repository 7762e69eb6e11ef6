/* h2_parts.h -- what the files of an HTTP/2 connection share.
 *
 * Whose a field is, is said at each group: the connection's strand, the stream's strand, or both
 * under the stream's lock. */
#ifndef HTTP_H2_PARTS_H
#define HTTP_H2_PARTS_H

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

#include "base/list.h"
#include "http/h2.h"
#include "runtime/buf.h"
#include "runtime/event.h"
#include "runtime/spin.h"
#include "tls/tls.h"

/* Received, in order: what one frame or several brought. */
enum h2_in_kind { H2_IN_HEAD, H2_IN_DATA, H2_IN_TRAILERS };
struct h2_in {
    struct h2_in *next;
    uint32_t used, cap;
    uint8_t kind;
    bool pooled; /* it is a buffer of the pool, else malloc'ed */
    bool too_large, too_many;
    uint32_t fields;
    char bytes[]; /* data; or fields: struct h2_field_size, name, value, ... */
};

struct h2_field_size {
    uint32_t name, value;
};

/* To be sent, in order. */
enum h2_out_kind { H2_OUT_INTERIM, H2_OUT_HEAD, H2_OUT_DATA, H2_OUT_TRAILERS };
struct h2_out {
    struct h2_out *next;
    uint8_t kind;
    bool end;      /* the message ends behind it */
    bool borrowed; /* its data is the writer's, who waits until it is taken */
    const char *data;
    size_t len, off;
    size_t nvlen;
    nghttp2_nv *nv; /* in the same block, with all text that it needs */
};

/* Posts of a stream's strand. */
enum { H2_QUEUED = 1, H2_POST_OUT = 2, H2_POST_CONSUMED = 4, H2_POST_RESET = 8, H2_POST_DROP = 16 };

struct h2_stream {
    struct http_stream http; /* first: ops get a pointer to it */
    struct h2_conn *conn;

    /* posts: set by the strand, taken by the connection */
    _Atomic unsigned posts;
    _Atomic uint32_t consumed;
    struct h2_stream *next_post;

    /* both, under the lock */
    struct spin lock;
    struct event in_event, out_event;
    struct h2_in *in_first, **in_end;
    struct h2_out *out_first, **out_end;
    strand_ref strand;
    int error;      /* 0, or why nothing more will come or go */
    bool in_ended;  /* END_STREAM has come */
    bool lent;      /* a borrowed piece, or an interim head, is not taken yet */
    bool withdrawn; /* its writer has left: it must not be touched any more */
    size_t queued;  /* copied bytes that are not sent yet */

    /* the strand's; the connection sees it with what is posted afterwards */
    bool tunnel;

    /* the strand's */
    struct h2_in *held; /* the last piece lies in it */
    struct arena *arena;
    uint32_t unposted; /* consumed and not told yet */

    /* the connection's */
    struct link link; /* conn->streams */
    struct link wait; /* conn->lingering */
    int64_t linger_until;
    struct h2_in *block; /* the header block being received */
    struct h2_out *sending, **sending_end, *sent;
    int32_t id;
    bool listed; /* in conn->streams */
    bool head_in, head_out, out_ended, end_sent, dropped, closed;
    bool squeezed;  /* the window left to it is hardly worth a frame */
    bool malformed; /* what came on it broke the rules */
};

/* h2_frames.c */
struct h2_frames {
    size_t skip;      /* bytes until the next frame header; at first: the preface */
    uint8_t kept[14]; /* of the frame at hand */
    unsigned have;
    int32_t reset[64]; /* by us, the last ones */
    unsigned resets;
    int32_t forgotten; /* the largest that is no longer among them */
    unsigned continued; /* CONTINUATION frames of the last field block */
    bool in_headers;    /* the frame at hand is part of one */
    bool open_block;    /* and not its last */
};

enum {
    H2_CONTINUATIONS = 8, /* CONTINUATION frames of one field block */
    H2_FIELD_COST = 32,   /* RFC 9113 6.5.2: what a field counts beside its text */
};

struct h2_conn {
    nghttp2_session *session;
    struct place *place; /* what nghttp2 packs frames in: h2_memory.c */
    void *doubtful;      /* a block that nghttp2 may free a second time */
    bool starved;        /* the next one that it frees is */
    struct stream *net;
    const struct h2_config *config;
    void *owner;
    bool server, https;
    struct event wake;
    _Atomic(struct h2_stream *) posted; /* newest first */
    _Atomic unsigned users;             /* the connection, and each strand that has a stream */
    _Atomic bool draining;
    _Atomic unsigned open, limit; /* client: streams reserved; how many the peer takes */
    _Atomic bool full;            /* client: it takes no new ones any more */

    /* the connection's strand */
    struct link streams, lingering;
    unsigned running; /* strands that have a stream */
    unsigned begun;   /* server: streams whose strand is not started yet */
    uint64_t requests;
    struct h2_stream *born, **born_end; /* to be started, oldest first, linked by next_post */
    weir_str feed;                      /* what is given to nghttp2 next */
    int64_t head_since;                 /* a header block is incomplete; 0: none is */
    int64_t drain_until;                /* the first GOAWAY was sent; 0: was not */
    bool drained;                       /* the final GOAWAY too */
    bool greeted;                       /* the preface is complete */
    bool eof;
    size_t queued;    /* frames to be sent, when the SETTINGS frame at hand began */
    size_t list_size; /* of the field block being decoded */
    int err;
    const char *fault;

    /* client: h2_alive.c */
    void (*settled)(void *owner); /* NULL: called already */
    weir_dur silence;             /* 0: it may be silent for as long as it likes */
    int64_t heard_at, asked_at;   /* bytes came; a PING is not answered since then, 0: is */
    unsigned asked;               /* PINGs since another frame came */
    bool held;                    /* posts wait for the answer */
    bool wants_h1;                /* its GOAWAY said so */

    int64_t squeezed_at; /* since then a stream is `squeezed`; 0: none is */
    bool squeezes;       /* small windows are used now */

    /* what a peer may do that costs us */
    int64_t budget, budget_at;
    struct h2_frames frames;

    /* the bytes of one write */
    char *out[4];
    size_t out_len;
    bool cut; /* one did not leave whole: what follows would be taken for the rest of it */
};

/* h2_session.c: nghttp2's callbacks for what comes. */
nghttp2_session *h2_session_new(struct h2_conn *c); /* NULL without memory */
void h2_session_feed(void *conn);                   /* c->feed; on the worker's stack */
void h2_session_dribble(struct h2_conn *c);
void h2_conn_fail(struct h2_conn *c, int err, uint32_t code, const char *fault);

/* h2_memory.c: once, 0 or WEIR_ENOMEM; for a session of this connection; when that is gone. */
must_use int h2_memory_start(void);
nghttp2_mem h2_memory_of(struct h2_conn *c);
void h2_memory_end(struct h2_conn *c);

/* h2_frames.c: the frames as they come, beside nghttp2. next: from the bytes that it is about to
 * get. fault: NULL, or what is wrong with the frame just found (not OTHER), once all before it has
 * been handled. reset: a stream that we have reset. */
enum h2_frame {
    H2_FRAME_NONE,
    H2_FRAME_STREAM,
    H2_FRAME_PRIORITY,
    H2_FRAME_CONTINUATION,
    H2_FRAME_OTHER
};
enum h2_frame h2_frames_next(struct h2_frames *f, weir_str *bytes, const char **start);
const char *h2_frames_fault(const struct h2_conn *c, enum h2_frame kind, uint32_t *code);
void h2_frames_reset(struct h2_conn *c, int32_t id);
bool h2_frames_in_block(const struct h2_frames *f); /* a field block is incomplete */

/* h2_send.c: from posts to bytes. Both on the worker's stack. */
void h2_take_posts(struct h2_conn *c);
void h2_collect(struct h2_conn *c);
int h2_data_sent(struct h2_conn *c, struct h2_stream *st, const uint8_t *head, size_t len);
ssize_t h2_data_read(struct h2_stream *st, size_t max, uint32_t *flags);
void h2_out_free(struct h2_out *list);
void h2_credit_rest(struct h2_stream *st); /* of what came and nobody will read */
void h2_window_opened(struct h2_conn *c);            /* the peer has given more of one */
int64_t h2_squeeze_next(const struct h2_conn *c); /* when small windows are used all the same */

/* h2_stream.c */
struct h2_stream *h2_stream_new(struct h2_conn *c);
void h2_stream_list(struct h2_stream *st);
void h2_stream_free(struct h2_stream *st);
void h2_stream_over(struct h2_stream *st,
                    int err); /* nothing more comes; wakes and cancels its strand */
bool h2_stream_append(struct h2_stream *st, const uint8_t *data, size_t len);
void h2_stream_push(struct h2_stream *st, struct h2_in *in, bool ended);
size_t h2_stream_unread(struct h2_stream *st); /* bytes that what waits for its strand takes */
void h2_in_free(struct h2_in *list);

/* h2_conn.c: one user less, the last one frees it; bytes that came, up to the strands they start. */
void h2_leave(struct h2_conn *c);
void h2_feed(struct h2_conn *c, weir_str bytes);

/* h2_parse.c: fields from the wire. */
bool h2_block_add(struct h2_in **block, const struct h1_limits *limits, weir_str name,
                  weir_str value);
int h2_parse_request(const struct h2_in *block, const struct h1_limits *limits,
                     struct weir_head *out, struct framing *framing, const char **fault);
int h2_parse_response(const struct h2_in *block, const struct h1_limits *limits, enum method method,
                      struct weir_head *out, struct framing *framing, const char **fault);
int h2_parse_trailers(const struct h2_in *block, const struct h1_limits *limits,
                      struct weir_head *out, int err, const char **fault);

/* h2_print.c: and to it; `copy` goes into the block. NULL without memory. */
struct h2_out *h2_print_request(const struct http_message *m, weir_str copy, bool https);
struct h2_out *h2_print_response(const struct http_message *m, weir_str copy);
struct h2_out *h2_print_trailers(const struct weir_head *trailers);

/* h2_alive.c: does a peer that is silent still live? heard: bytes came. resume: the connection is
 * served again. step: asks, if it is time; false: it does not live. next: when to look again. */
void h2_alive_heard(struct h2_conn *c);
void h2_alive_resume(struct h2_conn *c);
bool h2_alive_step(struct h2_conn *c);
int64_t h2_alive_next(const struct h2_conn *c);

/* h2_budget.c: true while the peer behaves. */
bool h2_spend(struct h2_conn *c, unsigned cost);
void h2_earn(struct h2_conn *c, unsigned gain);

static inline weir_str h2_text(const nghttp2_vec v)
{
    return (weir_str){ (const char *)v.base, v.len };
}

#endif
