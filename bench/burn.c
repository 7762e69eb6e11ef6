/* burn.c -- weir with filters of ours, on the public API only. The request filter computes for 2 ms
 * when the path begins with /burn, or for 1 ms when it begins with /burn/1 (the cases `uneven` and
 * `h2busy`), and waits for 50 ms when it begins with /wait (the case `filter`). With --phases every
 * other optional phase of a request that succeeds is there as well, and does nothing (the case
 * `phases`).
 *
 *     burn --listen ADDR [--h2c] [--phases] [OPTION]... ORIGIN */
#include <time.h>
#include <weir/weir.h>

enum { MS = 1000000 };

static struct {
    const char *listen, *origin;
    bool h2c, phases;
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

static const char *set_h2c(void *state, const char *value)
{
    (void)state, (void)value;
    args.h2c = true;
    return NULL;
}

static const char *set_phases(void *state, const char *value)
{
    (void)state, (void)value;
    args.phases = true;
    return NULL;
}

static const struct weir_option options[] = {
    { .name = "listen", .value = "ADDR", .help = "where to listen", .set = set_listen },
    { .name = "h2c", .help = "HTTP/2 by prior knowledge as well", .set = set_h2c },
    { .name = "phases", .help = "every optional phase, which does nothing", .set = set_phases },
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
    const struct weir_head *req = weir_request(s);
    int64_t over;

    if (weir_path_under(req, "/wait"))
        return weir_sleep(s, 50 * WEIR_MS);
    if (!weir_path_under(req, "/burn"))
        return WEIR_OK;
    over = thread_ns() + (weir_path_under(req, "/burn/1") ? 1 : 2) * MS;
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

/* ---- phases that do nothing ------------------------------------------------------------------ */

static int no_session(struct weir_session *s)
{
    (void)s;
    return WEIR_OK;
}

static int no_peer(struct weir_session *s, const struct weir_peer *peer, bool reused)
{
    (void)s, (void)peer, (void)reused;
    return WEIR_OK;
}

static int no_head(struct weir_session *s, struct weir_head *head)
{
    (void)s, (void)head;
    return WEIR_OK;
}

static int no_body(struct weir_session *s, weir_str *chunk, bool end)
{
    (void)s, (void)chunk, (void)end;
    return WEIR_OK;
}

static void no_log(struct weir_session *s, int err)
{
    (void)s, (void)err;
}

static const struct weir_proxy phases = {
    .name = "phases",
    .early_request_filter = no_session,
    .request_filter = no_session,
    .upstream_peer = upstream_peer,
    .connected_to_upstream = no_peer,
    .upstream_request_filter = no_head,
    .request_body_filter = no_body,
    .request_trailer_filter = no_head,
    .upstream_response_filter = no_head,
    .response_filter = no_head,
    .response_body_filter = no_body,
    .response_trailer_filter = no_head,
    .logging = no_log,
};

int main(int argc, char **argv)
{
    struct weir_server *server =
        weir_server_new_with(argc, argv, "burn --listen ADDR [OPTION]... ORIGIN", options, NULL);
    struct weir_lb *lb = weir_lb_new(server, &(struct weir_lb_config){ 0 });

    if (args.origin)
        weir_lb_add(lb, args.origin);
    weir_server_add(server, &(struct weir_service){
                                .proxy = args.phases ? &phases : &burn,
                                .state = lb,
                                .listen = { { .addr = args.listen,
                                              .alpn = args.h2c ? WEIR_H1 | WEIR_H2 : WEIR_H1 } },
                                .forwarding = WEIR_FORWARD_REPLACE,
                            });
    return weir_server_run(server);
}
