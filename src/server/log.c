/* log.c -- rings in, files out, a thread between them.
 *
 * The thread is woken by the first line in an empty ring and then gathers for GATHER before it
 * writes, so that a busy server pays for few wake-ups and few, big writes. */
#include "server/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/sys.h"
#include "server/log_file.h"
#include "server/log_ring.h"

#define GATHER (20 * WEIR_MS)

enum channel {
    CHANNEL_ACCESS = LOG_ACCESS,
    CHANNEL_ERROR = LOG_ERROR,
    CHANNEL_SAY = LOG_SAY,
    CHANNELS,
};

static const size_t ring_sizes[CHANNELS] = {
    [CHANNEL_ACCESS] = 1u << 20,
    [CHANNEL_ERROR] = 1u << 20,
    [CHANNEL_SAY] = 1u << 16,
};

static struct {
    log_callback *to; /* takes all lines; NULL: the files do */
    void *arg;
    struct log_ring rings[CHANNELS];
    struct log_file files[CHANNELS];
    uint64_t lost[CHANNELS]; /* by files that could not be written */
    pthread_t thread;
    bool running;

    pthread_mutex_t lock; /* guards these, and is held for nothing else */
    pthread_cond_t wake;
    bool work, urgent, reopen, stop;
    atomic_bool hurry; /* stop, as seen while waiting for a pipe */
} lg = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void nudge(bool urgent)
{
    pthread_mutex_lock(&lg.lock);
    lg.work = true;
    lg.urgent |= urgent;
    pthread_cond_signal(&lg.wake);
    pthread_mutex_unlock(&lg.lock);
}

static void put(enum channel c, weir_str line, bool urgent)
{
    enum ring_news news = ring_put(&lg.rings[c], line);

    if (news != RING_SAME || urgent)
        nudge(news == RING_HALF || urgent);
}

static void sink(enum log_kind kind, weir_str line)
{
    put((enum channel)kind, line, kind == LOG_SAY);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Gives the lines of a ring to the callback, one by one; one that is split by the ring's end is put
 * together first. */
static void call_back(enum channel c, const struct iovec *iov, int n)
{
    char joined[LOG_RECORD_MAX + 2];
    size_t have = 0;

    for (int i = 0; i < n; i++) {
        const char *at = iov[i].iov_base, *end = at + iov[i].iov_len, *newline;

        for (; at < end; at = newline + 1) {
            newline = memchr(at, '\n', (size_t)(end - at));
            if (have > 0 || newline == NULL) {
                size_t part =
                    MIN((size_t)((newline != NULL ? newline : end) - at), sizeof(joined) - have);

                memcpy(joined + have, at, part);
                have += part;
            }
            if (newline == NULL)
                break;
            lg.to(lg.arg, c != CHANNEL_ACCESS,
                  have > 0 ? (weir_str){ joined, have } : (weir_str){ at, (size_t)(newline - at) });
            have = 0;
        }
    }
}

static void deliver(enum channel c, const struct iovec *iov, int n)
{
    if (lg.to != NULL)
        call_back(c, iov, n);
    else
        lg.lost[c] += log_file_write(&lg.files[c], iov, n, &lg.hurry);
}

static void report_lost(enum channel c)
{
    static const char *const names[CHANNELS] = { "access", "error", "notices" };
    uint64_t lost = lg.lost[c] + ring_lost(&lg.rings[c]), before;
    char buf[256], now[RFC3339_LEN];
    struct log_record r;
    weir_str line;

    lg.lost[c] = 0;
    if (lost == 0)
        return;
    clock_rfc3339(clock_wall(), now);
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "time", (weir_str){ now, sizeof(now) });
    log_str(&r, "level", LIT("error"));
    log_str(&r, "msg", LIT("log lines lost"));
    log_str(&r, "log", WEIR(names[c]));
    log_int(&r, "lost", (int64_t)lost);
    line = log_end(&r);
    before = lg.lost[CHANNEL_ERROR];
    deliver(CHANNEL_ERROR, &(struct iovec){ (void *)line.ptr, line.len }, 1);
    if (lg.lost[CHANNEL_ERROR] != before) { /* nor could this be said: keep the count */
        lg.lost[CHANNEL_ERROR] = before;
        lg.lost[c] += lost;
    }
}

static bool drain_ring(enum channel c)
{
    struct iovec iov[2];
    int n = ring_peek(&lg.rings[c], iov);

    if (n == 0)
        return false;
    deliver(c, iov, n);
    ring_drop(&lg.rings[c], iov[0].iov_len + iov[1].iov_len);
    return true;
}

static void drain_rings(void)
{
    bool more;

    do {
        more = false;
        for (enum channel c = 0; c < CHANNELS; c++)
            more |= drain_ring(c);
        for (enum channel c = 0; c < CHANNELS; c++)
            report_lost(c);
    } while (more);
}

static void reopen_files(void)
{
    char why[128];

    for (enum channel c = 0; c < CHANNELS; c++) {
        if (log_file_reopen(&lg.files[c], why, sizeof(why)) < 0)
            log_message("error", "cannot open %s again: %s", lg.files[c].path, why);
    }
}

/* Until there is work, and then a little longer, for more of it; unless it is urgent. */
static void wait_for_work(bool *reopen, bool *stop)
{
    struct timespec until;
    int64_t at;

    pthread_mutex_lock(&lg.lock);
    while (!lg.work)
        pthread_cond_wait(&lg.wake, &lg.lock);
    at = clock_now() + GATHER;
    until = (struct timespec){ .tv_sec = at / WEIR_SEC, .tv_nsec = at % WEIR_SEC };
    while (!lg.urgent && pthread_cond_timedwait(&lg.wake, &lg.lock, &until) == 0) {}
    *reopen = lg.reopen;
    *stop = lg.stop;
    lg.work = lg.urgent = lg.reopen = false;
    pthread_mutex_unlock(&lg.lock);
}

static void *run(void *unused)
{
    bool reopen, stop;

    (void)unused;
    do {
        wait_for_work(&reopen, &stop);
        if (reopen)
            reopen_files();
        drain_rings();
    } while (!stop);
    return NULL;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void release(void)
{
    for (enum channel c = 0; c < CHANNELS; c++) {
        ring_done(&lg.rings[c]);
        log_file_close(&lg.files[c]);
    }
}

static int open_files(const char *access, const char *error, char *why, size_t size)
{
    const struct {
        const char *what, *where;
        int standard;
    } places[CHANNELS] = {
        [CHANNEL_ACCESS] = { "--access-log", access, STDOUT_FILENO },
        [CHANNEL_ERROR] = { "--error-log", error, STDERR_FILENO },
        [CHANNEL_SAY] = { "", "-", STDERR_FILENO },
    };
    char reason[128];

    for (enum channel c = 0; c < CHANNELS; c++)
        lg.files[c] = (struct log_file){ .fd = -1 };
    for (enum channel c = 0; c < CHANNELS && lg.to == NULL; c++) {
        if (log_file_open(&lg.files[c], places[c].where, places[c].standard, reason,
                          sizeof(reason)) < 0) {
            snprintf(why, size, "%s: \"%.200s\" cannot be opened: %s", places[c].what,
                     places[c].where, reason);
            return WEIR_EINTERNAL;
        }
    }
    return 0;
}

/* A thread to which no signal is delivered: those are the caller's business. */
static int start_thread(void)
{
    sigset_t before;
    int rc;

    sys_signals_block(&before);
    rc = pthread_create(&lg.thread, NULL, run, NULL);
    sys_signals_set(&before);
    return rc == 0 ? 0 : WEIR_ENOMEM;
}

static void init_wake(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lg.wake, &attr);
    pthread_condattr_destroy(&attr);
}

void log_call_back(log_callback *to, void *arg)
{
    lg.to = to;
    lg.arg = arg;
}

int log_start(const char *access, const char *error, char *why, size_t size)
{
    int rc = open_files(access, error, why, size);

    for (enum channel c = 0; c < CHANNELS && rc == 0; c++)
        rc = ring_init(&lg.rings[c], ring_sizes[c]);
    lg.work = lg.urgent = lg.reopen = lg.stop = false;
    atomic_store(&lg.hurry, false);
    init_wake();
    if (rc == 0)
        rc = start_thread();
    if (rc == WEIR_ENOMEM)
        snprintf(why, size, "the log: %s", weir_error_text(rc));
    if (rc < 0) {
        release();
        return rc;
    }
    lg.running = true;
    log_sink = sink;
    return 0;
}

void log_say(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    n = MIN(MAX(n, 0), (int)sizeof(line) - 2);
    line[n] = '\n';
    if (lg.running)
        put(CHANNEL_SAY, (weir_str){ line, (size_t)n + 1 }, true);
    else if (lg.to != NULL)
        lg.to(lg.arg, true, (weir_str){ line, (size_t)n });
    else if (write(STDERR_FILENO, line, (size_t)n + 1) < 0)
        return; /* nobody can be told */
}

void log_reopen(void)
{
    pthread_mutex_lock(&lg.lock);
    lg.reopen = true;
    pthread_mutex_unlock(&lg.lock);
    nudge(true);
}

void log_stop(void)
{
    if (!lg.running)
        return;
    log_sink = NULL;
    pthread_mutex_lock(&lg.lock);
    lg.stop = true;
    pthread_mutex_unlock(&lg.lock);
    atomic_store(&lg.hurry, true);
    nudge(true);
    pthread_join(lg.thread, NULL);
    lg.running = false;
    pthread_cond_destroy(&lg.wake);
    release();
}
