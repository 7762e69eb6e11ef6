/* listen.h -- listening sockets (CONVENTIONS "Addresses"). */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/addr.h"

/* Opens, binds, listens: CLOEXEC, non-blocking, SO_REUSEADDR, IPV6_V6ONLY, TCP_NODELAY and keep-alive (inherited by what is accepted). A stale
 * Unix socket (nobody listens) is removed first. The descriptor, or a negative errno value with `*step` = "socket", "bind" or "listen". */
int listen_open(const struct addr *at, int backlog, const char **step);

/* The address it got (port 0). */
void listen_address(int fd, struct addr *out);

#endif
