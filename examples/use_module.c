/* use_module.c -- a module of our own, with its configuration and its state, beside those that are
 * there: requests need a key, responses are compressed. */
#include <stdio.h>
#include <weir/weir.h>

struct acl { const char *field, *key; };               /* its configuration */
struct acl_visit { bool known; };                      /* its part of a request, starts zeroed */

static int acl_request(struct weir_session *s, struct weir_use *me)
{
    const struct acl *acl = me->config;
    struct acl_visit *v = me->ctx;

    v->known = weir_eq(weir_get(weir_request(s), acl->field), acl->key);
    return v->known ? WEIR_OK : weir_respond(s, 403, "a key, please\n");
}

static int acl_upstream_request(struct weir_session *s, struct weir_use *me, struct weir_head *req)
{
    const struct acl *acl = me->config;

    weir_del(req, acl->field);                         /* the key is nobody's business */
    return WEIR_OK;
}

static void acl_logging(struct weir_session *s, struct weir_use *me, int err)
{
    struct acl_visit *v = me->ctx;

    if (!v->known)
        fprintf(stderr, "acl: refused " WEIR_FMT "\n", WEIR_ARG(weir_client(s)));
}

static const struct weir_module acl = {
    .name                    = "acl",
    .ctx_size                = sizeof(struct acl_visit),
    .request_filter          = acl_request,
    .upstream_request_filter = acl_upstream_request,
    .logging                 = acl_logging,
};

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static const struct weir_proxy proxy = { .name = "proxy", .upstream_peer = upstream_peer };

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy   = &proxy,
        .listen  = { { .addr = "127.0.0.1:8080" } },
        .modules = {
            { &weir_compression, NULL },               /* nearest to the client */
            { &acl, &(struct acl){ .field = "Api-Key", .key = "sesame" } },
        },
    });
    return weir_server_run(server);
}
