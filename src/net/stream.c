/* stream.c -- reading and writing by the rules of RUNTIME.md R2: the readiness word first, then
 * the call, then a compare-and-swap on what was loaded. A call that need not wait is one system
 * call and reads no clock. */
#include "net/stream.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "runtime/runtime.h"
#include "runtime/sys.h"

enum { SOMETHING = SLOT_READY | SLOT_HUP | SLOT_ERR };

/* Has the peer taken bytes since this was asked last? A socket becomes writable only when much of
 * its buffer is free, which takes a slow reader minutes. Where the kernel does not tell: no. */
static bool took_some(const struct stream *st, struct pace *pace)
{
    uint32_t before = pace->untaken;
    int now = sys_outq(slot_fd(st->slot));

    if (now < 0)
        return false;
    pace_untaken(pace, (uint32_t)now);
    return pace->untaken < before;
}

size_t stream_untaken(const struct stream *st)
{
    int n = sys_outq(slot_fd(st->slot));

    return n > 0 ? (size_t)n : 0;
}

int stream_wait_for(struct stream *st, enum dir d, struct pace *pace, struct stream_wait *wait)
{
    int64_t since = rt_now(), now;
    int rc;

    if (!wait->begun) {
        if (d == DIR_OUT)
            took_some(st, pace);
        *wait = (struct stream_wait){ .begun = true, .until = pace_next(pace, since) };
    }
    if (wait->until.at <= since)
        return wait->until.err;
    rc = slot_wait(st->slot, d, wait->until);
    now = rt_now();
    if (now > since) /* it may have resumed on a worker whose turn began before */
        pace->waited += now - since;
    if (rc == wait->until.err && d == DIR_OUT && pace->limit.at > now && took_some(st, pace)) {
        wait->until = pace_next(pace, now);
        return 0; /* its caller looks again, and waits on */
    }
    return rc;
}

/* Network errors have many names and one meaning; only ours are told apart. */
int stream_error(const struct stream *st, ssize_t err)
{
    switch (-err) {
    case ENOMEM:
    case ENOBUFS:
        return WEIR_ENOMEM;
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
        return WEIR_EINTERNAL;
    default:
        return st->reset_err;
    }
}

bool stream_readable(const struct stream *st)
{
    if (stream_pending(st))
        return true;
    return (slot_flags(slot_load(st->slot, DIR_IN)) & SOMETHING) != 0;
}

int stream_wait_readable(struct stream *st, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };

    TRY(co_check());
    while (!stream_readable(st))
        TRY(stream_wait_for(st, DIR_IN, pace, &wait));
    return 0;
}

ssize_t stream_read(struct stream *st, void *buf, size_t len, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };

    ensure(len > 0); /* a read of nothing would look like the end */
    if (st->filter != NULL)
        return st->filter->read(st, buf, len, pace);
    TRY(co_begin_call(pace->limit.at > 0)); /* else it only looks, and must not park */
    for (;;) {
        uint64_t word = slot_load(st->slot, DIR_IN);
        ssize_t n;

        if (!(slot_flags(word) & SOMETHING)) {
            TRY(stream_wait_for(st, DIR_IN, pace, &wait));
            continue;
        }
        n = sys_recv(slot_fd(st->slot), buf, len, 0);
        if (n == -EAGAIN) {
            slot_drained(st->slot, DIR_IN, word, true);
            continue;
        }
        if (unlikely(n < 0))
            return stream_error(st, n);
        if (st->drains && (size_t)n < len)
            slot_drained(st->slot, DIR_IN, word, false);
        pace->bytes += (uint64_t)n;
        co_spend((size_t)n);
        return n;
    }
}

static size_t iov_total(const struct iovec *iov, int n)
{
    size_t total = 0;

    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

/* Moves on by `moved` bytes: returns the first piece that is not all gone. */
static struct iovec *iov_advance(struct iovec *iov, int *n, size_t moved)
{
    while (*n > 0 && moved >= iov->iov_len) {
        moved -= iov->iov_len;
        iov++;
        (*n)--;
    }
    if (moved > 0) {
        iov->iov_base = (char *)iov->iov_base + moved;
        iov->iov_len -= moved;
    }
    return iov;
}

int stream_write(struct stream *st, struct iovec *iov, int n, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };
    size_t left = iov_total(iov, n);
    int fd = slot_fd(st->slot), flags = st->more ? MSG_MORE : 0;

    ensure(n <= IOV_MAX);
    if (st->filter != NULL)
        return st->filter->write(st, iov, n, pace);
    TRY(co_begin_call(pace->limit.at > 0));
    while (left > 0) {
        uint64_t word = slot_load(st->slot, DIR_OUT);
        ssize_t sent;

        if (!(slot_flags(word) & SOMETHING)) {
            TRY(stream_wait_for(st, DIR_OUT, pace, &wait));
            continue;
        }
        iov = iov_advance(iov, &n, 0); /* empty pieces: then one that is left needs no vector */
        st->held = st->more;
        sent = n == 1 ? sys_send(fd, iov->iov_base, iov->iov_len, flags)
                      : sys_writev(fd, iov, n, flags);
        if (sent == -EAGAIN) {
            slot_drained(st->slot, DIR_OUT, word, true);
            continue;
        }
        if (unlikely(sent < 0))
            return stream_error(st, sent);
        pace->bytes += (uint64_t)sent;
        co_spend((size_t)sent);
        if (likely((size_t)sent == left))
            return 0;
        left -= (size_t)sent;
        iov = iov_advance(iov, &n, (size_t)sent);
        wait.begun = false; /* bytes moved: the next gap begins */
        if (st->drains)
            slot_drained(st->slot, DIR_OUT, word, false);
    }
    return 0;
}

/* The option is on as it is; to say so once more is what pushes. */
void stream_flush(struct stream *st)
{
    const int on = 1;

    if (st->held)
        sys_setsockopt(slot_fd(st->slot), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    st->held = st->more = false;
}

/* Looks into the kernel's buffer without taking anything. */
static enum stream_look peek(const struct stream *st)
{
    char byte;
    ssize_t n = sys_recv(slot_fd(st->slot), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n > 0 ? STREAM_DATA : n == -EAGAIN ? STREAM_QUIET : STREAM_ENDED;
}

static enum stream_look look(struct stream *st, bool ask_kernel)
{
    return st->filter != NULL ? st->filter->look(st, ask_kernel) : peek(st);
}

bool stream_gone(struct stream *st)
{
    if (stream_pending(st) && look(st, false) == STREAM_DATA)
        return false;
    if (!(slot_flags(slot_load(st->slot, DIR_IN)) & (SLOT_HUP | SLOT_ERR)))
        return false;
    return look(st, false) == STREAM_ENDED;
}

/* What the word remembers may be bytes that have been read since: a read that filled its buffer, or
 * a Unix socket, leaves it set. */
bool stream_quiet(struct stream *st, bool ask_kernel)
{
    for (;;) {
        uint64_t word = slot_load(st->slot, DIR_IN);

        if (slot_flags(word) == 0 && !stream_pending(st) && !ask_kernel)
            return true;
        if (look(st, ask_kernel) != STREAM_QUIET)
            return false;
        if (st->filter == NULL)
            slot_drained(st->slot, DIR_IN, word, true);
        ask_kernel = false;
    }
}

int stream_finish(struct stream *st, struct pace *pace)
{
    int rc;

    if (st->filter != NULL)
        TRY(st->filter->finish(st, pace));
    rc = sys_shutdown(slot_fd(st->slot), SHUT_WR);
    return rc < 0 ? stream_error(st, rc) : 0;
}

void stream_close(struct stream *st, bool reset)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    if (st->slot == NULL)
        return;
    if (st->filter != NULL)
        st->filter->close(st, reset);
    if (reset)
        sys_setsockopt(slot_fd(st->slot), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    slot_close(&st->slot);
}
