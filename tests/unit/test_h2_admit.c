/* test_h2_admit.c -- a request for which there is no room yet waits for one that runs to end: to
 * its client that one is over already. One request may run at a time. */
#include "heads.h"
#include "h2_raw.h"

#include "http/h2.h"
#include "runtime/co.h"

enum { HOLD = 1, REFUSE = 2 }; /* what becomes of requests */

static struct {
    struct h2_conn *conn;
    sem_t there;
    int server;
    _Atomic unsigned mode, started;
} front;

/* ---- the server ------------------------------------------------------------------------------ */

/* The response has left, and its strand has something else to do. */
static void answer(void *arg)
{
    struct h2_stream *st = arg;
    struct http_stream *http = h2_stream_http(st);
    struct pace pace = no_hurry();
    char page[4096];
    struct arena arena;
    struct weir_head req, res;
    struct http_message m = { .head = &res, .framing = { .mode = BODY_LENGTH, .length = 2 } };

    atomic_fetch_add(&front.started, 1);
    arena_init(&arena, page, sizeof page);
    head_init(&req, &arena, 0);
    head_init(&res, &arena, 0);
    res.status = 200;
    ensure(h2_stream_begin(st) == 0);
    ensure(http_read_head(http, &req, METHOD_OTHER, pace.limit) == 1);
    ensure(http_write(http, &m, LIT("ok"), true, &pace) == 0);
    while (atomic_load(&front.mode) & HOLD && co_check() == 0)
        co_sleep(deadline_in(rt_now(), WEIR_MS, 0));
    h2_stream_end(st);
    arena_done(&arena);
}

static int open_stream(struct h2_stream *st, void *owner)
{
    (void)owner;
    return atomic_load(&front.mode) & REFUSE ? WEIR_ESTACKS : strand_start(answer, st);
}

static const struct h2_config config = {
    .limits = &usual_limits,
    .header_timeout = PATIENCE * WEIR_SEC,
    .send_timeout = PATIENCE * WEIR_SEC,
    .max_streams = 1,
    .max_requests = UINT64_MAX,
    .open = open_stream,
};

static void serve(void *arg)
{
    struct stream net = stream_of(front.server, false);

    (void)arg;
    front.conn = h2_server_new(&net, &config, NULL);
    ensure(front.conn != NULL);
    sem_post(&front.there);
    while (h2_serve(front.conn, LIT("")) == H2_IDLE)
        continue;
    h2_free(&front.conn);
    stream_close(&net, false);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void request(const char *method, unsigned flags, unsigned stream)
{
    char block[] = { '?', '\x86', '\x84', 'A', 1, 'a' }; /* http, /, :authority a */

    block[0] = strcmp(method, "GET") == 0 ? '\x82' : '\x83';
    say(HEADERS, END_HEADERS | flags, stream, block, sizeof block);
}

static void hang_up(void)
{
    close(raw_fd);
    workers_join();
}

/* ---- the cases ------------------------------------------------------------------------------- */

/* A connection with one request that is over to its client, and still runs. */
static int one_runs(void **state)
{
    (void)state;
    front.server = raw_pair();
    sem_init(&front.there, 0, 0);
    atomic_store(&front.mode, HOLD);
    atomic_store(&front.started, 0);
    workers_start(2);
    workers_run(0, serve, NULL);
    sem_wait(&front.there);
    assert_int_equal(write(raw_fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 24);
    say(SETTINGS, 0, 0, NULL, 0);
    request("GET", END_STREAM, 1);
    hear(DATA, END_STREAM, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    workers_stop();
    sem_destroy(&front.there);
    return 0;
}

static void waits_for_its_turn(void **state)
{
    (void)state;
    request("GET", END_STREAM, 3);
    settle();
    assert_int_equal(front.started, 1);
    atomic_store(&front.mode, 0);
    hear(DATA, END_STREAM, 3);
    assert_int_equal(front.started, 2);
    hang_up();
}

/* Its client is told at once, also if nothing else happens on the connection. */
static void refused_when_its_turn_comes(void **state)
{
    (void)state;
    request("GET", END_STREAM, 3);
    settle();
    atomic_store(&front.mode, REFUSE);
    assert_int_equal(hear(RST_STREAM, 0, 3), REFUSED_STREAM);
    assert_int_equal(front.started, 1);
    hang_up();
}

/* What has come of its body makes room in the window of the connection; and so does it for the next
 * one, also if all of them come at once. */
static void reset_while_it_waits(void **state)
{
    static const char body[15000];
    enum { LAST = 19 }; /* with it half of the window is used up */
    struct raw_frame f;

    (void)state;
    for (unsigned stream = 3; stream <= LAST; stream += 2) {
        request("POST", 0, stream);
        for (int i = 0; i < 4; i++)
            say(DATA, 0, stream, body, sizeof body);
        say(RST_STREAM, 0, stream, "\0\0\0\x8", 4);
    }
    do {
        f = next_frame();
        assert_int_not_equal(f.type, RST_STREAM);
    } while (f.type != WINDOW_UPDATE || f.stream != 0);
    assert_true(f.number >= H2_CONN_WINDOW / 2);
    assert_int_equal(front.started, 1);
    hang_up();
}

static void its_client_leaves(void **state)
{
    (void)state;
    request("POST", 0, 3);
    say(DATA, 0, 3, "hello", 5);
    settle();
    hang_up();
    assert_int_equal(front.started, 1);
}

/* GOAWAY counts it among those that are served. */
static void served_while_the_connection_is_wound_up(void **state)
{
    (void)state;
    request("GET", END_STREAM, 3);
    settle();
    h2_drain(front.conn);
    hear(PING, 0, 0); /* it goes past the other */
    assert_int_equal(hear(GOAWAY, 0, 0), INT32_MAX);
    say(PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(hear(GOAWAY, 0, 0), 3);
    atomic_store(&front.mode, 0);
    hear(DATA, END_STREAM, 3);
    while (next_frame().type != THE_END)
        continue;
    hang_up();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, one_runs, stop)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(waits_for_its_turn),
        CASE(refused_when_its_turn_comes),
        CASE(reset_while_it_waits),
        CASE(its_client_leaves),
        CASE(served_while_the_connection_is_wound_up),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
