/* backoff_retry.c -- waits for a server that is being restarted: a request whose connection fails
 * is tried again after 10 ms, 20 ms, 40 ms ... at most 1 s, ten times in all. Only it waits. */
#include <weir/weir.h>

enum { TRIES = 10 };

struct visit { unsigned failed; };

static int fail_to_connect(struct weir_session *s, const struct weir_peer *peer, int err)
{
    struct visit *v = weir_ctx(s);

    return ++v->failed < TRIES ? WEIR_RETRY : err;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct visit *v = weir_ctx(s);

    if (v->failed > 0) {
        weir_dur wait = (10 * WEIR_MS) << (v->failed - 1);
        int      rc   = weir_sleep(s, wait < WEIR_SEC ? wait : WEIR_SEC);

        if (rc < 0)
            return rc;                  /* the client has left, or the request took too long */
    }
    peer->connect_timeout = 100 * WEIR_MS;
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static const struct weir_proxy patient = {
    .name            = "patient",
    .ctx_size        = sizeof(struct visit),
    .upstream_peer   = upstream_peer,
    .fail_to_connect = fail_to_connect,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy = &patient, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
