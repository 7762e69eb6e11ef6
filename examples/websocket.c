/* websocket.c -- in front of a WebSocket server: the handshake passes the phases like every
 * request, so that who comes from a foreign page is refused; what comes after it passes as it is. A
 * connection over which nothing goes for five minutes is closed. */
#include <stdio.h>
#include <weir/weir.h>

static int request_filter(struct weir_session *s)
{
    const struct weir_head *req = weir_request(s);

    if (!weir_path_under(req, "/chat") || !weir_eq_nocase(weir_get(req, "Upgrade"), "websocket"))
        return weir_respond(s, 404, "only /chat, by WebSocket\n");
    if (!weir_eq(weir_get(req, "Origin"), "https://chat.example"))
        return weir_respond(s, 403, "not from that page\n");
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    weir_set(req, "X-Client", weir_client(s));
    weir_del(req, "Sec-WebSocket-Extensions");         /* no compression */
    return WEIR_OK;
}

static void logging(struct weir_session *s, int err)
{
    const struct weir_head *res = weir_response(s);

    if (res && weir_status(res) == 101)
        fprintf(stderr, "a chat of %llu bytes up and %llu down\n",
                (unsigned long long)weir_bytes_received(s), (unsigned long long)weir_bytes_sent(s));
}

static const struct weir_proxy chat = {
    .name                    = "chat",
    .request_filter          = request_filter,
    .upstream_peer           = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .logging                 = logging,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy          = &chat,
        .listen         = { { .addr = "127.0.0.1:8080" } },
        .tunnel_timeout = 300 * WEIR_SEC,
    });
    return weir_server_run(server);
}
