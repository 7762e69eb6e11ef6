/* gateway.c -- a gateway with what one needs in service: a check at the door, two clusters by path
 * with health checks, a header policy, and on another port the figures for a Prometheus. */
#include <stdatomic.h>
#include <weir/weir.h>

struct site {
    struct weir_lb *family, *main;
    atomic_ulong    requests, failed;                  /* all workers count */
};

static int request_filter(struct weir_session *s)
{
    const struct weir_head *req = weir_request(s);

    if (!weir_path_under(req, "/login") || weir_eq(weir_get(req, "Authorization"), "password"))
        return WEIR_OK;
    return weir_respond(s, 403, "no way!\n");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct site *site = weir_state(s);

    return weir_lb_pick(weir_path_under(weir_request(s), "/family") ? site->family : site->main,
                        s, peer);
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "Server", "gateway");
    weir_del(res, "Alt-Svc");                          /* we do not speak h3 */
    return WEIR_OK;
}

static void logging(struct weir_session *s, int err)
{
    struct site *site = weir_state(s);

    atomic_fetch_add(&site->requests, 1);
    atomic_fetch_add(&site->failed, err != 0);
}

static const struct weir_proxy gateway = {
    .name            = "gateway",
    .request_filter  = request_filter,
    .upstream_peer   = upstream_peer,
    .response_filter = response_filter,
    .logging         = logging,
};

/* The other port: it answers everything itself. */
static int tell_figures(struct weir_session *s)
{
    struct site *site = weir_state(s);

    return weir_respond(s, 200, weir_printf(s, "gateway_requests %lu\ngateway_failed %lu\n",
                                            atomic_load(&site->requests),
                                            atomic_load(&site->failed)).ptr);
}

static int nowhere(struct weir_session *s, struct weir_peer *peer)
{
    return WEIR_ENOUPSTREAM;
}

static const struct weir_proxy figures = {
    .name = "figures", .request_filter = tell_figures, .upstream_peer = nowhere,
};

int main(int argc, char **argv)
{
    struct weir_server   *server = weir_server_new(argc, argv);
    struct weir_lb_health health = { .kind = WEIR_CHECK_TCP, .every = 1 * WEIR_SEC };
    struct site site = {
        .family = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9001" }, .health = health }),
        .main = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9002", "127.0.0.1:9003" }, .health = health }),
    };

    weir_server_add(server, &(struct weir_service){
        .proxy = &gateway, .state = &site, .listen = { { .addr = "127.0.0.1:6191" } },
    });
    weir_server_add(server, &(struct weir_service){
        .proxy = &figures, .state = &site, .listen = { { .addr = "127.0.0.1:6192" } },
    });
    return weir_server_run(server);
}
