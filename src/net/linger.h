/* linger.h -- the end of a connection whose peer still sends: closing with unread bytes would
 * send RST and destroy the answer just written (RUNTIME.md S5). */
#ifndef NET_LINGER_H
#define NET_LINGER_H

#include "net/stream.h"

#define LINGER_TIME  (2 * WEIR_SEC)
#define LINGER_BYTES (1u << 20)

/* Takes over `st` (clears it): shutdown(WR), then what arrives is thrown away without a
 * coroutine, until end of stream, LINGER_BYTES or LINGER_TIME. Never blocks. On a worker. */
void linger_close(struct stream *st);

/* Closes all that linger, and what comes to linger from now on at once: before rt_stop. From a
 * worker's stack. linger_start: lets them linger again (the next runtime of a test; the state at
 * first). */
void linger_stop(void);
void linger_start(void);

#endif
