/* spawn.h -- strands that a program has started: counted, and cancelled at the end of the process.
 * The server opens this while it serves. */
#ifndef RUNTIME_SPAWN_H
#define RUNTIME_SPAWN_H

#include "base/base.h"

/* TASK: of weir_server_add_task, told to end when the process is told to stop. FREE: of weir_spawn,
 * which may go on for the grace. */
enum spawn_kind { SPAWN_TASK, SPAWN_FREE };

/* From here on strands may be spawned; over() is called, on any thread, when the last one has
 * ended. */
void spawn_open(void (*over)(void));

/* Starts fn(arg) as a strand of its own. 0, WEIR_ESTACKS, WEIR_ENOMEM, WEIR_ESHUTDOWN. Any thread;
 * never blocks. */
must_use int spawn(enum spawn_kind kind, void (*fn)(void *), void *arg);

/* Cancels the tasks; `all`: all that runs, and what would start from now on gets WEIR_ESHUTDOWN. */
void spawn_cancel(bool all);

/* Nothing is started any more. */
void spawn_close(void);

/* How many have not ended. */
unsigned spawn_running(void);

#endif
