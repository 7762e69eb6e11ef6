/* connect.h -- a stream to somewhere. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/stream.h"

/* Connects (TCP: NODELAY, keep-alive; or Unix), over TCP from the address `from` (NULL: the kernel
 * chooses; with port 0 it chooses that), and registers the descriptor with this worker as a slot of
 * `class` and `owner`, held by the caller. Blocks. 0, or WEIR_EREFUSED (nobody listens, or its
 * backlog is full), WEIR_ECONNECT (also: `from` is not ours, or of another family), the deadline's
 * error (also when the kernel gives up before), WEIR_ECANCELED, WEIR_ENOMEM, WEIR_EDESCRIPTORS
 * (there is none left); then `out` holds nothing. */
must_use int net_connect(const struct addr *to, const struct addr *from,
                         const struct slot_class *class, void *owner, struct deadline until,
                         struct stream *out);

/* TCP_NODELAY and keep-alive, for a TCP socket of any kind: what is accepted inherits them. */
void net_tcp_options(int fd);

#endif
