/* listen.h -- listening sockets (CONVENTIONS "Addresses"). */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/addr.h"

/* Opens, binds, listens: CLOEXEC, non-blocking, SO_REUSEADDR, IPV6_V6ONLY, TCP_NODELAY and
 * keep-alive (inherited by what is accepted). One address: `:port` is two calls of the caller's.
 * A stale Unix socket (its file is there, but nobody listens) is removed first; the mode of a
 * new one is as umask says. The descriptor, or a negative errno value with `*step` = "socket",
 * "bind" or "listen". Set-up only: it may block for a moment. */
int listen_open(const struct addr *at, int backlog, const char **step);

/* The address it got (port 0). Of a Unix socket only its kind: the path is the one it was opened
 * with. */
void listen_address(int fd, struct addr *out);

#endif
