/* server.h -- the handle behind <weir/server.h>: what was set up, and the one process that runs
 * it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <pthread.h>

#include <weir/server.h>

#include "base/arena.h"
#include "server/cmdline.h"
#include "server/events.h"
#include "server/front.h"
#include "server/log.h"

#define SERVER_MAGIC 0x57656972u

/* At the beginning of a public call. */
#define server_needed(sv) \
    needs((sv) != NULL && (sv)->magic == SERVER_MAGIC, "a server that has not ended")

enum { EXIT_CLEAN = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct server_lb {
    struct server_lb *next;
    struct weir_lb *lb;
    bool started;
};

struct server_rate {
    struct server_rate *next;
    struct weir_rate *rate; /* NULL: its window was none, which server_check reports */
};

/* A program that runs beside the services. */
struct server_task {
    struct server_task *next;
    struct weir_server *server;
    int (*fn)(void *arg);
    void *arg;
    int rc; /* once it has ended */
};

/* A peer that weir_server_run prepares for. */
struct server_peer {
    struct server_peer *next;
    struct weir_peer peer;
};

struct weir_server {
    uint32_t magic;
    struct cmdline cmdline;
    struct arena arena; /* copies of what set-up calls got */
    struct events events;
    struct front *fronts; /* services, in the order in which they were added */
    struct front outside; /* the options, for what is done for no service */
    struct server_lb *lbs;
    struct server_rate *rates;
    struct server_peer *peers;
    struct server_task *tasks;
    atomic_uint tasks_left; /* that run */
    atomic_bool tasks_over; /* they want the server to end */
    log_callback *log_to;
    void *log_arg;
    bool keep_signals;
    uint64_t descriptors; /* that the process may have */
    pthread_mutex_t stats_lock; /* guards these two */
    struct weir_server_stats last_stats;
    bool counting;        /* there is a pool to ask */
    int failed;           /* exit code of the first error; 0: none */
    struct faults faults; /* what was wrong */
};

/* One error more; the first one decides the exit code. */
#define server_fail(sv, code, ...) \
    (faults_add(&(sv)->faults, __VA_ARGS__), \
     (void)((sv)->failed = (sv)->failed != 0 ? (sv)->failed : (code)))

/* check.c: what is wrong with the configuration and needs no look at the machine; and, for --test,
 * what else a start would find without binding anything. */
void server_check(struct weir_server *sv);
void server_test(struct weir_server *sv);

/* Between these two weir_server_stats asks the pool: once it has started, before it stops. */
void stats_open(struct weir_server *sv);
void stats_close(struct weir_server *sv);

/* What weir_server_new returns without memory: set-up calls leave it alone. */
bool server_is_none(const struct weir_server *sv);

/* Frees the server and what was made with it. */
void server_free(struct weir_server *sv);

/* The end of a process that has stopped accepting: closes what is idle, lets requests run for
 * `grace`, or until a second signal, and cancels the rest. On the main thread; returns when all
 * client connections are closed. */
void server_drain(struct weir_server *sv, weir_dur grace);

#endif
