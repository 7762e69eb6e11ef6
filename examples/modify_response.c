/* modify_response.c -- edits heads, both ways: the origin is asked by its own name; what it tells
 * about itself is left out, and its cookies become safe ones. */
#include <weir/weir.h>

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    weir_set(req, "Host", "origin.example");
    return WEIR_OK;
}

/* A field may occur many times, so its values are gathered first and written back one by one. */
static void protect_cookies(struct weir_session *s, struct weir_head *res)
{
    weir_str name, value, *cookies;
    size_t   fields = 0, n = 0;

    while (weir_head_at(res, fields, &name, &value))
        fields++;
    cookies = weir_alloc(s, fields * sizeof(*cookies));
    if (cookies == NULL)
        return;                                     /* the phase fails by itself */
    for (size_t i = 0; weir_head_at(res, i, &name, &value); i++) {
        if (weir_eq_nocase(name, "Set-Cookie"))
            cookies[n++] = value;
    }
    weir_del(res, "Set-Cookie");
    for (size_t i = 0; i < n; i++)
        weir_add(res, "Set-Cookie", weir_printf(s, WEIR_FMT "; HttpOnly", WEIR_ARG(cookies[i])));
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "Server", "gateway");
    weir_del(res, "X-Powered-By");
    if (weir_starts(weir_get(res, "Content-Type"), "text/html") && !weir_has(res, "Cache-Control"))
        weir_set(res, "Cache-Control", "private, max-age=60");
    protect_cookies(s, res);
    return WEIR_OK;
}

static const struct weir_proxy modifier = {
    .name                    = "modifier",
    .upstream_peer           = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .response_filter         = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy = &modifier, .listen = { { .addr = "127.0.0.1:6188" } },
    });
    return weir_server_run(server);
}
