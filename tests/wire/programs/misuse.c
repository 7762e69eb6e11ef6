/* misuse.c -- a proxy that uses the library wrongly: the path of a request names how, its field At
 * in which phase (request_filter). */
#include "one_upstream.h"

static int send_nothing(struct weir_session *s)
{
    return weir_send(s, NULL, "x");
}

static int send_request(struct weir_session *s)
{
    return weir_send(s, weir_new_get(s, "http://127.0.0.1:1/"), "x");
}

static int no_word(struct weir_session *s)
{
    weir_respond(s, 200, "answered\n");
    return WEIR_OK;
}

/* What is absent has no bytes, whatever its length. */
static int odd_body(struct weir_session *s)
{
    return weir_send_str(s, weir_new_response(s, 200), (weir_str){ NULL, 5 });
}

static int no_editor(struct weir_session *s)
{
    weir_edit_body(s, NULL);
    return WEIR_OK;
}

/* One that has nothing to do, and in `late_editor` comes from within another one. */
static int add_late(struct weir_session *s, struct weir_body *in, struct weir_body *out);

static int editor(struct weir_session *s)
{
    weir_edit_body(s, add_late);
    return WEIR_OK;
}

static int add_late(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    editor(s);
    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    return rc;
}

static int no_module(struct weir_session *s)
{
    return weir_use(s, NULL, NULL) == NULL ? WEIR_OK : weir_respond(s, 200, "used\n");
}

static int bad_module(struct weir_session *s)
{
    return weir_use(s, &weir_basic_auth, NULL) == NULL ? WEIR_OK : weir_respond(s, 200, "used\n");
}

static int no_peer(struct weir_session *s)
{
    return weir_peer_address(s, NULL, "127.0.0.1:1");
}

static int no_address(struct weir_session *s)
{
    struct weir_peer peer = { .tls = false };

    return weir_peer_address(s, &peer, NULL);
}

static int no_balancer(struct weir_session *s)
{
    struct weir_peer peer = { .tls = false };

    return weir_lb_pick(NULL, s, &peer);
}

static int no_format(struct weir_session *s)
{
    const char *volatile none = NULL;

    return weir_printf(s, none, 1).ptr == NULL ? WEIR_OK : weir_respond(s, 200, "printed\n");
}

static int no_function(struct weir_session *s)
{
    weir_defer(s, NULL, NULL);
    return WEIR_OK;
}

static int no_deadline(struct weir_session *s)
{
    weir_set_timeout(s, (enum weir_timeout)99, WEIR_SEC);
    return WEIR_OK;
}

static int fail_well(struct weir_session *s)
{
    return weir_fail(s, 200, "all is %s", "well");
}

/* The first cause stays. */
static int fail_twice(struct weir_session *s)
{
    const char *volatile none = NULL;

    weir_fail(s, 600, none, 1);
    return weir_fail(s, 404, "not this one");
}

/* Ends the process, with a name. */
static int deep(struct weir_session *s, const volatile char *above, int level)
{
    volatile char big[4096];

    big[0] = above[0];
    return level == 0 ? weir_respond(s, 200, "there was room\n") : deep(s, big, level - 1) + big[0];
}

static int overflow(struct weir_session *s)
{
    return deep(s, "", 1000000);
}

/* What may be NULL, as the headers say. */
static int no_head(struct weir_session *s)
{
    struct weir_head *none = NULL;
    weir_str name, value;

    weir_set(none, "A", "b");
    weir_add(none, "A", "b");
    weir_del(none, "A");
    if (weir_status(none) != 0 || weir_method(none).ptr != NULL || weir_target(none).ptr != NULL ||
        weir_get(none, "A").ptr != NULL || weir_has(none, "A") ||
        weir_head_at(none, 0, &name, &value) || weir_path_under(none, "/") ||
        weir_path_under(weir_request(s), NULL) || weir_client_tls(s, NULL))
        return weir_respond(s, 500, "there is something\n");
    return weir_respond(s, 200, "nothing\n");
}

static int no_options(struct weir_session *s)
{
    struct weir_head *ask = weir_new_get(s, weir_printf(s, "http://%s/%c", where.upstream, 0).ptr);
    const struct weir_head *answer = weir_fetch_with(s, ask, WEIR_SEC, NULL);

    return weir_respond(s, answer != NULL ? weir_status(answer) : 500, weir_why(s));
}

static const struct {
    const char *path;
    int (*use)(struct weir_session *s);
} uses[] = {
    { "/send_nothing", send_nothing }, { "/send_request", send_request },
    { "/no_word", no_word },           { "/no_editor", no_editor },
    { "/no_module", no_module },       { "/bad_module", bad_module },
    { "/no_peer", no_peer },           { "/no_address", no_address },
    { "/no_balancer", no_balancer },   { "/no_format", no_format },
    { "/no_function", no_function },   { "/no_deadline", no_deadline },
    { "/fail_well", fail_well },       { "/fail_twice", fail_twice },
    { "/no_head", no_head },           { "/no_options", no_options },
    { "/overflow", overflow },         { "/odd_body", odd_body },
    { "/editor", editor },
};

static int act(struct weir_session *s, const char *phase)
{
    weir_str at = weir_get(weir_request(s), "At");

    if (!weir_eq(at.ptr != NULL ? at : WEIR("request_filter"), phase))
        return WEIR_OK;
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (weir_path_under(weir_request(s), uses[i].path))
            return uses[i].use(s);
    return WEIR_OK;
}

static int request_filter(struct weir_session *s)
{
    return act(s, "request_filter");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    int rc = act(s, "upstream_peer");

    return rc != WEIR_OK ? rc : weir_peer_address(s, peer, where.upstream);
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    (void)req;
    return act(s, "upstream_request_filter");
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    (void)res;
    return act(s, "response_filter");
}

/* A piece that has a length but is absent. */
static int odd_piece(struct weir_session *s, weir_str *chunk)
{
    if (weir_path_under(weir_request(s), "/odd_piece"))
        *chunk = (weir_str){ NULL, 5 };
    return WEIR_OK;
}

static int request_body_filter(struct weir_session *s, weir_str *chunk, bool end)
{
    int rc = end ? act(s, "request_body_filter") : WEIR_OK;

    return rc != WEIR_OK ? rc : odd_piece(s, chunk);
}

static int response_body_filter(struct weir_session *s, weir_str *chunk, bool end)
{
    int rc = end ? act(s, "response_body_filter") : WEIR_OK;

    return rc != WEIR_OK ? rc : odd_piece(s, chunk);
}

static const struct weir_proxy proxy = {
    .name = "misuse",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .request_body_filter = request_body_filter,
    .response_filter = response_filter,
    .response_body_filter = response_body_filter,
};

int main(int argc, char **argv)
{
    return run_proxy(argc, argv, &proxy);
}
