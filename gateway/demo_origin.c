/* demo_origin.c -- `weir demo-origin`, an origin of the demo: a proxy that answers by itself. Not
 * for people: it writes what it does into a page that the demo shares with it, and dies with it. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "demo.h"
#include "weir.h"

/* How long it takes to make a page: some requests are always under way. */
#define WORK (3 * WEIR_MS)

struct origin {
    const char *listen;
    unsigned index;
    pid_t parent;
    struct demo_page *page;
    struct demo_page_origin *mine;
};

static const char *set_listen(void *state, const char *value)
{
    struct origin *o = state;

    o->listen = value;
    return weir_check_address(value);
}

static const char *set_index(void *state, const char *value)
{
    struct origin *o = state;

    o->index = (unsigned)strtoul(value, NULL, 10);
    return o->index < DEMO_ORIGINS ? NULL : "there is no such origin";
}

static const char *set_parent(void *state, const char *value)
{
    struct origin *o = state;

    o->parent = (pid_t)strtol(value, NULL, 10);
    return NULL;
}

static const struct weir_option options[] = {
    { .name = "listen", .value = "ADDR", .set = set_listen, .required = true },
    { .name = "index", .value = "N", .set = set_index, .required = true },
    { .name = "parent", .value = "PID", .set = set_parent, .required = true },
    { .name = NULL },
};

static int answer(struct weir_session *s)
{
    struct origin *o = weir_state(s);
    weir_str path = weir_target(weir_request(s));
    int status = atomic_load(&o->mine->status), rc;

    atomic_fetch_add(&o->mine->busy, 1);
    rc = weir_sleep(s, WORK);
    if (rc == 0)
        rc = weir_send(
            s, weir_new_response(s, status),
            weir_printf(s, "origin %u here: " WEIR_FMT "\n", o->index + 1, WEIR_ARG(path)));
    atomic_fetch_add(&o->mine->served, 1);
    atomic_fetch_sub(&o->mine->busy, 1);
    return rc;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    (void)peer;
    return weir_fail(s, 500, "an origin has no upstream");
}

static const struct weir_proxy origin = {
    .name = "origin",
    .request_filter = answer,
    .upstream_peer = upstream_peer,
};

static void on_line(void *arg, bool error, weir_str line)
{
    struct origin *o = arg;

    if (weir_starts(line, "listening on "))
        atomic_store(&o->mine->ready, true);
    else if (error)
        fprintf(stderr, "demo-origin %u: " WEIR_FMT "\n", o->index + 1, WEIR_ARG(line));
}

static struct demo_page *map_page(void)
{
    void *page =
        mmap(NULL, sizeof(struct demo_page), PROT_READ | PROT_WRITE, MAP_SHARED, DEMO_PAGE_FD, 0);

    return page != MAP_FAILED ? page : NULL;
}

/* Signals are for the demo; what ends an origin is SIGKILL, from the demo or at its end. */
static bool bind_to(pid_t parent)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

int demo_origin_run(const struct command *self, int argc, char **argv)
{
    struct origin o = { .listen = "127.0.0.1:0" };
    struct weir_server *server = weir_server_new_with(argc, argv, self->usage, options, &o);

    o.page = o.parent != 0 && bind_to(o.parent) ? map_page() : NULL;
    if (o.page != NULL) {
        o.mine = &o.page->origins[o.index];
        weir_server_keep_signals(server);
        weir_server_log_to(server, on_line, &o);
        weir_server_add(server, &(struct weir_service){
                                    .proxy = &origin,
                                    .state = &o,
                                    .listen = { { .addr = o.listen } },
                                });
    }
    return weir_server_run(
        server); /* without its page: there is nothing to serve, and it says so */
}
