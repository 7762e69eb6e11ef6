/* test_pool_shared.c -- upstream connections that many requests use at once: who gets a stream
 * where, who opens, who waits, what is remembered; against our own server side, on several
 * workers. */
#include "heads.h"
#include "workers.h"

#include "net/listen.h"
#include "pool/shared.h"
#include "runtime/co.h"

enum { CLIENTS = 32, REQUESTS = 40, STREAMS = 5, WORKERS = 4 };

/* ---- the upstream ---------------------------------------------------------------------------- */

static struct {
    int listener;
    struct addr addr;
    struct peer_key key;
    _Atomic bool over;      /* it accepts no more */
    _Atomic unsigned conns; /* accepted so far */
    _Atomic unsigned alive; /* being served */
    _Atomic unsigned asked; /* requests */
} origin;

static void answer(void *arg)
{
    struct h2_stream *st = arg;
    struct http_stream *http = h2_stream_http(st);
    struct pace pace = no_hurry();
    char page[4096];
    struct arena arena;
    struct weir_head req, res;
    struct http_message m = {
        .head = &res,
        .framing = { .mode = BODY_LENGTH, .length = 5 },
    };

    arena_init(&arena, page, sizeof page);
    head_init(&req, &arena, 0);
    head_init(&res, &arena, 0);
    res.status = 200;
    atomic_fetch_add(&origin.asked, 1);
    if (h2_stream_begin(st) == 0 && http_read_head(http, &req, METHOD_OTHER, pace.limit) == 1)
        ensure(http_write(http, &m, LIT("hello"), true, &pace) == 0);
    h2_stream_end(st);
    arena_done(&arena);
}

static int answer_on_strand(struct h2_stream *st, void *owner)
{
    (void)owner;
    return strand_start(answer, st);
}

static const struct h2_config serving = {
    .limits = &usual_limits,
    .header_timeout = PATIENCE * WEIR_SEC,
    .send_timeout = PATIENCE * WEIR_SEC,
    .max_streams = STREAMS,
    .max_requests = UINT64_MAX,
    .open = answer_on_strand,
};

static void serve_conn(void *arg)
{
    struct stream net = stream_of((int)(intptr_t)arg, true);
    struct h2_conn *c = h2_server_new(&net, &serving, NULL);

    ensure(c != NULL);
    while (h2_serve(c, LIT("")) == H2_IDLE)
        continue;
    h2_free(&c);
    stream_close(&net, false);
    atomic_fetch_sub(&origin.alive, 1);
}

/* Until it is told to end, and all its connections have. */
static void accept_all(void *arg)
{
    (void)arg;
    while (!atomic_load(&origin.over)) {
        int fd = accept4(origin.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            co_sleep(deadline_in(rt_now(), WEIR_MS, 0));
            continue;
        }
        atomic_fetch_add(&origin.conns, 1);
        atomic_fetch_add(&origin.alive, 1);
        ensure(strand_start(serve_conn, (void *)(intptr_t)fd) == 0);
    }
    AWAIT(atomic_load(&origin.alive) == 0);
}

static void (*client)(unsigned number);
static _Atomic unsigned numbers, left;

/* The last one that has what it wanted ends the upstream. */
static void run_client(void *arg)
{
    (void)arg;
    client(atomic_fetch_add(&numbers, 1));
    if (atomic_fetch_sub(&left, 1) > 1)
        return;
    pool_drain();
    atomic_store(&origin.over, true);
}

/* `fn` on `n` strands of all workers, beside an upstream. */
static void against_origin(unsigned n, void (*fn)(unsigned number))
{
    struct addr at = { .kind = ADDR_V4, .ip = { 127, 0, 0, 1 } };
    const char *step;

    origin.listener = listen_open(&at, 1024, &step);
    assert_true(origin.listener >= 0);
    assert_int_equal(fcntl(origin.listener, F_SETFL, O_NONBLOCK), 0);
    addr_of_socket(origin.listener, &origin.addr);
    assert_int_equal(peer_key_make(&origin.key, &origin.addr, &(struct weir_peer){ 0 }), 0);
    atomic_store(&origin.over, false);
    atomic_store(&origin.conns, 0);
    atomic_store(&origin.asked, 0);
    atomic_store(&numbers, 0);
    atomic_store(&left, n);
    client = fn;
    workers_start(WORKERS);
    assert_int_equal(pool_start(64), 0);
    workers_run(0, accept_all, NULL);
    for (unsigned i = 0; i < n; i++)
        workers_run(i % WORKERS, run_client, NULL);
    workers_join();
    workers_stop();
    pool_stop();
    close(origin.listener);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct deadline soon(weir_dur span)
{
    return deadline_in(rt_now(), span, WEIR_ECONNTIME);
}

/* A stream by whatever turn; the idle time of a connection that has to be made. */
static struct h2_stream *obtain(weir_dur idle)
{
    const struct shared_terms terms = { .turn = true };
    struct h2_stream *st = NULL;
    struct upstream *up;
    int rc = shared_obtain(&origin.key, soon(PATIENCE * WEIR_SEC), &st);

    if (rc == SHARED_OPEN) {
        ensure(upstream_open(&origin.key, &origin.addr, NULL, idle, soon(PATIENCE * WEIR_SEC),
                             &up) == 0);
        ensure(shared_publish(&origin.key, &up, &terms, &st) == 0);
        ensure(up == NULL);
        return st;
    }
    ensure(rc == SHARED_STREAM && st != NULL);
    return st;
}

static void ask(struct h2_stream *st)
{
    struct http_stream *http = h2_stream_http(st);
    struct pace pace = no_hurry();
    char page[4096];
    struct arena arena;
    struct weir_head req, res;
    struct http_message m = { .head = &req, .framing = { .mode = BODY_NONE } };
    weir_str piece;

    arena_init(&arena, page, sizeof page);
    head_init(&req, &arena, 0);
    head_init(&res, &arena, 0);
    req.method = LIT("GET");
    req.method_id = METHOD_GET;
    req.target = LIT("/");
    head_set_id(&req, FIELD_HOST, LIT("origin.test"));
    ensure(http_write(http, &m, LIT(""), true, &pace) == 0);
    ensure(http_read_head(http, &res, METHOD_GET, pace.limit) == 1);
    ensure(res.status == 200);
    ensure(http_read_body(http, &piece, &pace) == HTTP_PIECE && piece.len == 5);
    while (!http->body_done)
        ensure(http_read_body(http, &piece, &pace) >= 0);
    h2_stream_end(st);
    arena_done(&arena);
}

static void ask_many(unsigned number)
{
    (void)number;
    for (unsigned i = 0; i < REQUESTS; i++) {
        ask(obtain(WEIR_FOREVER));
        if (i % 8 == 7)
            co_yield ();
    }
}

/* No stream beyond what the peer allows: it would be refused, and `ask` fails. */
static void all_share(void **state)
{
    (void)state;
    against_origin(CLIENTS, ask_many);
    assert_int_equal(atomic_load(&origin.asked), CLIENTS * REQUESTS);
    assert_in_range(atomic_load(&origin.conns), CLIENTS / STREAMS / 4, CLIENTS);
}

/* Idle for a moment each time: who wants it, its timeout and its end meet in all orders. */
static void ask_and_rest(unsigned number)
{
    for (unsigned i = 0; i < 12; i++) {
        ask(obtain(120 * WEIR_MS));
        co_sleep(deadline_in(rt_now(), (int64_t)(90 + (number * 7 + i * 13) % 200) * WEIR_MS, 0));
    }
}

static void idle_and_again(void **state)
{
    (void)state;
    against_origin(3, ask_and_rest);
    assert_int_equal(atomic_load(&origin.asked), 36);
}

static void expire(unsigned number)
{
    (void)number;
    ask(obtain(10 * WEIR_MS));
    AWAIT(atomic_load(&origin.alive) == 0);
    ask(obtain(10 * WEIR_MS));
}

static void idle_timeout(void **state)
{
    (void)state;
    against_origin(1, expire);
    assert_int_equal(atomic_load(&origin.conns), 2);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static int attempt;                /* what comes of the first turn */
static _Atomic unsigned counts[3]; /* turns, failures, HTTP/1 */
enum { TURNS, FAILED, TOLD_H1 };

/* The first one gets the turn, and ends it when all others wait. */
static void take_turns(unsigned number)
{
    struct h2_stream *st;
    int rc;

    (void)number;
    rc = shared_obtain(&origin.key, soon(PATIENCE * WEIR_SEC), &st);
    if (rc == SHARED_OPEN && atomic_fetch_add(&counts[TURNS], 1) == 0) {
        AWAIT(shared_waiting() == CLIENTS - 1);
        if (attempt == SHARED_H1)
            shared_h1(&origin.key);
        else
            shared_failed(&origin.key, attempt);
    } else if (rc == SHARED_OPEN) {
        shared_failed(&origin.key, attempt);
    } else if (rc == SHARED_H1) {
        atomic_fetch_add(&counts[TOLD_H1], 1);
    } else {
        ensure(rc == attempt);
        atomic_fetch_add(&counts[FAILED], 1);
    }
}

static void turns_that_end(int how, unsigned turns, unsigned failed, unsigned h1)
{
    attempt = how;
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++)
        atomic_store(&counts[i], 0);
    against_origin(CLIENTS, take_turns);
    assert_int_equal(atomic_load(&counts[TURNS]), turns);
    assert_int_equal(atomic_load(&counts[FAILED]), failed);
    assert_int_equal(atomic_load(&counts[TOLD_H1]), h1);
    assert_int_equal(atomic_load(&origin.conns), 0);
}

/* All who wait fail with it, and nobody tries again. */
static void failed_for_all(void **state)
{
    (void)state;
    turns_that_end(WEIR_EREFUSED, 1, CLIENTS - 1, 0);
}

/* Its cause is who tried (a client that left, a fetch with little time): each of the others has a
 * turn of its own. */
static void failed_for_one(void **state)
{
    static const int causes[] = { WEIR_ECANCELED, WEIR_ETRYTIME, WEIR_EUPTIME, WEIR_ECONNTIME };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(causes); i++)
        turns_that_end(causes[i], CLIENTS, 0, 0);
}

static void h1_for_all(void **state)
{
    (void)state;
    turns_that_end(SHARED_H1, 1, 0, CLIENTS - 1);
}

/* Who waits has a deadline of its own. */
static void wait_in_vain(unsigned number)
{
    struct h2_stream *st;

    (void)number;
    ensure(shared_obtain(&origin.key, soon(WEIR_SEC), &st) == SHARED_OPEN);
    ensure(shared_obtain(&origin.key, soon(20 * WEIR_MS), &st) == WEIR_ECONNTIME);
    ensure(shared_waiting() == 0);
    shared_failed(&origin.key, WEIR_EREFUSED);
}

static void deadlines(void **state)
{
    (void)state;
    against_origin(1, wait_in_vain);
}

/* ---- what is remembered ---------------------------------------------------------------------- */

static int turn_of(const struct peer_key *key)
{
    struct h2_stream *st;

    return shared_obtain(key, soon(WEIR_SEC), &st);
}

static void remember(unsigned number)
{
    struct peer_key other;

    (void)number;
    ensure(peer_key_make(&other, &origin.addr, &(struct weir_peer){ .group = LIT("b") }) == 0);
    ensure(turn_of(&origin.key) == SHARED_OPEN);
    shared_h1(&origin.key);
    ensure(turn_of(&origin.key) == SHARED_H1);
    shared_only_h1(&origin.key);
    ensure(turn_of(&origin.key) == SHARED_ONLY_H1);
    ensure(turn_of(&other) == SHARED_OPEN);
    shared_failed(&other, WEIR_EREFUSED);
    ensure(turn_of(&other) == SHARED_OPEN); /* a failure is not remembered */
    shared_failed(&other, WEIR_EREFUSED);
}

/* It speaks HTTP/2 after all. */
static void change_of_mind(unsigned number)
{
    const struct shared_terms terms = { .turn = false };
    struct h2_stream *st;
    struct upstream *up;

    remember(number);
    ensure(upstream_open(&origin.key, &origin.addr, NULL, WEIR_FOREVER, soon(WEIR_SEC), &up) == 0);
    ensure(shared_publish(&origin.key, &up, &terms, &st) == 0);
    ask(st);
    ask(obtain(WEIR_FOREVER));
}

static void memory(void **state)
{
    (void)state;
    against_origin(1, change_of_mind);
    assert_int_equal(atomic_load(&origin.conns), 1);
}

/* Any number of peers of HTTP/1: the first are forgotten, and those in use are not. */
static void many_peers(unsigned number)
{
    struct peer_key key, first;
    char name[16];

    (void)number;
    ensure(turn_of(&origin.key) == SHARED_OPEN);
    for (unsigned i = 0; i < 60000; i++) {
        weir_str group = { name, (size_t)snprintf(name, sizeof name, "%u", i) };

        ensure(peer_key_make(&key, &origin.addr, &(struct weir_peer){ .group = group }) == 0);
        ensure(turn_of(&key) == SHARED_OPEN);
        shared_h1(&key);
        ensure(turn_of(&key) == SHARED_H1);
        if (i == 0)
            first = key;
    }
    ensure(turn_of(&first) == SHARED_OPEN);
    shared_failed(&first, WEIR_EREFUSED);
    shared_failed(&origin.key, WEIR_EREFUSED);
}

static void bounded(void **state)
{
    (void)state;
    against_origin(1, many_peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_share),      cmocka_unit_test(idle_and_again),
        cmocka_unit_test(idle_timeout),   cmocka_unit_test(failed_for_all),
        cmocka_unit_test(failed_for_one), cmocka_unit_test(h1_for_all),
        cmocka_unit_test(deadlines),      cmocka_unit_test(memory),
        cmocka_unit_test(bounded),
    };

    return cmocka_run_group_tests_name("pool_shared", tests, NULL, NULL);
}
