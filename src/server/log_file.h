/* log_file.h -- where the log thread writes: a file that can be opened anew, standard output or
 * error, or nothing. Used by one thread. */
#ifndef SERVER_LOG_FILE_H
#define SERVER_LOG_FILE_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "base/base.h"

struct log_file {
    const char *path; /* NULL: `fd` was there before */
    int fd;           /* -1: switched off */
    bool waits;       /* a pipe, a terminal, a socket: its reader may be slow */
    bool torn;        /* the last write ended within a line */
};

/* Standard input, output and error that are closed become /dev/null: otherwise a connection would
 * take their number, and get our logs. Before anything else is opened. */
void log_file_standard(void);

/* `where`: a path, "-" for `standard`, "off". 0, or WEIR_EINTERNAL with the reason in `why`. */
int log_file_open(struct log_file *f, const char *where, int standard, char *why, size_t size);
void log_file_close(struct log_file *f);

/* Would log_file_open succeed? Nothing is opened or made. */
int log_file_test(const char *where, char *why, size_t size);

/* Opens the path again, after somebody moved the file away. On failure the old one stays in use. */
int log_file_reopen(struct log_file *f, char *why, size_t size);

/* Writes all of it; returns the number of lines that were lost because it cannot be written, or
 * because the reader does not read and `hurry` has been set for a second. May wait for the reader
 * of a pipe. */
uint64_t log_file_write(struct log_file *f, const struct iovec *iov, int n,
                        const atomic_bool *hurry);

#endif
