/* listen.c -- listening sockets. */
#include "net/listen.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/connect.h"
#include "runtime/sys.h"

/* Is there a socket's file that nobody listens on, left by a process that was killed? Only a
 * refusal proves it: a full backlog (EAGAIN) does not. */
static bool is_stale(const char *path, const struct sockaddr_storage *ss, socklen_t len)
{
    struct stat st;
    int fd, rc;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    rc = sys_connect(fd, (const struct sockaddr *)ss, len);
    sys_close(fd);
    return rc == -ECONNREFUSED;
}

static int bind_to(int fd, const struct addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    int rc = sys_bind(fd, (const struct sockaddr *)&ss, len);

    if (rc == -EADDRINUSE && at->kind == ADDR_UNIX && is_stale(at->path, &ss, len)) {
        unlink(at->path);
        rc = sys_bind(fd, (const struct sockaddr *)&ss, len);
    }
    return rc;
}

int listen_open(const struct addr *at, int backlog, const char **step)
{
    static const int on = 1;
    static const int families[] = {
        [ADDR_V4] = AF_INET, [ADDR_V6] = AF_INET6, [ADDR_UNIX] = AF_UNIX
    };
    int fd, rc;

    ensure(at->kind != ADDR_NONE);
    *step = "socket";
    fd = sys_socket(families[at->kind], SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (at->kind != ADDR_UNIX) {
        sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        net_tcp_options(fd);
    }
    if (at->kind == ADDR_V6)
        sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);

    *step = "bind";
    rc = bind_to(fd, at);
    if (rc == 0) {
        *step = "listen";
        rc = sys_listen(fd, backlog);
    }
    if (rc == 0)
        return fd;
    sys_close(fd);
    return rc;
}

bool listen_only_this_one(int err)
{
    static const uint8_t errors[] = { ECONNABORTED, EPROTO, ENETDOWN,     ENOPROTOOPT,
                                      EHOSTDOWN,    ENONET, EHOSTUNREACH, EOPNOTSUPP,
                                      ENETUNREACH,  EPERM,  ETIMEDOUT };

    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (-err == errors[i])
            return true;
    }
    return false;
}
