/* test_proxy_calls.c -- what requests cost once everything is warm: system calls by the counting
 * I/O layer (WEIR_COUNT), allocations by a malloc of our own. One worker, one client. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/weir.h>

#include "cases.h"
#include "runtime/sys.h"

enum { WARM = 200, REQUESTS = 1000, MIB = 1024 * 1024, BIG_ONES = 16 };

/* ---- allocations ----------------------------------------------------------------------------- */

static _Atomic uint64_t allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
enum { ALLOCATIONS_COUNT = false };
#else
enum { ALLOCATIONS_COUNT = true };

void *__libc_malloc(size_t size);
void *malloc(size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(size);
}
#endif

/* ---- the origin: a thread for its one connection --------------------------------------------- */

struct origin {
    int listener;
    const char *head;
    size_t body;
};

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        assert_true(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

/* Requests come one at a time, and whole. */
static void *serve(void *arg)
{
    const struct origin *o = arg;
    static char answer[MIB + 256], in[4096];
    size_t len = strlen(o->head);
    int fd = accept(o->listener, NULL, NULL);

    memcpy(answer, o->head, len);
    memset(answer + len, 'x', o->body);
    while (recv(fd, in, sizeof in, 0) > 0)
        send_all(fd, answer, len + o->body);
    close(fd);
    return NULL;
}

static int listen_somewhere(char name[32])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(name, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* ---- the proxy ------------------------------------------------------------------------------- */

static struct {
    sem_t ready;
    unsigned port;
} proxy;

static void hear(void *arg, bool error, weir_str line)
{
    static const char said[] = "listening on 127.0.0.1:";
    const char *at = memmem(line.ptr, line.len, said, sizeof said - 1);

    (void)arg;
    (void)error;
    if (at != NULL) {
        proxy.port = (unsigned)strtoul(at + sizeof said - 1, NULL, 10);
        sem_post(&proxy.ready);
    }
}

static int choose(struct weir_session *s, struct weir_peer *peer)
{
    return weir_lb_pick(weir_state(s), s, peer);
}

static const struct weir_proxy forwarder = { .name = "forwarder", .upstream_peer = choose };

static void *run(void *server)
{
    assert_int_equal(weir_server_run(server), 0);
    return NULL;
}

/* ---- the client ------------------------------------------------------------------------------ */

static void ask(int fd, size_t body)
{
    static const char request[] = "GET /a HTTP/1.1\r\nHost: test\r\nAccept: */*\r\n\r\n";
    static char in[MIB + 4096];
    const char *end = NULL;
    size_t got = 0;

    send_all(fd, request, sizeof request - 1);
    while (end == NULL || got < (size_t)(end + 4 - in) + body) {
        ssize_t n = recv(fd, in + got, sizeof in - got, 0);

        assert_true(n > 0);
        got += (size_t)n;
        if (end == NULL)
            end = memmem(in, got, "\r\n\r\n", 4);
    }
}

struct cost {
    struct sys_counts calls;
    uint64_t allocations;
};

static void measure(struct cost *c)
{
    sys_counts(&c->calls);
    c->allocations = atomic_load(&allocations);
}

/* What `n` requests cost, after some that warm up. */
static struct cost cost_of(size_t body, unsigned warm, unsigned n)
{
    char head[64], backend[32], workers[] = "--workers=1";
    char *argv[] = { (char *)"prog", workers, NULL };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct origin o = { .head = head, .body = body };
    struct weir_server *sv = weir_server_new(2, argv);
    struct cost before, after;
    pthread_t origin, server;
    int fd;

    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
    o.listener = listen_somewhere(backend);
    sem_init(&proxy.ready, 0, 0);
    weir_server_log_to(sv, hear, NULL);
    weir_server_keep_signals(sv);
    weir_server_add(sv, &(struct weir_service){
                            .proxy = &forwarder,
                            .state = weir_lb_new(sv, &(struct weir_lb_config){
                                                         .backends = { backend } }),
                            .listen = { { .addr = "127.0.0.1:0" } },
                        });
    assert_int_equal(pthread_create(&origin, NULL, serve, &o), 0);
    assert_int_equal(pthread_create(&server, NULL, run, sv), 0);
    sem_wait(&proxy.ready);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_port = htons((uint16_t)proxy.port);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    while (warm-- > 0)
        ask(fd, body);
    measure(&before);
    for (unsigned i = 0; i < n; i++)
        ask(fd, body);
    measure(&after);
    close(fd);
    weir_server_stop(sv);
    pthread_join(server, NULL);
    pthread_join(origin, NULL);
    close(o.listener);

    for (size_t i = 0; i < CALL_COUNT; i++)
        after.calls.calls[i] -= before.calls.calls[i];
    after.allocations -= before.allocations;
    return after;
}

static uint64_t sum(const struct cost *c)
{
    uint64_t all = 0;

    for (size_t i = 0; i < CALL_COUNT; i++)
        all += c->calls.calls[i];
    return all;
}

/* ---- the cases ------------------------------------------------------------------------------- */

/* Two reads, two sends, a wait before each read; nothing else, and nothing from malloc. A last wait
 * may not have been counted yet, and one may end with a timer. */
static void a_kept_connection(void **state)
{
    struct cost c = cost_of(1024, WARM, REQUESTS);
    const uint64_t *calls = c.calls.calls;
    bool counted = sum(&c) > 0; /* without WEIR_COUNT none is */
    uint64_t waits = calls[CALL_epoll_wait];

    (void)state;
    if (ALLOCATIONS_COUNT)
        assert_int_equal(c.allocations, 0);
    if (!counted)
        return;
    assert_int_equal(calls[CALL_recv], 2 * REQUESTS);
    assert_int_equal(calls[CALL_send] + calls[CALL_writev], 2 * REQUESTS);
    assert_in_range(waits, 2 * REQUESTS - 2, 2 * REQUESTS + 100);
    assert_int_equal(calls[CALL_write], 0); /* no worker was woken */
    assert_int_equal(sum(&c), 4 * REQUESTS + waits);
}

/* Fewer calls than 16 KiB at a time would take, by far as a rule; how many depends on how the bytes
 * arrive. */
static void a_large_body(void **state)
{
    struct cost c = cost_of(MIB, 4, BIG_ONES);

    (void)state;
    if (ALLOCATIONS_COUNT)
        assert_int_equal(c.allocations, 0);
    assert_in_range(sum(&c), 0, BIG_ONES * 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_connection),
        cmocka_unit_test(a_large_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
