/* test_pool.c -- idle connections: who gets which, who leaves when, and that none is lost or
 * used twice when workers, peers and timeouts all want it at once. */
#include "workers.h"

#include <poll.h>
#include <pthread.h>

#include "net/listen.h"
#include "pool/pool.h"
#include "runtime/co.h"

/* Keys */

static int key_of(struct peer_key *key, const struct addr *addr, weir_str group)
{
    return peer_key_make(key, addr, &(struct weir_peer){ .group = group });
}

static void every_part_of_a_key_counts(void **state)
{
    static const struct {
        const char *addr, *group;
    } peers[] = {
        { "127.0.0.1:80", "" },   { "127.0.0.1:81", "" },  { "127.0.0.2:80", "" },
        { "127.0.0.1:80", "a" },  { "127.0.0.1:80", "b" }, { "127.0.0.1:80", "ab" },
        { "[::1]:80", "" },       { "[::2]:80", "" },      { "[fe80::1%1]:80", "" },
        { "[fe80::1%2]:80", "" }, { "unix:/a", "" },       { "unix:/b", "" },
        { "unix:/ab", "" },       { "unix:/a", "b" },      { "[::7f00:1]:80", "" },
        { "[7f00:1::]:80", "" },  { "0.0.0.0:80", "" },    { "[::]:80", "" },
    };
    struct peer_key keys[ARRAY_LEN(peers)], again;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        struct addr_spec spec;

        memset(&again, 0xee, sizeof again); /* what is unused must not count */
        assert_null(addr_parse(peers[i].addr, &spec));
        assert_int_equal(key_of(&keys[i], &spec.addr, weir_str_from(peers[i].group)), 0);
        assert_int_equal(key_of(&again, &spec.addr, weir_str_from(peers[i].group)), 0);
        assert_int_equal(again.len, keys[i].len);
        assert_memory_equal(again.bytes, keys[i].bytes, again.len);
        assert_true(again.hash == keys[i].hash);
        for (size_t k = 0; k < i; k++)
            assert_false(keys[i].len == keys[k].len &&
                         memcmp(keys[i].bytes, keys[k].bytes, keys[i].len) == 0);
    }
}

static void too_long_a_key(void **state)
{
    static char group[2000];
    struct addr at = { .kind = ADDR_V4, .port = 80 };
    struct peer_key key;
    size_t fits = 0;

    (void)state;
    assert_int_equal(key_of(&key, &at, (weir_str){ NULL, 0 }), 0);
    fits = sizeof key.bytes - key.len;
    assert_int_equal(key_of(&key, &at, (weir_str){ group, fits }), 0);
    assert_int_equal(key_of(&key, &at, (weir_str){ group, fits + 1 }), WEIR_EINVALID);
    assert_int_equal(key_of(&key, &at, (weir_str){ group, sizeof group }), WEIR_EINVALID);
}

/* Whatever decides whom TLS trusts, and who we are, tells peers apart; times do not. */
static void keys_with_tls(void **state)
{
    static const struct weir_peer peers[] = {
        { .tls = false },
        { .tls = true },
        { .sni = LIT("a") },
        { .sni = LIT("b") },
        { .sni = LIT("a"), .no_verify = true },
        { .sni = LIT("a"), .alpn = WEIR_H1 },
        { .sni = LIT("a"), .alpn = WEIR_H1 | WEIR_H2 },
        { .sni = LIT("a"), .ca_file = LIT("x") },
        { .sni = LIT("a"), .cert_file = LIT("x") },
        { .sni = LIT("a"), .key_file = LIT("x") },
        { .sni = LIT("a"), .cert_file = LIT("x"), .key_file = LIT("x") },
        { .sni = LIT("ax") },
        { .sni = LIT("a"), .alt_name = LIT("b") },
        { .sni = LIT("a"), .any_name = true },
        { .sni = LIT("a"), .group = LIT("g") },
        { .sni = LIT("a"), .bind = LIT("g") },
    };
    static const struct weir_peer same = { .tls = true, .sni = LIT("a"), .read_timeout = 1 };
    struct addr at = { .kind = ADDR_V4, .port = 443 };
    struct peer_key keys[ARRAY_LEN(peers)], again;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_int_equal(peer_key_make(&keys[i], &at, &peers[i]), 0);
        for (size_t k = 0; k < i; k++)
            assert_false(keys[i].len == keys[k].len &&
                         memcmp(keys[i].bytes, keys[k].bytes, keys[i].len) == 0);
    }
    assert_int_equal(peer_key_make(&again, &at, &same), 0);
    assert_int_equal(again.len, keys[2].len);
    assert_memory_equal(again.bytes, keys[2].bytes, again.len);
}

/* What a backend has ready is what each plain peer there would make, and nobody else. */
static void keys_of_plain_peers(void **state)
{
    static const struct weir_peer plain = { .alpn = WEIR_H2, .ca_file = LIT("x"), .any_name = true };
    static const struct weir_peer others[] = {
        { .tls = true }, { .sni = LIT("a") }, { .group = LIT("a") }, { .bind = LIT("127.0.0.1:0") },
    };
    static const char *const addrs[] = { "127.0.0.1:80", "[fe80::1%1]:80", "unix:/a" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
        struct peer_key made, *ready;
        struct addr_spec spec;

        assert_null(addr_parse(addrs[i], &spec));
        assert_int_equal(peer_key_make(&made, &spec.addr, &plain), 0);
        ready = peer_key_plain(&spec.addr);
        assert_non_null(ready);
        assert_int_equal(ready->len, made.len);
        assert_memory_equal(ready->bytes, made.bytes, made.len);
        assert_true(ready->hash == made.hash);
        free(ready);
    }
    assert_true(peer_is_plain(&plain));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(peer_is_plain(&others[i]));
}

/* An upstream: a listener, and the accepted end of each connection, found by port. */
static struct {
    int listener;
    struct addr addr;
    struct peer_key key, other_key; /* the same address, another group */
} origin;

static void origin_open(void)
{
    struct addr at = { .kind = ADDR_V4, .ip = { 127, 0, 0, 1 } };
    const char *step;

    origin.listener = listen_open(&at, 1024, &step);
    ensure(origin.listener >= 0);
    addr_of_socket(origin.listener, &origin.addr);
    ensure(key_of(&origin.key, &origin.addr, LIT("")) == 0);
    ensure(key_of(&origin.other_key, &origin.addr, LIT("other")) == 0);
}

/* A connection made by upstream_open, and the origin's end of it. */
struct pair {
    struct upstream *up;
    int peer;
};

static struct pair open_pair(const struct peer_key *key, weir_dur idle_timeout)
{
    struct pair p;

    ensure(upstream_open(key, &origin.addr, NULL, idle_timeout, no_hurry().limit, &p.up) == 0);
    AWAIT((p.peer = accept4(origin.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    return p;
}

static struct pool_stats stats(void)
{
    struct pool_stats s;

    pool_stats(&s);
    return s;
}

static void give(struct upstream *up)
{
    pool_give(&up);
    ensure(up == NULL);
}

static bool ended(int peer)
{
    char byte;

    return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

/* A connection whose timeout or peer has just won it leaves by that worker, perhaps another one. */
static void drain(void *arg)
{
    (void)arg;
    pool_drain();
    AWAIT(stats().idle == 0);
}

/* One strand with a pool of that size on `n` workers. */
static void with_pool(unsigned n, unsigned max_idle, void (*fn)(void *))
{
    origin_open();
    workers_start(n);
    assert_int_equal(pool_start(max_idle), 0);
    workers_run(0, fn, NULL);
    workers_join();
    workers_run(0, drain, NULL);
    workers_join();
    workers_stop();
    pool_stop();
    close(origin.listener);
}

static void newest_first_strand(void *arg)
{
    struct pair p[3];
    struct pool_stats s;

    (void)arg;
    ensure(pool_take(&origin.key, false) == NULL);
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        p[i] = open_pair(&origin.key, WEIR_FOREVER);
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        give(p[i].up);
    ensure(pool_take(&origin.other_key, false) == NULL);
    for (size_t i = ARRAY_LEN(p); i-- > 0;) {
        struct upstream *up = pool_take(&origin.key, i == 1);

        ensure(up == p[i].up && up->requests == 1);
        ensure(addr_eq(&up->addr, &origin.addr));
    }
    ensure(pool_take(&origin.key, false) == NULL);
    s = stats();
    ensure(s.opened == 3 && s.reused == 3 && s.idle == 0);
    ensure(s.evicted == 0 && s.expired == 0 && s.closed_by_peer == 0);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        upstream_close(&p[i].up);
        ensure(p[i].up == NULL && ended(p[i].peer));
        upstream_close(&p[i].up);
        close(p[i].peer);
    }
}

static void leaving_strand(void *arg)
{
    struct pair closes = open_pair(&origin.key, WEIR_FOREVER);
    struct pair talks = open_pair(&origin.key, WEIR_FOREVER);
    struct pair breaks = open_pair(&origin.key, WEIR_FOREVER);
    struct pair stays = open_pair(&origin.key, WEIR_FOREVER);

    (void)arg;
    give(stays.up);
    give(closes.up);
    give(talks.up);
    give(breaks.up);
    ensure(stats().idle == 4);
    close(closes.peer);
    AWAIT(stats().idle == 3);
    ensure(send(talks.peer, "HTTP/1.1 408 ", 13, 0) == 13);
    AWAIT(stats().idle == 2);
    close_by_reset(breaks.peer);
    AWAIT(stats().idle == 1);
    AWAIT(stats().closed_by_peer == 3); /* counted when it has left: maybe by another worker */
    ensure(pool_take(&origin.key, false) == stays.up);
    upstream_close(&stays.up);
    close(stays.peer);
    close(talks.peer);
}

/* Already over when it is given back. */
static void given_too_late_strand(void *arg)
{
    struct pair p = open_pair(&origin.key, WEIR_FOREVER);
    struct pace pace = no_hurry();

    (void)arg;
    close(p.peer);
    ensure(stream_wait_readable(&p.up->h1.net, &pace) == 0);
    give(p.up);
    ensure(stats().idle == 0 && stats().closed_by_peer == 1);
}

/* Readiness that tells of bytes which have been read: a read that filled its buffer. */
static void old_readiness_strand(void *arg)
{
    struct pair p = open_pair(&origin.key, WEIR_FOREVER);
    struct pace pace = no_hurry();
    char byte;

    (void)arg;
    ensure(send(p.peer, "x", 1, 0) == 1);
    ensure(stream_read(&p.up->h1.net, &byte, 1, &pace) == 1);
    ensure(stream_readable(&p.up->h1.net));
    give(p.up);
    ensure(stats().idle == 1);
    ensure(pool_take(&origin.key, true) == p.up);
    upstream_close(&p.up);
    close(p.peer);
}

/* Bytes that the worker has not heard of yet: no strand ran in between. Only a careful taker
 * sees them. */
static void careful_strand(void *arg)
{
    struct pair p = open_pair(&origin.key, WEIR_FOREVER);

    (void)arg;
    give(p.up);
    ensure(send(p.peer, "HTTP/1.1 200 OK\r\n", 17, 0) == 17);
    ensure(pool_take(&origin.key, true) == NULL);
    ensure(stats().closed_by_peer == 1 && stats().idle == 0 && stats().reused == 0);
    close(p.peer);

    p = open_pair(&origin.key, WEIR_FOREVER);
    give(p.up);
    close(p.peer);
    ensure(pool_take(&origin.key, true) == NULL);
}

static void bound_strand(void *arg)
{
    struct pair p[5];

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = open_pair(i % 2 ? &origin.key : &origin.other_key, WEIR_FOREVER);
        give(p[i].up);
        ensure(stats().idle == MIN(i + 1, 3));
    }
    ensure(stats().evicted == 2);
    ensure(ended(p[0].peer) && ended(p[1].peer)); /* the oldest, whatever their peer */
    ensure(pool_take(&origin.other_key, false) == p[4].up);
    ensure(pool_take(&origin.key, false) == p[3].up);
    ensure(pool_take(&origin.other_key, false) == p[2].up);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        if (i >= 2)
            upstream_close(&p[i].up);
        close(p[i].peer);
    }
}

static void no_pool_strand(void *arg)
{
    struct pair p = open_pair(&origin.key, WEIR_FOREVER);

    (void)arg;
    give(p.up);
    ensure(ended(p.peer) && stats().idle == 0);
    close(p.peer);
}

static void expiry_strand(void *arg)
{
    struct pair brief = open_pair(&origin.key, 50 * WEIR_MS);
    struct pair stays = open_pair(&origin.key, WEIR_FOREVER);

    (void)arg;
    give(brief.up);
    give(stays.up);
    AWAIT(ended(brief.peer));
    ensure(stats().expired == 1 && stats().idle == 1 && stats().closed_by_peer == 0);
    close(brief.peer);
    ensure(pool_take(&origin.key, false) == stays.up);
    upstream_close(&stays.up);
    close(stays.peer);
}

static void drain_strand(void *arg)
{
    struct pair idle = open_pair(&origin.key, WEIR_FOREVER);
    struct pair busy = open_pair(&origin.key, WEIR_FOREVER);

    (void)arg;
    give(idle.up);
    pool_drain();
    ensure(ended(idle.peer) && stats().idle == 0);
    give(busy.up); /* and what comes later */
    ensure(ended(busy.peer) && stats().idle == 0);
    close(idle.peer);
    close(busy.peer);
}

static void unix_strand(void *arg)
{
    char path[] = "/tmp/weir-pool-XXXXXX", byte;
    struct addr at = { .kind = ADDR_UNIX, .path = path };
    struct pace pace = no_hurry();
    const char *step;
    struct peer_key key;
    struct upstream *up, *same;
    int fd, peer;

    (void)arg;
    fd = mkstemp(path);
    close(fd);
    unlink(path);
    fd = listen_open(&at, 8, &step);
    ensure(fd >= 0 && key_of(&key, &at, LIT("g")) == 0);
    ensure(upstream_open(&key, &at, NULL, WEIR_FOREVER, no_hurry().limit, &up) == 0);
    unlink(path);
    AWAIT((peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    ensure(up->addr.path != path && strcmp(up->addr.path, path) == 0); /* outlives its maker */
    ensure(send(peer, "x", 1, 0) == 1);
    ensure(stream_read(&up->h1.net, &byte, 1, &pace) == 1);
    same = up;
    give(up);
    ensure(pool_take(&key, false) == same);
    give(same);
    close(peer);
    AWAIT(stats().idle == 0);
    close(fd);
}

/* Many peers come and go: what is kept for those without a connection is bounded (LeakSanitizer
 * looks at the rest). */
static void many_peers_strand(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 300; i++) {
        struct peer_key key;
        struct pair p;
        char group[16];

        snprintf(group, sizeof group, "%u", i % 150);
        ensure(key_of(&key, &origin.addr, weir_str_from(group)) == 0);
        p = open_pair(&key, WEIR_FOREVER);
        give(p.up);
        ensure(pool_take(&key, false) == p.up);
        upstream_close(&p.up);
        close(p.peer);
    }
    ensure(stats().opened == 300 && stats().reused == 300);
}

static void newest_first(void **state)
{
    (void)state;
    with_pool(1, 512, newest_first_strand);
}

static void leaving(void **state)
{
    (void)state;
    with_pool(1, 512, leaving_strand);
    with_pool(2, 512, leaving_strand);
}

static void given_too_late(void **state)
{
    (void)state;
    with_pool(1, 512, given_too_late_strand);
}

static void old_readiness(void **state)
{
    (void)state;
    with_pool(1, 512, old_readiness_strand);
}

static void careful(void **state)
{
    (void)state;
    with_pool(1, 512, careful_strand);
}

static void the_bound(void **state)
{
    (void)state;
    with_pool(1, 3, bound_strand);
    with_pool(1, 0, no_pool_strand);
}

static void expiry(void **state)
{
    (void)state;
    with_pool(1, 512, expiry_strand);
}

static void draining(void **state)
{
    (void)state;
    with_pool(1, 512, drain_strand);
}

static void unix_sockets(void **state)
{
    (void)state;
    with_pool(1, 512, unix_strand);
}

static void many_peers(void **state)
{
    (void)state;
    with_pool(1, 512, many_peers_strand);
}

/* Between workers: one opens and gives, the other takes. */

static struct pair shared[4];

static void giver_strand(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(shared); i++)
        shared[i] = open_pair(&origin.key, WEIR_FOREVER);
    for (size_t i = 0; i < ARRAY_LEN(shared); i++)
        give(shared[i].up);
}

static void taker_strand(void *arg)
{
    (void)arg;
    ensure(stats().idle == ARRAY_LEN(shared));
    /* Perhaps not known yet: passed over all the same, as all look in the shard of another. */
    ensure(send(shared[3].peer, "x", 1, 0) == 1);
    ensure(pool_take(&origin.key, false) == shared[2].up);
    give(shared[2].up);
    ensure(pool_take(&origin.key, false) == shared[2].up);
    ensure(pool_take(&origin.key, false) == shared[1].up);
    ensure(pool_take(&origin.key, false) == shared[0].up);
    ensure(pool_take(&origin.key, false) == NULL);
    AWAIT(stats().closed_by_peer == 1); /* that worker may just be about it */
    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        if (i < 3)
            upstream_close(&shared[i].up);
        close(shared[i].peer);
    }
}

static void between_workers(void **state)
{
    (void)state;
    for (unsigned n = 2; n <= 3; n++) {
        origin_open();
        workers_start_apart(n); /* each connection is in the shard where it was opened */
        assert_int_equal(pool_start(512), 0);
        workers_run(0, giver_strand, NULL);
        workers_join();
        workers_run(n - 1, taker_strand, NULL);
        workers_join();
        workers_stop();
        pool_stop();
        close(origin.listener);
    }
}

/* All at once: requests on all workers, a peer that closes and talks at random, short timeouts,
 * a small bound. Each connection says who holds it: nobody ever gets one that another has. */

enum { HOLDERS = 12, ROUNDS = 400, CROWD_IDLE = 6, PEERS = 900 };

static struct {
    int peer[PEERS];
    unsigned count;
    atomic_bool over;
    atomic_uint opened, holders[1 << 16]; /* by the port of our end */
} crowd;

static unsigned port_of(int fd)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;

    ensure(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    return ntohs(at.sin_port);
}

static void crowd_leave(unsigned i)
{
    close(crowd.peer[i]);
    crowd.peer[i] = crowd.peer[--crowd.count];
}

/* Accepts; now and then closes one, or sends a byte on it that nobody asked for. */
static void *crowd_origin(void *arg)
{
    struct pollfd listening = { .fd = origin.listener, .events = POLLIN };
    struct random r;

    (void)arg;
    random_seed(&r, 7);
    while (!atomic_load(&crowd.over)) {
        int fd = -1;

        if (poll(&listening, 1, 1) == 1)
            fd = accept4(origin.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            ensure(crowd.count < PEERS);
            crowd.peer[crowd.count++] = fd;
        }
        for (unsigned k = 0; k < 8 && crowd.count > 0; k++) {
            unsigned i = (unsigned)random_below(&r, crowd.count);
            uint64_t mood = random_below(&r, 64);

            if (mood == 0 || ended(crowd.peer[i]))
                crowd_leave(i);
            else if (mood == 1)
                (void)!send(crowd.peer[i], "x", 1, MSG_NOSIGNAL);
        }
    }
    while (crowd.count > 0)
        crowd_leave(0);
    return NULL;
}

static struct upstream *hold_one(struct random *r)
{
    weir_dur patience = (1 + (weir_dur)random_below(r, 5)) * WEIR_MS;
    struct upstream *up = pool_take(&origin.key, random_below(r, 2) == 0);

    if (up == NULL) {
        ensure(upstream_open(&origin.key, &origin.addr, NULL, patience, no_hurry().limit, &up) ==
               0);
        atomic_fetch_add(&crowd.opened, 1);
    }
    ensure(atomic_fetch_add(&crowd.holders[port_of(slot_fd(up->h1.net.slot))], 1) == 0);
    return up;
}

static void holder_strand(void *arg)
{
    struct random r;

    random_seed(&r, (uintptr_t)arg);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct upstream *up = hold_one(&r);

        if (random_below(&r, 4) == 0)
            co_sleep(deadline_in(rt_now(), (weir_dur)random_below(&r, 3) * WEIR_MS, 0));
        else
            co_yield ();
        ensure(stats().idle <= CROWD_IDLE);
        ensure(atomic_fetch_sub(&crowd.holders[port_of(slot_fd(up->h1.net.slot))], 1) == 1);
        if (random_below(&r, 16) == 0)
            upstream_close(&up);
        else
            pool_give(&up);
    }
}

static void a_crowd(void **state)
{
    pthread_t thread;

    (void)state;
    for (unsigned n = 1; n <= 4; n += n) {
        origin_open();
        atomic_store(&crowd.over, false);
        atomic_store(&crowd.opened, 0);
        assert_int_equal(pthread_create(&thread, NULL, crowd_origin, NULL), 0);
        workers_start(n);
        assert_int_equal(pool_start(CROWD_IDLE), 0);
        for (uintptr_t i = 0; i < HOLDERS; i++)
            workers_run((unsigned)i % n, holder_strand, (void *)(i + 1));
        workers_join();
        assert_int_equal(stats().opened, atomic_load(&crowd.opened));
        assert_int_equal(stats().opened + stats().reused, HOLDERS * ROUNDS);
        workers_run(0, drain, NULL);
        workers_join();
        workers_stop();
        pool_stop();
        atomic_store(&crowd.over, true);
        pthread_join(thread, NULL);
        close(origin.listener);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_a_key_counts),
        cmocka_unit_test(too_long_a_key),
        cmocka_unit_test(keys_with_tls),
        cmocka_unit_test(keys_of_plain_peers),
        cmocka_unit_test(newest_first),
        cmocka_unit_test(leaving),
        cmocka_unit_test(given_too_late),
        cmocka_unit_test(old_readiness),
        cmocka_unit_test(careful),
        cmocka_unit_test(the_bound),
        cmocka_unit_test(expiry),
        cmocka_unit_test(draining),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(many_peers),
        cmocka_unit_test(between_workers),
        cmocka_unit_test(a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
