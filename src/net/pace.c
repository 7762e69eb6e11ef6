/* pace.c -- the earliest of three bounds on a wait. */
#include "net/pace.h"

weir_dur pace_earned(uint64_t bytes, uint64_t min_rate)
{
    unsigned __int128 earned = (unsigned __int128)bytes * (uint64_t)WEIR_SEC / min_rate;

    return (weir_dur)MIN(earned, (uint64_t)WEIR_FOREVER);
}

/* How long the peer may have kept us waiting by now, for the rate it has to keep. */
static weir_dur allowed_wait(uint64_t bytes, uint64_t min_rate)
{
    weir_dur earned = pace_earned(bytes, min_rate);

    return earned > WEIR_FOREVER - PACE_GRACE ? WEIR_FOREVER : PACE_GRACE + earned;
}

void pace_untaken(struct pace *p, uint32_t bytes)
{
    if (!p->measured)
        p->before = (bytes > p->bytes ? bytes - (uint32_t)p->bytes : 0) & INT32_MAX;
    p->measured = true;
    p->untaken = bytes;
}

/* Bytes that the peer has sent, or taken: those of earlier messages too, if it took them
 * meanwhile. */
static uint64_t taken(const struct pace *p)
{
    uint64_t all = p->bytes + p->before;

    return all - MIN(all, p->untaken);
}

struct deadline pace_next(const struct pace *p, int64_t now)
{
    struct deadline next = deadline_min(p->limit, deadline_in(now, p->gap, p->gap_err));

    if (p->min_rate == 0 || p->min_rate == WEIR_UNLIMITED)
        return next;

    weir_dur allowed = allowed_wait(taken(p), p->min_rate);
    weir_dur left = allowed == WEIR_FOREVER ? allowed : MAX(allowed - p->waited, 0);

    return deadline_min(next, deadline_in(now, left, p->rate_err));
}
