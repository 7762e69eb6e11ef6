/* ctx.c -- state lives as long as the program, as a service, or as one request: two services count
 * what they served and what all did; who sends a `beta` field goes to another server. */
#include <stdatomic.h>
#include <weir/weir.h>

static atomic_ulong served;               /* by the program: all workers count, so atomically */
struct app   { atomic_ulong served; };    /* by a service: weir_state() */
struct visit { bool beta; };              /* by one request alone: weir_ctx(), zeroed */

static int request_filter(struct weir_session *s)
{
    struct visit *v = weir_ctx(s);

    v->beta = weir_has(weir_request(s), "beta");
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct visit *v = weir_ctx(s);

    return weir_peer_address(s, peer, v->beta ? "127.0.0.1:9002" : "127.0.0.1:9001");
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    struct app   *app  = weir_state(s);
    unsigned long here = atomic_fetch_add(&app->served, 1) + 1;
    unsigned long all  = atomic_fetch_add(&served, 1) + 1;

    weir_set(res, "X-Served", weir_printf(s, "%lu here, %lu in all", here, all));
    return WEIR_OK;
}

static const struct weir_proxy counter = {
    .name            = "counter",
    .ctx_size        = sizeof(struct visit),
    .request_filter  = request_filter,
    .upstream_peer   = upstream_peer,
    .response_filter = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct app first = { 0 }, second = { 0 };

    weir_server_add(server, &(struct weir_service){
        .proxy = &counter, .state = &first, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    weir_server_add(server, &(struct weir_service){
        .proxy = &counter, .state = &second, .listen = { { .addr = "127.0.0.1:6189" } },
    });
    return weir_server_run(server);
}
