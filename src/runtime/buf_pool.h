/* buf_pool.h -- where the buffers of buf.h come from: a magazine of each worker, a shared depot,
 * and chunks of address space below. Only the runtime calls these; others get and put. */
#ifndef RUNTIME_BUF_POOL_H
#define RUNTIME_BUF_POOL_H

#include "runtime/buf.h"
#include "runtime/magazine.h"

/* A worker's own free buffers; zeroed at first, used by its thread only. */
struct buf_magazine {
    struct magazine free;
};

/* A buffer of BUF_SIZE bytes, aligned to that, not zeroed; NULL without memory. buf_return gives it
 * back, to any magazine. Never block. */
char *buf_take(struct buf_magazine *m);
void buf_return(struct buf_magazine *m, char *buf);
void buf_flush(struct buf_magazine *m); /* all of a magazine to the depot */

/* Once in a while (each second or so): gives back the memory of buffers in the depot that nobody
 * needed since the last call, but for `keep`. At most some 1,000 a call (2 us each). */
void bufs_trim(unsigned keep);

/* Unmaps all; no buffer is in use. */
void bufs_free(void);

struct buf_stats {
    unsigned mapped; /* with memory: in use, in a magazine, or kept */
    unsigned kept;   /* in the depot */
    unsigned chunks; /* 1 MiB of address space each */
};
void buf_stats(struct buf_stats *out);

#endif
