/* log.h -- the log thread: takes lines from everybody and writes them in big pieces.
 *
 * Writers copy a line into a ring and go on (log_line of base/log.h); lines that find no room are
 * counted, and the count is logged when there is room again. One a process. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <weir/server.h>

#include "base/log.h"

typedef void log_callback(void *arg, bool error, weir_str line);

/* Before log_start: all lines go to a callback instead of files; NULL: to files. */
void log_call_back(log_callback *to, void *arg);

/* Opens the files (a path, "-" for standard output and error, or "off") and starts the thread.
 * 0, or an error with its words in `why`. */
int log_start(const char *access, const char *error, char *why, size_t size);

/* A line for the person who started the program, whatever the error log is: standard error, or the
 * callback. Before log_start and after log_stop it is written at once. */
void log_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Opens the files again (SIGUSR1); soon, by the log thread. */
void log_reopen(void);

/* Writes what is left, ends the thread, closes the files. Nobody logs any more by then. */
void log_stop(void);

#endif
