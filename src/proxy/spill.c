/* spill.c -- temporary files, by helper threads: a disk may take its time. */
#include "proxy/spill.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/blocking.h"
#include "runtime/sys.h"

struct job {
    bool write;
    int file; /* -1: to be made */
    char *bytes;
    size_t len;
    uint64_t at;
};

/* Not every file system can make one that never had a name. */
static int nameless(void)
{
    const char *dir = secure_getenv("TMPDIR");
    char path[PATH_MAX];
    int fd;

    if (dir == NULL || dir[0] == '\0')
        dir = "/tmp";
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || snprintf(path, sizeof path, "%s/weir-XXXXXX", dir) >= (int)sizeof path)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Writes them all, or reads as many. */
static int move_all(void *arg)
{
    struct job *j = arg;

    if (j->file < 0 && j->write)
        j->file = nameless();
    if (j->file < 0)
        return WEIR_EINTERNAL;
    while (j->len > 0) {
        ssize_t n = j->write ? pwrite(j->file, j->bytes, j->len, (off_t)j->at)
                             : pread(j->file, j->bytes, j->len, (off_t)j->at);

        if (n <= 0)
            return WEIR_EINTERNAL;
        j->bytes += n;
        j->at += (uint64_t)n;
        j->len -= (size_t)n;
    }
    return 0;
}

bool spill_write(int *file, weir_str bytes, uint64_t at)
{
    struct job j = {
        .write = true, .file = *file, .bytes = (char *)bytes.ptr, .len = bytes.len, .at = at
    };
    int rc = blocking_run(move_all, &j);

    *file = j.file;
    return rc == 0;
}

bool spill_read(int file, char *to, size_t n, uint64_t at)
{
    struct job j = { .file = file, .bytes = to, .len = n, .at = at };

    return blocking_run(move_all, &j) == 0;
}

void spill_close(int *file)
{
    if (*file >= 0)
        sys_close(*file);
    *file = -1;
}
