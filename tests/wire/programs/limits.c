/* limits.c -- answers each request with how many there were: of its field Key, else of its client,
 * or of its client's network of Net bits.
 * Nothing goes upstream. */
#include <stdlib.h>

#include "one_upstream.h"

static struct weir_rate *rate;

static int request_filter(struct weir_session *s)
{
    weir_str key = weir_get(weir_request(s), "Key"), net = weir_get(weir_request(s), "Net");
    struct weir_head *res = weir_new_response(s, 200);

    if (key.ptr == NULL)
        key = net.ptr != NULL ? weir_client_network(s, (unsigned)atoi(net.ptr))
                              : weir_client_host(s);
    weir_set(res, "Who", key);
    weir_set(res, "Before", weir_printf(s, "%u", weir_rate_observe(rate, key, 0)));
    weir_set(res, "Count", weir_printf(s, "%u", weir_rate_observe(rate, key, 1)));
    weir_set(res, "Left",
             weir_printf(s, "%lld", (long long)(weir_rate_left(rate, key) / WEIR_SEC)));
    return weir_send(s, res, "");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, where.upstream);
}

static const struct weir_proxy proxy = {
    .name = "limits",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
};

int main(int argc, char **argv)
{
    static const struct weir_option options[] = {
        { .name = "listen", .value = "ADDR", .help = "where", .set = set_listen, .required = true },
        { .value = "UPSTREAM", .help = "to whom", .set = set_upstream, .required = true },
        { .set = NULL },
    };
    struct weir_server *server = weir_server_new_with(argc, argv, NULL, options, NULL);

    rate = weir_rate_new(server, 3600 * WEIR_SEC);
    weir_server_add(server, &(struct weir_service){
                                .proxy = &proxy,
                                .listen = { { .addr = where.listen, .alpn = WEIR_H1 | WEIR_H2 } },
                            });
    return weir_server_run(server);
}
