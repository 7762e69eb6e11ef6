/* test_server.c -- a program that embeds the server: set-up errors and their words, log lines to a
 * callback, signals kept, a stop from another thread. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/weir.h>

#include "cases.h"

/* ---- what the server says -------------------------------------------------------------------- */

struct heard {
    pthread_mutex_t lock;
    pthread_cond_t more;
    char text[8192]; /* all lines, each with a newline */
};

static void hear(void *arg, bool error, weir_str line)
{
    struct heard *h = arg;
    size_t len;

    (void)error;
    pthread_mutex_lock(&h->lock);
    len = strlen(h->text);
    snprintf(h->text + len, sizeof(h->text) - len, WEIR_FMT "\n", WEIR_ARG(line));
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
}

static void heard_init(struct heard *h)
{
    *h = (struct heard){ .text = "" };
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
}

/* Blocks until it was said; the text behind it. */
static const char *wait_for(struct heard *h, const char *what)
{
    const char *at;

    pthread_mutex_lock(&h->lock);
    while ((at = strstr(h->text, what)) == NULL)
        pthread_cond_wait(&h->more, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return at + strlen(what);
}

/* ---- set-up errors --------------------------------------------------------------------------- */

static int respond(struct weir_session *s)
{
    return weir_respond(s, 200, "here\n");
}

static int no_peer(struct weir_session *s, struct weir_peer *peer)
{
    (void)peer;
    return weir_fail(s, 500, "nobody comes here");
}

static const struct weir_proxy good = {
    .name = "good",
    .request_filter = respond,
    .upstream_peer = no_peer,
};
static const struct weir_proxy empty = { .name = "empty" };

#define LISTEN .listen = { { .addr = "127.0.0.1:0" } }

static void setup_errors_name_call_and_place(void **state)
{
    static const struct {
        struct weir_service service;
        const char *want;
    } cases[] = {
        { { LISTEN }, "weir_server_add: proxy: it is NULL" },
        { { .proxy = &empty, LISTEN }, "weir_server_add: proxy: it has no upstream_peer" },
        { { .proxy = &good }, "weir_server_add: listen: no address" },
        { { .proxy = &good, .listen = { { .addr = "127.0.0.1:0" }, { .addr = "127.0.0.1" } } },
          "weir_server_add: listen[1] \"127.0.0.1\": no port" },
        { { .proxy = &good, LISTEN, .idle_timeout = -1 },
          "weir_server_add: idle_timeout: a negative time" },
        { { .proxy = &good, LISTEN, .max_head = WEIR_UNLIMITED },
          "weir_server_add: max_head: it cannot be switched off" },
        { { .proxy = &good, LISTEN, .trusted = { "10.0.0.0/8", "x" } },
          "weir_server_add: trusted" },
        { { .proxy = &good, LISTEN, .server_name = "a\r\nb" },
          "weir_server_add: server_name: not short, printable ASCII" },
        { { .proxy = &good, .listen = { { .addr = "127.0.0.1:0", .alpn = 4 } } },
          "weir_server_add: listen[0]: alpn is more than" },
    };
    char *argv[] = { (char *)"prog", NULL };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_server *sv = weir_server_new(1, argv);
        struct heard h;

        heard_init(&h);
        weir_server_log_to(sv, hear, &h);
        weir_server_keep_signals(sv);
        weir_server_add(sv, &cases[i].service);
        weir_server_add(sv, &(struct weir_service){ 0 }); /* the first error stays */
        assert_int_equal(weir_server_run(sv), 1);
        if (strncmp(h.text, "prog: ", 6) != 0 ||
            strncmp(h.text + 6, cases[i].want, strlen(cases[i].want)) != 0)
            fail_msg("case %zu: %s", i, h.text);
    }
}

static int run_with(const char *option, struct heard *h, bool service)
{
    char *argv[] = { (char *)"prog", (char *)option, NULL };
    struct weir_server *sv = weir_server_new(option != NULL ? 2 : 1, argv);

    heard_init(h);
    weir_server_log_to(sv, hear, h);
    weir_server_keep_signals(sv);
    if (service)
        weir_server_add(sv, &(struct weir_service){ .proxy = &good, LISTEN });
    return weir_server_run(sv);
}

static void other_errors(void **state)
{
    struct heard h;

    (void)state;
    assert_int_equal(run_with("--pol=5", &h, true), 2);
    assert_string_equal(h.text, "prog: unknown option --pol=5; did you mean --pool?\n");
    assert_int_equal(run_with(NULL, &h, false), 1);
    assert_string_equal(h.text, "prog: weir_server_run: nothing to serve (weir_server_add)\n");
}

static void bad_backends(void **state)
{
    char *argv[] = { (char *)"prog", NULL };

    (void)state;
    for (int late = 0; late < 2; late++) {
        struct weir_server *sv = weir_server_new(1, argv);
        struct weir_lb_config config = { .backends = { late ? "127.0.0.1:1" : "nonsense" } };
        struct weir_lb *lb = weir_lb_new(sv, &config);
        struct heard h;

        if (late)
            weir_lb_add(lb, "nonsense");
        heard_init(&h);
        weir_server_log_to(sv, hear, &h);
        weir_server_keep_signals(sv);
        weir_server_add(sv, &(struct weir_service){ .proxy = &good, .state = lb, LISTEN });
        assert_int_equal(weir_server_run(sv), 1);
        assert_non_null(strstr(h.text, late ? "weir_lb_add" : "weir_lb_new"));
        assert_non_null(strstr(h.text, "\"nonsense\": "));
    }
}

static void nothing_given(void **state)
{
    char *argv[] = { (char *)"prog", NULL };
    struct weir_server *sv = weir_server_new(1, argv);
    struct heard h;

    (void)state;
    heard_init(&h);
    weir_server_log_to(sv, hear, &h);
    weir_server_keep_signals(sv);
    weir_server_add(sv, NULL);
    assert_null(weir_lb_new(sv, NULL));
    weir_lb_add(NULL, "127.0.0.1:1");
    weir_server_expect_peer(sv, NULL);
    weir_server_add_task(sv, NULL, NULL);
    assert_int_equal(weir_server_run(sv), 1);
    assert_string_equal(h.text, "prog: weir_server_add: the service is NULL\n"
                                "prog: weir_lb_new: the configuration is NULL\n"
                                "prog: weir_server_expect_peer: the peer is NULL\n"
                                "prog: weir_server_add_task: the function is NULL\n");
    assert_null(weir_nearest("word", NULL));
    assert_null(weir_nearest(NULL, (const char *const[]){ "word", NULL }));
}

/* ---- serving --------------------------------------------------------------------------------- */

static void *run_server(void *sv)
{
    return (void *)(intptr_t)weir_server_run(sv);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void ask(int fd)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[1024];
    size_t len = 0;
    ssize_t n;

    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    do {
        n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
        answer[len] = '\0';
    } while (strstr(answer, "\r\n\r\nhere\n") == NULL);
    assert_int_equal(strncmp(answer, "HTTP/1.1 200 ", 13), 0);
    assert_null(strstr(answer, "Connection: close"));
}

/* A client stays connected and idle over the stop. */
static void it_serves_and_stops(void **state)
{
    char *argv[] = { (char *)"prog", (char *)"--workers=2" };
    struct weir_server *sv = weir_server_new(2, argv);
    struct sigaction before, after;
    struct heard h;
    pthread_t thread;
    void *code;
    int fd;

    (void)state;
    heard_init(&h);
    sigaction(SIGPIPE, NULL, &before);
    weir_server_log_to(sv, hear, &h);
    weir_server_keep_signals(sv);
    weir_server_add(sv, &(struct weir_service){ .proxy = &good, LISTEN });
    assert_int_equal(pthread_create(&thread, NULL, run_server, sv), 0);
    fd = connect_to((uint16_t)atoi(wait_for(&h, "listening on 127.0.0.1:")));
    ask(fd);
    ask(fd);
    wait_for(&h, "\"target\":\"/x\"");
    weir_server_stop(sv);
    pthread_join(thread, &code);
    assert_int_equal((intptr_t)code, 0);
    assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 0); /* closed, not reset */
    close(fd);
    sigaction(SIGPIPE, NULL, &after);
    assert_true(before.sa_handler == after.sa_handler);
}

/* Passes /relay on to itself, and answers what it has passed on. */
static int relay_peer(struct weir_session *s, struct weir_peer *peer)
{
    weir_str addr = weir_printf(s, "127.0.0.1:%d", *(const int *)weir_state(s));

    return weir_peer_address(s, peer, addr.ptr);
}

static int relay_edit(struct weir_session *s, struct weir_head *req)
{
    (void)s;
    weir_set(req, "Relayed", "yes");
    return WEIR_OK;
}

static int relay_filter(struct weir_session *s)
{
    const struct weir_head *req = weir_request(s);

    return weir_path_under(req, "/relay") && !weir_has(req, "Relayed") ? WEIR_OK : respond(s);
}

static const struct weir_proxy relay = {
    .name = "relay",
    .request_filter = relay_filter,
    .upstream_peer = relay_peer,
    .upstream_request_filter = relay_edit,
};

static void ask_for(int fd, const char *path)
{
    char text[256];
    size_t len = 0;

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    do {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

        assert_true(n > 0);
        len += (size_t)n;
        text[len] = '\0';
    } while (strstr(text, "\r\n\r\nhere\n") == NULL);
}

static void stats_tell_of_upstreams(void **state)
{
    char *argv[] = { (char *)"prog", (char *)"--workers=1" };
    struct weir_server *sv = weir_server_new(2, argv);
    struct weir_server_stats stats = { .upstream_opened = 99 };
    struct heard h;
    pthread_t thread;
    void *code;
    int port = 0, fd;

    (void)state;
    heard_init(&h);
    weir_server_log_to(sv, hear, &h);
    weir_server_keep_signals(sv);
    weir_server_add(sv, &(struct weir_service){ .proxy = &relay, .state = &port, LISTEN });
    weir_server_stats(sv, &stats);
    assert_int_equal(stats.upstream_opened, 0); /* it does not serve yet */
    assert_int_equal(pthread_create(&thread, NULL, run_server, sv), 0);
    port = atoi(wait_for(&h, "listening on 127.0.0.1:"));
    fd = connect_to((uint16_t)port);
    ask_for(fd, "/here");
    for (int i = 0; i < 3; i++) {
        ask_for(fd, "/relay");
        do /* the answer may overtake the connection's way back into the pool */
            weir_server_stats(sv, &stats);
        while (stats.upstream_idle == 0);
    }
    assert_int_equal(stats.upstream_opened, 1);
    assert_int_equal(stats.upstream_reused, 2);
    close(fd);
    weir_server_stop(sv);
    pthread_join(thread, &code);
    assert_int_equal((intptr_t)code, 0);
}

static void stopped_before_it_runs(void **state)
{
    char *argv[] = { (char *)"prog", (char *)"--access-log=off" };
    struct weir_server *sv = weir_server_new(2, argv);
    struct heard h;

    (void)state;
    heard_init(&h);
    weir_server_log_to(sv, hear, &h);
    weir_server_add(sv, &(struct weir_service){ .proxy = &good, LISTEN });
    weir_server_stop(sv);
    assert_int_equal(weir_server_run(sv), 0);
    assert_int_equal(strncmp(h.text, "listening on ", 13), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_errors_name_call_and_place),
        cmocka_unit_test(other_errors),
        cmocka_unit_test(nothing_given),
        cmocka_unit_test(bad_backends),
        cmocka_unit_test(it_serves_and_stops),
        cmocka_unit_test(it_serves_and_stops), /* again in the same process */
        cmocka_unit_test(stats_tell_of_upstreams),
        cmocka_unit_test(stopped_before_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
