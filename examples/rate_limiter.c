/* rate_limiter.c -- at most MAX_PER_SEC requests a second for each value of the field Appid; more
 * are refused with a 429 that tells when to come again. Requests without it are not limited. */
#include <weir/weir.h>

enum { MAX_PER_SEC = 10 };

struct app { struct weir_lb *lb; struct weir_rate *rate; };

static int request_filter(struct weir_session *s)
{
    struct app *app   = weir_state(s);
    weir_str    appid = weir_get(weir_request(s), "Appid");

    if (appid.len == 0 || weir_rate_observe(app->rate, appid, 1) <= MAX_PER_SEC)
        return WEIR_OK;

    struct weir_head *res = weir_new_response(s, 429);
    weir_set(res, "Retry-After", "1");
    weir_set(res, "X-Rate-Limit-Limit", weir_printf(s, "%d", MAX_PER_SEC));
    return weir_send(s, res, "slow down\n");       /* WEIR_ANSWERED: straight to logging */
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct app *app = weir_state(s);

    return weir_lb_pick(app->lb, s, peer);
}

static const struct weir_proxy limiter = {
    .name           = "limiter",
    .request_filter = request_filter,
    .upstream_peer  = upstream_peer,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct app app = {
        .lb   = weir_lb_new(server, &(struct weir_lb_config){ .backends = { "127.0.0.1:9001" } }),
        .rate = weir_rate_new(server, 1 * WEIR_SEC),
    };

    weir_server_add(server, &(struct weir_service){
        .proxy = &limiter, .state = &app, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
