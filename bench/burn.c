/* burn.c -- weir with a filter that computes for 2 ms when the path begins with /burn: what the
 * case `uneven` measures, with and without stealing. Public API only.
 *
 *     burn --listen ADDR [OPTION]... ORIGIN */
#include <time.h>
#include <weir/weir.h>

enum { BURN_NS = 2000000 };

static struct {
    const char *listen, *origin;
} args = { .listen = "127.0.0.1:8080" };

static const char *set_listen(void *state, const char *value)
{
    (void)state;
    args.listen = value;
    return weir_check_address(value);
}

static const char *set_origin(void *state, const char *value)
{
    (void)state;
    args.origin = value;
    return weir_check_address(value);
}

static const struct weir_option options[] = {
    { .name = "listen", .value = "ADDR", .help = "where to listen", .set = set_listen },
    { .value = "ORIGIN", .help = "where requests go", .set = set_origin, .required = true },
    { .name = NULL },
};

/* This thread's processor time: what others take of the core meanwhile does not count. */
static int64_t thread_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static int request_filter(struct weir_session *s)
{
    int64_t over;

    if (!weir_path_under(weir_request(s), "/burn"))
        return WEIR_OK;
    over = thread_ns() + BURN_NS;
    while (thread_ns() < over)
        ; /* a filter that computes parks nobody: it keeps its worker */
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_lb_pick(weir_state(s), s, peer);
}

static const struct weir_proxy burn = {
    .name = "burn",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
};

int main(int argc, char **argv)
{
    struct weir_server *server =
        weir_server_new_with(argc, argv, "burn --listen ADDR [OPTION]... ORIGIN", options, NULL);
    struct weir_lb *lb = weir_lb_new(server, &(struct weir_lb_config){ 0 });

    if (args.origin)
        weir_lb_add(lb, args.origin);
    weir_server_add(server, &(struct weir_service){
                                .proxy = &burn,
                                .state = lb,
                                .listen = { { .addr = args.listen } },
                                .forwarding = WEIR_FORWARD_REPLACE,
                            });
    return weir_server_run(server);
}
