/* check.c -- all that can be known to be wrong before something starts: for every start, and the
 * rest for --test, which binds nothing and starts nothing. */
#include <stdio.h>

#include "lb/lb.h"
#include "net/resolve.h"
#include "server/log_file.h"
#include "server/server.h"

static void check_listen(struct weir_server *sv, const struct weir_service *c)
{
    if (c->listen[0].addr == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: listen: no address");
    for (unsigned i = 0; i < WEIR_LISTENERS && c->listen[i].addr != NULL; i++) {
        const char *why = weir_check_address(c->listen[i].addr);

        if (why != NULL)
            server_fail(sv, EXIT_FAILED, "weir_server_add: listen[%u] \"%.200s\": %s", i,
                        c->listen[i].addr, why);
        if ((c->listen[i].alpn & ~(unsigned)(WEIR_H1 | WEIR_H2)) != 0)
            server_fail(sv, EXIT_FAILED,
                        "weir_server_add: listen[%u]: alpn is more than WEIR_H1 | WEIR_H2", i);
    }
}

static void check_service(struct weir_server *sv, struct front *f)
{
    const char *field, *why;
    size_t at = 0;

    if (f->config.proxy == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: proxy: it is NULL");
    else if (f->config.proxy->upstream_peer == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: proxy: it has no upstream_peer");
    check_listen(sv, &f->config);
    while ((field = settings_fault(&f->config, &at, &why)) != NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: %s: %s", field, why);
    why = front_check(f, &field);
    if (why != NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_add: %s: %s", field, why);
}

static void check_certificates(struct weir_server *sv, struct front *f)
{
    char why[TLS_WHY];

    for (unsigned i = 0; i < WEIR_LISTENERS && f->config.listen[i].addr != NULL; i++)
        if (front_certificate(f, i, why) < 0)
            server_fail(sv, EXIT_FAILED, "cannot speak TLS on %.200s: %s", f->config.listen[i].addr,
                        why);
}

static void check_pages(struct weir_server *sv, struct front *f)
{
    char why[TLS_WHY];

    for (unsigned i = 0; i < WEIR_ERROR_PAGES && f->config.error_pages[i].status != 0; i++)
        if (front_page(f, i, why) < 0)
            server_fail(sv, EXIT_FAILED, "weir_server_add: error_pages[%u]: %s", i, why);
}

/* What is made here stays for the requests that come. */
static void check_peers(struct weir_server *sv)
{
    char why[TLS_WHY];

    for (const struct server_peer *p = sv->peers; p != NULL; p = p->next) {
        struct tls_client *client = NULL;

        if (tls_wanted(&p->peer) && tls_client_get(&p->peer, &client, why) < 0)
            server_fail(sv, EXIT_FAILED, "cannot speak TLS to upstreams: %s", why);
        tls_client_put(&client);
    }
}

/* A wrong command line or a lack of memory ends it here: more words would be their consequences. */
void server_check(struct weir_server *sv)
{
    struct faults found = { 0 };

    if (sv->failed != 0)
        return;
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next)
        lb_faults(o->lb, &found);
    for (struct server_rate *o = sv->rates; o != NULL; o = o->next)
        if (o->rate == NULL)
            faults_add(&found, "weir_rate_new: a window is longer than 0");
    if (found.count > 0)
        sv->failed = EXIT_FAILED;
    faults_append(&sv->faults, &found);
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        check_service(sv, f);
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        check_certificates(sv, f);
    for (struct front *f = sv->fronts; f != NULL; f = f->next)
        check_pages(sv, f);
    check_peers(sv);
    if (sv->fronts == NULL && sv->tasks == NULL)
        server_fail(sv, EXIT_FAILED, "weir_server_run: nothing to serve (weir_server_add)");
}

/* ---- --test ---------------------------------------------------------------------------------- */

static void test_log(struct weir_server *sv, const char *option, const char *where)
{
    char why[128];

    if (log_file_test(where, why, sizeof(why)) < 0)
        server_fail(sv, EXIT_FAILED, "%s: \"%.200s\" cannot be opened: %s", option, where, why);
}

static void test_listen(struct weir_server *sv, const char *text)
{
    struct addr_spec spec;
    struct addr found;
    const char *why;
    char host[256];

    if (addr_parse(text, &spec) != NULL || spec.form != SPEC_HOST)
        return;
    snprintf(host, sizeof(host), WEIR_FMT, WEIR_ARG(spec.host));
    if (resolve(host, spec.addr.port, &found, 1, &why) < 0)
        server_fail(sv, EXIT_FAILED, "cannot listen on %s: %s", text, why);
}

/* A start would only warn of a name without an address, and serve what else there is; who asks
 * wants to know. */
void server_test(struct weir_server *sv)
{
    const struct process_config *p = &sv->cmdline.settings.process;
    struct faults found = { 0 };

    if (sv->failed == EXIT_USAGE)
        return;
    if (sv->log_to == NULL) {
        test_log(sv, "--access-log", p->access_log);
        test_log(sv, "--error-log", p->error_log);
    }
    for (struct front *f = sv->fronts; f != NULL; f = f->next) {
        for (unsigned i = 0; i < WEIR_LISTENERS && f->config.listen[i].addr != NULL; i++)
            test_listen(sv, f->config.listen[i].addr);
    }
    for (struct server_lb *o = sv->lbs; o != NULL; o = o->next)
        lb_test(o->lb, &found);
    if (found.count > 0 && sv->failed == 0)
        sv->failed = EXIT_FAILED;
    faults_append(&sv->faults, &found);
}
