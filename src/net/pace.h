/* pace.h -- how slow a peer may be while bytes flow in one direction.
 *
 * Three bounds at once: an absolute one, a gap between two bytes, and a minimal rate that starts to
 * count after PACE_GRACE. Only time spent waiting for the peer counts, never our own; and of what
 * was written only what the peer has taken, as the kernel keeps megabytes for it. The error of the
 * bound that is hit first is what the call returns. */
#ifndef NET_PACE_H
#define NET_PACE_H

#include "runtime/deadline.h"

#define PACE_GRACE (5 * WEIR_SEC)

struct pace {
    struct deadline limit;    /* absolute */
    weir_dur        gap;      /* WEIR_FOREVER: none */
    int             gap_err;
    int             rate_err;
    uint64_t        min_rate; /* bytes a second; WEIR_UNLIMITED or 0: none */
    uint64_t        bytes;    /* moved so far */
    uint32_t        untaken;  /* by the peer, of all that was written; from the last wait */
    uint32_t        before : 31, measured : 1; /* what earlier messages had left of that */
    weir_dur        waited;   /* for them */
};

/* Until when to wait for the next byte, seen from `now`: the time at which the waiting for it
 * began. A peer may keep us waiting for PACE_GRACE and a second for each min_rate bytes in all. */
struct deadline pace_next(const struct pace *p, int64_t now);

/* How long so many bytes may take. `min_rate` is not 0. */
weir_dur pace_earned(uint64_t bytes, uint64_t min_rate);

/* So many bytes wait for the peer to take them. */
void pace_untaken(struct pace *p, uint32_t bytes);

#endif
