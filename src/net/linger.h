/* linger.h -- the end of a connection whose peer still sends: closing with unread bytes would send RST and destroy the answer just written
 * (RUNTIME.md S5). */
#ifndef NET_LINGER_H
#define NET_LINGER_H

#include "net/stream.h"

/* Takes over `st` (clears it): shutdown(WR), then what arrives is thrown away without a coroutine, until end of stream, LINGER_BYTES or LINGER_TIME. Never blocks. */
#define LINGER_TIME  (2 * WEIR_SEC)
#define LINGER_BYTES (1u << 20)
void linger_close(struct stream *st);

#endif
