/* test_net_linger.c -- a lingering end lets its peer read the last answer, and does not linger
 * too long. */
#include "workers.h"

#include "net/linger.h"
#include "runtime/co.h"

/* What is seen from outside: the descriptor of a lingering end is closed when it is over. */
static bool is_closed(int fd)
{
    return fcntl(fd, F_GETFD) < 0;
}

static int linger(int own)
{
    struct stream st = stream_of(own, true);
    struct iovec iov = { "answer", 6 };
    struct pace pace = no_hurry();

    ensure(stream_write(&st, &iov, 1, &pace) == 0);
    linger_close(&st);
    ensure(st.slot == NULL);
    return own;
}

static void expect_answer(int fd)
{
    char bytes[16];

    ensure(recv(fd, bytes, sizeof bytes, MSG_WAITALL) == 6); /* up to the end */
    ensure(memcmp(bytes, "answer", 6) == 0);
}

/* A client that goes on sending its body: it reads the answer, then ends. */
static void sending_strand(void *arg)
{
    static const char body[100000];
    int fd[2];

    (void)arg;
    tcp_pair(fd);
    ensure(send(fd[1], body, sizeof body, 0) > 0); /* unread: a plain close would be an RST */
    linger(fd[0]);
    for (int i = 0; i < 5; i++)
        ensure(send(fd[1], body, sizeof body, 0) == (ssize_t)sizeof body);
    expect_answer(fd[1]);
    ensure(!is_closed(fd[0]));
    close(fd[1]);
    AWAIT(is_closed(fd[0]));
}

/* The peer has ended already: nothing to linger for. */
static void ended_strand(void *arg)
{
    int fd[2];

    (void)arg;
    tcp_pair(fd);
    ensure(shutdown(fd[1], SHUT_WR) == 0);
    linger(fd[0]);
    AWAIT(is_closed(fd[0]));
    expect_answer(fd[1]);
    close(fd[1]);
}

/* A client that never stops: ended by the bound of bytes, far below what fits into LINGER_TIME. */
static void endless_strand(void *arg)
{
    static const char body[100000];
    enum { KERNEL = 16 << 20 }; /* more than both its buffers hold */
    size_t sent = 0;
    ssize_t n;
    int fd[2];

    (void)arg;
    tcp_pair(fd);
    ensure(fcntl(fd[1], F_SETFL, O_NONBLOCK) == 0);
    linger(fd[0]);
    AWAIT((n = send(fd[1], body, sizeof body, MSG_NOSIGNAL)) < 0 && errno != EAGAIN)
    {
        sent += n > 0 ? (size_t)n : 0;
        ensure(sent < LINGER_BYTES + KERNEL);
    }
    ensure(errno == ECONNRESET || errno == EPIPE);
    AWAIT(is_closed(fd[0]));
    close(fd[1]);
}

/* A client that keeps the connection open: LINGER_TIME ends it. */
static void silent_strand(void *arg)
{
    int fd[2];

    (void)arg;
    tcp_pair(fd);
    linger(fd[0]);
    AWAIT(is_closed(fd[0]));
    close(fd[1]);
}

static void stop_strand(void *arg)
{
    int fd[2], late[2];

    (void)arg;
    tcp_pair(fd);
    tcp_pair(late);
    linger(fd[0]);
    ensure(!is_closed(fd[0]));
    linger_stop();
    ensure(is_closed(fd[0]));
    linger(late[0]); /* from now on nothing lingers */
    ensure(is_closed(late[0]));
    linger_start();
    close(fd[1]);
    close(late[1]);
}

static void a_client_that_still_sends(void **state)
{
    (void)state;
    on_workers(1, sending_strand, NULL);
    on_workers(2, sending_strand, NULL);
}

static void a_client_that_has_ended(void **state)
{
    (void)state;
    on_workers(1, ended_strand, NULL);
}

static void a_client_that_never_stops(void **state)
{
    (void)state;
    on_workers(1, endless_strand, NULL);
}

static void a_client_that_says_nothing(void **state)
{
    (void)state;
    on_workers(1, silent_strand, NULL);
}

static void stopping(void **state)
{
    (void)state;
    on_workers(1, stop_strand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_still_sends),
        cmocka_unit_test(a_client_that_has_ended),
        cmocka_unit_test(a_client_that_never_stops),
        cmocka_unit_test(a_client_that_says_nothing),
        cmocka_unit_test(stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
