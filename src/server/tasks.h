/* tasks.h -- programs that run beside the services, or instead of them (<weir/runtime.h>). */
#ifndef SERVER_TASKS_H
#define SERVER_TASKS_H

#include "server/server.h"

/* Starts all tasks, once the workers run and spawn is open. 0, or an error. */
must_use int tasks_start(struct weir_server *sv);

/* The error of the first task that has failed, or 0: when all are over. */
int tasks_result(const struct weir_server *sv);

#endif
