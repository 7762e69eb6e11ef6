/* sock.c -- see sock.h. */
#include "common/sock.h"

#include "common/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, DISTANT_SEGMENT = 1400 };

static const char *parse_unix(const char *path, struct address *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;

    if (path[0] == '\0' || strlen(path) >= sizeof(un->sun_path))
        return "a Unix socket's path is empty or too long";
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    out->len = sizeof(*un);
    return NULL;
}

/* The host part, already without brackets. */
static const char *parse_inet(const char *host, uint16_t port, struct address *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sa;

    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->len = sizeof(*v4);
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127 ? NULL : "it is not a loopback address";
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        out->len = sizeof(*v6);
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? NULL : "it is not a loopback address";
    }
    return "the host is not an address in numbers";
}

const char *address_parse(const char *text, struct address *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t port;

    memset(out, 0, sizeof(*out));
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    if (len == 0 || !parse_count(colon + 1, &port) || port > UINT16_MAX)
        return "an address is HOST:PORT, [HOST]:PORT or unix:PATH";
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof(host))
        return "the host is too long";
    memcpy(host, text, len);
    host[len] = '\0';
    return parse_inet(host, (uint16_t)port, out);
}

static void set_flag(int fd, int level, int option)
{
    int on = 1;

    setsockopt(fd, level, option, &on, sizeof(on));
}

/* Fails on a Unix socket, which has no delay to switch off; that is fine. */
static void set_nodelay(int fd)
{
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
}

int sock_listen(const struct address *address)
{
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, (const struct sockaddr *)&address->sa, address->len) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    return fd;
}

void sock_name(int fd, char text[static ADDRESS_TEXT])
{
    struct address a = { .len = sizeof(a.sa) };
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.sa;
    struct sockaddr_un *un = (struct sockaddr_un *)&a.sa;
    char host[INET6_ADDRSTRLEN];

    getsockname(fd, (struct sockaddr *)&a.sa, &a.len);
    if (a.sa.ss_family == AF_UNIX)
        snprintf(text, ADDRESS_TEXT, "unix:%s", un->sun_path);
    else if (a.sa.ss_family == AF_INET6)
        snprintf(text, ADDRESS_TEXT, "[%s]:%u",
                 inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)), ntohs(v6->sin6_port));
    else
        snprintf(text, ADDRESS_TEXT, "%s:%u", inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)),
                 ntohs(v4->sin_port));
}

int sock_connect_small(const struct address *address, int receive_buffer)
{
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    set_nodelay(fd);
    if (receive_buffer) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &(int){ DISTANT_SEGMENT }, sizeof(int));
    }
    if (connect(fd, (const struct sockaddr *)&address->sa, address->len) < 0 &&
        errno != EINPROGRESS) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    return fd;
}

int sock_connect(const struct address *address)
{
    return sock_connect_small(address, 0);
}

int sock_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

int sock_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return -errno;
    set_nodelay(fd);
    return fd;
}
