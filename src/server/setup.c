/* setup.c -- the public calls before weir_server_run. Each leaves the server usable, whatever was
 * wrong: errors are kept, and weir_server_run reports them. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/inject.h"
#include "base/version.h"
#include "lb/lb.h"
#include "limits/rate.h"
#include "server/log_file.h"
#include "server/server.h"
#include "tls/tls.h"

/* What weir_server_new returns without memory: nothing can be added, and running it says why. */
#define NO_SERVER "weir_server_new: out of memory"
static struct weir_server no_server = {
    .magic = SERVER_MAGIC,
    .events = { .wake = -1, .signals = -1 },
    .cmdline = { .program = "weir" },
    .stats_lock = PTHREAD_MUTEX_INITIALIZER,
    .failed = EXIT_FAILED,
    .faults = { .count = 1, .len = sizeof(NO_SERVER), .text = NO_SERVER },
};

struct weir_server *weir_server_new_with(int argc, char **argv, const char *usage,
                                         const struct weir_option *options, void *state)
{
    struct weir_server *sv;

    log_file_standard();
    inject_start();
    sv = calloc(1, sizeof(*sv));
    if (sv == NULL)
        return &no_server;
    sv->magic = SERVER_MAGIC;
    arena_init(&sv->arena, NULL, 0);
    pthread_mutex_init(&sv->stats_lock, NULL);
    if (events_init(&sv->events) < 0)
        server_fail(sv, EXIT_FAILED, "weir_server_new: no descriptor is left");
    cmdline_read(&sv->cmdline, argc, argv, usage, options, state);
    if (sv->cmdline.faults.count > 0 && sv->failed == 0)
        sv->failed = EXIT_USAGE;
    faults_append(&sv->faults, &sv->cmdline.faults);
    return sv;
}

bool server_is_none(const struct weir_server *sv)
{
    return sv == &no_server;
}

void server_free(struct weir_server *sv)
{
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next)
        lb_free(&o->lb);
    for (struct server_rate *o = sv->rates; o != NULL; o = o->next)
        rate_free(&o->rate);
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        front_done(f);
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
    server_needed(sv);
    events_stop(&sv->events);
}

void weir_server_keep_signals(struct weir_server *sv)
{
    server_needed(sv);
    sv->keep_signals = true;
}

void weir_server_log_to(struct weir_server *sv, void (*fn)(void *arg, bool error, weir_str line),
                        void *arg)
{
    server_needed(sv);
    sv->log_to = fn;
    sv->log_arg = arg;
}

static char version[128];

static void say_version(void)
{
    snprintf(version, sizeof version, "%s, OpenSSL %s", version_text, tls_library());
}

const char *weir_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, say_version);
    return version;
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

static void copy_listen(struct weir_server *sv, struct weir_listen *l)
{
    l->addr = copy_text(sv, l->addr);
    l->cert = copy_text(sv, l->cert);
    l->key = copy_text(sv, l->key);
}

static void copy_page(struct weir_server *sv, struct weir_error_page *page)
{
    page->file = copy_text(sv, page->file);
    page->text = copy_text(sv, page->text);
    page->type = copy_text(sv, page->type);
}

static void copy_texts(struct weir_server *sv, struct weir_service *c)
{
    for (unsigned i = 0; i < WEIR_LISTENERS; i++)
        copy_listen(sv, &c->listen[i]);
    for (unsigned i = 0; i < WEIR_TRUSTED; i++)
        c->trusted[i] = copy_text(sv, c->trusted[i]);
    c->server_name = copy_text(sv, c->server_name);
    for (unsigned i = 0; i < WEIR_ERROR_PAGES; i++)
        copy_page(sv, &c->error_pages[i]);
}

void weir_server_add(struct weir_server *sv, const struct weir_service *service)
{
    struct front *f, **end;

    server_needed(sv);
    if (sv == &no_server)
        return;
    f = service != NULL ? arena_alloc(&sv->arena, sizeof(*f)) : NULL;
    if (f == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_server_add: %s",
                    service != NULL ? "out of memory" : "the service is NULL");
        return;
    }
    *f = (struct front){ .config = *service };
    settings_apply(&sv->cmdline.settings, &f->config);
    copy_texts(sv, &f->config);
    for (end = &sv->fronts; *end != NULL; end = &(*end)->next)
        ;
    *end = f;
}

static weir_str copy_str(struct weir_server *sv, weir_str text)
{
    weir_str copy = arena_copy(&sv->arena, text);

    if (text.len > 0 && copy.ptr == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_expect_peer: out of memory");
    return copy;
}

void weir_server_expect_peer(struct weir_server *sv, const struct weir_peer *peer)
{
    struct server_peer *p;

    server_needed(sv);
    if (sv == &no_server)
        return;
    p = peer != NULL ? arena_alloc(&sv->arena, sizeof(*p)) : NULL;
    if (p == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_server_expect_peer: %s",
                    peer != NULL ? "out of memory" : "the peer is NULL");
        return;
    }
    *p = (struct server_peer){ .next = sv->peers, .peer = *peer };
    p->peer.sni = copy_str(sv, peer->sni);
    p->peer.alt_name = copy_str(sv, peer->alt_name);
    p->peer.ca_file = copy_str(sv, peer->ca_file);
    p->peer.cert_file = copy_str(sv, peer->cert_file);
    p->peer.key_file = copy_str(sv, peer->key_file);
    sv->peers = p;
}

/* ---- load balancers -------------------------------------------------------------------------- */

struct weir_lb *weir_lb_new(struct weir_server *sv, const struct weir_lb_config *config)
{
    struct server_lb *owned, **end;

    server_needed(sv);
    if (sv == &no_server)
        return NULL;
    owned = config != NULL ? arena_alloc(&sv->arena, sizeof(*owned)) : NULL;
    if (owned != NULL)
        *owned = (struct server_lb){ .lb = lb_new(config) };
    if (owned == NULL || owned->lb == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_lb_new: %s",
                    config != NULL ? "out of memory" : "the configuration is NULL");
        return NULL;
    }
    for (end = &sv->lbs; *end != NULL; end = &(*end)->next)
        ;
    *end = owned;
    return owned->lb;
}

void weir_lb_add(struct weir_lb *lb, const char *addr)
{
    if (lb != NULL)
        lb_add(lb, addr);
}

/* ---- limits ---------------------------------------------------------------------------------- */

struct weir_rate *weir_rate_new(struct weir_server *sv, weir_dur window)
{
    struct server_rate *owned;

    server_needed(sv);
    if (sv == &no_server)
        return NULL;
    owned = arena_alloc(&sv->arena, sizeof(*owned));
    if (owned == NULL) {
        server_fail(sv, EXIT_FAILED, "weir_rate_new: out of memory");
        return NULL;
    }
    *owned = (struct server_rate){ .next = sv->rates };
    sv->rates = owned;
    if (window <= 0)
        return NULL;
    owned->rate = rate_new(window, WEIR_RATE_KEYS);
    if (owned->rate == NULL)
        server_fail(sv, EXIT_FAILED, "weir_rate_new: out of memory");
    return owned->rate;
}
