/* tasks.c -- see tasks.h. */
#include "server/tasks.h"

#include "runtime/co.h"
#include "runtime/spawn.h"

void weir_server_add_task(struct weir_server *sv, int (*fn)(void *), void *arg)
{
    struct server_task *t, **end;

    server_needed(sv);
    if (server_is_none(sv))
        return;
    t = fn != NULL ? arena_alloc(&sv->arena, sizeof *t) : NULL;
    if (t == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_server_add_task: %s",
                    fn != NULL ? "out of memory" : "the function is NULL");
        return;
    }
    *t = (struct server_task){ .server = sv, .fn = fn, .arg = arg };
    for (end = &sv->tasks; *end != NULL; end = &(*end)->next)
        ;
    *end = t;
}

int weir_run(int argc, char **argv, int (*fn)(void *), void *arg)
{
    struct weir_server *sv = weir_server_new(argc, argv);

    weir_server_add_task(sv, fn, arg);
    return weir_server_run(sv);
}

/* The coroutine of a task. A server that only has tasks is over with the last one, and each with
 * one that fails. */
static void run(void *arg)
{
    struct server_task *t = arg;
    struct weir_server *sv = t->server;

    t->rc = t->fn(t->arg);
    if (co_check() < 0 && (t->rc == WEIR_ECANCELED || t->rc == strand_cause()))
        t->rc = 0; /* it was told to stop, and did */
    if ((atomic_fetch_sub(&sv->tasks_left, 1) == 1 && sv->fronts == NULL) || t->rc < 0) {
        atomic_store(&sv->tasks_over, true);
        events_wake(&sv->events);
    }
}

int tasks_start(struct weir_server *sv)
{
    for (struct server_task *t = sv->tasks; t != NULL; t = t->next)
        atomic_fetch_add(&sv->tasks_left, 1);
    for (struct server_task *t = sv->tasks; t != NULL; t = t->next)
        TRY(spawn(SPAWN_TASK, run, t));
    return 0;
}

int tasks_result(const struct weir_server *sv)
{
    for (const struct server_task *t = sv->tasks; t != NULL; t = t->next)
        if (t->rc < 0)
            return t->rc;
    return 0;
}
