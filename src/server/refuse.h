/* refuse.h -- the answer to a client that has too many connections, or comes to a server that
 * has. */
#ifndef SERVER_REFUSE_H
#define SERVER_REFUSE_H

#include "server/front.h"

/* Answers 503 without reading a request, logs why=max_per_client, and closes `fd` lingering. Where
 * TLS is spoken it just closes: a handshake is what the bound saves us. On a worker's stack; never
 * blocks. */
void refuse_client(const struct gate *g, int fd, const struct addr *client);

/* The same with why=max_connections, and without lingering: the descriptor is free at once. */
void refuse_at_once(const struct gate *g, int fd, const struct addr *client);

#endif
