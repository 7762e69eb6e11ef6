/* pipe.h -- pipes through which bytes go from one socket to another without being copied
 * (splice.h). Empty ones are kept for the next who needs one, newest first; the process has a
 * bounded number. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include "base/base.h"

enum {
    PIPE_SIZE = 256 * 1024, /* what one is asked to hold: 64 pages */
    PIPES_MAX = 256,        /* in use and kept: 64 MiB, what the kernel grants an ordinary user */
    PIPES_KEPT = 32,
};

struct pipe {
    int in, out; /* written to, read from */
};

/* An empty pipe. false: none can be had now. Never blocks. */
bool pipe_take(struct pipe *p);

/* Gives it back if it is `empty` again; closes it otherwise, with what is in it. */
void pipe_give(struct pipe *p, bool empty);

/* Closes those that are kept: before the process ends. */
void pipes_free(void);

#endif
