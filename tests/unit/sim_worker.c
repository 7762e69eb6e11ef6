/* sim_worker.c -- worker.c as the simulation runs it: one thread is all workers in turn, so what is
 * thread-local there is a variable here, and sim.c says whose turn it is. */
#include "sim.h"

#include "runtime/overflow.h"

#define __thread /* of `self` */
#include "runtime/worker.c"

void sim_set_self(struct worker *w)
{
    self = w;
}

/* One turn. Memory of a peak is not the subject, and its alarm would hide a wake-up that is lost.
 * */
void sim_turn(struct worker *w)
{
    struct epoll_event events[EVENTS];

    turn(w, events);
    w->trim_at = TIMER_NONE;
}
