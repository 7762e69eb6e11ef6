/* deadline.h -- until when a call may block, and which error it reports when that is over.
 *
 * Passed by value into every blocking call. The error tells what was waited for (error.h:
 * WEIR_EHEADTIME, WEIR_EUPTIME, ...), so a timeout needs no further words on its way up. Deadlines
 * nest: the earliest wins, with its own error. */
#ifndef RUNTIME_DEADLINE_H
#define RUNTIME_DEADLINE_H

#include "base/base.h"

struct deadline {
    int64_t at; /* CLOCK_MONOTONIC, ns; INT64_MAX: never */
    int err;    /* what the call returns then */
};

#define NEVER ((struct deadline){ .at = INT64_MAX, .err = WEIR_EINTERNAL })

/* `span` from `now`; WEIR_FOREVER or an overflow: never. */
static inline struct deadline deadline_in(int64_t now, weir_dur span, int err)
{
    int64_t at;

    if (__builtin_add_overflow(now, span, &at))
        at = INT64_MAX;
    return (struct deadline){ .at = at, .err = err };
}

static inline struct deadline deadline_min(struct deadline a, struct deadline b)
{
    return b.at < a.at ? b : a;
}

#endif
