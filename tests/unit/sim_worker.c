/* sim_worker.c -- worker.c as the simulation runs it: one thread is all workers in turn, and sim.c
 * says whose turn it is. */
#include "sim.h"

#include "runtime/overflow.h"

#include "runtime/worker.c"

void sim_set_self(struct worker *w)
{
    worker_here = w;
    atomic_signal_fence(memory_order_seq_cst);
}

/* One turn. Memory of a peak is not the subject, and its alarm would hide a wake-up that is lost.
 * */
void sim_turn(struct worker *w)
{
    struct epoll_event events[EVENTS];

    turn(w, events);
    w->trim_at = TIMER_NONE;
}
