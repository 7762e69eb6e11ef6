/* drain.c -- from the last accept to the last connection.
 *
 * Idle connections are closed again and again: one that was about to go idle when the end began,
 * with a response that did not yet say `Connection: close`, becomes idle afterwards. */
#include "base/clock.h"
#include "proxy/downstream.h"
#include "runtime/runtime.h"
#include "runtime/spawn.h"
#include "server/accept.h"
#include "server/server.h"
#include "server/workers.h"

/* How long cancelled requests may take to write their last words and log lines. */
#define CANCEL_TIME (2 * WEIR_SEC)

enum { LOOK_AGAIN_MS = 50 };

static void close_idle(void *unused)
{
    (void)unused;
    downstream_close_idle();
}

static void cancel_all(void *unused)
{
    (void)unused;
    downstream_cancel_all();
}

/* Connections, and what programs have spawned. */
static bool anything_left(void)
{
    return accept_open() > 0 || spawn_running() > 0;
}

/* Until nothing is left, the time is over, or one of the `impatient` events. */
static void wait_empty(struct weir_server *sv, weir_dur time, unsigned impatient)
{
    int64_t start = clock_now();
    unsigned happened = 0;

    while (anything_left() && clock_now() - start < time && !(happened & impatient)) {
        rt_post(0, close_idle, NULL); /* without memory: next time */
        happened = events_wait(&sv->events, LOOK_AGAIN_MS);
        if (happened & EVENT_REOPEN)
            log_reopen();
    }
}

void server_drain(struct weir_server *sv, weir_dur grace)
{
    spawn_cancel(false);
    wait_empty(sv, grace, EVENT_STOP | EVENT_END);
    if (!anything_left())
        return;
    workers_run(0, cancel_all, NULL);
    spawn_cancel(true);
    wait_empty(sv, CANCEL_TIME, 0);
}
