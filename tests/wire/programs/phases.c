/* phases.c -- a proxy whose requests say what its phases do.
 *
 * `Do: request_filter=answer, response_filter=fail` names phases and actions (see `act`); an action
 * with a number behind it is taken only that many times in a request. What was called is written to
 * standard output, a line for each request, by the phase `logging`:
 *
 *     /target early_request_filter request_filter upstream_peer ... logging:why */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/weir.h>

enum { UPSTREAMS = 4 };

static struct {
    struct weir_server *server;
    const char *listen, *upstreams[UPSTREAMS];
    unsigned count;
    bool connect, upstream_h2, h2c;
    struct weir_lb *lb;
} program;

struct visit {
    char trace[4000];
    char name[32], action[32];
    unsigned taken; /* of the action with a number */
};

/* ---- what the request asks for --------------------------------------------------------------- */

static void trace(struct weir_session *s, const char *what)
{
    struct visit *v = weir_ctx(s);
    size_t len = strlen(v->trace);

    snprintf(v->trace + len, sizeof(v->trace) - len, " %s", what);
}

/* What this phase is to do; "" if nothing. */
static const char *wanted(struct weir_session *s, const char *phase)
{
    struct visit *v = weir_ctx(s);
    weir_str list = weir_get(weir_request(s), "Do");
    char text[400], *word, *save = NULL, *action, *number;

    snprintf(text, sizeof(text), WEIR_FMT, WEIR_ARG(list));
    for (word = strtok_r(text, ", ", &save); word != NULL; word = strtok_r(NULL, ", ", &save)) {
        action = strchr(word, '=');
        if (action == NULL)
            continue;
        *action++ = '\0';
        if (strcmp(word, phase) != 0)
            continue;
        number = strpbrk(action, "0123456789");
        if (number != NULL && v->taken++ >= (unsigned)atoi(number))
            continue;
        if (number != NULL)
            *number = '\0';
        snprintf(v->action, sizeof(v->action), "%s", action);
        return v->action;
    }
    return "";
}

/* Until the test makes the file `go`. */
static int hold(struct weir_session *s, const char *phase)
{
    int rc = WEIR_OK;

    fprintf(stderr, "waiting in %s\n", phase);
    while (rc == WEIR_OK && access("go", F_OK) != 0)
        rc = weir_sleep(s, 2 * WEIR_MS);
    return rc;
}

/* What all phases can do. */
static int act(struct weir_session *s, const char *action, const char *phase)
{
    if (strcmp(action, "fail") == 0)
        return weir_fail(s, 418, "told to fail in %s", phase);
    if (strcmp(action, "error") == 0)
        return WEIR_EUPTIME;
    if (strcmp(action, "nonsense") == 0)
        return 77;
    if (strcmp(action, "number") == 0)
        return -4242;
    if (strcmp(action, "answer") == 0)
        return weir_respond(s, 222, phase);
    if (strcmp(action, "claim") == 0)
        return WEIR_ANSWERED; /* and it is not true */
    if (strcmp(action, "retry") == 0)
        return WEIR_RETRY;
    if (strcmp(action, "block") == 0)
        return weir_sleep(s, 20 * WEIR_MS);
    if (strcmp(action, "wait") == 0) {
        fprintf(stderr, "waiting in %s\n", phase);
        return weir_sleep(s, 3600 * WEIR_SEC);
    }
    if (strcmp(action, "hold") == 0)
        return hold(s, phase);
    return WEIR_OK;
}

static int step(struct weir_session *s, const char *phase)
{
    trace(s, phase);
    return act(s, wanted(s, phase), phase);
}

/* ---- the phases ------------------------------------------------------------------------------ */

static void apply_settings(struct weir_session *s)
{
    const struct weir_head *req = weir_request(s);
    uint64_t size;
    weir_dur span;

    if (weir_parse_size(weir_printf(s, WEIR_FMT, WEIR_ARG(weir_get(req, "Set-Max-Body"))).ptr,
                        &size))
        weir_set_max_body(s, size);
    if (weir_parse_size(weir_printf(s, WEIR_FMT, WEIR_ARG(weir_get(req, "Set-Min-Rate"))).ptr,
                        &size))
        weir_set_min_rate(s, size);
    static const char *const names[] = { "Set-Request", "Set-Body", "Set-Send", "Set-Idle" };
    for (unsigned i = 0; i < 4; i++)
        if (weir_parse_dur(weir_printf(s, WEIR_FMT, WEIR_ARG(weir_get(req, names[i]))).ptr, &span))
            weir_set_timeout(s, (enum weir_timeout)i, span);
    if (weir_parse_size(weir_printf(s, WEIR_FMT, WEIR_ARG(weir_get(req, "Set-Buffer"))).ptr, &size))
        weir_set_buffer_request(s, size);
    if (weir_has(req, "Set-Replay"))
        weir_set_replay(s, 0);
    if (weir_has(req, "Set-Close"))
        weir_close_client(s);
    if (weir_has(req, "Unchanged-Request"))
        weir_body_unchanged(s, WEIR_REQUEST_BODY);
    if (weir_has(req, "Unchanged-Response"))
        weir_body_unchanged(s, WEIR_RESPONSE_BODY);
}

static int early_request_filter(struct weir_session *s)
{
    apply_settings(s);
    return step(s, "early_request_filter");
}

static int request_filter(struct weir_session *s)
{
    return step(s, "request_filter");
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    int rc = step(s, "upstream_peer");

    if (weir_starts(weir_request_body(s), "to the second"))
        return weir_peer_address(s, peer, program.upstreams[1]);
    if (program.upstream_h2)
        peer->alpn = WEIR_H2;
    if (rc != WEIR_OK)
        return rc;
    if (weir_eq(weir_method(weir_request(s)), "CONNECT"))
        return weir_peer_address(
            s, peer, weir_printf(s, WEIR_FMT, WEIR_ARG(weir_target(weir_request(s)))).ptr);
    if (weir_has(weir_request(s), "Fixed"))
        return weir_peer_address(s, peer, program.upstreams[0]);
    return weir_lb_pick(program.lb, s, peer);
}

static int judge(struct weir_session *s, const char *phase, int err)
{
    int rc;

    trace(s, weir_error_why(err));
    rc = step(s, phase);
    return rc == WEIR_OK ? err : rc;
}

static int fail_to_connect(struct weir_session *s, const struct weir_peer *peer, int err)
{
    (void)peer;
    return judge(s, "fail_to_connect", err);
}

static int error_while_proxy(struct weir_session *s, const struct weir_peer *peer, int err,
                             bool reused)
{
    (void)peer;
    trace(s, reused ? "reused" : "new");
    return judge(s, "error_while_proxy", err);
}

static int connected_to_upstream(struct weir_session *s, const struct weir_peer *peer, bool reused)
{
    (void)peer;
    trace(s, reused ? "reused" : "new");
    return step(s, "connected_to_upstream");
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    if (weir_has(weir_request(s), "Set-Range"))
        weir_set(req, "Range", weir_get(weir_request(s), "Set-Range"));
    weir_del(req, "Do");
    return step(s, "upstream_request_filter");
}

static int upstream_response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "Seen-By", "upstream_response_filter");
    return step(s, "upstream_response_filter");
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_add(res, "Seen-By", "response_filter");
    if (weir_has(weir_request(s), "Set-Etag"))
        weir_set(res, "ETag", weir_get(weir_request(s), "Set-Etag"));
    return step(s, "response_filter");
}

/* What both body filters can do. */
static int edit(struct weir_session *s, const char *phase, weir_str *chunk, bool end)
{
    const char *action = wanted(s, phase);
    char *copy;

    trace(s, end ? "end" : "piece");
    trace(s, phase);
    if (strcmp(action, "drop") == 0) {
        *chunk = (weir_str){ NULL, 0 };
    } else if (strcmp(action, "upper") == 0 && chunk->len > 0) {
        copy = weir_alloc(s, chunk->len);
        for (size_t i = 0; i < chunk->len; i++)
            copy[i] = (char)(chunk->ptr[i] >= 'a' && chunk->ptr[i] <= 'z' ? chunk->ptr[i] - 32
                                                                          : chunk->ptr[i]);
        chunk->ptr = copy;
    } else if (strcmp(action, "sign") == 0 && end) {
        *chunk = weir_printf(s, WEIR_FMT "[signed]", WEIR_ARG(*chunk));
    } else if (strcmp(action, "failend") == 0 && end) {
        return weir_fail(s, 418, "told to fail at the end in %s", phase);
    }
    return act(s, action, phase);
}

static int request_body_filter(struct weir_session *s, weir_str *chunk, bool end)
{
    return edit(s, "request_body_filter", chunk, end);
}

static int response_body_filter(struct weir_session *s, weir_str *chunk, bool end)
{
    return edit(s, "response_body_filter", chunk, end);
}

static int fail_to_proxy(struct weir_session *s, int err)
{
    trace(s, weir_error_why(err));
    trace(s, weir_response(s) != NULL ? "late" : "early");
    return step(s, "fail_to_proxy");
}

static bool suppress_error_log(struct weir_session *s, int err)
{
    return weir_eq(weir_get(weir_request(s), "Suppress"), weir_error_why(err));
}

static weir_str request_summary(struct weir_session *s)
{
    return weir_get(weir_request(s), "Summary");
}

static void logging(struct weir_session *s, int err)
{
    struct visit *v = weir_ctx(s);
    const struct weir_head *res = weir_response(s);
    char line[5000];
    int len;

    len = snprintf(line, sizeof(line),
                   WEIR_FMT "%s logging:%s status=%d tries=%u %s received=%llu sent=%llu\n",
                   WEIR_ARG(weir_target(weir_request(s))), v->trace, weir_error_why(err),
                   res != NULL ? weir_status(res) : 0, weir_tries(s),
                   weir_upstream(s).ptr == NULL ? "none"
                   : weir_upstream_reused(s)    ? "reused"
                                                : "new",
                   (unsigned long long)weir_bytes_received(s),
                   (unsigned long long)weir_bytes_sent(s));
    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        abort();
}

static const struct weir_proxy proxy = {
    .name = "phases",
    .ctx_size = sizeof(struct visit),
    .early_request_filter = early_request_filter,
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
    .fail_to_connect = fail_to_connect,
    .connected_to_upstream = connected_to_upstream,
    .upstream_request_filter = upstream_request_filter,
    .request_body_filter = request_body_filter,
    .upstream_response_filter = upstream_response_filter,
    .response_filter = response_filter,
    .response_body_filter = response_body_filter,
    .error_while_proxy = error_while_proxy,
    .fail_to_proxy = fail_to_proxy,
    .suppress_error_log = suppress_error_log,
    .request_summary = request_summary,
    .logging = logging,
};

/* ---- the program ----------------------------------------------------------------------------- */

static const char *set_listen(void *state, const char *value)
{
    (void)state;
    program.listen = value;
    return weir_check_address(value);
}

static const char *add_upstream(void *state, const char *value)
{
    (void)state;
    if (program.count == UPSTREAMS)
        return "too many";
    program.upstreams[program.count++] = value;
    return weir_check_address(value);
}

static const char *set_connect(void *state, const char *value)
{
    (void)state;
    (void)value;
    program.connect = true;
    return NULL;
}

static const char *set_upstream_h2(void *state, const char *value)
{
    (void)state;
    (void)value;
    program.upstream_h2 = true;
    return NULL;
}

static const char *set_h2c(void *state, const char *value)
{
    (void)state;
    (void)value;
    program.h2c = true;
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct weir_option options[] = {
        { .name = "listen", .value = "ADDR", .help = "where", .set = set_listen, .required = true },
        { .name = "connect", .help = "serve CONNECT", .set = set_connect },
        { .name = "upstream-h2", .help = "speak HTTP/2 to it", .set = set_upstream_h2 },
        { .name = "h2c", .help = "clients may speak HTTP/2", .set = set_h2c },
        { .value = "UPSTREAM", .help = "to whom", .set = add_upstream, .required = true },
        { .set = NULL },
    };
    struct weir_lb_config config = { .policy = WEIR_ROUND_ROBIN };

    program.server = weir_server_new_with(argc, argv, NULL, options, NULL);
    for (unsigned i = 0; i < program.count; i++)
        config.backends[i] = program.upstreams[i];
    if (program.count > 0)
        program.lb = weir_lb_new(program.server, &config);
    weir_server_add(program.server, &(struct weir_service){
                                        .proxy = &proxy,
                                        .listen = { {
                                            .addr = program.listen,
                                            .alpn = program.h2c ? WEIR_H1 | WEIR_H2 : 0,
                                        } },
                                        .connect = program.connect,
                                    });
    return weir_server_run(program.server);
}
