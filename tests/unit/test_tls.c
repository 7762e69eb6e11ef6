/* test_tls.c -- TLS between two strands on two workers: what is negotiated, that bytes arrive as
 * they were sent, how each end looks to the other, and what identities share. */
#include "workers.h"

#include "certs.h"
#include "tls/parts.h"

#define SHORT_WAIT (50 * WEIR_MS)

static const struct addr loopback = { .kind = ADDR_V4, .port = 443, .ip = { 127, 0, 0, 1 } };

/* Both ends of a connection, each on a strand. The functions run once the handshake is over. */
struct pair {
    int fd[2];
    const struct tls_server *server;
    const struct weir_peer *peer;
    const struct addr *to;
    void (*at_server)(struct stream *st);
    void (*at_client)(struct stream *st);
    int want;     /* of tls_connect */
    bool resumed; /* the client went on with an earlier session */
};

static void server_end(void *arg)
{
    struct pair *p = arg;
    struct stream st = stream_of(p->fd[0], true);
    struct deadline until = deadline_in(rt_now(), PATIENCE * WEIR_SEC, WEIR_ETLSTIME);
    char why[TLS_WHY];
    int rc;

    st.reset_err = WEIR_ECLIENTGONE;
    rc = tls_accept(&st, p->server, until, why);
    ensure(rc == 0 || p->want != 0);
    if (rc == 0 && p->at_server != NULL)
        p->at_server(&st);
    stream_close(&st, false);
}

static void client_end(void *arg)
{
    struct pair *p = arg;
    struct stream st = stream_of(p->fd[1], true);
    struct deadline until = deadline_in(rt_now(), PATIENCE * WEIR_SEC, WEIR_EUPTLSTIME);
    struct tls_client *client;
    char why[TLS_WHY];
    int rc;

    ensure(tls_client_get(p->peer, &client, why) == 0);
    rc = tls_connect(&st, client, p->to != NULL ? p->to : &loopback, until, why);
    tls_client_put(&client);
    ensure(rc == p->want);
    ensure(rc == 0 || (why[0] != '\0' && st.filter == NULL));
    if (rc == 0) {
        p->resumed = tls_info(&st)->resumed;
        if (p->at_client != NULL)
            p->at_client(&st);
    }
    stream_close(&st, false);
}

static struct tls_server *new_server(void)
{
    const struct tls_server_config config = { .cert = certs.cert, .key = certs.key };
    struct tls_server *server;
    char why[TLS_WHY];

    assert_int_equal(tls_server_new(&config, &server, why), 0);
    assert_null(tls_server_warning(server));
    return server;
}

static struct weir_peer trusting(const char *name)
{
    return (struct weir_peer){ .tls = true,
                               .sni = weir_str_from(name),
                               .ca_file = weir_str_from(certs.cert) };
}

/* One connection on workers that run. */
static bool meet(struct pair *p)
{
    tcp_pair(p->fd);
    workers_run(0, server_end, p);
    workers_run(1, client_end, p);
    workers_join();
    return p->resumed;
}

static void start(void)
{
    workers_start(2);
}

static void stop(struct tls_server **server)
{
    workers_stop();
    tls_clients_forget();
    tls_server_free(server);
}

/* A connection from start to stop. */
static void over_tls(void (*at_server)(struct stream *), void (*at_client)(struct stream *))
{
    struct weir_peer peer = trusting("origin.test");
    struct tls_server *server = new_server();
    struct pair p = {
        .server = server, .peer = &peer, .at_server = at_server, .at_client = at_client
    };

    start();
    meet(&p);
    stop(&server);
}

static void write_text(struct stream *st, const char *text)
{
    struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
    struct pace pace = no_hurry();

    ensure(stream_write(st, &iov, 1, &pace) == 0 && pace.bytes == strlen(text));
}

static void expect_text(struct stream *st, const char *text)
{
    struct pace pace = no_hurry();
    size_t len = strlen(text), at = 0;
    char got[64];

    while (at < len) {
        ssize_t n = stream_read(st, got + at, len - at, &pace);

        ensure(n > 0);
        at += (size_t)n;
    }
    ensure(memcmp(got, text, len) == 0);
}

/* ---- what is negotiated ---------------------------------------------------------------------- */

static void info_at_server(struct stream *st)
{
    const struct tls_info *info = tls_info(st);

    ensure(strcmp(info->version, "TLSv1.3") == 0 && strncmp(info->cipher, "TLS_", 4) == 0);
    ensure(strcmp(info->sni, "origin.test") == 0 && !info->resumed);
    expect_text(st, "hello");
    write_text(st, "welcome");
}

static void info_at_client(struct stream *st)
{
    ensure(strcmp(tls_info(st)->version, "TLSv1.3") == 0);
    write_text(st, "hello");
    expect_text(st, "welcome");
}

static void both_sides_know(void **state)
{
    (void)state;
    over_tls(info_at_server, info_at_client);
}

/* Both on one worker, so the client is gone before the server writes its session tickets: to
 * OpenSSL that is a handshake all the same, if it is told what became of them (sys_tell). */
static void clients_that_leave_at_once(void **state)
{
    struct tls_server *server = new_server();
    struct weir_peer peer = trusting("origin.test");
    struct pair p = { .server = server, .peer = &peer };

    (void)state;
    workers_start(1);
    tcp_pair(p.fd);
    workers_run(0, server_end, &p);
    workers_run(0, client_end, &p);
    workers_join();
    stop(&server);
}

static void whom_it_trusts(void **state)
{
    static const struct addr elsewhere = { .kind = ADDR_V4, .ip = { 127, 0, 0, 2 } };
    static const struct addr v6 = { .kind = ADDR_V6, .ip = { [15] = 1 } };
    static const struct addr path = { .kind = ADDR_UNIX, .path = "/s" };
    static const struct {
        const char *name;
        const struct addr *to;
        int want;
    } cases[] = {
        { "origin.test", &loopback, 0 },
        { "ORIGIN.test", &loopback, 0 },
        { "a.wild.test", &loopback, 0 },
        { "a.b.wild.test", &loopback, WEIR_EUPCERT },
        { "wild.test", &loopback, WEIR_EUPCERT },
        { "origin.test.evil", &loopback, WEIR_EUPCERT },
        { "a test", &loopback, WEIR_EUPCERT }, /* the subject */
        { NULL, &loopback, 0 },
        { NULL, &elsewhere, WEIR_EUPCERT },
        { NULL, &v6, WEIR_EUPCERT },
        { "127.0.0.1", &elsewhere, 0 }, /* as it was said */
        { "127.0.0.2", &loopback, WEIR_EUPCERT },
        { "origin.test", &path, 0 },
        { NULL, &path, WEIR_EINVALID }, /* nothing to verify */
    };
    struct tls_server *server = new_server();

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_peer peer = trusting(cases[i].name), stranger = peer, blind;
        struct pair p = {
            .server = server, .peer = &peer, .to = cases[i].to, .want = cases[i].want
        };

        meet(&p);
        stranger.ca_file = weir_str_from(certs.other_cert);
        p.peer = &stranger;
        p.want = cases[i].want == WEIR_EINVALID ? WEIR_EINVALID : WEIR_EUPCERT;
        meet(&p);
        blind = stranger;
        blind.no_verify = true;
        p.peer = &blind;
        p.want = 0;
        meet(&p);
    }
    stop(&server);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

enum { BULK = 3 * 1024 * 1024 };

static unsigned char byte_at(size_t pos)
{
    return (unsigned char)(pos * 2654435761u >> 13);
}

/* Pieces of all sizes, some empty, in vectors. */
static int write_bulk(void *arg)
{
    struct stream *st = arg;
    struct pace pace = no_hurry();
    unsigned char *bytes = malloc(100000);
    struct random r;
    size_t pos = 0;

    random_seed(&r, 1);
    while (pos < BULK) {
        size_t most = random_below(&r, 4) == 0 ? 100000 : 3000;
        size_t len = MIN(1 + random_below(&r, most), BULK - pos);
        size_t cut = random_below(&r, len + 1), cut2 = cut + random_below(&r, len - cut + 1);
        struct iovec iov[] = { { bytes, cut },
                               { bytes + cut, 0 },
                               { bytes + cut, cut2 - cut },
                               { bytes + cut2, len - cut2 } };

        for (size_t i = 0; i < len; i++)
            bytes[i] = byte_at(pos + i);
        ensure(stream_write(st, iov, ARRAY_LEN(iov), &pace) == 0);
        pos += len;
        ensure(pace.bytes == pos);
    }
    free(bytes);
    return 0;
}

static int read_bulk(void *arg)
{
    struct stream *st = arg;
    struct pace pace = no_hurry();
    unsigned char *bytes = malloc(50000);
    struct random r;
    size_t pos = 0;

    random_seed(&r, 2);
    while (pos < BULK) {
        ssize_t n = stream_read(st, bytes, 1 + random_below(&r, 50000), &pace);

        ensure(n > 0);
        for (ssize_t i = 0; i < n; i++)
            ensure(bytes[i] == byte_at(pos + (size_t)i));
        pos += (size_t)n;
    }
    ensure(pos == BULK && pace.bytes == BULK);
    free(bytes);
    return 0;
}

/* Reading and writing at once, by two coroutines of one strand. */
static void both_directions(struct stream *st)
{
    struct scope sc;
    struct task t;

    scope_open(&sc);
    ensure(task_start(&sc, &t, write_bulk, st) == 0);
    read_bulk(st);
    ensure(task_join(&t) == 0);
    ensure(scope_close(&sc, 0) == 0);
}

static void bulk_both_ways(void **state)
{
    (void)state;
    over_tls(both_directions, both_directions);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void reads_a_clean_end(struct stream *st)
{
    struct pace pace = no_hurry();
    char byte;

    ensure(stream_read(st, &byte, 1, &pace) == 0 && !st->cut);
    ensure(stream_read(st, &byte, 1, &pace) == 0); /* and it stays the end */
}

/* Closing with unread tickets would be an RST. */
static void takes_its_tickets(struct stream *st)
{
    AWAIT(stream_readable(st));
    ensure(stream_quiet(st, false));
}

static void reads_a_cut(struct stream *st)
{
    struct pace pace = no_hurry();
    char bytes[8];

    expect_text(st, "some");
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 0 && st->cut);
}

static void ends_without_a_word(struct stream *st)
{
    if (stream_readable(st))
        ensure(stream_quiet(st, false));
    write_text(st, "some");
    ensure(shutdown(slot_fd(st->slot), SHUT_WR) == 0);
    AWAIT(stream_gone(st));
}

static void ends_by_reset(struct stream *st)
{
    stream_close(st, true);
}

static void reads_a_reset(struct stream *st)
{
    struct pace pace = no_hurry();
    char byte;

    ensure(stream_read(st, &byte, 1, &pace) == st->reset_err);
}

static void ends_are_told_apart(void **state)
{
    (void)state;
    over_tls(reads_a_clean_end, takes_its_tickets);
    over_tls(NULL, reads_a_clean_end);
    over_tls(reads_a_cut, ends_without_a_word);
    over_tls(ends_without_a_word, reads_a_cut);
    over_tls(reads_a_reset, ends_by_reset);
    over_tls(ends_by_reset, reads_a_reset);
}

/* How far `no_room_for_an_alert` is. */
static _Atomic enum { BEGUN, OUT_OF_ROOM, JUNK_SENT, JUNK_READ } alert_test;

/* Neither the kernel nor the slot has room, until the peer reads. */
static void fill(const struct stream *st)
{
    static const char bytes[4096];

    while (send(slot_fd(st->slot), bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
        ;
    slot_drained(st->slot, DIR_OUT, slot_load(st->slot, DIR_OUT), true);
}

/* What came is no TLS, and there is no room to say so: this read ends by its limit. The next one
 * knows, though nothing more comes. */
static void reads_junk_without_room(struct stream *st)
{
    struct pace at_once = { .limit = { .at = 1, .err = WEIR_EUPTIME } }, pace = no_hurry();
    char byte;

    fill(st);
    alert_test = OUT_OF_ROOM;
    AWAIT(alert_test == JUNK_SENT && stream_readable(st));
    fill(st); /* acknowledgements may have made some */
    ensure(stream_read(st, &byte, 1, &at_once) == WEIR_EUPTIME);
    ensure(tls_of(st)->blocked == BLOCKED_OUT && stream_readable(st));
    ensure(stream_read(st, &byte, 1, &pace) == st->reset_err);
    alert_test = JUNK_READ;
}

static void sends_junk(struct stream *st)
{
    AWAIT(alert_test == OUT_OF_ROOM);
    ensure(send(slot_fd(st->slot), "junk that is no record", 22, 0) == 22);
    alert_test = JUNK_SENT;
    AWAIT(alert_test == JUNK_READ);
}

static void no_room_for_an_alert(void **state)
{
    (void)state;
    alert_test = BEGUN;
    over_tls(reads_junk_without_room, sends_junk);
}

/* Tickets are no data; data is, and the end is the end. */
static void looks(struct stream *st)
{
    ensure(stream_quiet(st, false));
    AWAIT(stream_readable(st)); /* the tickets */
    ensure(stream_quiet(st, false));
    ensure(stream_quiet(st, true) && !stream_gone(st));
    write_text(st, "?");
    AWAIT(!stream_quiet(st, false)); /* behind more tickets, perhaps */
    ensure(!stream_quiet(st, true));
    ensure(stream_pending(st) && stream_readable(st) && !stream_gone(st));
    expect_text(st, "!");
    ensure(stream_quiet(st, false));
    write_text(st, "?");
    AWAIT(!stream_quiet(st, false));
    AWAIT(stream_gone(st));
}

static void answers_once(struct stream *st)
{
    expect_text(st, "?");
    write_text(st, "!");
    expect_text(st, "?");
}

static void idle_connections_are_looked_at(void **state)
{
    (void)state;
    over_tls(answers_once, looks);
}

/* ---- handshakes that do not end -------------------------------------------------------------- */

static void waits_in_vain(void *arg)
{
    const struct tls_server *server = arg;
    struct weir_peer peer = trusting("origin.test");
    struct tls_client *client;
    char why[TLS_WHY];
    int fd[2];

    tcp_pair(fd);
    struct stream st = stream_of(fd[0], true);

    ensure(tls_accept(&st, server, deadline_in(rt_now(), SHORT_WAIT, WEIR_ETLSTIME), why) ==
           WEIR_ETLSTIME);
    ensure(why[0] != '\0' && st.filter == NULL && tls_info(&st) == NULL);
    ensure(tls_client_get(&peer, &client, why) == 0);
    ensure(tls_connect(&st, client, &loopback, deadline_in(rt_now(), SHORT_WAIT, WEIR_EUPTLSTIME),
                       why) == WEIR_EUPTLSTIME);
    close(fd[1]);
    ensure(tls_connect(&st, client, &loopback, NEVER, why) == WEIR_EUPTLS);
    tls_client_put(&client);
    stream_close(&st, false);
}

static void refuses(void *arg)
{
    static const struct {
        const char *bytes;
        int want;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", WEIR_EPLAINHTTP },
        { "junk that is no record", WEIR_ETLS },
        { "\x16\x03", WEIR_ECLIENTGONE },
        { "", WEIR_ECLIENTGONE },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].bytes);
        char why[TLS_WHY];
        int fd[2];

        tcp_pair(fd);
        struct stream st = stream_of(fd[0], true);

        ensure(write(fd[1], cases[i].bytes, len) == (ssize_t)len);
        ensure(shutdown(fd[1], SHUT_WR) == 0);
        ensure(tls_accept(&st, arg, NEVER, why) == cases[i].want);
        ensure((why[0] != '\0') == (len > 0)); /* who said nothing is not worth a line */
        stream_close(&st, false);
        close(fd[1]);
    }
}

static void handshakes_that_fail(void **state)
{
    struct tls_server *server = new_server();

    (void)state;
    on_workers(1, waits_in_vain, server);
    on_workers(1, refuses, server);
    tls_clients_forget();
    tls_server_free(&server);
}

/* ---- what identities share ------------------------------------------------------------------- */

static void talks(struct stream *st)
{
    write_text(st, "?");
    expect_text(st, "!");
}

static void answers(struct stream *st)
{
    expect_text(st, "?");
    write_text(st, "!");
}

static void sessions_go_on(void **state)
{
    static const struct addr elsewhere = { .kind = ADDR_V4, .port = 444, .ip = { 127, 0, 0, 1 } };
    struct weir_peer peer = trusting("origin.test"), blind = peer, wild = trusting("a.wild.test");
    struct tls_server *server = new_server(), *other = new_server();
    struct pair p = { .server = server, .peer = &peer, .at_server = answers, .at_client = talks };

    (void)state;
    blind.no_verify = true;
    start();
    assert_false(meet(&p));
    assert_true(meet(&p));
    assert_true(meet(&p)); /* and so does the session that went on */
    p.to = &elsewhere;
    assert_false(meet(&p));
    p.to = NULL;
    p.peer = &blind; /* what it would trust is not for who does not look */
    assert_false(meet(&p));
    p.peer = &wild;
    assert_false(meet(&p));
    p.peer = &peer;
    assert_true(meet(&p));
    p.server = other; /* keys of its own: the ticket is nothing to it */
    assert_false(meet(&p));
    assert_true(meet(&p));
    stop(&server);
    tls_server_free(&other);
}

static void get_many(void *arg)
{
    struct tls_client *first, *again, *many[300];
    struct weir_peer peer = { .tls = true, .no_verify = true };
    char why[TLS_WHY], name[32];

    (void)arg;
    ensure(tls_client_get(&peer, &first, why) == 0 && tls_client_get(&peer, &again, why) == 0);
    ensure(first == again); /* found, not made */
    tls_client_put(&again);
    ensure(again == NULL);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) { /* more than are kept */
        snprintf(name, sizeof name, "host%zu.test", i);
        peer.sni = weir_str_from(name);
        ensure(tls_client_get(&peer, &many[i], why) == 0);
        ensure(i == 0 || many[i] != many[i - 1]);
    }
    peer.sni = LIT("");
    ensure(tls_client_get(&peer, &again, why) == 0);
    ensure(first != again); /* it had gone, for others that came later */
    tls_client_put(&first);
    tls_client_put(&again);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        tls_client_put(&many[i]);
}

static void identities_are_found_again(void **state)
{
    (void)state;
    on_workers(1, get_many, NULL);
    tls_clients_forget();
}

/* Many strands want the same identity at once, and connect with it. */
static void all_at_once(void **state)
{
    enum { PAIRS = 24 };
    struct weir_peer peer = trusting("origin.test");
    struct tls_server *server = new_server();
    struct pair pairs[PAIRS];

    (void)state;
    workers_start(4);
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i] = (struct pair){
            .server = server, .peer = &peer, .at_server = answers, .at_client = talks
        };
        tcp_pair(pairs[i].fd);
        workers_run(i % 4, server_end, &pairs[i]);
        workers_run((i + 1) % 4, client_end, &pairs[i]);
    }
    workers_join();
    stop(&server);
}

static void bad_peers(void *arg)
{
    static const char nul[] = "a\0b";
    const struct weir_peer peers[] = {
        { .sni = LIT("a"), .ca_file = LIT("/none") },
        { .sni = LIT("a"), .cert_file = LIT("/none"), .no_verify = true },
        { .sni = { nul, 3 }, .no_verify = true },
        { .sni = LIT("a"), .key_file = weir_str_from(certs.key), .no_verify = true },
        { .sni = LIT("a"),
          .no_verify = true,
          .cert_file = weir_str_from(certs.cert),
          .key_file = weir_str_from(certs.other_key) },
    };

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        struct tls_client *client;
        char why[TLS_WHY];

        ensure(tls_client_get(&peers[i], &client, why) == WEIR_EINVALID);
        ensure(client == NULL && why[0] != '\0');
    }
}

static void peers_that_cannot_be(void **state)
{
    (void)state;
    on_workers(1, bad_peers, NULL);
    bad_peers(NULL); /* at set-up, without workers */
    tls_clients_forget();
}

static void servers_that_cannot_be(void **state)
{
    const struct {
        struct tls_server_config config;
        const char *words;
    } cases[] = {
        { { .cert = "/none" }, "/none: No such file" },
        { { .cert = certs.folder }, "it is a folder" },
        { { .cert = certs.cert }, "no private key in it" },
        { { .cert = certs.key }, "no certificate in it" },
        { { .cert = certs.cert, .key = certs.other_key }, "does not belong" },
        { { .cert = "/dev/null", .key = certs.key }, "no certificate in it" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_server *server;
        char why[TLS_WHY];

        assert_int_equal(tls_server_new(&cases[i].config, &server, why), WEIR_EINVALID);
        assert_null(server);
        assert_non_null(strstr(why, cases[i].words));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_know),
        cmocka_unit_test(clients_that_leave_at_once),
        cmocka_unit_test(whom_it_trusts),
        cmocka_unit_test(bulk_both_ways),
        cmocka_unit_test(ends_are_told_apart),
        cmocka_unit_test(no_room_for_an_alert),
        cmocka_unit_test(idle_connections_are_looked_at),
        cmocka_unit_test(handshakes_that_fail),
        cmocka_unit_test(sessions_go_on),
        cmocka_unit_test(identities_are_found_again),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(peers_that_cannot_be),
        cmocka_unit_test(servers_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, certs_make, certs_remove);
}
