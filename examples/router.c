/* router.c -- routes by path, asks for a password below /login, tries other servers when one cannot
 * be reached, and edits the head of what comes back. */
#include <weir/weir.h>

enum { TRIES = 3 };

struct pools { struct weir_lb *family, *main; };
struct visit { unsigned tries; };                      /* one per request, starts zeroed */

static int request_filter(struct weir_session *s)
{
    const struct weir_head *req = weir_request(s);

    if (!weir_path_under(req, "/login") || weir_eq(weir_get(req, "Authorization"), "password"))
        return WEIR_OK;
    return weir_respond(s, 403, "no way!\n");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct pools *pools = weir_state(s);
    bool family = weir_path_under(weir_request(s), "/family");

    return weir_lb_pick(family ? pools->family : pools->main, s, peer);
}

static int fail_to_connect(struct weir_session *s, const struct weir_peer *peer, int err)
{
    struct visit *v = weir_ctx(s);

    return ++v->tries < TRIES ? WEIR_RETRY : err;      /* weir_lb_pick skips peers already tried */
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "Server", "gateway");
    weir_del(res, "Alt-Svc");                          /* we do not speak h3 */
    return WEIR_OK;
}

static const struct weir_proxy router = {
    .name            = "router",
    .ctx_size        = sizeof(struct visit),
    .request_filter  = request_filter,
    .upstream_peer   = upstream_peer,
    .fail_to_connect = fail_to_connect,
    .response_filter = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct pools pools = {
        .family = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9001" },
        }),
        .main = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9002", "127.0.0.1:9003" },
        }),
    };

    weir_server_add(server, &(struct weir_service){
        .proxy = &router, .state = &pools, .listen = { { .addr = "127.0.0.1:8080" } },
    });
    return weir_server_run(server);
}
