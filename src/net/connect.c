/* connect.c -- a non-blocking connect, waited for as room to write. */
#include "net/connect.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "runtime/sys.h"

void net_tcp_options(int fd)
{
    static const int on = 1;

    /* Neither can fail on a TCP socket in a way that would matter. */
    sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sys_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static int connect_error(int err, struct deadline until)
{
    switch (-err) {
    case ECONNREFUSED:
    case EAGAIN: /* a Unix socket's backlog is full */
        return WEIR_EREFUSED;
    case ETIMEDOUT:
        return until.err;
    case EMFILE: /* of the process */
    case ENFILE: /* of the machine */
        return WEIR_EDESCRIPTORS;
    case ENOMEM:
    case ENOBUFS:
        return WEIR_ENOMEM;
    default:
        return WEIR_ECONNECT;
    }
}

/* Waits until the kernel has decided. A refusal shows as ERR or HUP, and SO_ERROR tells which. */
static int await_connected(struct slot *slot, struct deadline until)
{
    int err = 0;
    socklen_t len = sizeof err;
    unsigned flags;

    while ((flags = slot_flags(slot_load(slot, DIR_OUT))) == 0)
        TRY(slot_wait(slot, DIR_OUT, until));
    if (sys_getsockopt(slot_fd(slot), SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return WEIR_EINTERNAL;
    if (err != 0)
        return connect_error(-err, until);
    return flags & SLOT_READY ? 0 : WEIR_ECONNECT;
}

/* What is gone when net_connect waits: who waits shall touch one page (runtime/stack.h). */
#define OWN_FRAME static __attribute__((noinline))

/* Where a connection is to come from. Its port is chosen when it is known where it goes, so that
 * many connections may share one. */
OWN_FRAME int bind_to(int fd, const struct addr *from)
{
    static const int on = 1;
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(from, &ss);

    sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return sys_bind(fd, (const struct sockaddr *)&ss, len);
}

/* A dead port from which the kernel may let connections begin: sooner or later it takes that very
 * port for us, and both ends are this socket (RFC 9293 3.5, the simultaneous open). */
OWN_FRAME bool reached_itself(int fd, const struct addr *to, const struct addr *from)
{
    struct addr own;

    if (!addr_is_loopback(to) && (from == NULL || !addr_same_host(from, to)))
        return false;
    addr_of_socket(fd, &own);
    return addr_eq(&own, to);
}

/* A descriptor that connects now, or has; or -errno. */
OWN_FRAME int begin(const struct addr *to, const struct addr *from)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, &ss);
    bool tcp = to->kind != ADDR_UNIX;
    int fd = sys_socket(ss.ss_family, SOCK_STREAM, 0), rc = 0;

    if (fd < 0)
        return fd;
    if (tcp)
        net_tcp_options(fd);
    if (tcp && from != NULL)
        rc = bind_to(fd, from);
    if (rc == 0)
        rc = sys_connect(fd, (const struct sockaddr *)&ss, len);
    if (rc == 0 || rc == -EINPROGRESS)
        return fd;
    sys_close(fd);
    return rc;
}

int net_connect(const struct addr *to, const struct addr *from, const struct slot_class *class,
                void *owner, struct deadline until, struct stream *out)
{
    int fd, rc;

    *out = (struct stream){ .slot = NULL };
    ensure(to->kind != ADDR_NONE);
    TRY(co_check());
    fd = begin(to, from);
    if (fd < 0)
        return connect_error(fd, until);

    /* Registered only now: before connect() a socket reports a hang-up (RUNTIME.md R2). */
    struct slot *slot = slot_new(fd, class, owner);

    if (slot == NULL)
        return WEIR_ENOMEM;
    rc = slot_register_connecting(slot);
    if (rc == 0)
        rc = await_connected(slot, until);
    if (rc < 0) {
        slot_close(&slot);
        return rc;
    }
    slot_connected(slot);
    *out = (struct stream){
        .slot = slot,
        .reset_err = WEIR_EUPRESET,
        .drains = to->kind != ADDR_UNIX,
    };
    if (unlikely(reached_itself(fd, to, from))) {
        stream_close(out, true); /* and at once, or nobody could listen on that port */
        return WEIR_EREFUSED;
    }
    return 0;
}
