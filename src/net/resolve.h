/* resolve.h -- names to addresses, off the workers. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/addr.h"

/* The addresses of `host` with `port`, by the system's resolver (nsswitch, /etc/hosts, DNS),
 * without duplicates, at most `max`; "localhost" is 127.0.0.1 where the system does not know it.
 * Blocks; in a coroutine only that one, as a helper thread does the work. Not cancellable. Their
 * number (above 0), or WEIR_EDNS with `*why` = a static sentence. */
int resolve(const char *host, uint16_t port, struct addr *out, unsigned max, const char **why);

#endif
