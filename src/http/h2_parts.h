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
#include "http/h2_frames.h"
#include "http/h2_message.h"
#include "runtime/buf.h"
#include "runtime/event.h"
#include "runtime/spin.h"
#include "tls/tls.h"

/* Posts of a stream's strand. */
enum {
    H2_QUEUED = 1,
    H2_POST_OUT = 2,
    H2_POST_CONSUMED = 4,
    H2_POST_RESET = 8,
    H2_POST_DROP = 16,
    H2_POST_LATE = 32
};

/* Bytes that a peer has taken: of a stream; of others, where it waits behind those. */
struct h2_taken {
    uint64_t own, others;
};

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
    bool judged;    /* `taken` is the answer to its last H2_POST_LATE */
    struct h2_taken taken;

    /* the strand's, for its connection */
    _Atomic bool tunnel;
    bool misused; /* as a tunnel: fields came; seen with what is posted afterwards */

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
    int64_t squeezed_at; /* since then its window is hardly worth a frame; 0: it is */
    uint64_t sent_own;   /* bytes of its body */
    uint64_t last_at;    /* where the last of them lies in what its connection has written */
    struct h2_seen {
        uint64_t own, all, taken;
    } seen; /* of these, when somebody looked last */
    int32_t id;
    bool listed;  /* in conn->streams */
    bool started; /* server: there is or was a strand for it, or none could be made */
    bool head_in, head_out, out_ended, end_sent, dropped, closed;
    bool told;      /* that its connection has ended */
    bool malformed; /* what came on it broke the rules */
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
    unsigned begun;   /* server: streams that are open and whose strand is not started yet */
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
    bool unseen;      /* nghttp2 has not told of the last one */
    int err;
    const char *fault;

    /* client: h2_alive.c */
    void (*settled)(void *owner); /* NULL: called already */
    weir_dur silence;             /* 0: it may be silent for as long as it likes */
    int64_t heard_at, asked_at;   /* bytes came; a PING is not answered since then, 0: is */
    unsigned asked;               /* PINGs since another frame came */
    bool held;                    /* posts wait for the answer */
    bool wants_h1;                /* its GOAWAY said so */

    int64_t squeezed_at; /* of the stream that waits longest for its window; 0: none does */

    /* what a peer may do that costs us */
    int64_t budget, budget_at;
    struct h2_frames frames;
    struct h2_priorities *priorities; /* NULL before the first PRIORITY_UPDATE */

    /* h2_slow.c: bytes of bodies; bytes that the socket has; where the last body's lie in them */
    uint64_t sent_all, written, last_at;

    /* the bytes of one write */
    char *out[4];
    size_t out_len;
    bool cut; /* one did not leave whole: what follows would be taken for the rest of it */
};

/* h2_session.c: NULL without memory. feed: c->feed; on the worker's stack. */
nghttp2_session *h2_session_new(struct h2_conn *c);
void h2_session_feed(void *conn);

/* h2_recv.c, h2_sent.c: nghttp2's callbacks for frames that have come; for those that leave, and
 * for streams that are over. */
void h2_recv_callbacks(nghttp2_session_callbacks *cb);
void h2_sent_callbacks(nghttp2_session_callbacks *cb);

/* h2_priority.c: PRIORITY_UPDATE. parse: a priority field. begin: a frame begins. update: it has
 * come. open: a request has come, and what was said of it before holds. end: frees what was
 * kept. */
struct h2_priority {
    uint8_t urgency;
    bool incremental;
};
struct h2_priority h2_priority_parse(weir_str field);
void h2_priority_callbacks(nghttp2_session_callbacks *cb);
void h2_priority_begin(struct h2_conn *c);
void h2_priority_update(struct h2_conn *c, const nghttp2_frame_hd *hd);
void h2_priority_open(struct h2_conn *c, int32_t id);
void h2_priority_end(struct h2_conn *c);

/* h2_memory.c: once, 0 or WEIR_ENOMEM; for a session of this connection; when that is gone. */
must_use int h2_memory_start(void);
nghttp2_mem h2_memory_of(struct h2_conn *c);
void h2_memory_end(struct h2_conn *c);

/* h2_admit.c: the streams that a client opens. new: a head begins; 0 (also when it is refused) or
 * an error of nghttp2. ready: its head is there. start: strands for those that are ready, as many
 * as may run. */
must_use int h2_admit_new(struct h2_conn *c, int32_t id);
void h2_admit_ready(struct h2_conn *c, struct h2_stream *st);
void h2_admit_start(struct h2_conn *c);

/* h2_post.c: what strands tell their connection. post: by the strand; `what`: H2_POST_*. take: all
 * that was posted; on the worker's stack. credit_rest: what came and nobody will read makes room in
 * the windows. */
void h2_post(struct h2_stream *st, unsigned what);
void h2_post_take(struct h2_conn *c);
void h2_credit_rest(struct h2_stream *st);

/* h2_send.c: frames into the buffer of the next write; on the worker's stack. data: nghttp2 asks
 * for some of a body; it sends what it was offered. */
void h2_collect(struct h2_conn *c);
int h2_data_sent(struct h2_conn *c, struct h2_stream *st, const uint8_t *head, size_t len);
ssize_t h2_data_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                     uint32_t *flags, nghttp2_data_source *source, void *conn);

/* h2_squeeze.c: small windows. waits: so little of it is left that a piece of `left` bytes waits.
 * opened: the peer has given more of one. next: when they are used all the same. */
bool h2_squeeze_waits(struct h2_stream *st, size_t max, size_t left);
void h2_squeeze_opened(struct h2_conn *c);
int64_t h2_squeeze_next(const struct h2_conn *c);

/* h2_slow.c: is it the peer that a stream waits for? sent: `len` bytes of its body are in the
 * buffer. look: from here on counts what is taken. taken: since that was asked last. */
void h2_slow_sent(struct h2_stream *st, size_t len);
void h2_slow_look(struct h2_stream *st);
struct h2_taken h2_slow_taken(struct h2_stream *st);

/* h2_stream.c: its life, and what comes on it, by the connection. over: nothing more comes or goes;
 * wakes and cancels its strand. unread: bytes that what waits for its strand takes. */
struct h2_stream *h2_stream_new(struct h2_conn *c);
void h2_stream_list(struct h2_stream *st);
void h2_stream_free(struct h2_stream *st);
void h2_stream_over(struct h2_stream *st, int err);
bool h2_stream_append(struct h2_stream *st, const uint8_t *data, size_t len);
void h2_stream_push(struct h2_stream *st, struct h2_in *in, bool ended);
size_t h2_stream_unread(struct h2_stream *st);

/* h2_read.c, h2_write.c: of struct http_ops, by its strand. */
int h2_read_head(struct http_stream *http, struct weir_head *out, enum method method,
                 struct deadline until);
int h2_read_body(struct http_stream *http, weir_str *piece, struct pace *pace);
int h2_write(struct http_stream *http, const struct http_message *m, weir_str piece, bool end,
             struct pace *pace);

/* h2_conn.c. leave: one user less, the last one frees it. feed: bytes that came, up to the strands
 * they start. gather: all that is posted, and the frames that it makes, up to a buffer full.
 * write_out: these; blocks. */
void h2_leave(struct h2_conn *c);
void h2_feed(struct h2_conn *c, weir_str bytes);
void h2_gather(struct h2_conn *c);
int h2_write_out(struct h2_conn *c, struct deadline limit);

/* h2_alive.c: does a peer that is silent still live? heard: bytes came. resume: the connection is
 * served again. step: asks, if it is time; false: it does not live. next: when to look again. */
void h2_alive_heard(struct h2_conn *c);
void h2_alive_resume(struct h2_conn *c);
bool h2_alive_step(struct h2_conn *c);
int64_t h2_alive_next(const struct h2_conn *c);

/* h2_end.c: how it ends. fail: with GOAWAY; the first cause stays. wrong: the peer broke a rule.
 * calm: it does too much of what costs us. blame: what its breaking a rule is called. */
void h2_conn_fail(struct h2_conn *c, int err, uint32_t code, const char *fault);
void h2_conn_wrong(struct h2_conn *c, uint32_t code, const char *fault);
void h2_conn_calm(struct h2_conn *c, const char *fault);
int h2_conn_blame(const struct h2_conn *c);

/* linger: its strand has ended, and what that wrote still has to leave.
 * step: what is due of winding it up, and of streams that nobody takes the rest of. next: when to
 * look again. draining: between the two GOAWAYs. reached: it has ended. streams: ends all of them;
 * blocks until their strands have. */
void h2_end_linger(struct h2_stream *st);
void h2_end_step(struct h2_conn *c);
int64_t h2_end_next(const struct h2_conn *c);
bool h2_end_draining(const struct h2_conn *c);
bool h2_end_reached(const struct h2_conn *c);
void h2_end_streams(struct h2_conn *c);

/* h2_budget.c: what cannot be paid ends the connection, with these words. */
enum {
    H2_COST_RESET = 10,
    H2_COST_WRONG = 20,
    H2_COST_PING = 10,
    H2_COST_SETTINGS = 20,
    H2_COST_PRIORITY = 2,
    H2_COST_WINDOW = 1,
    H2_COST_EMPTY = 10,
    H2_COST_UNKNOWN = 2,
    H2_COST_LATE = 10,
    H2_COST_DRIBBLE = 20, /* it asks for a response in pieces of some bytes (CVE-2019-9511) */
    H2_GAIN_DATA = 16,    /* a client that reads may ping once for what it got (gRPC does) */
};
void h2_spend(struct h2_conn *c, unsigned cost, const char *fault);
void h2_earn(struct h2_conn *c, unsigned gain);

static inline struct h2_stream *h2_of(struct http_stream *http)
{
    return container_of(http, struct h2_stream, http);
}

static inline struct h2_stream *h2_stream_by_id(struct h2_conn *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

/* What nghttp2 says to a call without which somebody would wait for ever: if it has no memory for
 * that, the connection ends. */
static inline void h2_needed(struct h2_conn *c, int rc)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        h2_conn_fail(c, WEIR_ENOMEM, NGHTTP2_INTERNAL_ERROR, NULL);
}

static inline void h2_send_reset(struct h2_conn *c, int32_t id, uint32_t code)
{
    h2_needed(c, nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, code));
}

/* The peer may send as many bytes again. */
static inline void h2_consumed(struct h2_conn *c, int32_t id, size_t len)
{
    h2_needed(c, nghttp2_session_consume(c->session, id, len));
}

/* There is more of a body. */
static inline void h2_resume(struct h2_conn *c, int32_t id)
{
    h2_needed(c, nghttp2_session_resume_data(c->session, id));
}

static inline void h2_stream_reset(struct h2_stream *st, uint32_t code)
{
    h2_send_reset(st->conn, st->id, code);
}

/* What a request of which the peer has seen nothing is told. */
static inline int h2_refused(const struct h2_conn *c)
{
    return c->wants_h1 ? WEIR_EUPH1 : WEIR_EUPREFUSED;
}

static inline weir_str h2_text(const nghttp2_vec v)
{
    return (weir_str){ (const char *)v.base, v.len };
}

#endif
