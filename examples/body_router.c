/* body_router.c -- routes by what a request says: orders from Europe go to one server, all else to
 * another. The body is read before that is decided; one of more than 64 KiB is refused. */
#include <weir/weir.h>

static bool contains(weir_str text, const char *what)
{
    for (; text.len > 0; text.ptr++, text.len--)
        if (weir_starts(text, what))
            return true;
    return false;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    weir_str body   = weir_request_body(s);            /* absent where a request has none */
    bool     europe = contains(body, "\"region\":\"eu\"");

    return weir_peer_address(s, peer, europe ? "127.0.0.1:9002" : "127.0.0.1:9001");
}

static const struct weir_proxy router = { .name = "router", .upstream_peer = upstream_peer };

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy          = &router,
        .listen         = { { .addr = "127.0.0.1:8080" } },
        .buffer_request = 64 * 1024,
    });
    return weir_server_run(server);
}
