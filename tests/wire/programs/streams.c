/* streams.c -- listeners and streams (<weir/runtime.h>): a server and its clients in one program.
 * The port is told by the line with which the server says that it listens. */
#include "checks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MANY = 1000, WAITERS = 10, LONG = 300000 };

static struct {
    int (*fn)(void);
    struct weir_channel *said; /* the address, when it listens */
    char addr[32];
    struct weir_listener *listener;
} program;

/* Called by the thread that writes logs. */
static void hear(void *arg, bool error, weir_str line)
{
    static const char before[] = "listening on ";
    char addr[32] = "";
    size_t i = 0;

    (void)arg;
    fprintf(stderr, "%s: " WEIR_FMT "\n", error ? "error" : "access", WEIR_ARG(line));
    if (!weir_starts(line, before))
        return;
    for (line.ptr += sizeof before - 1; i < sizeof addr - 1 && line.ptr[i] != ' '; i++)
        addr[i] = line.ptr[i];
    CHECK(weir_channel_send(program.said, addr, 0) == 0);
}

static int listen_and(void *arg)
{
    int rc;

    (void)arg;
    CHECK(weir_listen("127.0.0.1:0", &program.listener) == 0);
    CHECK(weir_channel_receive(program.said, program.addr, WEIR_FOREVER) == 0);
    rc = program.fn();
    weir_listener_close(&program.listener);
    CHECK(program.listener == NULL);
    return rc;
}

static int run(int argc, char **argv, int (*fn)(void))
{
    struct weir_server *server = weir_server_new(argc, argv);
    int rc;

    program.fn = fn;
    program.said = weir_channel_new(4, sizeof program.addr);
    weir_server_log_to(server, hear, NULL);
    weir_server_add_task(server, listen_and, NULL);
    rc = weir_server_run(server);
    weir_channel_free(&program.said);
    return rc;
}

/* Both ends of a connection. */
static void make_pair(struct weir_stream **near, struct weir_stream **far)
{
    CHECK(weir_connect(program.addr, WEIR_SEC, near) == 0);
    CHECK(weir_accept(program.listener, WEIR_FOREVER, far) == 0);
    CHECK(weir_eq(weir_stream_peer(*near), program.addr));
    CHECK(weir_starts(weir_stream_peer(*far), "127.0.0.1:"));
}

/* ---- errors ---------------------------------------------------------------------------------- */

static int wrong_addresses(void)
{
    static const struct {
        const char *addr;
        int rc;
    } cases[] = {
        { "", WEIR_EINVALID },          { ":8080", WEIR_EINVALID },
        { "nonsense", WEIR_EINVALID },  { "127.0.0.1:99999", WEIR_EINVALID },
        { "127.0.0.1", WEIR_EINVALID }, { "unix:/nowhere/socket", WEIR_ECONNECT },
    };
    struct weir_listener *l;
    struct weir_stream *st;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = weir_connect(cases[i].addr, WEIR_SEC, &st);

        if (rc != cases[i].rc)
            fprintf(stderr, "%s: %s\n", cases[i].addr, weir_error_why(rc));
        CHECK(rc == cases[i].rc && st == NULL);
    }
    CHECK(weir_listen("nonsense", &l) == WEIR_ELISTEN && l == NULL);
    CHECK(weir_listen(program.addr, &l) == WEIR_ELISTEN && l == NULL); /* it is taken */
    return 0;
}

static int no_listener(void)
{
    struct weir_stream *st, *left;
    char byte;

    CHECK(weir_connect(program.addr, WEIR_SEC, &left) == 0);
    weir_listener_close(&program.listener); /* who was not accepted is reset */
    CHECK(weir_stream_read(left, &byte, 1, WEIR_FOREVER) == WEIR_EUPRESET);
    weir_stream_close(&left);
    CHECK(weir_connect(program.addr, WEIR_SEC, &st) == WEIR_EREFUSED && st == NULL);
    return 0;
}

/* ---- one stream ------------------------------------------------------------------------------ */

static int both_ends(void)
{
    struct weir_stream *near, *far, *none;
    char buf[8] = "";

    CHECK(weir_accept(program.listener, 0, &none) == WEIR_ETIMEOUT && none == NULL);
    CHECK(weir_accept(program.listener, WEIR_MS, &none) == WEIR_ETIMEOUT && none == NULL);
    make_pair(&near, &far);
    CHECK(weir_stream_read(far, buf, 8, 0) == WEIR_ETIMEOUT);
    CHECK(weir_stream_read(far, buf, 8, WEIR_MS) == WEIR_ETIMEOUT);
    CHECK(weir_stream_read(far, buf, 0, 0) == WEIR_EINVALID);
    CHECK(weir_stream_read(far, NULL, 8, 0) == WEIR_EINVALID);
    CHECK(weir_stream_write(near, NULL, 1, 0) == WEIR_EINVALID);
    CHECK(weir_stream_write(near, NULL, 0, 0) == 0 && weir_stream_write(near, "ab", 2, 0) == 0);
    CHECK(weir_stream_read(far, buf, 1, WEIR_FOREVER) == 1 && buf[0] == 'a');
    CHECK(weir_stream_read(far, buf, SIZE_MAX / 2, 0) == 1 && buf[0] == 'b');
    CHECK(weir_stream_finish(near) == 0); /* and may still read */
    for (int i = 0; i < 2; i++)
        CHECK(weir_stream_read(far, buf, 8, WEIR_FOREVER) == 0);
    CHECK(weir_stream_write(far, "cd", 2, WEIR_SEC) == 0);
    CHECK(weir_stream_read(near, buf, 2, WEIR_FOREVER) == 2 && buf[1] == 'd');
    weir_stream_reset(&far);
    CHECK(far == NULL && weir_stream_read(near, buf, 8, WEIR_FOREVER) == WEIR_EUPRESET);
    weir_stream_close(&near);

    make_pair(&near, &far);
    weir_stream_reset(&near);
    CHECK(weir_stream_read(far, buf, 8, WEIR_FOREVER) == WEIR_ECLIENTGONE);
    CHECK(weir_stream_write(far, "x", 1, WEIR_SEC) == WEIR_ECLIENTGONE);
    CHECK(weir_stream_finish(far) == WEIR_ECLIENTGONE);
    weir_stream_close(&far);
    return 0;
}

/* ---- calls that do not block, from a thread of one's own ------------------------------------- */

static int close_both(void *arg)
{
    struct weir_stream **ends = arg;
    char byte;

    CHECK(weir_stream_read(ends[0], &byte, 1, WEIR_SEC) == WEIR_EINVALID);
    CHECK(weir_stream_write(ends[0], "a", 1, 0) == WEIR_EINVALID);
    CHECK(weir_stream_finish(ends[1]) == 0);
    weir_stream_close(&ends[0]);
    weir_stream_reset(&ends[1]);
    return 0;
}

static int elsewhere(void)
{
    struct weir_stream *ends[2];

    for (int i = 0; i < 100; i++) {
        make_pair(&ends[0], &ends[1]);
        CHECK(weir_blocking(close_both, ends) == 0 && ends[0] == NULL && ends[1] == NULL);
    }
    return 0;
}

/* ---- cancelled readers ----------------------------------------------------------------------- */

static struct {
    struct weir_stream *near, *far;
    size_t got;
} cut;

static int read_on(void *arg)
{
    char buf[1000];
    ptrdiff_t n;

    (void)arg;
    while ((n = weir_stream_read(cut.far, buf, sizeof buf, WEIR_FOREVER)) > 0)
        for (ptrdiff_t i = 0; i < n; i++)
            CHECK(buf[i] == (char)(cut.got++ % 251));
    return n == 0 ? WEIR_EUPCUT : WEIR_ECANCELED; /* the end is told to who waits for it */
}

static void write_long(void *arg)
{
    char *bytes = malloc(LONG);

    (void)arg;
    CHECK(bytes != NULL);
    for (size_t i = 0; i < LONG; i++)
        bytes[i] = (char)(i % 251);
    for (size_t i = 0; i < LONG; i += 777) {
        CHECK(weir_stream_write(cut.near, bytes + i, i + 777 < LONG ? 777 : LONG - i,
                                WEIR_FOREVER) == 0);
        if (i % 5 == 0)
            weir_yield();
    }
    weir_stream_close(&cut.near); /* what was written still arrives */
    free(bytes);
}

/* Whoever is cancelled amid a stream has lost nothing of it. */
static int cut_off(void)
{
    struct weir_scope sc;
    unsigned rounds = 0;
    int rc;

    make_pair(&cut.near, &cut.far);
    CHECK(weir_spawn(write_long, NULL) == 0);
    do {
        weir_scope_open(&sc);
        CHECK(weir_scope_spawn(&sc, read_on, NULL) == 0);
        rc = weir_scope_wait(&sc, (weir_dur)(rounds++ % 4) * WEIR_MS / 10);
        rc = weir_scope_end(&sc, rc);
    } while (rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED);
    CHECK(rc == WEIR_EUPCUT && cut.got == LONG);
    weir_stream_close(&cut.far);
    return 0;
}

/* ---- many ------------------------------------------------------------------------------------ */

static atomic_uint answered, accepted;

static void echo(void *arg)
{
    struct weir_stream *st = arg;
    char buf[100];
    ptrdiff_t n;

    while ((n = weir_stream_read(st, buf, sizeof buf, WEIR_FOREVER)) > 0)
        CHECK(weir_stream_write(st, buf, (size_t)n, WEIR_FOREVER) == 0);
    CHECK(n == 0);
    weir_stream_close(&st);
}

static int accept_on(void *arg)
{
    struct weir_stream *st;

    (void)arg;
    while (weir_accept(program.listener, WEIR_FOREVER, &st) == 0) {
        accepted++;
        CHECK(weir_spawn(echo, st) == 0);
    }
    CHECK(weir_canceled() == WEIR_ECANCELED);
    return WEIR_ECANCELED;
}

static void ask(void *arg)
{
    struct weir_stream *st;
    char text[32], buf[32];
    int len = snprintf(text, sizeof text, "number %u", (unsigned)(uintptr_t)arg), have = 0;

    CHECK(weir_connect(program.addr, WEIR_FOREVER, &st) == 0);
    CHECK(weir_stream_write(st, text, (size_t)len, WEIR_FOREVER) == 0);
    CHECK(weir_stream_finish(st) == 0);
    for (ptrdiff_t n = 1; n > 0; have += (int)n) {
        n = weir_stream_read(st, buf + have, sizeof buf - (size_t)have, WEIR_FOREVER);
        CHECK(n >= 0);
    }
    CHECK(have == len && memcmp(text, buf, (size_t)len) == 0);
    weir_stream_close(&st);
    answered++;
}

static int many(void)
{
    struct weir_scope sc;

    weir_scope_open(&sc);
    for (int i = 0; i < WAITERS; i++)
        CHECK(weir_scope_spawn(&sc, accept_on, NULL) == 0);
    for (uintptr_t i = 0; i < MANY; i++)
        CHECK(weir_spawn(ask, (void *)i) == 0);
    while (answered < MANY)
        CHECK(weir_sleep_for(WEIR_MS) == 0);
    CHECK(weir_scope_end(&sc, 0) == 0);
    CHECK(accepted == MANY);
    return 0;
}

#define CHECK_OF(name, fn) \
    static int name(int argc, char **argv) \
    { \
        return run(argc, argv, fn); \
    }
CHECK_OF(check_addresses, wrong_addresses)
CHECK_OF(check_no_listener, no_listener)
CHECK_OF(check_both_ends, both_ends)
CHECK_OF(check_elsewhere, elsewhere)
CHECK_OF(check_cut_off, cut_off)
CHECK_OF(check_many, many)

static const struct check checks[] = {
    { "addresses", check_addresses },
    { "no_listener", check_no_listener },
    { "both_ends", check_both_ends },
    { "elsewhere", check_elsewhere },
    { "cut_off", check_cut_off },
    { "many", check_many },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    return run_check(argc, argv, checks);
}
