/* reserve.c -- the reserved descriptor makes room for one accept(2), and takes the room back.
 * Another thread may be faster than either step; then there is no answer, or no reserve until next
 * time. */
#include "server/reserve.h"

#include "runtime/sys.h"
#include "server/refuse.h"

static int reserve = -1;

void reserve_open(void)
{
    if (reserve < 0)
        reserve = sys_eventfd(); /* the cheapest there is; nobody uses it */
}

void reserve_close(void)
{
    if (reserve >= 0)
        sys_close(reserve);
    reserve = -1;
}

void reserve_refuse(const struct gate *g)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct addr client;
    int fd;

    reserve_close();
    fd = sys_accept(g->fd, &ss, &len);
    if (fd >= 0) {
        addr_from_sockaddr(&client, &ss, len);
        refuse_at_once(g, fd, &client);
    }
    reserve_open();
}
