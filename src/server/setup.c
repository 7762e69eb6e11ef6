/* setup.c -- the public calls before weir_server_run. Each leaves the server usable, whatever was
 * wrong: the first error is kept, and weir_server_run reports it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"
#include "lb/lb.h"
#include "server/server.h"

/* What weir_server_new returns without memory: nothing can be added, and running it says why. */
static struct weir_server no_server = {
    .magic = SERVER_MAGIC,
    .events = { .wake = -1, .signals = -1 },
    .cmdline = { .program = "weir" },
    .stats_lock = PTHREAD_MUTEX_INITIALIZER,
    .failed = EXIT_FAILED,
    .error = "weir_server_new: out of memory",
};

void server_fail(struct weir_server *sv, int code, const char *fmt, ...)
{
    va_list ap;

    if (sv->failed != 0)
        return;
    va_start(ap, fmt);
    vsnprintf(sv->error, sizeof(sv->error), fmt, ap);
    va_end(ap);
    sv->failed = code;
}

struct weir_server *weir_server_new_with(int argc, char **argv, const char *usage,
                                         const struct weir_option *options, void *state)
{
    struct weir_server *sv = calloc(1, sizeof(*sv));

    if (sv == NULL)
        return &no_server;
    sv->magic = SERVER_MAGIC;
    arena_init(&sv->arena, NULL, 0);
    pthread_mutex_init(&sv->stats_lock, NULL);
    if (events_init(&sv->events) < 0)
        server_fail(sv, EXIT_FAILED, "weir_server_new: no descriptor is left");
    cmdline_read(&sv->cmdline, argc, argv, usage, options, state);
    if (sv->cmdline.error[0] != '\0')
        server_fail(sv, EXIT_USAGE, "%s", sv->cmdline.error);
    return sv;
}

void server_free(struct weir_server *sv)
{
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next)
        lb_free(&o->lb);
    events_done(&sv->events);
    arena_done(&sv->arena);
    if (sv != &no_server) {
        pthread_mutex_destroy(&sv->stats_lock);
        sv->magic = 0;
        free(sv);
    }
}

struct weir_server *weir_server_new(int argc, char **argv)
{
    return weir_server_new_with(argc, argv, NULL, NULL, NULL);
}

void weir_server_stop(struct weir_server *sv)
{
    ensure(sv->magic == SERVER_MAGIC);
    events_stop(&sv->events);
}

void weir_server_keep_signals(struct weir_server *sv)
{
    ensure(sv->magic == SERVER_MAGIC);
    sv->keep_signals = true;
}

void weir_server_log_to(struct weir_server *sv, void (*fn)(void *arg, bool error, weir_str line),
                        void *arg)
{
    ensure(sv->magic == SERVER_MAGIC);
    sv->log_to = fn;
    sv->log_arg = arg;
}

const char *weir_version(void)
{
    return version_text;
}

const char *weir_check_address(const char *text)
{
    struct addr_spec spec;

    return addr_parse(text, &spec);
}

/* ---- services -------------------------------------------------------------------------------- */

static const char *copy_text(struct weir_server *sv, const char *text)
{
    weir_str copy = { NULL, 0 };

    if (text == NULL)
        return NULL;
    copy = arena_printf(&sv->arena, "%s", text);
    if (copy.ptr == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: out of memory");
    return copy.ptr;
}

static void copy_texts(struct weir_server *sv, struct weir_service *c)
{
    for (unsigned i = 0; i < WEIR_LISTENERS; i++)
        c->listen[i].addr = copy_text(sv, c->listen[i].addr);
    for (unsigned i = 0; i < WEIR_TRUSTED; i++)
        c->trusted[i] = copy_text(sv, c->trusted[i]);
    c->server_name = copy_text(sv, c->server_name);
}

static void check_listen(struct weir_server *sv, const struct weir_service *c)
{
    if (c->listen[0].addr == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: listen: no address");
    for (unsigned i = 0; i < WEIR_LISTENERS && c->listen[i].addr != NULL; i++) {
        const char *why = weir_check_address(c->listen[i].addr);

        if (why != NULL)
            server_fail(sv, EXIT_FAILED, "weir_server_add: listen[%u] \"%.200s\": %s", i,
                        c->listen[i].addr, why);
    }
}

/* A field value goes out as it is: nothing in it may end the line. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static void check_service(struct weir_server *sv, struct front *f)
{
    const char *field, *why;

    if (f->config.proxy == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: proxy: it is NULL");
    else if (f->config.proxy->upstream_peer == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: proxy: it has no upstream_peer");
    check_listen(sv, &f->config);
    field = settings_fault(&f->config, &why);
    if (field != NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: %s: %s", field, why);
    if (!is_printable(f->config.server_name) || strlen(f->config.server_name) > 200)
        server_fail(sv, EXIT_FAILED, "weir_server_add: server_name: not short, printable ASCII");
    why = front_check(f, &field);
    if (why != NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: %s: %s", field, why);
}

void weir_server_add(struct weir_server *sv, const struct weir_service *service)
{
    struct front *f, **end = &sv->fronts;

    ensure(sv->magic == SERVER_MAGIC);
    if (sv->failed != 0)
        return;
    f = arena_alloc(&sv->arena, sizeof(*f));
    if (f == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_server_add: out of memory");
        return;
    }
    *f = (struct front){ .config = *service };
    settings_apply(&sv->cmdline.settings, &f->config);
    copy_texts(sv, &f->config);
    if (sv->failed == 0)
        check_service(sv, f);
    while (*end != NULL)
        end = &(*end)->next;
    *end = f;
}

/* ---- load balancers -------------------------------------------------------------------------- */

struct weir_lb *weir_lb_new(struct weir_server *sv, const struct weir_lb_config *config)
{
    struct server_lb *owned;

    ensure(sv->magic == SERVER_MAGIC);
    if (sv == &no_server)
        return NULL;
    owned = arena_alloc(&sv->arena, sizeof(*owned));
    if (owned != NULL)
        *owned = (struct server_lb){ .next = sv->lbs, .lb = lb_new(config) };
    if (owned == NULL || owned->lb == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_lb_new: out of memory");
        return NULL;
    }
    sv->lbs = owned;
    if (config->backends[0] != NULL && lb_error(owned->lb) != NULL) /* else weir_lb_add follows */
        server_fail(sv, EXIT_FAILED, "%s", lb_error(owned->lb));
    return owned->lb;
}

void weir_lb_add(struct weir_lb *lb, const char *addr)
{
    if (lb != NULL)
        lb_add(lb, addr);
}
