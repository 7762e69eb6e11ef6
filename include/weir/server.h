/* server.h -- the process: options, services, signals, the end. None of these calls blocks but
 * those that say so. A call without a server (NULL, or one whose weir_server_run has returned) is a
 * bug of the program that nothing can report later: it ends the process, with the name of the
 * call. */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include <weir/lb.h>
#include <weir/proxy.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;

/* An option or operand of your own program. A row without a name takes the operands. At most 64
 * rows. */
struct weir_option {
    const char *name;     /* "listen" for --listen; NULL: operands */
    const char *value;    /* how help calls the value: "ADDR"; NULL: a flag */
    const char *help;     /* NULL: the option works and help does not tell of it */

    /* Gets the `state` given to weir_server_new_with and the value (NULL for a flag); returns NULL,
     * or a static sentence that says what is wrong with it. NULL: it is taken, and nothing done. */
    const char *(*set)(void *state, const char *value);

    bool        required; /* it is a usage error to leave it out */
    const char *needs;    /* or to give it without the option of this name; NULL: it needs none */
    bool        repeats;  /* each time counts; else it is set anew, with a warning */
};

/* Makes a server from the command line. Every program understands the options of
 * docs/options.md: --workers, --pool, --grace, --access-log, --error-log, the deadlines
 * (--timeout-*) and bounds (--max-*, --min-rate) of services, where a given option wins over the
 * field of a service, and -h/--help, -v/--version, -t/--test. Only parses: these three and anything
 * wrong take effect in weir_server_run. Never NULL. argv must outlive the server. */
struct weir_server *weir_server_new(int argc, char **argv);

/* The same with options of your own; `options` ends with a row whose name and set are NULL.
 * `usage`: the line behind "usage: "; NULL: made from the program's name. */
struct weir_server *weir_server_new_with(int argc, char **argv, const char *usage,
                                         const struct weir_option *options, void *state);

/* Adds a service; the struct and its strings are copied, proxy and state must outlive the
 * server. */
void weir_server_add(struct weir_server *sv, const struct weir_service *service);

/* Set-up: makes ready, before the first request, for TLS to peers like this one (all but the
 * address counts): files that are missing or wrong are then reported by weir_server_run, and not by
 * requests that fail. Everything is copied. A peer without TLS needs nothing. */
void weir_server_expect_peer(struct weir_server *sv, const struct weir_peer *peer);

/* Reports set-up errors, as many as can be told at once, or serves until told to stop, then frees
 * the server and all that was made with it. With -t it looks names up, loads certificates and binds
 * nothing, and says "configuration ok" if no error was found. 0 after a clean stop, 1 start-up or
 * run-time failure, 2 usage. One server runs in a process at a time; while it does, another one
 * ends with 1. Blocks the calling thread. SIGTERM drains, a second one or SIGINT ends at once, SIGUSR1
 * reopens the log files. */
int weir_server_run(struct weir_server *sv);

/* Starts the clean stop that SIGTERM starts. From any thread or signal handler, from
 * weir_server_new until weir_server_run returns. */
void weir_server_stop(struct weir_server *sv);

/* What the server has done since weir_server_run began: its connections to upstreams. The share of
 * requests that needed no new one is reused / (opened + reused). */
struct weir_server_stats {
    uint64_t upstream_opened;  /* made for a request */
    uint64_t upstream_reused;  /* taken for a request from the pool, where they were idle */
    uint64_t upstream_evicted; /* idle ones closed to keep --pool */
    uint64_t upstream_expired; /* by their idle timeout */
    uint64_t upstream_closed;  /* by the upstream, while they were idle */
    unsigned upstream_idle;    /* now */
};

/* Writes the figures to `*out`; zeros before it serves, the last ones after. From any thread,
 * phases included, until weir_server_run returns. Never blocks for long. */
void weir_server_stats(struct weir_server *sv, struct weir_server_stats *out);

/* Set-up: leaves all signals to the program that embeds the server (end it by weir_server_stop). */
void weir_server_keep_signals(struct weir_server *sv);

/* Set-up: where all lines go instead of standard output and error: fn(arg, error, line) is
 * called by one thread at a time, never by a worker; `line` has no newline. --help and --version
 * still print. */
void weir_server_log_to(struct weir_server *sv, void (*fn)(void *arg, bool error, weir_str line),
                        void *arg);

/* For options of your own. What is wrong with `text` as an address (of a listener or backend), as a
 * static sentence; NULL if nothing. */
const char *weir_check_address(const char *text);

/* The word of a NULL-terminated list that was probably meant by `word`; NULL if none is like it. */
const char *weir_nearest(const char *word, const char *const *words);

/* The version, the commit it was built from, and the library of TLS that is loaded:
 * "0.1.0 (commit 0123456789ab), OpenSSL 3.0.19". */
const char *weir_version(void);

#ifdef __cplusplus
}
#endif

#endif
