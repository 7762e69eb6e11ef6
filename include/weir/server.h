/* server.h -- the process: options, services, signals, the end. */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include <weir/lb.h>
#include <weir/proxy.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;

/* An option or operand of your own program. `set` gets the `state` given to weir_server_new_with and the value (NULL for a flag) and returns
 * NULL, or a static sentence that says what is wrong with it. A row without a name takes the operands. */
struct weir_option {
    const char *name;    /* "listen" for --listen; NULL: operands */
    const char *value;   /* how help calls the value: "ADDR"; NULL: a flag */
    const char *help;
    const char *(*set)(void *state, const char *value);
};

/* Makes a server from the command line. Every program understands the options of docs/options.md: --workers, --pool, --grace,
 * --access-log, --error-log, the deadlines (--timeout-*) and bounds (--max-*, --min-rate) of services, where a given option wins over the
 * field of a service, -h/--help and -v/--version. Only parses: -h, -v and anything wrong take effect in weir_server_run. Never NULL. */
struct weir_server *weir_server_new(int argc, char **argv);

/* The same with options of your own; `options` ends with a row whose name and set are NULL. `usage`: the line behind "usage: ". */
struct weir_server *weir_server_new_with(int argc, char **argv, const char *usage,
                                         const struct weir_option *options, void *state);

/* Adds a service; the struct and its strings are copied, proxy and state must outlive the server. */
void weir_server_add(struct weir_server *sv, const struct weir_service *service);

/* Reports the first set-up error or serves until told to stop, then frees the server and all that was made with it. 0 after a clean stop, 1
 * start-up or run-time failure, 2 usage. Blocks the calling thread. SIGTERM drains, a second one or SIGINT ends at once, SIGUSR1 reopens logs. */
int weir_server_run(struct weir_server *sv);

/* Starts the clean stop that SIGTERM starts. From any thread or signal handler. */
void weir_server_stop(struct weir_server *sv);

/* Set-up: leaves all signals to the program that embeds the server (end it by weir_server_stop). */
void weir_server_keep_signals(struct weir_server *sv);

/* Where log lines go instead of stdout and stderr: fn(arg, error, line) is called by one thread of the library, never by a worker; `line` has no newline. */
void weir_server_log_to(struct weir_server *sv, void (*fn)(void *arg, bool error, weir_str line), void *arg);

/* Version as "0.1.0", and the text of --version. */
const char *weir_version(void);

#ifdef __cplusplus
}
#endif

#endif
