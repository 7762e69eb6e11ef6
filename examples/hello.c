/* hello.c -- the smallest proxy with something of its own: one path is answered here, all others go
 * to an origin on 127.0.0.1:9001, and what comes back gets a field.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs weir)
 *     ./hello &
 *     curl http://127.0.0.1:6188/hello */
#include <weir/weir.h>

static int request_filter(struct weir_session *s)
{
    if (!weir_path_under(weir_request(s), "/hello"))
        return WEIR_OK;
    return weir_respond(s, 200, "hello\n");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "X-Request-Id", weir_request_id(s));
    return WEIR_OK;
}

static const struct weir_proxy hello = {
    .name            = "hello",
    .request_filter  = request_filter,
    .upstream_peer   = upstream_peer,
    .response_filter = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy = &hello, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
