/* reserve.h -- one descriptor that is kept back, so that a process that has no other can still say
 * so to who waits in its backlog. All calls under acceptor.lock, or before and after accepting. */
#ifndef SERVER_RESERVE_H
#define SERVER_RESERVE_H

#include "server/front.h"

/* Takes it; without one at that time there is none. */
void reserve_open(void);
void reserve_close(void);

/* Accepts the connection that has waited longest at `g`, answers that there are too many (plain
 * listeners), and closes it. Never blocks. */
void reserve_refuse(const struct gate *g);

#endif
