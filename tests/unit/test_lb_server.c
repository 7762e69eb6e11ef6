/* test_lb_server.c -- a balancer in a program of its own: what weir_lb_backends tells of requests
 * that were served and that failed, and every error of a set-up at once. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/weir.h>

#include "cases.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    char text[8192]; /* all lines, each with a newline */
} heard = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void hear(void *arg, bool error, weir_str line)
{
    size_t len;

    (void)arg, (void)error;
    pthread_mutex_lock(&heard.lock);
    len = strlen(heard.text);
    snprintf(heard.text + len, sizeof(heard.text) - len, WEIR_FMT "\n", WEIR_ARG(line));
    pthread_cond_broadcast(&heard.more);
    pthread_mutex_unlock(&heard.lock);
}

/* Blocks until it was said; the text behind it. */
static const char *wait_for(const char *what)
{
    const char *at;

    pthread_mutex_lock(&heard.lock);
    while ((at = strstr(heard.text, what)) == NULL)
        pthread_cond_wait(&heard.more, &heard.lock);
    pthread_mutex_unlock(&heard.lock);
    return at + strlen(what);
}

static int pick(struct weir_session *s, struct weir_peer *peer)
{
    return weir_lb_pick(weir_state(s), s, peer);
}

static const struct weir_proxy proxy = { .name = "p", .upstream_peer = pick };

static struct weir_server *new_server(int argc, char **argv)
{
    struct weir_server *sv = weir_server_new(argc, argv);

    heard.text[0] = '\0';
    weir_server_log_to(sv, hear, NULL);
    weir_server_keep_signals(sv);
    return sv;
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* A descriptor bound to a port of the loopback; its address as text. */
static int bound(char text[32])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(text, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* An origin that answers the first request and hangs up on the second. */
static void *serve_twice(void *listener)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char request[4096];

    for (int i = 0; i < 2; i++) {
        int fd = accept(*(int *)listener, NULL, NULL);
        size_t len = 0;

        assert_true(fd >= 0);
        do { /* unread bytes would turn the end into a reset */
            ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

            assert_true(n > 0);
            request[len += (size_t)n] = '\0';
        } while (strstr(request, "\r\n\r\nx") == NULL);
        if (i == 0)
            assert_int_equal(send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL),
                             sizeof(answer) - 1);
        close(fd);
    }
    return NULL;
}

/* The status of a request on a connection of its own. */
static int ask(uint16_t port)
{
    static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                  "Content-Length: 1\r\n\r\nx";
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[1024] = "";

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 12);
    close(fd);
    return atoi(answer + strlen("HTTP/1.1 "));
}

static void *run_server(void *sv)
{
    return (void *)(intptr_t)weir_server_run(sv);
}

static void assert_counts(struct weir_lb *lb, unsigned i, const char *name, unsigned requests,
                          unsigned failures)
{
    struct weir_lb_backend b;

    assert_true(weir_lb_backends(lb, i, &b));
    assert_string_equal(b.name, name);
    assert_true(b.healthy);
    assert_int_equal(b.requests, requests);
    assert_int_equal(b.failures, failures);
}

static void requests_and_failures(void **state)
{
    char *argv[] = { (char *)"prog", (char *)"--workers=2" }, dead[32], alive[32];
    int dead_fd = bound(dead), alive_fd = bound(alive);
    struct weir_server *sv = new_server(2, argv);
    struct weir_lb *lb = weir_lb_new(sv, &(struct weir_lb_config){ .backends = { dead, alive } });
    pthread_t server, origin;
    struct weir_lb_backend b;
    uint16_t port;

    (void)state;
    assert_int_equal(listen(alive_fd, 5), 0);
    assert_false(weir_lb_backends(lb, 0, &b)); /* it does not run yet */
    weir_server_add(sv, &(struct weir_service){ .proxy = &proxy,
                                                .state = lb,
                                                .listen = { { .addr = "127.0.0.1:0" } } });
    pthread_create(&origin, NULL, serve_twice, &alive_fd);
    pthread_create(&server, NULL, run_server, sv);
    port = (uint16_t)atoi(wait_for("listening on 127.0.0.1:"));

    assert_int_equal(ask(port), 200); /* the dead one is tried first, then the other */
    assert_counts(lb, 0, dead, 1, 1);
    assert_counts(lb, 1, alive, 1, 0);
    assert_int_equal(ask(port), 502); /* as before, but the answer is missing */
    assert_counts(lb, 0, dead, 2, 2);
    assert_counts(lb, 1, alive, 2, 1);
    assert_false(weir_lb_backends(lb, 2, &b));
    assert_false(weir_lb_backends(NULL, 0, &b));

    weir_server_stop(sv);
    pthread_join(server, NULL);
    pthread_join(origin, NULL);
    close(dead_fd);
    close(alive_fd);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* A start and a test tell the same: all of it. */
static void every_error_is_told(void **state)
{
    static const char want[] =
        "prog: weir_lb_new: backends[0] \"nowhere\": no port (write nowhere:80)\n"
        "prog: weir_lb_new: there is no policy 9\n"
        "prog: weir_lb_new: health.every: a negative time\n"
        "prog: weir_rate_new: a window is longer than 0\n"
        "prog: weir_server_add: proxy: it is NULL\n"
        "prog: weir_server_add: listen[0] \"x\": no port\n"
        "prog: weir_server_add: idle_timeout: a negative time\n"
        "prog: weir_server_add: max_head: it cannot be switched off\n"
        "prog: weir_server_add: listen: no address\n";

    (void)state;
    for (int test = 0; test < 2; test++) {
        char *argv[] = { (char *)"prog", (char *)"-t" };
        struct weir_server *sv = new_server(1 + test, argv);

        weir_lb_new(sv, &(struct weir_lb_config){
                            .backends = { "nowhere" },
                            .policy = (enum weir_policy)9,
                            .health = { .kind = WEIR_CHECK_TCP, .every = -1 },
                        });
        assert_null(weir_rate_new(sv, 0));
        assert_non_null(weir_rate_new(sv, WEIR_MS));
        weir_server_add(sv, &(struct weir_service){ .listen = { { .addr = "x" } },
                                                    .idle_timeout = -1,
                                                    .max_head = WEIR_UNLIMITED });
        weir_server_add(sv, &(struct weir_service){ .proxy = &proxy });
        assert_int_equal(weir_server_run(sv), 1);
        assert_string_equal(heard.text, want);
    }
}

static void a_test_binds_nothing(void **state)
{
    char *argv[] = { (char *)"prog", (char *)"-t" }, text[32];
    int fd = bound(text);
    struct weir_server *sv = new_server(2, argv);
    struct weir_lb *lb = weir_lb_new(sv, &(struct weir_lb_config){ .backends = { text } });

    (void)state;
    weir_server_add(
        sv, &(struct weir_service){ .proxy = &proxy, .state = lb, .listen = { { .addr = text } } });
    assert_int_equal(weir_server_run(sv), 0);
    assert_string_equal(heard.text, "configuration ok\n");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_failures),
        cmocka_unit_test(every_error_is_told),
        cmocka_unit_test(a_test_binds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
