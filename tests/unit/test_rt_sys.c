/* test_rt_sys.c -- system calls as functions: -errno for failures, no signal for a broken pipe, no
 * EINTR, and every descriptor close-on-exec. */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/sys.h"

static void failures_are_negative(void **state)
{
    struct epoll_event event = { 0 };
    char byte = 0;
    struct iovec iov = { &byte, 1 };

    (void)state;
    errno = 0;
    assert_int_equal(sys_recv(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(sys_send(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(sys_writev(-1, &iov, 1, 0), -EBADF);
    assert_int_equal(sys_read(-1, &byte, 1), -EBADF);
    assert_int_equal(sys_write(-1, &byte, 1), -EBADF);
    assert_int_equal(sys_accept(-1, NULL, NULL), -EBADF);
    assert_int_equal(sys_close(-1), -EBADF);
    assert_int_equal(sys_shutdown(-1, SHUT_RDWR), -EBADF);
    assert_int_equal(sys_outq(-1), -EBADF);
    assert_int_equal(sys_epoll_ctl(-1, EPOLL_CTL_ADD, -1, &event), -EBADF);
    assert_int_equal(sys_epoll_wait(-1, &event, 1, 0), -EBADF);
    assert_int_equal(sys_socket(-1, SOCK_STREAM, 0), -EAFNOSUPPORT);
}

static void check_flags(int fd, bool nonblocking)
{
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, nonblocking);
}

/* A connection of two descriptors, both made by the wrappers; all that they make does not block. */
static void connect_pair(int fd[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_storage peer;
    socklen_t len = sizeof at;
    int listener = sys_socket(AF_INET, SOCK_STREAM, 0), rc;

    check_flags(listener, true);
    assert_int_equal(sys_bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(sys_listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(sys_accept(listener, NULL, NULL), -EAGAIN);
    fd[0] = sys_socket(AF_INET, SOCK_STREAM, 0);
    rc = sys_connect(fd[0], (struct sockaddr *)&at, len);
    assert_true(rc == 0 || rc == -EINPROGRESS);
    len = sizeof peer;
    do
        fd[1] = sys_accept(listener, &peer, &len);
    while (fd[1] == -EAGAIN);
    check_flags(fd[1], true);
    assert_int_equal(peer.ss_family, AF_INET);
    assert_int_equal(sys_close(listener), 0);
}

static void nothing_blocks_or_signals(void **state)
{
    char byte = 'x';
    struct iovec iov[2] = { { &byte, 1 }, { &byte, 1 } };
    int fd[2], error = 1;
    socklen_t len = sizeof error;

    (void)state;
    connect_pair(fd);
    assert_int_equal(sys_recv(fd[1], &byte, 1, 0), -EAGAIN);
    assert_int_equal(sys_getsockopt(fd[1], SOL_SOCKET, SO_ERROR, &error, &len), 0);
    assert_int_equal(error, 0);
    assert_int_equal(sys_shutdown(fd[1], SHUT_WR), 0);
    assert_int_equal(sys_send(fd[1], &byte, 1, 0), -EPIPE); /* and the process lives */
    assert_int_equal(sys_writev(fd[1], iov, 2, 0), -EPIPE);
    assert_int_equal(sys_close(fd[0]), 0);
    assert_int_equal(sys_close(fd[1]), 0);
}

static void epoll_and_eventfd(void **state)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = UINT64_MAX };
    uint64_t count = 3;
    int epoll = sys_epoll_create(), fd = sys_eventfd();

    (void)state;
    check_flags(epoll, false);
    check_flags(fd, true);
    assert_int_equal(sys_read(fd, &count, sizeof count), -EAGAIN); /* it begins with 0 */
    assert_int_equal(sys_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(sys_epoll_wait(epoll, &event, 1, 0), 0);
    assert_int_equal(sys_epoll_wait(epoll, &event, 1, WEIR_MS), 0);
    assert_int_equal(sys_epoll_wait(epoll, &event, 1, WEIR_MS / 4), 0);
    assert_int_equal(sys_write(fd, &count, sizeof count), sizeof count);
    assert_int_equal(sys_epoll_wait(epoll, &event, 1, INT64_MAX), 1);
    assert_true(event.events == EPOLLIN && event.data.u64 == UINT64_MAX);
    assert_int_equal(sys_read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 3);
    sys_close(fd);
    sys_close(epoll);
}

static void on_signal(int number)
{
    (void)number;
}

static pthread_t reader;
static int ends[2];

/* Signals the reader again and again, then writes what it waits for. */
static void *disturb(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 50; i++) {
        pthread_kill(reader, SIGUSR1);
        usleep(200);
    }
    assert_int_equal(write(ends[1], "x", 1), 1);
    return NULL;
}

static void signals_are_not_seen(void **state)
{
    const struct sigaction act = { .sa_handler = on_signal }; /* without SA_RESTART */
    struct sigaction before;
    pthread_t thread;
    char byte;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
    assert_int_equal(pipe(ends), 0);
    reader = pthread_self();
    assert_int_equal(pthread_create(&thread, NULL, disturb, NULL), 0);
    assert_int_equal(sys_read(ends[0], &byte, 1), 1);
    pthread_join(thread, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    sys_close(ends[0]);
    sys_close(ends[1]);
}

static void calls_have_names(void **state)
{
    (void)state;
    assert_string_equal(sys_names[CALL_recv], "recv");
    assert_string_equal(sys_names[CALL_eventfd], "eventfd");
    for (unsigned i = 0; i < CALL_COUNT; i++)
        assert_non_null(sys_names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_negative), cmocka_unit_test(nothing_blocks_or_signals),
        cmocka_unit_test(epoll_and_eventfd),     cmocka_unit_test(signals_are_not_seen),
        cmocka_unit_test(calls_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
