/* multi_lb.c -- two clusters behind one address: paths under /one go to the first, all others to
 * the second. Each has its own backends, turns and health. */
#include <weir/weir.h>

struct clusters { struct weir_lb *one, *two; };

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct clusters *c = weir_state(s);

    return weir_lb_pick(weir_path_under(weir_request(s), "/one") ? c->one : c->two, s, peer);
}

static const struct weir_proxy router = {
    .name          = "router",
    .upstream_peer = upstream_peer,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct clusters clusters = {
        .one = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:343" },
        }),
        .two = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9003", "127.0.0.1:343" },
        }),
    };

    weir_server_add(server, &(struct weir_service){
        .proxy = &router, .state = &clusters, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
