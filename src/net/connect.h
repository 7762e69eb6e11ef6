/* connect.h -- a stream to somewhere. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/stream.h"

/* Connects (TCP: NODELAY, keep-alive; or Unix) and registers the descriptor with this worker as a slot of `class` and `owner`, held by the caller. Blocks. 0, or WEIR_EREFUSED,
 * WEIR_ECONNECT, the deadline's error, WEIR_ECANCELED, WEIR_ENOMEM; then `out` holds nothing. */
int net_connect(const struct addr *to, const struct slot_class *class, void *owner,
                struct deadline until, struct stream *out);

#endif
