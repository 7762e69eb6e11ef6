/* endings.c -- how programs end (weir_run), and what has to be over by then. */
#include "checks.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static atomic_bool beside_over;

/* Longer than anybody waits for what was cancelled. */
static int nap_long(void *arg)
{
    (void)arg;
    for (int i = 0; i < 30; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    return 0;
}

static void go_on(void *arg)
{
    (void)arg;
    CHECK(weir_sleep_for(WEIR_FOREVER) == WEIR_ECANCELED && weir_shutting_down());
    weir_blocking(nap_long, NULL);
    beside_over = true;
}

static int return_it(void *arg)
{
    weir_yield();
    return (int)(intptr_t)arg;
}

static int run_and_look(int argc, char **argv, int (*fn)(void *arg))
{
    int rc = weir_run(argc, argv, fn, NULL);

    CHECK(beside_over);
    return rc;
}

/* ---- told to stop ---------------------------------------------------------------------------- */

static int be_stopped(void *arg)
{
    (void)arg;
    CHECK(weir_spawn(go_on, NULL) == 0);
    CHECK(kill(getpid(), SIGTERM) == 0);
    CHECK(weir_sleep_for(WEIR_FOREVER) == WEIR_ECANCELED);
    return WEIR_ECANCELED;
}

static int stopped(int argc, char **argv)
{
    return run_and_look(argc, argv, be_stopped);
}

/* What the end of a scope makes of it. */
static int be_stopped_in_a_scope(void *arg)
{
    struct weir_scope sc;

    weir_scope_open(&sc);
    return weir_scope_end(&sc, be_stopped(arg));
}

static int stopped_in_a_scope(int argc, char **argv)
{
    return run_and_look(argc, argv, be_stopped_in_a_scope);
}

/* ---- by itself ------------------------------------------------------------------------------- */

static int leave_it(void *arg)
{
    (void)arg;
    return weir_spawn(go_on, NULL);
}

static int ended(int argc, char **argv)
{
    return run_and_look(argc, argv, leave_it);
}

static int failed(int argc, char **argv)
{
    return weir_run(argc, argv, return_it, (void *)(intptr_t)WEIR_EDNS);
}

/* An error, if nobody has told it to stop. */
static int canceled(int argc, char **argv)
{
    return weir_run(argc, argv, return_it, (void *)(intptr_t)WEIR_ECANCELED);
}

/* ---- more than one --------------------------------------------------------------------------- */

static int run_another(void *arg)
{
    char *argv[] = { "another", NULL };

    return weir_run(1, argv, return_it, arg);
}

static int run_beside(void *arg)
{
    CHECK(weir_blocking(run_another, arg) == 1);
    return weir_sleep_for(WEIR_MS);
}

/* One after the other, not at the same time. */
static int twice(int argc, char **argv)
{
    CHECK(weir_run(argc, argv, run_beside, NULL) == 0);
    CHECK(run_another(NULL) == 0);
    return weir_run(argc, argv, run_beside, NULL);
}

static const struct check checks[] = {
    { "stopped", stopped },   { "stopped_in_a_scope", stopped_in_a_scope },
    { "ended", ended },       { "failed", failed },
    { "canceled", canceled }, { "twice", twice },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return run_check(argc, argv, checks);
}
