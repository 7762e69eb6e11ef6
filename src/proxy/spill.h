/* spill.h -- a temporary file for what memory shall not hold: without a name, so that it is gone
 * with its descriptor, in $TMPDIR or /tmp. All calls but the last block (helper threads do the
 * work). */
#ifndef PROXY_SPILL_H
#define PROXY_SPILL_H

#include "base/base.h"

/* Writes at an offset; makes the file first if `*file` is -1. false: it cannot be (then what the
 * file holds is of no use). */
bool spill_write(int *file, weir_str bytes, uint64_t at);

/* Reads so many bytes, which were written before. */
bool spill_read(int file, char *to, size_t n, uint64_t at);

/* Closes it (-1: nothing) and clears the variable. */
void spill_close(int *file);

#endif
