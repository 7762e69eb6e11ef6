/* log_file.c -- files take everything at once; what may wait is asked first, and is given no
 * more than it can take without waiting, so that the end of the process never hangs on
 * somebody's pipe. */
#include "server/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOOK_AGAIN_MS = 100 };

/* A pipe with a name is opened both ways: then nobody has to read it yet, and no start waits. */
static int open_path(const char *path, char *why, size_t size)
{
    struct stat st;
    int way = stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? O_RDWR : O_WRONLY;
    int fd = open(path, way | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

    if (fd < 0)
        snprintf(why, size, "%m");
    return fd;
}

static bool may_wait(int fd)
{
    struct stat st;

    return fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
}

void log_file_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int log_file_open(struct log_file *f, const char *where, int standard, char *why, size_t size)
{
    *f = (struct log_file){ .fd = -1 };
    if (strcmp(where, "off") == 0)
        return 0;
    if (strcmp(where, "-") == 0) {
        f->fd = standard;
    } else {
        f->path = where;
        f->fd = open_path(where, why, size);
        if (f->fd < 0)
            return WEIR_EINTERNAL;
    }
    f->waits = may_wait(f->fd);
    return 0;
}

/* A file that is there must be writable, the folder of another one as well. */
int log_file_test(const char *where, char *why, size_t size)
{
    const char *slash = strrchr(where, '/');
    char folder[PATH_MAX] = ".";

    if (strcmp(where, "off") == 0 || strcmp(where, "-") == 0 || access(where, W_OK) == 0)
        return 0;
    if (slash != NULL)
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - where + 1), where);
    if (access(where, F_OK) != 0 && access(folder, W_OK | X_OK) == 0)
        return 0;
    snprintf(why, size, "%m");
    return WEIR_EINTERNAL;
}

void log_file_close(struct log_file *f)
{
    if (f->path != NULL && f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int log_file_reopen(struct log_file *f, char *why, size_t size)
{
    int fd;

    if (f->path == NULL)
        return 0;
    fd = open_path(f->path, why, size);
    if (fd < 0)
        return WEIR_EINTERNAL;
    close(f->fd);
    f->fd = fd;
    f->waits = may_wait(fd);
    f->torn = false;
    return 0;
}

/* Until it takes bytes; false if it does not for a second in which there is a hurry. */
static bool wait_for_room(const struct log_file *f, const atomic_bool *hurry)
{
    struct pollfd p = { .fd = f->fd, .events = POLLOUT };
    int64_t since = 0;

    while (poll(&p, 1, LOOK_AGAIN_MS) == 0) {
        if (!atomic_load(hurry))
            continue;
        if (since == 0)
            since = clock_now();
        else if (clock_now() - since > WEIR_SEC)
            return false;
    }
    return true;
}

/* Bytes that were written of it. */
static size_t write_piece(const struct log_file *f, const char *at, size_t len,
                          const atomic_bool *hurry)
{
    size_t done = 0;

    while (done < len) {
        size_t most = f->waits ? PIPE_BUF : len - done;
        ssize_t n;

        if (f->waits && !wait_for_room(f, hurry))
            break;
        n = write(f->fd, at + done, MIN(len - done, most));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static uint64_t count_lines(const char *at, size_t len)
{
    uint64_t lines = 0;

    for (const char *end = at + len; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        lines++;
    return lines;
}

uint64_t log_file_write(struct log_file *f, const struct iovec *iov, int n,
                        const atomic_bool *hurry)
{
    uint64_t lost = 0;

    if (f->fd < 0)
        return 0;
    if (f->torn)
        f->torn = write_piece(f, "\n", 1, hurry) != 1;
    for (int i = 0; i < n; i++) {
        const char *at = iov[i].iov_base;
        size_t len = iov[i].iov_len, done = 0;

        if (!f->torn && lost == 0) {
            done = write_piece(f, at, len, hurry);
            f->torn = done < len && done > 0 && at[done - 1] != '\n';
        }
        lost += count_lines(at + done, len - done);
    }
    return lost;
}
