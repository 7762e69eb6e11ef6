/* auth_fetch.c -- asks another service whether a request may pass, and tells the upstream who asks.
 * The request waits for the verdict, nobody else does. */
#include <weir/weir.h>

static int request_filter(struct weir_session *s)
{
    struct weir_head *ask = weir_new_get(s, "http://127.0.0.1:9009/check");

    weir_set(ask, "Authorization", weir_get(weir_request(s), "Authorization"));
    weir_set(ask, "X-Target", weir_target(weir_request(s)));

    const struct weir_head *verdict = weir_fetch(s, ask, 200 * WEIR_MS);

    if (!verdict)
        return weir_fail(s, 503, "auth service: %s", weir_why(s));
    if (weir_status(verdict) != 200)
        return weir_respond(s, 403, "no way!\n");
    *(weir_str *)weir_ctx(s) = weir_fetched_body(s, verdict);  /* the user's name */
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    weir_del(req, "Authorization");
    weir_set(req, "X-User", *(weir_str *)weir_ctx(s));
    return WEIR_OK;
}

static const struct weir_proxy gatekeeper = {
    .name                    = "gatekeeper",
    .ctx_size                = sizeof(weir_str),
    .request_filter          = request_filter,
    .upstream_peer           = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy = &gatekeeper, .listen = { { .addr = "127.0.0.1:8080" } },
    });
    return weir_server_run(server);
}
