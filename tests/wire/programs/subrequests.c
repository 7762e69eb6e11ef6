/* subrequests.c -- requests that ask several services at once, in a scope: itself, by the name that
 * its clients use. The path says how; what came of it is the answer. */
#include "one_upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct ask {
    struct weir_session *s;
    const char *path;
    weir_dur timeout;
    int end_with; /* once there is an answer: the scope's end */
    int status;   /* 0: there is none */
};

static int fetch_it(void *arg)
{
    struct ask *a = arg;
    weir_str host = weir_get(weir_request(a->s), "Host");
    const char *url = weir_printf(a->s, "http://" WEIR_FMT "%s", WEIR_ARG(host), a->path).ptr;
    struct weir_fetch_options how = {
        .alpn = weir_has(weir_request(a->s), "By-H2") ? WEIR_H2 : WEIR_H1,
    };
    const struct weir_head *res = weir_fetch_with(a->s, weir_new_get(a->s, url), a->timeout, &how);

    if (res == NULL)
        return 0;
    a->status = weir_status(res);
    if (!weir_eq(weir_fetched_body(a->s, res), a->path))
        a->status = 1;
    return a->end_with;
}

/* ---- as many as one likes -------------------------------------------------------------------- */

static int fetch_many(struct weir_session *s, const char *path)
{
    weir_str wanted = weir_get(weir_request(s), "How-Many");
    int n = atoi(weir_printf(s, WEIR_FMT, WEIR_ARG(wanted)).ptr), good = 0, rc = 0;
    struct ask *asks = calloc((size_t)n, sizeof *asks);
    struct weir_scope sc;

    weir_defer(s, free, asks);
    weir_scope_open(&sc);
    for (int i = 0; i < n; i++) {
        asks[i] = (struct ask){ .s = s, .path = path, .timeout = 60 * WEIR_SEC };
        weir_scope_spawn(&sc, fetch_it, &asks[i]);
    }
    rc = weir_scope_wait(&sc, WEIR_FOREVER);
    rc = weir_scope_end(&sc, rc);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n; i++)
        good += asks[i].status == 200;
    return weir_respond(s, 200, weir_printf(s, "%d, %s", good, weir_why(s)).ptr);
}

static int many(struct weir_session *s)
{
    return fetch_many(s, "/leaf");
}

/* Each of which asks one more. */
static int nested(struct weir_session *s)
{
    return fetch_many(s, "/one");
}

static int one(struct weir_session *s)
{
    struct ask leaf = { .s = s, .path = "/leaf", .timeout = 60 * WEIR_SEC };

    fetch_it(&leaf);
    return weir_respond(s, leaf.status, "/one");
}

static int leaf(struct weir_session *s)
{
    return weir_respond(s, 200, "/leaf");
}

/* Not for ever: who has left at once may count as one that only waits (docs/http1.md). */
static int slow(struct weir_session *s)
{
    fprintf(stderr, "[slow begins]\n");
    return weir_sleep(s, 3 * WEIR_SEC);
}

/* ---- scopes that end before their fetches ---------------------------------------------------- */

/* All at once, in a scope that the first failure ends: what ending it returns. */
static int ask_all(struct ask *asks, size_t n)
{
    struct weir_scope sc;

    weir_scope_open(&sc);
    for (size_t i = 0; i < n; i++)
        weir_scope_spawn(&sc, fetch_it, &asks[i]);
    return weir_scope_end(&sc, weir_scope_wait(&sc, WEIR_FOREVER));
}

/* The first answer wins. The others are cancelled, and the request goes on. */
static int first(struct weir_session *s)
{
    struct ask asks[] = { { s, "/slow", WEIR_FOREVER, WEIR_ECLOSED, 0 },
                          { s, "/leaf", WEIR_FOREVER, WEIR_ECLOSED, 0 },
                          { s, "/slow", WEIR_FOREVER, WEIR_ECLOSED, 0 } };
    int rc = ask_all(asks, sizeof asks / sizeof asks[0]);

    return weir_respond(s, 200, weir_printf(s, "%s, %d", weir_error_why(rc), asks[1].status).ptr);
}

static int cancel_soon(void *arg)
{
    weir_dur *span = arg;

    return weir_sleep_for(*span) < 0 ? WEIR_ECANCELED : WEIR_ECLOSED;
}

/* In a cancelled scope nothing is sent, nor has it been tried. */
static int behind(struct weir_session *s)
{
    weir_dur span = 0;
    struct weir_scope sc;
    int rc;

    weir_scope_open(&sc);
    weir_scope_spawn(&sc, cancel_soon, &span);
    weir_scope_wait(&sc, WEIR_FOREVER);
    rc = weir_respond(s, 500, "too early");
    weir_scope_end(&sc, 0);
    return weir_respond(s, 200, weir_error_why(rc));
}

/* Cancelling meets them at every step. */
static int races(struct weir_session *s)
{
    enum { ROUNDS = 100, ASKS = 10 };
    struct ask asks[ASKS];
    struct weir_scope sc;
    unsigned seed = 1;
    int answers = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        weir_dur span = (weir_dur)(rand_r(&seed) % 40) * WEIR_MS / 16;

        weir_scope_open(&sc);
        for (unsigned i = 0; i < ASKS; i++) {
            asks[i] = (struct ask){ .s = s, .path = i % 4 == 0 ? "/slow" : "/leaf" };
            weir_scope_spawn(&sc, fetch_it, &asks[i]);
        }
        weir_scope_spawn(&sc, cancel_soon, &span);
        weir_scope_wait(&sc, WEIR_FOREVER);
        if (weir_scope_end(&sc, 0) != WEIR_ECLOSED)
            return weir_fail(s, 500, "the scope has ended otherwise");
        for (unsigned i = 0; i < ASKS; i++)
            if (asks[i].status != 0 && asks[i].status != 200)
                return weir_fail(s, 500, "a status of %d", asks[i].status);
            else
                answers += asks[i].status == 200;
    }
    return weir_respond(s, 200, answers > 0 ? "some came" : "none came");
}

/* For a client that leaves, or a request that takes too long. */
static int wait_for_all(struct weir_session *s)
{
    struct ask asks[3] = { { s, "/slow", WEIR_FOREVER, 0, 0 },
                           { s, "/slow", WEIR_FOREVER, 0, 0 },
                           { s, "/slow", WEIR_FOREVER, 0, 0 } };

    ask_all(asks, sizeof asks / sizeof asks[0]);
    return weir_respond(s, 200, "nobody cares"); /* whatever it says: the request is over */
}

/* The time of a scope bounds what a session waits for, too. */
static int limit(struct weir_session *s)
{
    struct ask a = { s, "/slow", WEIR_FOREVER, 0, 0 };
    struct weir_scope sc;
    int rc;

    weir_scope_open(&sc);
    weir_scope_limit(&sc, 20 * WEIR_MS);
    fetch_it(&a);
    rc = weir_sleep(s, WEIR_FOREVER);
    return weir_respond(
        s, 200, weir_printf(s, "%d, %s", a.status, weir_error_why(weir_scope_end(&sc, rc))).ptr);
}

/* ---- what is none ---------------------------------------------------------------------------- */

static int none(struct weir_session *s)
{
    struct weir_head *ask = weir_new_get(s, "http://127.0.0.1:1/");
    bool wrong = weir_fetch(s, NULL, WEIR_SEC) != NULL || strstr(weir_why(s), "none of") == NULL ||
                 weir_fetch(s, weir_new_response(s, 200), 0) != NULL ||
                 weir_fetch(s, weir_new_get(s, NULL), 0) != NULL ||
                 weir_fetch(s, weir_new_request(s, NULL, "http://127.0.0.1:1/"), 0) != NULL ||
                 weir_fetched_body(s, NULL).ptr != NULL || weir_fetched_body(s, ask).ptr != NULL ||
                 weir_fetch(s, ask, -1) != NULL || *weir_why(s) == '\0' ||
                 weir_fetched_body(s, NULL).ptr != NULL || weir_fetched_body(s, ask).ptr != NULL;

    return weir_respond(s, 200, wrong ? "something" : "nothing");
}

static int on_a_thread(void *arg)
{
    struct weir_session *s = arg;
    struct ask a = { s, "/leaf", 0, 0, 0 };

    fetch_it(&a);
    return a.status == 0 && strstr(weir_why(s), "coroutine") != NULL &&
                   weir_sleep(s, WEIR_MS) == WEIR_EINVALID
               ? 0
               : -1;
}

static int thread(struct weir_session *s)
{
    return weir_respond(s, 200, weir_blocking(on_a_thread, s) == 0 ? "refused" : "taken");
}

/* A span begins when the call does, however long the phase has computed. */
static int computed(struct weir_session *s)
{
    struct timespec work = { .tv_nsec = 60000000 }, before, after;

    nanosleep(&work, NULL); /* this worker does nothing else */
    clock_gettime(CLOCK_MONOTONIC, &before);
    weir_sleep(s, 30 * WEIR_MS);
    clock_gettime(CLOCK_MONOTONIC, &after);
    return weir_respond(s, 200,
                        (after.tv_sec - before.tv_sec) * WEIR_SEC + after.tv_nsec - before.tv_nsec <
                                30 * WEIR_MS
                            ? "too early"
                            : "in time");
}

/* All that may be asked of a session without a client. */
static bool odd(struct weir_session *own)
{
    struct weir_socket sock;
    struct weir_timing timing;
    struct weir_tls tls;
    bool wrong = weir_ctx(own) != NULL || weir_response(own) != NULL ||
                 weir_request_body(own).ptr != NULL || weir_bytes_received(own) != 0 ||
                 weir_bytes_sent(own) != 0 || weir_upstream_bytes_sent(own) != 0 ||
                 weir_upstream_bytes_received(own) != 0 || weir_upstream(own).ptr != NULL ||
                 weir_upstream_reused(own) || weir_tries(own) != 0 ||
                 weir_request_id(own).len != 16 || weir_server_address(own).ptr != NULL ||
                 weir_client_tls(own, &tls) || weir_upstream_tls(own, NULL) ||
                 weir_client_socket(own, &sock) || weir_upstream_socket(own, &sock) ||
                 weir_elapsed(own) < 0 || weir_answered_after(own) != 0 ||
                 weir_phase_time(own, WEIR_PHASE_LOGGING) != 0 || *weir_why(own) != '\0' ||
                 weir_basic_auth_user(own).ptr != NULL || weir_used(own, &weir_access) != NULL ||
                 weir_client_version(own) == NULL || weir_summary(own).ptr == NULL;

    weir_request_timing(own, &timing);
    weir_client_host(own);
    weir_client_network(own, 200);
    weir_set_max_body(own, 1);
    weir_set_replay(own, 1);
    weir_set_buffer_request(own, 1);
    weir_set_min_rate(own, 1);
    weir_close_client(own);
    weir_body_unchanged(own, WEIR_RESPONSE_BODY);
    for (int i = 0; i < 4; i++)
        weir_set_timeout(own, (enum weir_timeout)i, 60 * WEIR_SEC);
    return wrong || weir_alloc(own, 100000) == NULL || weir_sleep(own, WEIR_MS) != 0 ||
           weir_respond(own, 200, "to nobody") != WEIR_EINVALID ||
           weir_fail(own, 500, "later") != WEIR_EINVALID; /* the first cause stays */
}

static int own(struct weir_session *s)
{
    struct weir_session *of_request = weir_session_new(s), *of_none = weir_session_new(NULL);
    struct weir_session *of_own = weir_session_new(of_request);
    bool wrong = !weir_eq(weir_client(of_own), weir_client(s)) ||
                 weir_client(of_none).ptr != NULL ||
                 !weir_path_under(weir_request(of_own), "/own") ||
                 weir_method(weir_request(of_none)).ptr != NULL || odd(of_own) || odd(of_request) ||
                 odd(of_none);

    weir_session_free(&of_request);
    weir_session_free(&of_none);
    weir_session_free(&of_own);
    return weir_respond(s, 200, wrong || of_own != NULL ? "otherwise" : "as documented");
}

static const struct {
    const char *path;
    int (*use)(struct weir_session *s);
} uses[] = {
    { "/many", many },         { "/nested", nested },     { "/one", one },
    { "/leaf", leaf },         { "/slow", slow },         { "/first", first },
    { "/races", races },       { "/limit", limit },       { "/none", none },
    { "/thread", thread },     { "/computed", computed }, { "/own", own },
    { "/wait", wait_for_all }, { "/behind", behind },
};

static int request_filter(struct weir_session *s)
{
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (weir_path_under(weir_request(s), uses[i].path))
            return uses[i].use(s);
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, where.upstream);
}

static const struct weir_proxy proxy = {
    .name = "subrequests",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
};

int main(int argc, char **argv)
{
    return run_proxy(argc, argv, &proxy);
}
