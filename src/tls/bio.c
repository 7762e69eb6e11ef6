/* bio.c -- how OpenSSL reads and writes: through the slot of the connection, by the rules of
 * RUNTIME.md R2, without ever waiting.
 *
 * OpenSSL asks for as much as its buffer holds (read-ahead), so a request and what follows it is
 * one call. A short recv or send means drained here as anywhere else: it is the socket's count, not
 * that of SSL_read. */
#include <errno.h>
#include <pthread.h>

#include "runtime/slot.h"
#include "runtime/sys.h"
#include "tls/parts.h"

enum { SOMETHING = SLOT_READY | SLOT_HUP | SLOT_ERR };

static int blocked(BIO *b, struct tls *t, int how)
{
    t->blocked = (uint8_t)how;
    how == BLOCKED_IN ? BIO_set_retry_read(b) : BIO_set_retry_write(b);
    return -1;
}

static int bio_read(BIO *b, char *buf, int len)
{
    struct tls *t = BIO_get_data(b);
    bool look = t->look;

    BIO_clear_retry_flags(b);
    t->blocked = 0;
    for (;;) {
        uint64_t word = slot_load(t->slot, DIR_IN);
        ssize_t n;

        if (!(slot_flags(word) & SOMETHING) && !look)
            return blocked(b, t, BLOCKED_IN);
        n = sys_recv(slot_fd(t->slot), buf, (size_t)len, 0);
        look = false;
        if (n == -EAGAIN) {
            slot_drained(t->slot, DIR_IN, word, true);
            continue;
        }
        if (unlikely(n <= 0)) {
            t->eof |= n == 0; /* if a send has taken the reset, only this is left for us */
            t->broken |= n < 0;
            return n == 0 ? 0 : -1;
        }
        t->heard = true;
        if (t->drains && n < len)
            slot_drained(t->slot, DIR_IN, word, false);
        return (int)n;
    }
}

static int bio_write(BIO *b, const char *buf, int len)
{
    struct tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    t->blocked = 0;
    for (;;) {
        uint64_t word = slot_load(t->slot, DIR_OUT);
        ssize_t n;

        if (!(slot_flags(word) & SOMETHING))
            return blocked(b, t, BLOCKED_OUT);
        n = sys_send(slot_fd(t->slot), buf, (size_t)len, 0);
        if (n == -EAGAIN) {
            slot_drained(t->slot, DIR_OUT, word, true);
            continue;
        }
        if (unlikely(n < 0)) {
            t->broken = true;
            sys_tell(n); /* OpenSSL forgives who leaves without his session tickets, by errno */
            return -1;
        }
        if (t->drains && n < len)
            slot_drained(t->slot, DIR_OUT, word, false);
        return (int)n;
    }
}

static long bio_ctrl(BIO *b, int what, long number, void *pointer)
{
    const struct tls *t = BIO_get_data(b);

    (void)number;
    (void)pointer;
    switch (what) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return t->eof;
    default:
        return 0;
    }
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir slot");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

BIO *bio_new(struct tls *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *b;

    pthread_once(&once, make_method);
    b = method != NULL ? BIO_new(method) : NULL;
    if (b == NULL)
        return NULL;
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    return b;
}
