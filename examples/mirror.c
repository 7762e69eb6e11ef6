/* mirror.c -- each request that was forwarded goes to a second server as well, in the background:
 * whatever that one does, or how long it takes, no client notices. */
#include <weir/weir.h>

enum { AT_ONCE = 100 };                                /* more copies than that are not made */

static struct weir_semaphore slots;

static void send_copy(void *arg)
{
    struct weir_session    *s   = arg;
    const struct weir_head *req = weir_request(s);
    weir_str method = weir_printf(s, WEIR_FMT, WEIR_ARG(weir_method(req)));
    weir_str url    = weir_printf(s, "http://127.0.0.1:9002" WEIR_FMT, WEIR_ARG(weir_target(req)));
    weir_str name, value;
    struct weir_head *copy = weir_new_request(s, method.ptr, url.ptr);

    weir_del(copy, "Host");                            /* the request's own */
    for (size_t i = 0; weir_head_at(req, i, &name, &value); i++)
        weir_head_add(copy, name, value);
    if (!weir_fetch_with(s, copy, 2 * WEIR_SEC, &(struct weir_fetch_options){
            .body = weir_request_body(s), .drop_body = true }))
        weir_fail(s, 502, "mirror: %s", weir_why(s));  /* to the log, with the request's id */
    weir_session_free(&s);
    weir_semaphore_give(&slots, 1);
}

/* The client has its response. */
static void logging(struct weir_session *s, int err)
{
    struct weir_session *own;

    if (weir_upstream(s).ptr == NULL || weir_semaphore_take(&slots, 0) < 0)
        return;
    own = weir_session_new(s);                         /* its own copy: the request is over */
    if (own == NULL || weir_spawn(send_copy, own) < 0) {
        weir_session_free(&own);
        weir_semaphore_give(&slots, 1);
    }
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static const struct weir_proxy mirror = {
    .name          = "mirror",
    .upstream_peer = upstream_peer,
    .logging       = logging,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_semaphore_init(&slots, AT_ONCE);
    weir_server_add(server, &(struct weir_service){
        .proxy          = &mirror,
        .listen         = { { .addr = "127.0.0.1:8080" } },
        .buffer_request = 1024 * 1024,                 /* so that its body is there to be copied */
    });
    return weir_server_run(server);
}
