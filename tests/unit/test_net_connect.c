/* test_net_connect.c -- listeners, connections to them, names, and the many ways in which that
 * fails. */
#include "workers.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "net/connect.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "runtime/co.h"

static const struct slot_class held = { .name = "test" };

static struct addr address(const char *text)
{
    struct addr_spec spec;

    ensure(addr_parse(text, &spec) == NULL && spec.form == SPEC_ADDR);
    return spec.addr;
}

/* A listener and the address it got; `text` may be of a Unix socket. */
static int listener(const char *text, int backlog, struct addr *at)
{
    const char *step = NULL;
    struct addr asked = address(text);
    int fd = listen_open(&asked, backlog, &step);

    ensure(fd >= 0);
    addr_of_socket(fd, at);
    ensure(at->kind == asked.kind);
    if (at->kind == ADDR_UNIX)
        *at = asked;
    return fd;
}

/* A folder for sockets. */
static char folder[] = "/tmp/weir-test-XXXXXX";
static char socket_text[64]; /* unix:folder/s */

#define SOCKET_PATH (socket_text + 5)

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(socket_text, sizeof socket_text, "unix:%s/s", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(SOCKET_PATH);
    return rmdir(folder);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    ensure(getsockopt(fd, level, name, &value, &len) == 0);
    return value;
}

static bool has_ipv6(void)
{
    struct addr at = address("[::1]:0");
    const char *step;
    int fd = listen_open(&at, 1, &step);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Connections */

static void connect_strand(void *arg)
{
    const char *text = arg;
    struct addr at;
    int fd = listener(text, 16, &at), peer;
    struct pace pace = no_hurry();
    struct iovec iov = { "hello", 5 };
    struct stream st;
    char bytes[8];

    ensure(net_connect(&at, NULL, &held, NULL, no_hurry().limit, &st) == 0);
    AWAIT((peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    ensure(st.reset_err == WEIR_EUPRESET && st.drains == (at.kind != ADDR_UNIX));
    ensure(stream_write(&st, &iov, 1, &pace) == 0);
    ensure(recv(peer, bytes, sizeof bytes, 0) == 5);
    ensure(fcntl(slot_fd(st.slot), F_GETFD) & FD_CLOEXEC);
    if (at.kind != ADDR_UNIX) {
        ensure(option(slot_fd(st.slot), IPPROTO_TCP, TCP_NODELAY) != 0);
        ensure(option(slot_fd(st.slot), SOL_SOCKET, SO_KEEPALIVE) != 0);
        ensure(option(peer, IPPROTO_TCP, TCP_NODELAY) != 0); /* inherited */
        ensure(option(peer, SOL_SOCKET, SO_KEEPALIVE) != 0);
    }
    stream_close(&st, false);
    close(peer);
    close(fd);
    if (at.kind == ADDR_UNIX)
        unlink(at.path);
}

static void connecting(void **state)
{
    (void)state;
    on_workers(1, connect_strand, "127.0.0.1:0");
    on_workers(2, connect_strand, socket_text);
    if (has_ipv6())
        on_workers(1, connect_strand, "[::1]:0");
}

/* Tries to connect and expects that error. */
static void expect(const struct addr *at, weir_dur patience, int want)
{
    struct deadline until = deadline_in(rt_now(), patience, WEIR_ECONNTIME);
    struct stream st;

    ensure(net_connect(at, NULL, &held, NULL, until, &st) == want);
    ensure(st.slot == NULL);
}

static void refusals_strand(void *arg)
{
    struct addr at;

    (void)arg;
    close(listener("127.0.0.1:0", 1, &at));
    expect(&at, PATIENCE * WEIR_SEC, WEIR_EREFUSED);

    at = address(socket_text);
    expect(&at, PATIENCE * WEIR_SEC, WEIR_ECONNECT); /* no such file */
    close(listener(socket_text, 1, &at));
    expect(&at, PATIENCE * WEIR_SEC, WEIR_EREFUSED); /* nobody listens on it any more */
    unlink(at.path);
}

static void refusals(void **state)
{
    (void)state;
    on_workers(1, refusals_strand, NULL);
}

/* A network in which connections begin at two ports, one of which is asked for: the kernel soon
 * connects it to itself. False if this machine lets us have none. */
static bool enter_narrow_network(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd, file;
    bool up;

    if (unshare(CLONE_NEWNET) != 0)
        return false;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    up = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    close(fd);
    file = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
    up = up && write(file, "40000 40001", 11) == 11;
    close(file);
    return up;
}

static void dead_port_strand(void *arg)
{
    struct addr at = address("127.0.0.1:40000");
    unsigned met = 0;

    for (int i = 0; i < 50; i++) {
        struct sockaddr_storage ss;
        socklen_t len = addr_to_sockaddr(&at, &ss);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        expect(&at, PATIENCE * WEIR_SEC, WEIR_EREFUSED);
        met += connect(fd, (struct sockaddr *)&ss, len) == 0; /* the danger is there */
        close_by_reset(fd);
    }
    *(unsigned *)arg = met;
}

/* The last test: what comes after it would be in that network. */
static void no_connection_to_itself(void **state)
{
    unsigned met = 0;

    (void)state;
    if (!enter_narrow_network())
        skip();
    on_workers(1, dead_port_strand, &met);
    assert_true(met > 0);
}

/* A listener that accepts nothing: the kernel takes some, then no more. */
static void full_unix_strand(void *arg)
{
    struct stream st[64];
    struct addr at;
    int fd = listener(socket_text, 1, &at), n = 0, rc;

    (void)arg;
    while ((rc = net_connect(&at, NULL, &held, NULL, no_hurry().limit, &st[n])) == 0)
        ensure(++n < (int)ARRAY_LEN(st));
    ensure(n > 0 && rc == WEIR_EREFUSED);
    while (n > 0)
        stream_close(&st[--n], false);
    close(fd);
    unlink(at.path);
}

static void full_tcp_strand(void *arg)
{
    struct stream st[64];
    struct addr at;
    int fd = listener("127.0.0.1:0", 0, &at), n = 0, rc;

    (void)arg;
    for (;;) {
        struct deadline until = deadline_in(rt_now(), 200 * WEIR_MS, WEIR_ECONNTIME);

        rc = net_connect(&at, NULL, &held, NULL, until, &st[n]);
        if (rc < 0)
            break;
        ensure(++n < (int)ARRAY_LEN(st));
    }
    ensure(n > 0 && rc == WEIR_ECONNTIME);
    while (n > 0)
        stream_close(&st[--n], false);
    close(fd);
}

static void full_backlogs(void **state)
{
    (void)state;
    on_workers(1, full_unix_strand, NULL);
    on_workers(1, full_tcp_strand, NULL);
}

static _Atomic strand_ref victim;

static void canceled_connect_strand(void *arg)
{
    struct stream st[64];
    struct addr at;
    int fd = listener("127.0.0.1:0", 0, &at), n = 0, rc;

    (void)arg;
    atomic_store(&victim, strand_self());
    while ((rc = net_connect(&at, NULL, &held, NULL, no_hurry().limit, &st[n])) == 0)
        ensure(++n < (int)ARRAY_LEN(st));
    ensure(rc == WEIR_ECANCELED);
    expect(&at, PATIENCE * WEIR_SEC, WEIR_ECANCELED);
    while (n > 0)
        stream_close(&st[--n], false);
    close(fd);
}

static void canceler(void *arg)
{
    (void)arg;
    AWAIT(atomic_load(&victim) != 0);
    strand_cancel(atomic_load(&victim), WEIR_ESHUTDOWN);
}

static void cancelling(void **state)
{
    (void)state;
    workers_start(2);
    workers_run(0, canceled_connect_strand, NULL);
    workers_run(1, canceler, NULL);
    workers_join();
    workers_stop();
}

/* Listeners: no workers needed */

static int open_fails(const char *text, const char *want_step)
{
    const char *step = NULL;
    struct addr at = address(text);
    int rc = listen_open(&at, 1, &step);

    assert_true(rc < 0);
    assert_string_equal(step, want_step);
    return -rc;
}

static void listening_twice(void **state)
{
    struct addr at;
    char text[ADDR_TEXT];
    int fd = listener("127.0.0.1:0", 1, &at);

    (void)state;
    assert_true(at.port != 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    addr_print(&at, text);
    assert_int_equal(open_fails(text, "bind"), EADDRINUSE);
    close(fd);
    if (getuid() != 0)
        assert_int_equal(open_fails("127.0.0.1:1", "bind"), EACCES);
    assert_int_equal(open_fails("unix:/nosuchfolder/s", "bind"), ENOENT);
}

/* Some other program may have the port in IPv4: then another one. */
static void both_families_on_one_port(void **state)
{
    int v4 = -EADDRINUSE;

    (void)state;
    if (!has_ipv6())
        return;
    for (int tries = 0; v4 == -EADDRINUSE && tries < 20; tries++) {
        struct addr at, all = address("0.0.0.0:0");
        int v6 = listener("[::]:0", 1, &at);
        const char *step;

        all.port = at.port;
        v4 = listen_open(&all, 1, &step);
        close(v6);
    }
    assert_true(v4 >= 0);
    close(v4);
}

static void stale_unix_sockets(void **state)
{
    struct addr at;
    struct stat after;
    int fd = listener(socket_text, 1, &at), file;

    (void)state;
    assert_int_equal(open_fails(socket_text, "bind"), EADDRINUSE); /* somebody listens */
    close(fd);

    fd = listener(socket_text, 1, &at); /* nobody does: a new one in its place */
    assert_int_equal(stat(SOCKET_PATH, &after), 0);
    assert_true(S_ISSOCK(after.st_mode));
    close(fd);
    unlink(SOCKET_PATH);

    file = creat(SOCKET_PATH, 0600); /* no socket: not ours to remove */
    assert_int_equal(open_fails(socket_text, "bind"), EADDRINUSE);
    assert_int_equal(stat(SOCKET_PATH, &after), 0);
    assert_true(S_ISREG(after.st_mode));
    close(file);
    unlink(SOCKET_PATH);
}

/* A backlog that is full is no proof that nobody listens. */
static void a_busy_unix_socket_stays(void **state)
{
    struct addr at;
    struct sockaddr_storage ss;
    socklen_t len;
    int fd = listener(socket_text, 0, &at), client[64], n = 0;

    (void)state;
    len = addr_to_sockaddr(&at, &ss);
    for (; n < (int)ARRAY_LEN(client); n++) {
        client[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(client[n], (struct sockaddr *)&ss, len) != 0)
            break;
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(open_fails(socket_text, "bind"), EADDRINUSE);
    for (; n >= 0; n--)
        close(client[n]);
    close(fd);
    unlink(SOCKET_PATH);
}

/* Names: only what /etc/hosts has, no name service is asked */

static void check_localhost(void)
{
    struct addr found[8];
    char text[ADDR_TEXT];
    const char *why = NULL;
    int n = resolve("localhost", 80, found, ARRAY_LEN(found), &why);
    bool seen = false;

    ensure(n > 0);
    for (int i = 0; i < n; i++) {
        seen |= weir_eq(addr_print(&found[i], text), "127.0.0.1:80") ||
                weir_eq(addr_print(&found[i], text), "[::1]:80");
        for (int k = 0; k < i; k++)
            ensure(!addr_eq(&found[i], &found[k]));
    }
    ensure(seen);
    ensure(resolve("localhost", 80, found, 1, &why) == 1);
    ensure(resolve("127.0.0.9", 80, found, 1, &why) == 1); /* numbers, should one come here */
    ensure(weir_eq(addr_print(&found[0], text), "127.0.0.9:80"));

    ensure(resolve("not a name", 80, found, 1, &why) == WEIR_EDNS);
    ensure(why != NULL && why[0] != '\0');
}

static void names_strand(void *arg)
{
    (void)arg;
    check_localhost();
}

static void names(void **state)
{
    (void)state;
    check_localhost();
    on_workers(1, names_strand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting),
        cmocka_unit_test(refusals),
        cmocka_unit_test(full_backlogs),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(listening_twice),
        cmocka_unit_test(both_families_on_one_port),
        cmocka_unit_test(stale_unix_sockets),
        cmocka_unit_test(a_busy_unix_socket_stays),
        cmocka_unit_test(names),
        cmocka_unit_test(no_connection_to_itself),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
