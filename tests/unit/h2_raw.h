/* h2_raw.h -- the other end of an HTTP/2 connection, for tests: a thread with a blocking socket
 * that knows its frames by heart. */
#ifndef TESTS_UNIT_H2_RAW_H
#define TESTS_UNIT_H2_RAW_H

#include "workers.h"

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE, THE_END = 99 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, REFUSED_STREAM = 7 };

/* One end for `raw` calls, the other for a strand. */
static int raw_fd;

static inline int raw_pair(void)
{
    const struct timeval patience = { .tv_sec = PATIENCE };
    int fd[2];

    unix_pair(fd);
    assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    raw_fd = fd[0];
    return fd[1];
}

static inline void say(unsigned type, unsigned flags, unsigned stream, const char *text, size_t len)
{
    const char head[9] = {
        (char)(len >> 16),   (char)(len >> 8), (char)len, (char)type, (char)flags, 0, 0,
        (char)(stream >> 8), (char)stream
    };

    assert_int_equal(write(raw_fd, head, 9), 9);
    if (len > 0)
        assert_int_equal(write(raw_fd, text, len), len);
}

/* False: the connection has ended instead. */
static inline bool get_bytes(unsigned char *to, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = read(raw_fd, to + have, len - have);

        assert_true(n >= 0); /* SO_RCVTIMEO */
        if (n == 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

struct raw_frame {
    unsigned type, flags, stream;
    unsigned number; /* the first four bytes of its payload */
};

static inline struct raw_frame next_frame(void)
{
    unsigned char head[9], text[16384] = { 0 };
    size_t len;

    if (!get_bytes(head, sizeof head))
        return (struct raw_frame){ .type = THE_END };
    len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    assert_true(len <= sizeof text);
    assert_true(get_bytes(text, len));
    return (struct raw_frame){
        .type = head[3],
        .flags = head[4],
        .stream = head[8],
        .number = (unsigned)text[0] << 24 | text[1] << 16 | text[2] << 8 | text[3],
    };
}

/* Takes frames until one of this type and these flags is there, on this stream; its number. */
static inline unsigned hear(unsigned type, unsigned flags, unsigned stream)
{
    struct raw_frame f;

    do {
        f = next_frame();
        assert_int_not_equal(f.type, THE_END);
    } while (f.type != type || (f.flags & flags) != flags || f.stream != stream);
    return f.number;
}

/* All that was said before is known there. */
static inline void settle(void)
{
    say(PING, 0, 0, "12345678", 8);
    hear(PING, ACK, 0);
}

#endif
