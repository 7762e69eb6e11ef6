/* buf.h -- I/O buffers of BUF_SIZE bytes: magazines of each worker before a shared depot
 * (buf_pool.h). What is given back is reused newest first; what was not needed for a while goes
 * back to the kernel. */
#ifndef RUNTIME_BUF_H
#define RUNTIME_BUF_H

#include "base/base.h"

enum { BUF_SIZE = 16384 };

/* A buffer, not zeroed; NULL without memory. Never blocks. */
char *buf_get(void);

/* Gives it back (NULL: nothing) and clears the variable. On any worker or thread. */
void buf_put(char **buf);

#endif
