/* buf_wide.h -- larger I/O buffers, for bodies of which more is there than an ordinary one takes.
 * There is a bounded number, so that slow readers cannot hold much; then the ordinary one has to
 * do. */
#ifndef RUNTIME_BUF_WIDE_H
#define RUNTIME_BUF_WIDE_H

#include "base/base.h"

enum { BUF_WIDE = 65536, WIDE_MAX = 256 };

/* A buffer, not zeroed; NULL: none can be had now. Never blocks. */
char *buf_wide_get(void);

/* Gives it back and clears the variable. On any worker or thread. */
void buf_wide_put(char **buf);

/* Each second or so: unmaps what nobody needed since the last call. At the end: all. */
void bufs_wide_trim(void);
void bufs_wide_free(void);

#endif
