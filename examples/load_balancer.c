/* Round-robin load balancer: active health checks behind, TLS and HTTP/2 in front. */
#include <weir/weir.h>

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    peer->sni = WEIR("origin.example");           /* a name here means TLS to the peer */
    return weir_lb_pick(weir_state(s), s, peer);   /* nobody healthy: an error, hence a 503 */
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    weir_set(req, "Host", "origin.example");
    return WEIR_OK;
}

static const struct weir_proxy balancer = {
    .name                    = "balancer",
    .upstream_peer           = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    struct weir_lb *lb = weir_lb_new(server, &(struct weir_lb_config){
        .backends = { "127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:343" },
        .policy   = WEIR_ROUND_ROBIN,
        .health   = { .kind = WEIR_CHECK_TCP, .every = 1 * WEIR_SEC },
    });

    weir_server_add(server, &(struct weir_service){
        .proxy  = &balancer,
        .state  = lb,
        .listen = {
            { .addr = "127.0.0.1:6188" },
            { .addr = "127.0.0.1:6189", .cert = "server.crt", .key = "server.key",
              .alpn = WEIR_H2 | WEIR_H1 },
        },
    });

    return weir_server_run(server); /* reports any set-up error, then serves until told to stop */
}
