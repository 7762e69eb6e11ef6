/* demo.c -- `weir demo`: a load balancer survives the death of its origins, on your own screen.
 *
 * The director of the demo: starts its parts, drives them from one loop, and ends them again on
 * every way out. What might stay behind cannot: origins die with this process (demo_origin.c), and
 * files exist in memory only. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "weir.h"

/* A turn that took longer was stopped (Ctrl-Z, a closed laptop): its clock stood still. */
#define PAUSED   (1 * WEIR_SEC)
#define PATIENCE (10 * WEIR_SEC) /* for the origins to start */

enum { FAILED = 1 };

struct demo {
    weir_dur length;
    char **args;
    bool broken; /* for tests: one origin answers 500 */
    struct demo_origins origins;
    struct demo_balancer *balancer;
    struct demo_client *client;
    struct demo_screen screen;
    int signals;
    int64_t skipped; /* by pauses */
    int64_t turned;  /* when the loop went round last */
    unsigned stops;  /* signals to end */
};

/* ---- small things that the parts share ------------------------------------------------------- */

int64_t demo_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * WEIR_SEC + t.tv_nsec;
}

int demo_file(const char *name, const void *bytes, size_t len, char path[DEMO_ADDR])
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)len) < 0 ||
        (bytes != NULL && pwrite(fd, bytes, len, 0) != (ssize_t)len)) {
        close(fd);
        return -1;
    }
    snprintf(path, DEMO_ADDR, "/proc/self/fd/%d", fd);
    return fd;
}

/* ---- options --------------------------------------------------------------------------------- */

/* A number of seconds, or a time as all options take it. */
static const char *set_length(void *state, const char *value)
{
    enum { MOST = 1000000000 }; /* seconds: 30 years, and no sum with a clock overflows */
    struct demo *d = state;
    char *end;
    unsigned long seconds = strtoul(value, &end, 10);

    if (value[0] >= '0' && value[0] <= '9' && *end == '\0') {
        if (seconds == 0 || seconds > MOST)
            return "it must be 1 to 1000000000 seconds";
        d->length = (weir_dur)seconds * WEIR_SEC;
        return NULL;
    }
    if (!weir_parse_dur(value, &d->length))
        return "write a number of seconds";
    if (d->length > MOST * WEIR_SEC)
        d->length = WEIR_FOREVER;
    return NULL;
}

static const char *set_broken(void *state, const char *value)
{
    (void)value;
    ((struct demo *)state)->broken = true;
    return NULL;
}

static const struct weir_option options[] = {
    {
        .name = "for",
        .value = "SECONDS",
        .help = "how long; without it, until Ctrl-C",
        .set = set_length,
    },
    { .name = "broken-origin", .set = set_broken },
    { .name = NULL },
};

/* ---- waiting --------------------------------------------------------------------------------- */

/* The clock of the demo: it does not see pauses, or all that was under way would be late. */
static int64_t turn(struct demo *d)
{
    int64_t now = demo_now(), gap = now - d->turned;

    if (d->turned != 0 && gap > PAUSED)
        d->skipped += gap;
    d->turned = now;
    return now - d->skipped;
}

static void read_signals(struct demo *d)
{
    struct signalfd_siginfo info;

    while (read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        d->stops++;
}

/* Until something happens or `until` comes; lets the client see what happened to it. */
static void wait_until(struct demo *d, int64_t now, int64_t until)
{
    enum { OWN = 2 };
    struct pollfd fds[OWN + DEMO_CONNS];
    struct timespec left = { .tv_nsec = 0 };
    eventfd_t count;
    unsigned n = OWN;

    if (until > now)
        left = (struct timespec){ (until - now) / WEIR_SEC, (until - now) % WEIR_SEC };
    fds[0] = (struct pollfd){ .fd = d->signals, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = demo_balancer_event(d->balancer), .events = POLLIN };
    if (d->client != NULL)
        n += demo_client_watch(d->client, fds + OWN);
    if (ppoll(fds, n, &left, NULL) <= 0)
        return;
    if (fds[1].revents != 0)
        eventfd_read(fds[1].fd, &count);
    read_signals(d);
    if (d->client != NULL)
        demo_client_handle(d->client, fds + OWN, n - OWN, turn(d));
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- the acts -------------------------------------------------------------------------------- */

static struct demo_view view(const struct demo *d, struct demo_counts *counts,
                             struct demo_tally *tally)
{
    demo_balancer_counts(d->balancer, counts);
    *tally = (struct demo_tally){ .failed = 0 };
    if (d->client != NULL)
        demo_client_tally(d->client, tally);
    return (struct demo_view){
        .origins = &d->origins,
        .balancer = d->balancer,
        .counts = counts,
        .tally = tally,
        .length = d->length,
    };
}

static int complain(const char *what)
{
    fprintf(stderr, "weir: demo: %s\n", what);
    return FAILED;
}

static bool all_up(struct demo *d)
{
    struct demo_counts counts;

    demo_balancer_counts(d->balancer, &counts);
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        if (!counts.up[i])
            return false;
    }
    return demo_origins_ready(&d->origins);
}

/* Until the origins listen and the balancer has seen it. */
static int raise_curtain(struct demo *d)
{
    int64_t now = turn(d), late = now + PATIENCE;

    if (!demo_origins_start(&d->origins))
        return complain(d->origins.error);
    while (!all_up(d) && d->stops == 0) {
        now = turn(d);
        demo_origins_step(&d->origins, now);
        if (d->origins.error[0] != '\0')
            return complain(d->origins.error);
        if (now > late)
            return complain("the origins do not get ready");
        wait_until(d, now, now + 5 * WEIR_MS);
    }
    return 0;
}

/* Requests, deaths and the line, until it is over. Then no origin dies any more, and what is under
 * way may end. */
static int play(struct demo *d)
{
    int64_t now = turn(d), end = d->length == WEIR_FOREVER ? INT64_MAX : now + d->length;
    bool over = false;

    demo_screen_init(&d->screen, stdout, now);
    d->origins.kill_at = now + DEMO_FIRST_KILL;
    while (!over || (demo_client_pending(d->client) > 0 && d->stops < 2)) {
        int64_t next = demo_client_step(d->client, now);

        next = sooner(next, demo_origins_step(&d->origins, now));
        if (d->origins.error[0] != '\0')
            return complain(d->origins.error);
        if (now >= demo_screen_due(&d->screen)) {
            struct demo_counts counts;
            struct demo_tally tally;
            struct demo_view v = view(d, &counts, &tally);

            demo_screen_draw(&d->screen, &v, now);
        }
        wait_until(d, now, sooner(next, sooner(end, demo_screen_due(&d->screen))));
        now = turn(d);
        if (!over && (now >= end || d->stops > 0 || ferror(stdout))) {
            over = true;
            end = INT64_MAX;
            demo_client_stop(d->client);
            d->origins.kill_at = INT64_MAX;
        }
    }
    return 0;
}

static int perform(struct demo *d, const char *cert)
{
    const char *addr[DEMO_WAYS];
    struct demo_counts counts;
    struct demo_tally tally;
    struct demo_view v;
    int rc = raise_curtain(d);

    if (rc != 0 || d->stops > 0)
        return rc;
    for (unsigned w = 0; w < DEMO_WAYS; w++)
        addr[w] = demo_balancer_addr(d->balancer, w);
    d->client = demo_client_new(addr, cert);
    if (d->client == NULL)
        return complain("the client cannot be made");
    demo_screen_init(&d->screen, stdout, turn(d));
    v = view(d, &counts, &tally);
    demo_screen_explain(&d->screen, &v);
    rc = play(d);
    v = view(d, &counts, &tally);
    demo_screen_summary(&d->screen, &v, turn(d));
    if (tally.failed > 0 || ferror(stdout))
        rc = FAILED;
    return rc;
}

/* The balancer first: it also tells what is wrong with the command line, or prints help. */
static int serve(struct demo *d, struct weir_server *server, const char *cert, const char *key)
{
    int rc = 0, code;

    d->balancer = demo_balancer_start(server, &d->origins, cert, key);
    if (d->balancer == NULL)
        return complain("the balancer cannot be started");
    while (!demo_balancer_settled(d->balancer))
        wait_until(d, 0, WEIR_SEC);
    if (demo_balancer_ended(d->balancer, &rc)) {
        demo_balancer_stop(d->balancer);
    } else {
        rc = perform(d, cert);
        code = demo_balancer_stop(d->balancer);
        rc = rc != 0 ? rc : code;
    }
    demo_client_free(&d->client);
    demo_balancer_free(&d->balancer);
    return rc;
}

/* SIGINT and the like are read from a descriptor, by this loop; children inherit that they are
 * blocked, so that Ctrl-C reaches us alone. */
static bool take_signals(struct demo *d)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signals >= 0;
}

/* The command line with defaults of our own in front, which later words overrule: who ends a demo
 * does not wait for strangers. */
static struct weir_server *make_server(struct demo *d, const char *usage, int argc, char **argv)
{
    static char grace[] = "--grace=1s";
    char **args = calloc((size_t)argc + 2, sizeof(*args));
    struct weir_server *server;

    if (args == NULL)
        return NULL;
    args[0] = argv[0];
    args[1] = grace;
    memcpy(args + 2, argv + 1, (size_t)argc * sizeof(*args)); /* with the NULL at the end */
    server = weir_server_new_with(argc + 1, args, usage, options, d);
    d->args = args;
    return server;
}

int demo_run(const struct command *self, int argc, char **argv)
{
    struct demo d = { .length = WEIR_FOREVER, .signals = -1 };
    char cert[DEMO_ADDR], key[DEMO_ADDR];
    struct weir_server *server = make_server(&d, self->usage, argc, argv);
    int rc;

    if (server == NULL || !take_signals(&d))
        return complain("no memory, or no descriptor, is left");
    if (!demo_tls_certificate(cert, key))
        return complain("a certificate cannot be made");
    if (demo_origins_open(&d.origins)) {
        if (d.broken)
            atomic_store(&d.origins.page->origins[1].status, 500);
        rc = serve(&d, server, cert, key);
    } else {
        rc = complain(d.origins.error);
    }
    demo_origins_end(&d.origins);
    close(d.signals);
    free(d.args);
    return rc;
}
