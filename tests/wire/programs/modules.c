/* modules.c -- a proxy with every module there is, and one of its own that writes which of its
 * phases ran. `--plain` leaves compression to the request: `Use: compression`. */
#include <stdio.h>
#include <stdlib.h>

#include "one_upstream.h"

static struct {
    const char *bad, *refuse;
    bool plain, pages;
} program;

/* ---- a module -------------------------------------------------------------------------------- */

struct visit {
    char trace[400];
    unsigned pieces;
};

static void note(struct weir_use *me, const char *what)
{
    struct visit *v = me->ctx;
    size_t len = strlen(v->trace);

    snprintf(v->trace + len, sizeof v->trace - len, " %s", what);
}

static int early(struct weir_session *s, struct weir_use *me)
{
    note(me, "early_request_filter");
    if (weir_has(weir_request(s), "Off"))
        me->off = true;
    return WEIR_OK;
}

static int asked(struct weir_session *s, struct weir_use *me)
{
    note(me, "request_filter");
    return weir_has(weir_request(s), "Refuse") ? weir_respond(s, 409, "a module") : WEIR_OK;
}

/* `Lost: NAME`: that one would rather not have this connection. */
static int connected(struct weir_session *s, struct weir_use *me, const struct weir_peer *peer,
                     bool reused)
{
    (void)reused;
    note(me, "connected_to_upstream");
    if (weir_eq(weir_get(weir_request(s), "Lost"), (const char *)me->config))
        return weir_fail(s, 503, "not " WEIR_FMT, WEIR_ARG(weir_peer_name(peer)));
    return WEIR_OK;
}

/* `Pass: 1`: bodies and trailers are not for us. */
static int up(struct weir_session *s, struct weir_use *me, struct weir_head *req)
{
    note(me, "upstream_request_filter");
    me->passes = weir_has(weir_request(s), "Pass");
    weir_add(req, "Seen-By", (const char *)me->config);
    return WEIR_OK;
}

static int body_up(struct weir_session *s, struct weir_use *me, weir_str *chunk, bool end)
{
    if (end)
        *chunk = weir_printf(s, WEIR_FMT "[%s]", WEIR_ARG(*chunk), (const char *)me->config);
    return WEIR_OK;
}

/* Behind the body, of either direction; `Trail: NAME`: that one adds this field, or fails. */
static int trail(struct weir_session *s, struct weir_use *me, struct weir_head *trailers)
{
    weir_str which = weir_get(weir_request(s), "Trail");

    if (weir_eq(which, "fail"))
        return weir_fail(s, 500, "trailers");
    if (which.len > 0)
        weir_add(trailers, which, "x");
    weir_add(trailers, "Seen-By", (const char *)me->config);
    return WEIR_OK;
}

static int from_up(struct weir_session *s, struct weir_use *me, struct weir_head *res)
{
    (void)s;
    note(me, "upstream_response_filter");
    weir_add(res, "Seen-By", (const char *)me->config);
    return WEIR_OK;
}

static int down(struct weir_session *s, struct weir_use *me, struct weir_head *res)
{
    (void)s;
    note(me, "response_filter");
    weir_add(res, "Seen-By", (const char *)me->config);
    return WEIR_OK;
}

/* `Page: NAME`: that one makes it. */
static int failed(struct weir_session *s, struct weir_use *me, int err)
{
    note(me, weir_response(s) != NULL ? "fail_to_proxy(answered)" : "fail_to_proxy");
    if (weir_eq(weir_get(weir_request(s), "Page"), (const char *)me->config))
        return weir_respond(s, 599, (const char *)me->config);
    return err;
}

static void logged(struct weir_session *s, struct weir_use *me, int err)
{
    struct visit *v = me->ctx;

    (void)s;
    fprintf(stderr, "%s:%s: %s\n", (const char *)me->config, v->trace, weir_error_why(err));
}

static const char *check_name(const void *config)
{
    return config == NULL ? "a name is missing" : NULL;
}

#define PHASES \
    .ctx_size = sizeof(struct visit), .check = check_name, .early_request_filter = early, \
    .request_filter = asked, .connected_to_upstream = connected, .upstream_request_filter = up, \
    .request_body_filter = body_up, .request_trailer_filter = trail, \
    .upstream_response_filter = from_up, .response_filter = down, \
    .response_body_filter = body_up, .response_trailer_filter = trail, .fail_to_proxy = failed, \
    .logging = logged

static const struct weir_module first = { .name = "first", PHASES };
static const struct weir_module second = { .name = "second", PHASES };
static const struct weir_module third = { .name = "third", PHASES };

/* ---- the proxy ------------------------------------------------------------------------------- */

static int early_request_filter(struct weir_session *s)
{
    weir_str use = weir_get(weir_request(s), "Use");

    if (weir_eq(use, "compression"))
        weir_use(s, &weir_compression, NULL);
    if (weir_eq(use, "third"))
        weir_use(s, &third, "third");
    if (weir_eq(use, "not first"))
        weir_used(s, &first)->off = true;
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, where.upstream);
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    if (!program.pages)
        weir_add(req, "Seen-By", "proxy");
    if (weir_basic_auth_user(s).ptr != NULL)
        weir_set(req, "User", weir_basic_auth_user(s));
    return WEIR_OK;
}

static int sign(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    (void)s;
    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    if (rc == 0)
        weir_write(out, "<!-- signed -->");
    return rc;
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    if (!program.pages)
        weir_add(res, "Seen-By", "proxy");
    if (weir_has(weir_request(s), "Sign"))
        weir_edit_body(s, sign);
    return WEIR_OK;
}

static bool connection_filter(void *state, const struct weir_connection *c)
{
    (void)state;
    return program.refuse == NULL || !weir_connection_within(c, program.refuse);
}

static const struct weir_proxy proxy = {
    .name = "modules",
    .early_request_filter = early_request_filter,
    .upstream_peer = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .response_filter = response_filter,
};

/* ---- the program ----------------------------------------------------------------------------- */

static const char *set_plain(void *state, const char *value)
{
    (void)state;
    (void)value;
    program.plain = program.pages = true;
    return NULL;
}

static const char *set_pages(void *state, const char *value)
{
    (void)state;
    (void)value;
    program.pages = true;
    return NULL;
}

static const char *set_bad(void *state, const char *value)
{
    (void)state;
    program.bad = value;
    return NULL;
}

static const char *set_refuse(void *state, const char *value)
{
    (void)state;
    program.refuse = value;
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct weir_option options[] = {
        { .name = "listen", .value = "ADDR", .help = "where", .set = set_listen, .required = true },
        { .name = "plain", .help = "no modules", .set = set_plain },
        { .name = "pages", .help = "compression", .set = set_pages },
        { .name = "bad", .value = "WHAT", .help = "a bad configuration", .set = set_bad },
        { .name = "refuse", .value = "NET", .help = "who may not connect", .set = set_refuse },
        { .value = "UPSTREAM", .help = "to whom", .set = set_upstream, .required = true },
        { .set = NULL },
    };
    static const char *const some[] = { "127.0.0.0/8", NULL }, *const two[] = { "127.0.0.2", NULL };
    static const char *const wrong[] = { "127.0.0.0/99", NULL };
    static const struct weir_user users[] = {
        { "ann", "secret" }, { "bob", "a:b" }, { NULL, NULL }
    };
    static const struct weir_compression_config unpacking = { .decompress = true };
    static const struct weir_compression_config level = { .gzip_level = 10 };
    static const struct weir_access_config access = { .allow = some, .deny = two },
                                           bad_net = { .allow = wrong };
    static const struct weir_basic_auth_config auth = { .realm = "here", .users = users };
    struct weir_server *server = weir_server_new_with(argc, argv, NULL, options, NULL);
    struct weir_service service = {
        .proxy = &proxy,
        .listen = { { .addr = where.listen, .alpn = WEIR_H1 | WEIR_H2 } },
        .modules = { { &weir_access, &access }, { &first, "first" }, { &second, "second" },
                     { &weir_basic_auth, &auth } },
        .connection_filter = connection_filter,
    };

    if (program.pages) {
        memset(service.modules, 0, sizeof service.modules);
        if (!program.plain)
            service.modules[0] = (struct weir_service_module){ &weir_compression, &unpacking };
    }
    if (program.bad != NULL && strcmp(program.bad, "level") == 0)
        service.modules[0] = (struct weir_service_module){ &weir_compression, &level };
    else if (program.bad != NULL && strcmp(program.bad, "net") == 0)
        service.modules[0] = (struct weir_service_module){ &weir_access, &bad_net };
    else if (program.bad != NULL)
        service.modules[0] = (struct weir_service_module){ &first, NULL };
    weir_server_add(server, &service);
    return weir_server_run(server);
}
