/* connection_filter.c -- who may connect at all: an address that is denied is closed before TLS and
 * before a byte is read. Here 127.0.0.0/8 stands for the network that may, and 127.0.0.66 in it for
 * somebody who has misbehaved. */
#include <stdatomic.h>
#include <weir/weir.h>

struct doors { atomic_ulong refused; };                /* all workers count */

static bool may_connect(void *state, const struct weir_connection *c)
{
    struct doors *doors = state;

    if (weir_connection_within(c, "127.0.0.0/8") && !weir_connection_within(c, "127.0.0.66"))
        return true;
    atomic_fetch_add(&doors->refused, 1);
    return false;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    struct doors *doors = weir_state(s);

    weir_set(res, "X-Refused", weir_printf(s, "%lu", atomic_load(&doors->refused)));
    return WEIR_OK;
}

static const struct weir_proxy house = {
    .name            = "house",
    .upstream_peer   = upstream_peer,
    .response_filter = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct doors        doors  = { 0 };

    weir_server_add(server, &(struct weir_service){
        .proxy = &house, .state = &doors, .connection_filter = may_connect,
        .listen = { { .addr = "127.0.0.1:8443", .cert = "server.crt", .key = "server.key" } },
    });
    return weir_server_run(server);
}
