/* stream.h -- a connected byte stream: reads and writes that park, with a pace. Plain TCP or Unix
 * sockets here; TLS (src/tls) puts itself in between by `filter`. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <sys/uio.h>

#include "net/addr.h"
#include "net/pace.h"
#include "runtime/slot.h"

struct stream;

/* What a filter sees when it looks for data: none yet, some, or that none will come. */
enum stream_look { STREAM_QUIET, STREAM_DATA, STREAM_ENDED };

/* What TLS implements. Semantics as of the calls below. */
struct stream_filter {
    ssize_t (*read)(struct stream *st, void *buf, size_t len, struct pace *pace);
    int     (*write)(struct stream *st, struct iovec *iov, int n, struct pace *pace);
    bool    (*pending)(const struct stream *st); /* decoded bytes wait inside */
    enum stream_look (*look)(struct stream *st, bool ask_kernel); /* reads what is no data */
    int     (*finish)(struct stream *st, struct pace *pace);
    void    (*close)(struct stream *st, bool reset); /* says goodbye, unless `reset`; the stream is
                                                        plain afterwards */
};

struct stream {
    struct slot                *slot;
    const struct stream_filter *filter;    /* NULL: plain */
    void                       *state;     /* of the filter */
    int                         reset_err; /* what a reset or broken pipe is called:
                                              WEIR_ECLIENTGONE or WEIR_EUPRESET */
    bool                        cut;       /* its end was read, but not that it was meant: a body
                                              that the end delimits may not be complete (TLS) */
    bool                        more;      /* to be set before a write behind which more will be
                                              written at once, or stream_flush is called: the last
                                              bytes need not leave before (plain only) */
    bool                        held;      /* such a write was the last one */
    bool                        drains;    /* a short read or write means drained (plain TCP only,
                                              RUNTIME.md R2) */
};

/* 0: what stream_read would wait for may be there. Or an error as of stream_read. Lets the
 * caller fetch a buffer only then. `pace` counts the wait. */
int stream_wait_readable(struct stream *st, struct pace *pace);

/* One wait for the peer: from the first time nothing was there until a byte moves, however often it
 * is woken for nothing in between. For filters: waits on the slot as stream_read and stream_write
 * do. */
struct stream_wait {
    bool            begun;
    struct deadline until;
};
int stream_wait_for(struct stream *st, enum dir d, struct pace *pace, struct stream_wait *wait);

/* What a failed call on its descriptor means (-errno): reset_err, WEIR_ENOMEM, WEIR_EINTERNAL. */
int stream_error(const struct stream *st, ssize_t err);

/* Do bytes wait that were received already? Then the descriptor need not become readable. */
static inline bool stream_pending(const struct stream *st)
{
    return st->filter != NULL && st->filter->pending(st);
}

/* Never blocks: has nothing come on an idle stream that its owner would have to read, not even the
 * end? Reads what concerns only TLS. `ask_kernel`: also if no event has been seen. */
bool stream_quiet(struct stream *st, bool ask_kernel);

/* Is a read likely to give something at once? */
bool stream_readable(const struct stream *st);

/* > 0: bytes; 0: end of stream; < 0: the pace's error, WEIR_ECANCELED, reset_err. Blocks until
 * there is something; a limit in the past makes it look once, without blocking. `len` is not 0. */
ssize_t stream_read(struct stream *st, void *buf, size_t len, struct pace *pace);

/* Writes all of `iov` (which it uses up), or fails: the pace's error, WEIR_ECANCELED, reset_err.
 * Blocks. One writer at a time. pace->bytes tells how much has left, also after an error. */
int stream_write(struct stream *st, struct iovec *iov, int n, struct pace *pace);

/* Bytes that were written and the peer has not taken; 0 where the kernel does not tell. */
size_t stream_untaken(const struct stream *st);

/* What a write with `more` held back leaves now. Never blocks; after it `more` is false. */
void stream_flush(struct stream *st);

/* Never blocks. true: the peer has closed or broken the connection and no byte of it is unread. */
bool stream_gone(struct stream *st);

/* Nothing more will be written: the peer reads the end of the stream, and may still send. Blocks as
 * a write, and fails as one. */
int stream_finish(struct stream *st, struct pace *pace);

/* Ends it and closes the descriptor; `reset`: by RST, so that a cut-off body cannot look
 * complete (TCP only: a Unix socket has no such thing). Never blocks. */
void stream_close(struct stream *st, bool reset);

#endif
