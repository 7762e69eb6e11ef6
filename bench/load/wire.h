/* wire.h -- the bytes of one connection, whatever carries them.
 *
 * Everything above speaks in these five calls and does not know the carrier; a wire that has to
 * negotiate does so in wire_ready(). None of them blocks: -EAGAIN asks to be called again when
 * the descriptor is readable or writable. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "common/sock.h"

#include <sys/types.h>

struct wire {
    int fd; /* for epoll; -1 = not open */
};

/* Starts to connect. 0 or -errno. */
int wire_open(struct wire *w, const struct address *address);

/* 0 once the wire carries bytes; -EAGAIN while it is being set up; -errno. */
int wire_ready(struct wire *w);

/* Bytes read, 0 at the orderly end, -EAGAIN, -errno. */
ssize_t wire_read(struct wire *w, void *buffer, size_t len);

/* Bytes written, -EAGAIN, -errno. */
ssize_t wire_write(struct wire *w, const void *data, size_t len);

void wire_close(struct wire *w);

#endif
