/* stream.c -- a stream with TLS in between: reading, writing, the end.
 *
 * OpenSSL runs on the worker's stack and never waits: it says that it found nothing to do at the
 * socket, and the coroutine waits outside. Who failed and why is told by what the BIO saw
 * (tls.blocked, eof, broken), so the good path does not touch OpenSSL's error queue. */
#include <stdlib.h>

#include "runtime/buf.h"
#include "runtime/runtime.h"
#include "tls/parts.h"

enum { RECORD = 16384 }; /* the most that one record carries */
#define ACROSS (5 * WEIR_MS)

/* One stay on the worker's stack. */
struct visit {
    struct tls *t;
    char *buf;
    size_t len;
    size_t done; /* bytes moved, also if it failed behind them */
    bool failed;
};

/* ---- reading --------------------------------------------------------------------------------- */

/* Did a fatal alert or the end of the peer's data come? Both leave the same mark. */
static bool was_alert(void)
{
    unsigned long err = ERR_peek_last_error();

    return ERR_GET_LIB(err) == ERR_LIB_SSL && ERR_GET_REASON(err) >= SSL_AD_REASON_OFFSET;
}

/* Reading found no data: if it does not wait for the socket, there will never be more. What there
 * is to read then is the end (`more`), now and whenever it is tried again. And who waits for room
 * has read what the socket had: it will not become readable for that. */
static void note_outcome(struct tls *t)
{
    t->more = t->blocked != BLOCKED_IN;
    if (t->blocked != 0)
        return;
    if (t->broken)
        t->end = END_BROKEN;
    else if ((SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) && !was_alert())
        t->end = t->eof ? END_CUT : END_CLEAN;
    else
        t->end = END_FAILED;
    ERR_clear_error();
}

static void read_visit(void *arg)
{
    struct visit *v = arg;
    struct tls *t = v->t;
    int n;

    do {
        t->blocked = 0;
        n = SSL_read(t->ssl, v->buf + v->done, (int)(v->len - v->done));
        if (n <= 0) {
            note_outcome(t);
            return;
        }
        v->done += (size_t)n;
        t->more = SSL_has_pending(t->ssl);
    } while (t->more && v->done < v->len);
}

/* Reading needs room first (to answer a key update), or writing bytes. Another coroutine may be
 * waiting for the same in the slot's only place: then it is looked at again soon. */
static int wait_across(const struct pace *pace)
{
    int64_t now = rt_now();

    return co_sleep(deadline_min(deadline_in(now, ACROSS, WEIR_OK), pace_next(pace, now)));
}

static ssize_t read_end(struct stream *st)
{
    const struct tls *t = tls_of(st);

    st->cut = t->end == END_CUT;
    if (t->end == END_CLEAN || t->end == END_CUT)
        return 0;
    return t->end == END_FAILED && t->client != NULL ? WEIR_EUPTLS : st->reset_err;
}

static ssize_t tls_read(struct stream *st, void *buf, size_t len, struct pace *pace)
{
    struct tls *t = tls_of(st);
    struct stream_wait wait = { .begun = false };

    TRY(co_check());
    for (;;) {
        struct visit v = { .t = t, .buf = buf, .len = MIN(len, INT32_MAX) };

        if (t->end == END_NOT && stream_readable(st)) {
            rt_on_worker_stack(read_visit, &v);
            if (v.done > 0) {
                pace->bytes += v.done;
                return (ssize_t)v.done;
            }
            if (t->blocked == BLOCKED_OUT) {
                TRY(wait_across(pace));
                continue;
            }
        }
        if (t->end != END_NOT)
            return read_end(st);
        TRY(stream_wait_for(st, DIR_IN, pace, &wait));
    }
}

static bool tls_pending(const struct stream *st)
{
    return tls_of(st)->more;
}

struct look {
    struct tls *t;
    enum stream_look result;
};

static void look_visit(void *arg)
{
    struct look *l = arg;
    struct tls *t = l->t;
    char byte;
    int n;

    t->blocked = 0;
    n = SSL_peek(t->ssl, &byte, 1);
    t->look = false;
    if (n > 0)
        t->more = true;
    else
        note_outcome(t);
    if (t->end != END_NOT)
        l->result = STREAM_ENDED;
    else
        l->result = t->blocked == BLOCKED_IN ? STREAM_QUIET : STREAM_DATA;
}

/* Reads what is no data (tickets, key updates) and tells what is behind it. */
static enum stream_look tls_look(struct stream *st, bool ask_kernel)
{
    struct look l = { .t = tls_of(st) };

    if (l.t->end != END_NOT)
        return STREAM_ENDED;
    l.t->look = ask_kernel;
    rt_on_worker_stack(look_visit, &l);
    return l.result;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_visit(void *arg)
{
    struct visit *v = arg;
    struct tls *t = v->t;

    while (v->done < v->len) {
        int n;

        t->blocked = 0;
        n = SSL_write(t->ssl, v->buf + v->done, (int)(v->len - v->done));
        if (n <= 0) {
            v->failed = t->blocked == 0;
            return;
        }
        v->done += (size_t)n;
    }
}

static int write_bytes(struct stream *st, char *buf, size_t len, struct pace *pace,
                       struct stream_wait *wait)
{
    struct tls *t = tls_of(st);

    while (len > 0) {
        struct visit v = { .t = t, .buf = buf, .len = MIN(len, INT32_MAX) };

        rt_on_worker_stack(write_visit, &v);
        buf += v.done;
        len -= v.done;
        pace->bytes += v.done;
        if (v.done > 0)
            wait->begun = false;
        if (v.failed) {
            ERR_clear_error();
            return st->reset_err;
        }
        if (len > 0 && t->blocked == BLOCKED_IN)
            TRY(wait_across(pace));
        else if (len > 0)
            TRY(stream_wait_for(st, DIR_OUT, pace, wait));
    }
    return 0;
}

/* Moves the front of `iov` to `to`, at most a record. */
static size_t gather(char *to, struct iovec **iov, int *n)
{
    size_t used = 0;

    while (*n > 0 && used < RECORD) {
        struct iovec *v = *iov;
        size_t len = MIN(v->iov_len, RECORD - used);

        memcpy(to + used, v->iov_base, len);
        used += len;
        v->iov_base = (char *)v->iov_base + len;
        v->iov_len -= len;
        if (v->iov_len == 0) {
            (*iov)++;
            (*n)--;
        }
    }
    return used;
}

/* Pieces are gathered, so that a head and a small body are one record and one send. What is a
 * record by itself, or the last piece, goes out from where it is. */
static int tls_write(struct stream *st, struct iovec *iov, int n, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };
    char *buf = NULL;
    int rc = 0;

    static_assert((int)BUF_SIZE >= (int)RECORD, "a record fits into a buffer");
    TRY(co_check());
    while (n > 0 && rc == 0) {
        if (n == 1 || iov->iov_len >= RECORD) {
            rc = write_bytes(st, iov->iov_base, iov->iov_len, pace, &wait);
            iov++;
            n--;
            continue;
        }
        if (buf == NULL)
            buf = buf_get();
        rc = buf != NULL ? write_bytes(st, buf, gather(buf, &iov, &n), pace, &wait) : WEIR_ENOMEM;
    }
    buf_put(&buf);
    return rc;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void free_visit(void *arg)
{
    struct tls *t = arg;

    SSL_free(t->ssl);
    free((char *)t->info.sni);
    tls_client_put(&t->client);
    free(t);
}

/* RFC 8446 6.1: close_notify, if there is room for it; nobody waits for the peer's. */
static void bye_visit(void *arg)
{
    struct tls *t = arg;

    if (t->up && t->end != END_BROKEN && t->end != END_FAILED) {
        SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    free_visit(t);
}

void tls_free(struct tls *t)
{
    rt_on_worker_stack(free_visit, t);
}

static void finish_visit(void *arg)
{
    struct visit *v = arg;

    v->t->blocked = 0;
    v->done = SSL_shutdown(v->t->ssl) >= 0;
    v->failed = v->done == 0 && v->t->blocked == 0;
    ERR_clear_error();
}

/* close_notify; the peer's may come when it likes (RFC 8446 6.1: it ends one direction). */
static int tls_finish(struct stream *st, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };

    TRY(co_check());
    for (;;) {
        struct visit v = { .t = tls_of(st) };

        rt_on_worker_stack(finish_visit, &v);
        if (v.done > 0)
            return 0;
        if (v.failed)
            return st->reset_err;
        TRY(stream_wait_for(st, DIR_OUT, pace, &wait));
    }
}

static void tls_close(struct stream *st, bool reset)
{
    rt_on_worker_stack(reset ? free_visit : bye_visit, tls_of(st));
    st->filter = NULL;
    st->state = NULL;
}

const struct stream_filter tls_filter = {
    .read = tls_read,
    .write = tls_write,
    .pending = tls_pending,
    .look = tls_look,
    .finish = tls_finish,
    .close = tls_close,
};

const struct tls_info *tls_info(const struct stream *st)
{
    return st->filter == &tls_filter ? &tls_of(st)->info : NULL;
}
