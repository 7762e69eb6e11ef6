/* notify.c -- one datagram to a Unix socket; a name that begins with @ is an abstract one. */
#include "server/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#include "runtime/sys.h"

void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return;
    if (sys_connect(fd, (struct sockaddr *)&to,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
        sys_send(fd, state, strlen(state), 0);
    sys_close(fd);
}
