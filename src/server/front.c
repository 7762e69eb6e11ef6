/* front.c -- from what the user configured to what connections look at. */
#include "server/front.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/downstream.h"
#include "runtime/runtime.h"

enum { PAGE_MAX = 1024 * 1024 };

static const char *fill_trusted(const struct weir_service *c, struct service *svc)
{
    for (unsigned i = 0; i < WEIR_TRUSTED && c->trusted[i] != NULL; i++) {
        const char *why = addr_net_parse(c->trusted[i], &svc->trusted[i]);

        if (why != NULL)
            return why;
        svc->trusted_count++;
    }
    return NULL;
}

static const char *check_modules(const struct weir_service *c)
{
    const char *why = NULL;

    for (unsigned i = 0; i < WEIR_MODULES && c->modules[i].module != NULL && why == NULL; i++)
        if (c->modules[i].module->check != NULL)
            why = c->modules[i].module->check(c->modules[i].config);
    return why;
}

/* Response heads may be twice as large: an origin is trusted more than a client, and nobody
 * gains from a 502 for one cookie too many. */
static void fill_limits(const struct weir_service *c, struct service *svc)
{
    svc->limits = (struct h1_limits){
        .max_head = c->max_head,
        .max_field = c->max_field,
        .max_target = c->max_target,
        .max_fields = (unsigned)c->max_fields,
    };
    svc->answer_limits = (struct h1_limits){
        .max_head = 2 * c->max_head,
        .max_field = 2 * c->max_field,
        .max_target = 2 * c->max_target,
        .max_fields = 2 * (unsigned)c->max_fields,
    };
}

const char *front_check(struct front *f, const char **field)
{
    const struct weir_service *c = &f->config;
    const char *why;

    f->service = (struct service){
        .proxy = c->proxy,
        .state = c->state,
        .modules = c->modules[0].module != NULL ? c->modules : NULL,
        .header_timeout = c->header_timeout,
        .body_timeout = c->body_timeout,
        .send_timeout = c->send_timeout,
        .idle_timeout = c->idle_timeout,
        .connect_timeout = c->connect_timeout,
        .upstream_timeout = c->upstream_timeout,
        .request_timeout = c->request_timeout,
        .tunnel_timeout = c->tunnel_timeout,
        .max_body = c->max_body,
        .max_tries = c->max_tries,
        .replay = c->replay == WEIR_UNLIMITED ? 0 : c->replay,
        .replay_file = c->replay_file == WEIR_UNLIMITED ? 0 : c->replay_file,
        .buffer_request = c->buffer_request == WEIR_UNLIMITED ? 0 : c->buffer_request,
        .pages = f->pages,
        .try_timeout = c->try_timeout,
        .retry_backoff = c->retry_backoff,
        .max_requests = c->max_requests,
        .max_connections = c->max_connections,
        .max_per_client = c->max_per_client,
        .min_rate = c->min_rate,
        .forwarding = c->forwarding,
        .forwarded_as = c->forwarded_as,
        .finish = c->finish_when_client_leaves,
        .connect = c->connect,
        .via = c->via,
        .server_name = weir_str_from(c->server_name),
    };
    fill_limits(c, &f->service);
    *field = "trusted";
    why = fill_trusted(c, &f->service);
    if (why != NULL)
        return why;
    *field = "modules";
    return check_modules(c);
}

/* A whole file. */
static int read_page(const char *path, char **out, size_t *len, char why[TLS_WHY])
{
    FILE *file = fopen(path, "re");

    *out = file != NULL ? malloc(PAGE_MAX + 1) : NULL;
    *len = *out != NULL ? fread(*out, 1, PAGE_MAX + 1, file) : 0;
    if (file == NULL || *out == NULL || ferror(file) || *len > PAGE_MAX) {
        snprintf(why, TLS_WHY, "%.200s: %s", path,
                 *len > PAGE_MAX ? "larger than 1 MiB" : "cannot be read");
        if (file != NULL)
            fclose(file);
        return WEIR_EINVALID;
    }
    fclose(file);
    *out = realloc(*out, *len + 1); /* smaller: that does not fail */
    return 0;
}

int front_certificate(struct front *f, unsigned i, char why[TLS_WHY])
{
    const struct weir_listen *l = &f->config.listen[i];
    struct tls_server_config config = {
        .cert = l->cert,
        .key = l->key,
        .alpn = l->alpn,
        .shared_key = l->shared_key,
    };

    if (l->cert != NULL && l->cert[0] == '\0') {
        snprintf(why, TLS_WHY, "no certificate is named (--cert, or the field cert)");
        return WEIR_EINVALID;
    }
    if (l->cert != NULL)
        return tls_server_new(&config, &f->tls[i], why);
    if (l->key == NULL)
        return 0;
    snprintf(why, TLS_WHY, "%.200s: a key without a certificate", l->key);
    return WEIR_EINVALID;
}

int front_page(struct front *f, unsigned i, char why[TLS_WHY])
{
    const struct weir_error_page *given = &f->config.error_pages[i];
    bool class = given->status == 4 || given->status == 5;
    size_t len = 0;

    if (!class && (given->status < 400 || given->status > 599)) {
        snprintf(why, TLS_WHY, "%d is no status of an error", given->status);
        return WEIR_EINVALID;
    }
    if (given->file != NULL)
        TRY(read_page(given->file, &f->page_files[i], &len, why));
    f->pages[i] = (struct error_page){
        .status = given->status,
        .text = given->file != NULL ? (weir_str){ f->page_files[i], len }
                                    : weir_str_from(given->text),
        .type = given->type != NULL ? weir_str_from(given->type)
                                    : LIT("text/html; charset=utf-8"),
    };
    return 0;
}

void front_defaults(struct front *f, const struct settings *settings)
{
    static const struct weir_proxy nobody = { .name = "own" };
    const char *field;

    *f = (struct front){ .config = { .proxy = &nobody } };
    settings_apply(settings, &f->config);
    front_check(f, &field); /* the options have been, with each service */
    f->service.budget = &f->budget;
    retry_budget_init(&f->budget, f->config.retry_percent, f->config.retry_rate, rt_now());
}

int front_prepare(struct front *f, unsigned workers, uint64_t descriptors)
{
    struct service *svc = &f->service;

    if (svc->max_connections == 0) /* a client and an upstream connection each, and some to spare */
        svc->max_connections = MAX(descriptors / 2 / 10 * 9, 1);
    if (svc->max_per_client != WEIR_UNLIMITED) {
        f->clients = clients_new(svc->max_per_client);
        if (f->clients == NULL)
            return WEIR_ENOMEM;
    }
    f->shares = calloc(workers, sizeof(*f->shares));
    if (f->shares == NULL)
        return WEIR_ENOMEM;
    svc->clients = f->clients;
    svc->budget = &f->budget;
    retry_budget_init(svc->budget, f->config.retry_percent, f->config.retry_rate, rt_now());
    for (unsigned i = 0; i < workers; i++) {
        f->shares[i] = (struct share){ .service = *svc, .front = f, .worker = i };
        f->shares[i].service.h2 = downstream_h2_config(&f->shares[i].service);
    }
    return 0;
}

void front_done(struct front *f)
{
    for (unsigned i = 0; i < WEIR_ERROR_PAGES; i++) {
        free(f->page_files[i]);
        f->page_files[i] = NULL;
    }
    for (unsigned i = 0; i < WEIR_LISTENERS; i++)
        tls_server_free(&f->tls[i]);
    clients_free(&f->clients);
    free(f->shares);
    f->shares = NULL;
}
