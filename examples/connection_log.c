/* connection_log.c -- tells on standard error which connection each request took to its server, new
 * or reused, and at its end what became of it. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <weir/weir.h>

struct app {
    struct weir_lb *lb;
    atomic_ulong    made, reused;                      /* by all workers, hence atomic */
};

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct app *app = weir_state(s);

    return weir_lb_pick(app->lb, s, peer);
}

static int connected_to_upstream(struct weir_session *s, const struct weir_peer *peer, bool reused)
{
    struct app *app = weir_state(s);
    weir_str    id = weir_request_id(s), name = weir_peer_name(peer);

    atomic_fetch_add(reused ? &app->reused : &app->made, 1);
    fprintf(stderr, WEIR_FMT ": a %s connection to " WEIR_FMT " (%lu new, %lu reused so far)\n",
            WEIR_ARG(id), reused ? "reused" : "new", WEIR_ARG(name), app->made, app->reused);
    return WEIR_OK;
}

static void logging(struct weir_session *s, int err)
{
    const struct weir_head *res = weir_response(s);
    weir_str id = weir_request_id(s), client = weir_client(s);

    fprintf(stderr, WEIR_FMT ": " WEIR_FMT " got %d and %" PRIu64 " bytes after %u tries: %s\n",
            WEIR_ARG(id), WEIR_ARG(client), res != NULL ? weir_status(res) : 0, weir_bytes_sent(s),
            weir_tries(s), weir_error_text(err));
}

static const struct weir_proxy recorder = {
    .name                  = "recorder",
    .upstream_peer         = upstream_peer,
    .connected_to_upstream = connected_to_upstream,
    .logging               = logging,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);
    struct app app = {
        .lb = weir_lb_new(server, &(struct weir_lb_config){
            .backends = { "127.0.0.1:9001", "127.0.0.1:9002" },
        }),
    };

    weir_server_add(server, &(struct weir_service){
        .proxy = &recorder, .state = &app, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
