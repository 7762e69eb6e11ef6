/* fetch.c -- a proxy whose requests say what it is to fetch.
 *
 * `Fetch: URL` is fetched in the phase `Fetch-In` (request_filter), with `Fetch-Method`,
 * `Fetch-Body`, `Fetch-Timeout`, `Fetch-Max`, `Fetch-Ca`, `Fetch-Alpn`; fields `Send-Name: value`
 * are set. The answer to the client: `status body`, or a 502 with why there is none. In
 * response_filter it becomes the field `Fetched`; in an editor it is the end of the body. With
 * `aside` a session of its own does it, when the request is over, and says what came of it; with
 * `free` the request's session is freed, which is wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "one_upstream.h"

static const char *text(struct weir_session *s, const char *name)
{
    weir_str value = weir_get(weir_request(s), name);

    return value.ptr == NULL ? NULL : weir_printf(s, WEIR_FMT, WEIR_ARG(value)).ptr;
}

static bool wanted_in(struct weir_session *s, const char *phase)
{
    const char *in = text(s, "Fetch-In");

    return weir_has(weir_request(s), "Fetch") && weir_eq(in != NULL ? in : "request_filter", phase);
}

/* What came of it: absent if nothing did. */
static weir_str fetched(struct weir_session *s)
{
    const char *method = text(s, "Fetch-Method"), *url = text(s, "Fetch"), *max, *alpn;
    struct weir_head *ask = method != NULL ? weir_new_request(s, method, url)
                                           : weir_new_get(s, url);
    struct weir_fetch_options options = { .body = weir_get(weir_request(s), "Fetch-Body"),
                                          .ca_file = weir_get(weir_request(s), "Fetch-Ca") };
    const struct weir_head *answer;
    weir_dur timeout = 0;
    weir_str name, value;

    if (text(s, "Fetch-Timeout") != NULL)
        weir_parse_dur(text(s, "Fetch-Timeout"), &timeout);
    max = text(s, "Fetch-Max");
    options.max_body = max != NULL ? (size_t)atoi(max) : 0;
    alpn = text(s, "Fetch-Alpn");
    options.alpn = alpn != NULL ? (unsigned)atoi(alpn) : 0;
    for (size_t i = 0; weir_head_at(weir_request(s), i, &name, &value); i++)
        if (weir_starts(name, "Send-") || weir_starts(name, "send-"))
            weir_head_set(ask, (weir_str){ name.ptr + 5, name.len - 5 }, value);
    if (weir_has(weir_request(s), "Fetch-Twice"))
        weir_fetch_with(s, ask, timeout, &options);
    answer = weir_fetch_with(s, ask, timeout, &options);
    if (answer == NULL)
        return (weir_str){ NULL, 0 };
    value = weir_fetched_body(s, answer);
    return weir_printf(s, "%d " WEIR_FMT, weir_status(answer), WEIR_ARG(value));
}

static int request_filter(struct weir_session *s)
{
    struct weir_session *own = s;
    weir_str got;

    if (wanted_in(s, "free"))
        weir_session_free(&own);
    if (!wanted_in(s, "request_filter"))
        return WEIR_OK;
    got = fetched(s);
    if (got.ptr == NULL)
        return weir_fail(s, 502, "no answer: %s", weir_why(s));
    return weir_send(s, weir_new_response(s, 200), got);
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, where.upstream);
}

static int request_body_filter(struct weir_session *s, weir_str *chunk, bool end)
{
    if (end && wanted_in(s, "request_body_filter"))
        *chunk = fetched(s);
    return WEIR_OK;
}

/* Two editors that fetch at the same time. */
static int editor(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    weir_write(out, fetched(s));
    return rc;
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    (void)req;
    if (wanted_in(s, "editors"))
        weir_edit_body(s, editor);
    return WEIR_OK;
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    if (wanted_in(s, "response_filter"))
        weir_set(res, "Fetched", fetched(s));
    if (wanted_in(s, "editors"))
        weir_edit_body(s, editor);
    return WEIR_OK;
}

static int fail_to_proxy(struct weir_session *s, int err)
{
    (void)err;
    if (!wanted_in(s, "fail_to_proxy"))
        return WEIR_OK;
    return weir_send(s, weir_new_response(s, 503), fetched(s));
}

static void fetch_aside(void *arg)
{
    struct weir_session *own = arg;
    weir_str got = fetched(own);

    if (got.ptr == NULL)
        weir_fail(own, 502, "aside: %s", weir_why(own));
    else
        fprintf(stderr, "aside: %s, for " WEIR_FMT ", state %s\n", got.ptr,
                WEIR_ARG(weir_client(own)), weir_state(own) == NULL ? "none" : "there");
    if (weir_has(weir_request(own), "Answer"))
        weir_respond(own, 200, "hello");
    if (weir_has(weir_request(own), "Connection-Ctx"))
        weir_connection_ctx(own, 8);
    weir_session_free(&own);
}

static void start_aside(struct weir_session *s)
{
    struct weir_session *own = weir_session_new(s);

    if (own != NULL && weir_spawn(fetch_aside, own) < 0)
        weir_session_free(&own);
}

static void logging(struct weir_session *s, int err)
{
    if (wanted_in(s, "aside"))
        start_aside(s);
    fprintf(stderr, "logged: %s: %s\n", weir_error_why(err), weir_why(s));
    if (wanted_in(s, "logging"))
        fprintf(stderr, "fetched in logging: %s\n", fetched(s).ptr);
}

static const struct weir_proxy proxy = {
    .name = "fetch",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .request_body_filter = request_body_filter,
    .response_filter = response_filter,
    .fail_to_proxy = fail_to_proxy,
    .logging = logging,
};

int main(int argc, char **argv)
{
    return run_proxy(argc, argv, &proxy);
}
