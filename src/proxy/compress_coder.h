/* compress_coder.h -- gzip, br and zstd behind one interface, both ways. Their contexts are large
 * (some 100 KiB to some MiB) and live as long as one body. */
#ifndef PROXY_COMPRESS_CODER_H
#define PROXY_COMPRESS_CODER_H

#include <weir/module.h>

#include "base/base.h"

struct coder;

enum coder_how { CODER_GO, CODER_FLUSH, CODER_END };

/* NULL without memory, or for WEIR_CODING_NONE. These two run anywhere. */
struct coder *coder_new(enum weir_coding coding, bool unpack, unsigned level);
void coder_free(struct coder **coder);

/* Takes what it can of `*in` and writes up to `*room` bytes to `out`; `*room` becomes how many it
 * has written. CODER_FLUSH: all that was taken comes out, CODER_END: and what ends it. 1: call
 * again with more room; 0: nothing is left to be done; WEIR_EUPBODY: what is to be unpacked is
 * broken, or not all there at CODER_END; WEIR_ENOMEM. Runs on the worker's stack, from a
 * coroutine. */
int coder_run(struct coder *coder, weir_str *in, enum coder_how how, char *out, size_t *room);

#endif
