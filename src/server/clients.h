/* clients.h -- how many connections each client address has open (max_per_client). */
#ifndef SERVER_CLIENTS_H
#define SERVER_CLIENTS_H

#include "net/addr.h"

struct clients;

/* At most `most` connections from one address. NULL without memory. */
struct clients *clients_new(uint64_t most);
void clients_free(struct clients **c);

/* One more connection of this address. false: it has as many as it may, or there is no memory; then
 * nothing was counted. From any thread; never blocks. Clients of Unix sockets are all let in. */
bool clients_enter(struct clients *c, const struct addr *client);

/* One less. */
void clients_leave(struct clients *c, const struct addr *client);

#endif
