/* proxy.c -- `weir proxy`: a load balancer over the upstreams of its command line. */
#include <weir/weir.h>

#include "weir.h"

struct proxy {
    const char *listen[WEIR_LISTENERS];
    unsigned listen_count;
    char **upstreams; /* as many as there can be operands */
    unsigned upstream_count;
};

static const char *add_listen(void *state, const char *value)
{
    struct proxy *p = state;

    if (p->listen_count == WEIR_LISTENERS)
        return "there are too many (16 at most)";
    p->listen[p->listen_count++] = value;
    return weir_check_address(value);
}

static const char *add_upstream(void *state, const char *value)
{
    struct proxy *p = state;

    p->upstreams[p->upstream_count++] = (char *)value;
    return weir_check_address(value);
}

static const struct weir_option options[] = {
    {
        .name = "listen",
        .value = "ADDR",
        .help = "1.2.3.4:80, [::1]:80, :80 (all), host:80, unix:/path; may be repeated "
                "[127.0.0.1:8080]",
        .set = add_listen,
    },
    {
        .value = "UPSTREAM",
        .help = "where requests go: an address as above; a name stands for all its addresses",
        .set = add_upstream,
        .required = true,
    },
    { .name = NULL },
};

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_lb_pick(weir_state(s), s, peer);
}

static const struct weir_proxy proxy = {
    .name = "proxy",
    .upstream_peer = upstream_peer,
};

int proxy_run(const struct command *self, int argc, char **argv)
{
    struct proxy p = { .upstreams = argv }; /* operands only move to the front */
    struct weir_server *server = weir_server_new_with(argc, argv, self->usage, options, &p);
    struct weir_lb_config config = { .policy = WEIR_ROUND_ROBIN };
    struct weir_lb *lb = weir_lb_new(server, &config);
    struct weir_service service = {
        .proxy = &proxy,
        .state = lb,
        .listen = { { .addr = "127.0.0.1:8080" } },
        .forwarding = WEIR_FORWARD_REPLACE,
    };

    for (unsigned i = 0; i < p.upstream_count; i++)
        weir_lb_add(lb, p.upstreams[i]);
    for (unsigned i = 0; i < p.listen_count; i++)
        service.listen[i].addr = p.listen[i];
    weir_server_add(server, &service);
    return weir_server_run(server);
}
