/* wire.c -- see wire.h. Plain TCP and Unix sockets. */
#include "load/wire.h"

#include <errno.h>
#include <unistd.h>

int wire_open(struct wire *w, const struct address *address)
{
    int fd = sock_connect(address);

    w->fd = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

int wire_ready(struct wire *w)
{
    return sock_result(w->fd);
}

ssize_t wire_read(struct wire *w, void *buffer, size_t len)
{
    ssize_t n = recv(w->fd, buffer, len, 0);

    return n < 0 ? -errno : n;
}

ssize_t wire_write(struct wire *w, const void *data, size_t len)
{
    ssize_t n = send(w->fd, data, len, MSG_NOSIGNAL);

    return n < 0 ? -errno : n;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}
