/* editor.h -- body editors: the chain between where a body comes from and where it goes.
 *
 * The last editor of a chain runs on the coroutine that forwards the body, so that a single one
 * costs no switch; each before it has a coroutine of its own, and hands its output on through a
 * place for one piece. */
#ifndef PROXY_EDITOR_H
#define PROXY_EDITOR_H

#include <weir/body.h>

#include "proxy/session.h"

enum { EDITORS_MAX = 4 };

/* What a read without waiting may find beside a piece (1) and the end (0). */
enum { BODY_LATER = 2 };

/* The two ends of a chain. */
struct editor_ends {
    /* The next piece: 1, 0 at the end, BODY_LATER if it must not wait, < 0. Not called again after
     * the end. */
    int (*take)(struct weir_session *s, weir_str *piece, bool wait);
    /* A piece of the output, with `end` the last one, which may be empty: 0 or < 0. */
    int (*give)(struct weir_session *s, weir_str piece, bool end);
};

/* Runs the chain to its end and joins what it started, in the scope of the try. 0, WEIR_ANSWERED,
 * < 0. */
int editors_run(struct weir_session *s, struct editing *chain, const struct editor_ends *ends);

/* Has the input been read to its end? */
bool editors_read_all(const struct editing *chain);

/* Forgets the editors of the try that is over; those that the request has set stay. */
void editors_next_try(struct weir_session *s);

/* Like weir_read, but BODY_LATER where it would have to wait; then nothing was flushed. */
int body_read_now(struct weir_body *in, weir_str *chunk);

#endif
