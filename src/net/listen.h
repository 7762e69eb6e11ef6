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

/* The sockets of an address as users write it: one; two of `:port`; as many as a name has
 * addresses. Each is handed to take(arg, fd, the address that it got), which owns it, and whose
 * negative result ends it. 0, or WEIR_EINVALID, WEIR_EINTERNAL or take's result, with the sentence
 * in `why`; what was handed over before stays. May block to look up a name. */
int listen_text(const char *text, int backlog,
                int (*take)(void *arg, int fd, const struct addr *at), void *arg, char *why,
                size_t size);

/* What accept says of a connection that ended in the queue, or never was one (accept(2)): the next
 * one may be well. */
bool listen_only_this_one(int err);

#endif
