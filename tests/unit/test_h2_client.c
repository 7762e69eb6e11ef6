/* test_h2_client.c -- our side as a client, before a server that is not polite. */
#include "heads.h"
#include "h2_raw.h"

#include "http/h2_parts.h"
#include "runtime/co.h"

static struct {
    struct h2_conn *conn;
    int fd;
    _Atomic bool go;
    sem_t written, refused;
} client;

static const struct h2_config config = {
    .limits = &usual_limits,
    .header_timeout = PATIENCE * WEIR_SEC,
    .send_timeout = PATIENCE * WEIR_SEC,
    .max_streams = 100,
    .max_requests = UINT64_MAX,
};

static void write_request(struct h2_stream *st)
{
    struct pace pace = no_hurry();
    char page[1024];
    struct arena arena;
    struct weir_head req;
    struct http_message m = { .head = &req, .framing = { .mode = BODY_NONE } };

    arena_init(&arena, page, sizeof page);
    head_init(&req, &arena, 0);
    req.method = LIT("GET");
    req.method_id = METHOD_GET;
    req.target = LIT("/");
    ensure(http_write(h2_stream_http(st), &m, LIT(""), true, &pace) == 0);
    arena_done(&arena);
}

/* Has its stream before it is told to go on. */
static void ask(void *arg)
{
    struct h2_stream *st = arg;
    char page[4096];
    struct arena arena;
    struct weir_head res;

    arena_init(&arena, page, sizeof page);
    head_init(&res, &arena, 0);
    AWAIT(atomic_load(&client.go));
    write_request(st);
    sem_post(&client.written);
    if (http_read_head(h2_stream_http(st), &res, METHOD_GET, NEVER) == WEIR_EUPREFUSED)
        sem_post(&client.refused);
    h2_stream_end(st);
    arena_done(&arena);
}

/* Three requests have a stream before the server has said how many it takes. */
static void serve(void *arg)
{
    struct stream net = stream_of(client.fd, false);

    (void)arg;
    client.conn = h2_client_new(&net, &config, false);
    ensure(client.conn != NULL);
    for (int i = 0; i < 3; i++) {
        struct h2_stream *st = h2_open(client.conn);

        ensure(st != NULL && strand_start(ask, st) == 0);
    }
    while (h2_serve(client.conn, LIT("")) == H2_IDLE)
        continue;
    h2_free(&client.conn);
    stream_close(&net, false);
}

static bool in_time(sem_t *what)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    return sem_timedwait(what, &until) == 0;
}

/* Three requests have streams, and then the server says that it takes `most` at once. */
static void three_wait(const char most)
{
    const char at_once[] = { 0, 3, 0, 0, 0, most };
    unsigned char preface[24];

    atomic_store(&client.go, false);
    sem_init(&client.written, 0, 0);
    sem_init(&client.refused, 0, 0);
    client.fd = raw_pair();
    workers_start(2);
    workers_run(0, serve, NULL);
    assert_true(get_bytes(preface, sizeof preface));
    say(SETTINGS, 0, 0, at_once, sizeof at_once);
    hear(SETTINGS, ACK, 0);
    atomic_store(&client.go, true);
    for (int i = 0; i < 3; i++)
        assert_true(in_time(&client.written));
}

static void hang_up(void)
{
    close(raw_fd);
    workers_join();
    workers_stop();
}

static void answer(unsigned stream)
{
    say(HEADERS, END_STREAM | END_HEADERS, stream, "\x88", 1); /* :status 200 */
}

/* All that was said is known there, and was answered by no frame of this type. */
static void settle_without(unsigned type)
{
    say(PING, 0, 0, "12345678", 8);
    for (struct raw_frame f = next_frame(); f.type != PING; f = next_frame())
        assert_int_not_equal(f.type, type);
}

/* The third request waits as its server takes two at once, and GOAWAY finds it waiting: it can go
 * elsewhere, and the server, which never heard of it, does not hear of its end either. (RFC 9113
 * 5.1: RST_STREAM for an idle stream would be an error of the connection.) */
static void waits_when_goaway_comes(void **state)
{
    static const char last_is_3[8] = { 0, 0, 0, 3 };

    (void)state;
    three_wait(2);
    hear(HEADERS, 0, 1);
    hear(HEADERS, 0, 3);
    settle();
    say(GOAWAY, 0, 0, last_is_3, sizeof last_is_3);
    assert_true(in_time(&client.refused));
    answer(1);
    settle_without(RST_STREAM);
    settle_without(RST_STREAM);
    hang_up();
}

/* A server may take none for a while (RFC 9113 6.5.2). */
static void waits_until_the_server_takes_some(void **state)
{
    static const char two_at_once[] = { 0, 3, 0, 0, 0, 2 };

    (void)state;
    three_wait(0);
    settle_without(HEADERS);
    settle_without(HEADERS);
    say(SETTINGS, 0, 0, two_at_once, sizeof two_at_once);
    hear(HEADERS, 0, 1);
    hear(HEADERS, 0, 3);
    settle_without(HEADERS);
    answer(1);
    hear(HEADERS, 0, 5);
    answer(3);
    answer(5);
    hang_up();
}

/* The frame that fills the buffer of a write: nghttp2 tells of it only when it is asked for the
 * next one. But it may have been seen, so the request is not one of which nothing was sent. */
static void fill_the_buffer(void *arg)
{
    struct stream net = { .slot = NULL };
    struct h2_conn *c = h2_client_new(&net, &config, false);
    struct h2_stream *st = h2_open(c);

    (void)arg;
    ensure(c != NULL && st != NULL);
    h2_gather(c);
    write_request(st);
    c->out_len = sizeof c->out / sizeof *c->out * BUF_SIZE - (16384 + 64);
    ensure(!st->head_out);
    h2_gather(c);
    ensure(st->head_out && nghttp2_session_want_write(c->session));
    c->out_len = 0;
    h2_stream_end(st);
    h2_gather(c);
    h2_free(&c);
}

static void a_head_that_fills_the_buffer(void **state)
{
    (void)state;
    on_workers(1, fill_the_buffer, NULL);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(waits_when_goaway_comes),
        cmocka_unit_test(waits_until_the_server_takes_some),
        cmocka_unit_test(a_head_that_fills_the_buffer),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
