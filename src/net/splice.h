/* splice.h -- bytes from one plain stream to another inside the kernel: nobody here looks at them,
 * and they are not copied. */
#ifndef NET_SPLICE_H
#define NET_SPLICE_H

#include "net/stream.h"

enum { SPLICE_ENDED = 0, SPLICE_MOVED = 1, SPLICE_CANNOT = 2 };

/* Moves what `from` has received, and at most `len` bytes, to `to`. SPLICE_MOVED: `*taken` bytes,
 * all of them have left; SPLICE_ENDED: `from` has ended; SPLICE_CANNOT: read and write instead (a
 * stream is not plain, there is no pipe, or without `in`, which means not to wait for `from`,
 * nothing is there). Or an error as of stream_read, with `in`, or of
 * stream_write, with `out`: then `*taken` bytes of `from` are used up all the same. Blocks; holds
 * nothing while it waits for `from`, nor lets `to` hold back what was written before. */
int stream_splice(struct stream *from, struct stream *to, size_t len, struct pace *in,
                  struct pace *out, size_t *taken);

#endif
