/* splice.c -- from a socket into a pipe and on into another socket, by the rules of RUNTIME.md R2.
 *
 * A short splice says nothing: it may have met the end of what was received, or of the pipe. So a
 * socket is drained at EAGAIN only. A pipe is empty when bytes go in, and not when they go out: an
 * EAGAIN is always the socket's. */
#include "net/splice.h"

#include <errno.h>

#include "net/pipe.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"

enum { SOMETHING = SLOT_READY | SLOT_HUP | SLOT_ERR };

/* As much as is there: > 0, 0 at the end, -EAGAIN (then it is known to be drained), < 0. */
static ssize_t suck(struct stream *from, const struct pipe *p, size_t len)
{
    uint64_t word = slot_load(from->slot, DIR_IN);
    ssize_t n = sys_splice(slot_fd(from->slot), p->in, len);

    if (n == -EAGAIN)
        slot_drained(from->slot, DIR_IN, word, true);
    return n;
}

/* All that is in the pipe. */
static int blow(const struct pipe *p, struct stream *to, size_t left, struct pace *pace)
{
    struct stream_wait wait = { .begun = false };

    while (left > 0) {
        uint64_t word = slot_load(to->slot, DIR_OUT);
        ssize_t n;

        if (!(slot_flags(word) & SOMETHING)) {
            TRY(stream_wait_for(to, DIR_OUT, pace, &wait));
            continue;
        }
        n = sys_splice(p->out, slot_fd(to->slot), left);
        if (n == -EAGAIN) {
            slot_drained(to->slot, DIR_OUT, word, true);
            continue;
        }
        if (unlikely(n <= 0))
            return stream_error(to, n);
        to->held = false;
        pace->bytes += (uint64_t)n;
        left -= (size_t)n;
        co_spend((size_t)n);
        wait.begun = false; /* bytes moved: the next gap begins */
    }
    return 0;
}

int stream_splice(struct stream *from, struct stream *to, size_t len, struct pace *in,
                  struct pace *out, size_t *taken)
{
    struct stream_wait wait = { .begun = false };
    struct pipe p;
    ssize_t n;
    int rc;

    *taken = 0;
    if (from->filter != NULL || to->filter != NULL)
        return SPLICE_CANNOT;
    TRY(co_begin_call(true));
    do {
        while (!stream_readable(from)) {
            if (in == NULL)
                return SPLICE_CANNOT;
            stream_flush(to);
            TRY(stream_wait_for(from, DIR_IN, in, &wait));
        }
        if (!pipe_take(&p))
            return SPLICE_CANNOT;
        n = suck(from, &p, MIN(len, PIPE_SIZE));
        if (n <= 0)
            pipe_give(&p, true);
    } while (n == -EAGAIN);
    if (n == -EINVAL) /* a kind of socket that cannot */
        return SPLICE_CANNOT;
    if (n <= 0)
        return n == 0 ? SPLICE_ENDED : stream_error(from, n);
    *taken = (size_t)n;
    if (in != NULL)
        in->bytes += (uint64_t)n;
    rc = blow(&p, to, *taken, out);
    pipe_give(&p, rc == 0);
    return rc < 0 ? rc : SPLICE_MOVED;
}
