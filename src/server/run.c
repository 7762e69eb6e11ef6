/* run.c -- weir_server_run: the life of the process. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/inject.h"
#include "lb/lb.h"
#include "net/linger.h"
#include "net/pipe.h"
#include "pool/pool.h"
#include "proxy/downstream.h"
#include "proxy/local.h"
#include "proxy/own.h"
#include "runtime/runtime.h"
#include "runtime/spawn.h"
#include "server/accept.h"
#include "server/notify.h"
#include "server/server.h"
#include "server/tasks.h"
#include "server/workers.h"

enum { RETRY_MS = 100 };

static struct events *woken; /* by the acceptor: one server runs in a process */

static void wake(void)
{
    events_wake(woken);
}

/* As many descriptors as the system allows: a proxy needs two for each request. Their number. */
static uint64_t raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit most = { limit.rlim_max, limit.rlim_max };

        if (setrlimit(RLIMIT_NOFILE, &most) == 0)
            return most.rlim_cur;
    }
    return limit.rlim_cur;
}

/* The kernel doubles a process's table of descriptors when it is full, and where there are threads,
 * who opens the next one waits for all processors to have noticed: 10 to 20 ms, in which a worker
 * serves nobody. So the table is made as large as it may have to be, but half a megabyte at most,
 * before there are any. */
static void grow_descriptors(uint64_t most)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)MIN(most, UINT64_C(1) << 16) - 1);

    if (fd >= 0)
        close(fd);
}

/* ---- the parts, in the order in which they start --------------------------------------------- */

static int open_log(struct weir_server *sv)
{
    const struct process_config *p = &sv->cmdline.settings.process;
    char why[FAULT_LEN];
    int rc = log_start(p->access_log, p->error_log, why, sizeof(why));

    if (rc < 0)
        server_fail(sv, EXIT_FAILED, "%s", why);
    return rc;
}

static int open_gates(struct weir_server *sv)
{
    char why[FAULT_LEN];

    for (struct front *f = sv->fronts; f != NULL; f = f->next) {
        if (gates_open(f, (int)sv->cmdline.settings.process.backlog, why, sizeof(why)) < 0) {
            server_fail(sv, EXIT_FAILED, "%s", why);
            return WEIR_EINTERNAL;
        }
    }
    return 0;
}

static int resolve_backends(struct weir_server *sv)
{
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next)
        TRY(lb_resolve(o->lb));
    return 0;
}

static int start_workers(struct weir_server *sv)
{
    return rt_start(&(struct rt_config){
        .workers = (unsigned)sv->cmdline.settings.process.workers,
        .no_steal = getenv("WEIR_TEST_NO_STEAL") != NULL, /* for the benchmark, as in accept.c */
    });
}

static int start_backends(struct weir_server *sv)
{
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next) {
        TRY(lb_start(o->lb));
        o->started = true;
    }
    return 0;
}

static int prepare_fronts(struct weir_server *sv)
{
    bool log = strcmp(sv->cmdline.settings.process.access_log, "off") != 0;

    for (struct front *f = sv->fronts; f != NULL; f = f->next) {
        f->service.access_log = log;
        TRY(front_prepare(f, rt_workers(), sv->descriptors));
    }
    front_defaults(&sv->outside, &sv->cmdline.settings);
    own_start(&sv->outside.service);
    return 0;
}

/* While only the configuration is tested there is no log: then as errors are said. */
static void warn_of_certificates(const struct weir_server *sv, bool test)
{
    for (const struct front *f = sv->fronts; f != NULL; f = f->next) {
        for (unsigned i = 0; i < WEIR_LISTENERS; i++) {
            const char *warning = f->tls[i] != NULL ? tls_server_warning(f->tls[i]) : NULL;

            if (warning != NULL && test)
                log_say("%s: warning: %s", sv->cmdline.program, warning);
            else if (warning != NULL)
                log_message("warning", "%s", warning);
        }
    }
}

static void print_ready(const struct weir_server *sv)
{
    char text[ADDR_TEXT];

    for (const struct front *f = sv->fronts; f != NULL; f = f->next) {
        for (const struct gate *g = f->gates; g != NULL; g = g->next) {
            addr_print(&g->addr, text);
            log_say("listening on %s (%s)", text, g->tls != NULL ? "https" : "http");
        }
    }
}

/* ---- serving --------------------------------------------------------------------------------- */

static void wait_for_end(struct weir_server *sv)
{
    unsigned happened = 0;

    while (!(happened & (EVENT_STOP | EVENT_END)) && !atomic_load(&sv->tasks_over)) {
        happened = events_wait(&sv->events, atomic_load(&acceptor.starved) > 0 ? RETRY_MS : -1);
        if (happened & EVENT_REOPEN)
            log_reopen();
        if (happened == 0)
            accept_retry(true);
    }
    notify("STOPPING=1");
    downstream_drain(); /* first: who is refused may count on `Connection: close` for the others */
    accept_stop();
    server_drain(sv, happened & EVENT_END ? 0 : sv->cmdline.settings.process.grace);
}

/* A task that failed ended the server, and its error is what the process ends with. */
static int task_failure(struct weir_server *sv)
{
    int rc = tasks_result(sv);

    if (rc < 0)
        server_fail(sv, EXIT_FAILED, "%s", weir_error_text(rc));
    return rc;
}

/* From here on the workers run, and connections come. */
static int accept_and_wait(struct weir_server *sv)
{
    int rc;

    spawn_open(wake); /* before the first request, which may want to spawn */
    rc = accept_start(sv->fronts, rt_workers(), wake);
    if (rc < 0) {
        spawn_close();
        accept_stop();
        return rc;
    }
    warn_of_certificates(sv, false);
    print_ready(sv);
    inject_serving();
    rc = tasks_start(sv);
    if (rc < 0)
        atomic_store(&sv->tasks_over, true);
    notify("READY=1");
    wait_for_end(sv);
    spawn_close();
    return rc < 0 ? rc : task_failure(sv);
}

/* What is open and belongs to no request any more. */
static void close_rest(void *unused)
{
    (void)unused;
    pool_drain();
    linger_stop();
}

static int serve_with_workers(struct weir_server *sv)
{
    int rc = start_backends(sv);

    if (rc == 0)
        rc = prepare_fronts(sv);
    if (rc == 0)
        rc = accept_and_wait(sv);
    workers_run(0, close_rest, NULL);
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next) {
        if (o->started)
            lb_stop(o->lb);
    }
    return rc;
}

static uint64_t turns; /* of the workers' loops: for inject_report */

static void note_turns(void)
{
    struct rt_stats stats;

    rt_stats(&stats);
    turns = stats.turns;
}

static int serve_with_log(struct weir_server *sv)
{
    int rc;

    TRY(resolve_backends(sv));
    TRY(open_gates(sv));
    TRY(start_workers(sv));
    linger_start();
    rc = downstream_start();
    if (rc == 0)
        rc = local_start();
    if (rc == 0)
        rc = pool_start((unsigned)sv->cmdline.settings.process.pool);
    if (rc == 0) {
        stats_open(sv);
        rc = serve_with_workers(sv);
    }
    note_turns();
    rt_stop();
    stats_close(sv);
    downstream_stop();
    pool_stop();
    pipes_free();
    tls_clients_forget();
    local_stop();
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        front_done(f);
    return rc;
}

static int serve(struct weir_server *sv)
{
    int rc;

    woken = &sv->events;
    sv->descriptors = raise_descriptors();
    grow_descriptors(sv->descriptors);
    if (!sv->keep_signals)
        TRY(events_take_signals(&sv->events));
    TRY(open_log(sv));
    rc = serve_with_log(sv);
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        gates_close(f); /* a failed start leaves them open */
    log_stop();
    return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* --help and the like. */
static int print_text(const struct cmdline *c)
{
    char *text = usage_text(c);
    bool printed = text != NULL && fputs(text, stdout) >= 0 && fflush(stdout) == 0;

    free(text);
    return printed ? EXIT_CLEAN : EXIT_FAILED;
}

static void say_warnings(const struct weir_server *sv)
{
    const struct faults *f = &sv->cmdline.warnings;

    for (const char *at = NULL; (at = faults_next(f, at)) != NULL;)
        log_say("%s: warning: %s", sv->cmdline.program, at);
}

static void say_faults(const struct weir_server *sv)
{
    const struct faults *f = &sv->faults;

    for (const char *at = NULL; (at = faults_next(f, at)) != NULL;)
        log_say("%s: %s", sv->cmdline.program, at);
    if (faults_left_out(f) > 0)
        log_say("%s: and %u more", sv->cmdline.program, faults_left_out(f));
}

static int run(struct weir_server *sv)
{
    bool test = sv->cmdline.action == ACTION_TEST;
    int rc = 0;

    if (sv->cmdline.action > ACTION_TEST)
        return print_text(&sv->cmdline);
    say_warnings(sv);
    server_check(sv);
    if (test)
        server_test(sv);
    else if (sv->failed == 0)
        rc = serve(sv);
    if (rc < 0 && sv->failed == 0)
        server_fail(sv, EXIT_FAILED, "cannot start: %s", weir_error_text(rc));
    say_faults(sv);
    if (test && sv->failed == 0) {
        warn_of_certificates(sv, true);
        log_say("configuration ok");
    }
    return sv->failed;
}

int weir_server_run(struct weir_server *sv)
{
    static atomic_bool busy; /* workers, pool and log are there once in a process */
    int code = EXIT_FAILED;

    server_needed(sv);
    if (atomic_exchange(&busy, true)) {
        log_say("%s: weir_server_run: another server runs in this process", sv->cmdline.program);
        server_free(sv);
        return code;
    }
    log_call_back(sv->log_to, sv->log_arg);
    code = run(sv);
    server_free(sv);
    inject_report(turns);
    atomic_store(&busy, false);
    return code;
}
