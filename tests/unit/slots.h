/* slots.h -- a descriptor on a worker, for the tests of the runtime alone: src/net/stream.c in its
 * simplest form, as slot.h describes it. */
#ifndef TESTS_UNIT_SLOTS_H
#define TESTS_UNIT_SLOTS_H

#include "workers.h"

#include "runtime/slot.h"

static inline struct deadline soon(weir_dur span)
{
    return deadline_in(rt_now(), span, 0);
}

/* A slot of our own on this worker. */
static inline struct slot *slot_of(int fd)
{
    static const struct slot_class held = { .name = "test" };
    struct slot *s;

    ensure(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    s = slot_new(fd, &held, NULL);
    ensure(s != NULL && slot_register(s, UINT_MAX) == 0);
    return s;
}

/* As slot.h says it: drained at EAGAIN only. Bytes, 0 at the end, or what slot_wait returned. */
static inline ssize_t receive(struct slot *s, char *buf, size_t len, struct deadline until)
{
    for (;;) {
        uint64_t w = slot_load(s, DIR_IN);
        ssize_t n;

        if (slot_flags(w) == 0) {
            int rc = slot_wait(s, DIR_IN, until);

            if (rc < 0)
                return rc;
            continue;
        }
        n = recv(slot_fd(s), buf, len, 0);
        if (n >= 0)
            return n;
        slot_drained(s, DIR_IN, w, true);
    }
}

static inline void send_all(struct slot *s, const char *buf, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        uint64_t w = slot_load(s, DIR_OUT);
        ssize_t n;

        if (slot_flags(w) == 0) {
            ensure(slot_wait(s, DIR_OUT, NEVER) == 0);
            continue;
        }
        n = send(slot_fd(s), buf + sent, len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else
            slot_drained(s, DIR_OUT, w, true);
    }
}

#endif
