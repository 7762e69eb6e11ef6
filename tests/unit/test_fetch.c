/* test_fetch.c -- what weir_fetch makes of a URL, its guard against loops, and the names that it
 * remembers; all of it without a network: the name service is here. */
#include <netdb.h>
#include <sys/syscall.h>

#include "proxy/fetch.h"
#include "proxy/session.h"
#include "runtime/co.h"
#include "workers.h"

/* ---- the name service, and the clock --------------------------------------------------------- */

static atomic_uint asked;
static _Atomic time_t later; /* seconds that have passed */
static sem_t gate;           /* slow.example waits for it */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    struct {
        struct addrinfo ai[2];
        struct sockaddr_in sa[2];
    } *made;

    (void)service;
    (void)hints;
    atomic_fetch_add(&asked, 1);
    if (strcmp(host, "nobody.example") == 0)
        return EAI_NONAME;
    if (strcmp(host, "slow.example") == 0)
        sem_wait(&gate);
    made = calloc(1, sizeof *made);
    ensure(made != NULL);
    for (unsigned i = 0; i < 2; i++) {
        made->sa[i].sin_family = AF_INET;
        made->sa[i].sin_addr.s_addr = htonl(0x7f000001 + i);
        made->ai[i] = (struct addrinfo){
            .ai_family = AF_INET,
            .ai_addr = (struct sockaddr *)&made->sa[i],
            .ai_addrlen = sizeof made->sa[i],
            .ai_next = i == 0 ? &made->ai[1] : NULL,
        };
    }
    *out = made->ai;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list); /* the front of `made` */
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, which, out);

    out->tv_sec += later;
    return rc;
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static struct weir_session *session(void)
{
    struct weir_session *s = calloc(1, sizeof *s);

    assert_non_null(s);
    arena_init(&s->arena, NULL, 0);
    head_init(&s->req, &s->arena, 0);
    return s;
}

static void done(struct weir_session *s)
{
    arena_done(&s->arena);
    free(s);
}

static const struct {
    const char *url, *host, *name, *target, *host_field;
    unsigned port;
    bool tls;
} good[] = {
    { "http://a/", "a", "a:80", "/", "a", 80, false },
    { "http://a", "a", "a:80", "/", "a", 80, false },
    { "http://a?b=c", "a", "a:80", "/?b=c", "a", 80, false },
    { "https://a.example/x/../y", "a.example", "a.example:443", "/x/../y", "a.example", 443, true },
    { "HTTPS://a/", "a", "a:443", "/", "a", 443, true }, /* RFC 3986 3.1 */
    { "http://a:8080/b?c", "a", "a:8080", "/b?c", "a:8080", 8080, false },
    { "http://127.0.0.1:65535/", "127.0.0.1", "127.0.0.1:65535", "/", "127.0.0.1:65535", 65535,
      false },
    { "http://[::1]/", "::1", "[::1]:80", "/", "[::1]", 80, false },
    { "https://[fe80::1:2]:1/", "fe80::1:2", "[fe80::1:2]:1", "/", "[fe80::1:2]:1", 1, true },
    { "http://1a2/", "1a2", "1a2:80", "/", "1a2", 80, false },
};

static void urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct weir_session *s = session();
        struct weir_head *req = weir_new_get(s, good[i].url);
        struct fetch *f = fetch_of(s, req);

        assert_non_null(f);
        if (fetch_unfit(s, f) != NULL)
            fail_case(((weir_str){ good[i].url, strlen(good[i].url) }), "%s", fetch_unfit(s, f));
        assert_str(f->host, good[i].host);
        assert_int_equal(f->host.ptr[f->host.len], '\0');
        assert_string_equal(f->name, good[i].name);
        assert_str(weir_target(req), good[i].target);
        assert_str(weir_get(req, "Host"), good[i].host_field);
        assert_int_equal(f->port, good[i].port);
        assert_int_equal(f->tls, good[i].tls);
        done(s);
    }
}

static const char *const bad[] = {
    "",
    "/",
    "a",
    "a:80",
    "http:",
    "http:a",
    "http:/a",
    "http://",
    "http:///x",
    "ftp://a/",
    "http://:80/",
    "http://a b/",
    "http://a/ b",
    "http://a/\r\nX: y",
    "http://[::1",
    "http://::1/",
    "http://u@a/",
    "http://u:p@a/",
    "http://a/#x",
    "http://a:x/",
    "http://a:65536/",
    "http://a:99999999999999999999/",
    "://a/",
};

static void bad_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct weir_session *s = session();
        const char *why = fetch_unfit(s, fetch_of(s, weir_new_get(s, bad[i])));

        if (why == NULL || strcmp(why, "not a URL of http: or https:") != 0)
            fail_case(((weir_str){ bad[i], strlen(bad[i]) }), "%s", why != NULL ? why : "taken");
        done(s);
    }
}

static void methods(void **state)
{
    static const struct {
        const char *method;
        bool good;
    } cases[] = { { "GET", true },      { "POST", true },     { "get", true },
                  { "X-1", true },      { "", false },        { "A B", false },
                  { "CONNECT", false }, { "GET\r\n", false }, { "G\xc3\xa4", false } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_session *s = session();
        struct weir_head *req = weir_new_request(s, cases[i].method, "http://a/");

        if ((fetch_unfit(s, fetch_of(s, req)) == NULL) != cases[i].good)
            fail_case(((weir_str){ cases[i].method, strlen(cases[i].method) }), "good or not");
        done(s);
    }
}

static void heads_of_others(void **state)
{
    struct weir_session *s = session();
    struct weir_head *first = weir_new_get(s, "http://a/"), *second = weir_new_get(s, "http://b/");

    (void)state;
    assert_str(fetch_of(s, first)->host, "a");
    assert_str(fetch_of(s, second)->host, "b");
    assert_null(fetch_of(s, &s->req));
    assert_non_null(fetch_unfit(s, NULL));
    assert_null(weir_fetched_body(s, first).ptr); /* nothing was fetched */
    weir_set(second, "Host", "c");
    assert_null(fetch_unfit(s, fetch_of(s, second)));
    assert_str(weir_get(second, "Host"), "c");
    weir_del(second, "Host"); /* there is one all the same */
    assert_null(fetch_unfit(s, fetch_of(s, second)));
    assert_str(weir_get(second, "Host"), "b");
    weir_set(first, "A", "b\r\nc");
    assert_non_null(fetch_unfit(s, fetch_of(s, first)));
    assert_null(fetch_unfit(s, fetch_of(s, second)));
    done(s);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static void loops(void **state)
{
    static const struct {
        const char *via[3]; /* of the request for which it is asked */
        unsigned count;     /* of the fetch's own; 0: it is refused */
    } cases[] = {
        { { NULL }, 1 },
        { { "1.1 weir" }, 2 },
        { { "1.0 other, 1.1 weir", "2.0 weir" }, 3 },
        { { "1.1 weird, 1.1 aweir", "weir" }, 1 },
        { { "1.1 a,1.1 weir,1.1 weir,1.1 weir", "1.1 weir,,1.1 weir, 1.1 weir", "1.1 weir" }, 8 },
        { { "1.1 weir,1.1 weir,1.1 weir,1.1 weir", "1.1 weir,1.1 weir,1.1 weir,1.1 weir" }, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_session *s = session();
        struct weir_head *ask = weir_new_get(s, "http://a/");
        const char *why;

        for (unsigned j = 0; j < 3; j++)
            weir_add(&s->req, "Via", cases[i].via[j]);
        weir_add(ask, "Via", "1.1 weir"); /* copied from there: it does not count twice */
        why = fetch_unfit(s, fetch_of(s, ask));
        assert_int_equal(why == NULL, cases[i].count > 0);
        if (why == NULL)
            assert_int_equal(head_count_id(ask, FIELD_VIA), cases[i].count);
        done(s);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

struct question {
    const char *host;
    weir_dur timeout;
    int found;
    const char *why;
    struct addr addrs[FETCH_ADDRESSES];
};

static void ask(void *arg)
{
    struct question *q = arg;

    q->found = fetch_resolve(q->host, 8080, q->addrs,
                             deadline_in(clock_now(), q->timeout, WEIR_EUPTIME), &q->why);
}

/* How often the name service was asked for it. */
static unsigned looked_up(const char *host, int found)
{
    struct question q = { .host = host, .timeout = WEIR_FOREVER };
    unsigned before = atomic_load(&asked);

    workers_run(0, ask, &q);
    workers_join();
    assert_int_equal(q.found, found);
    for (int i = 0; i < found; i++) {
        assert_int_equal(q.addrs[i].port, 8080);
        assert_int_equal(q.addrs[i].ip[3], 1 + i);
    }
    return atomic_load(&asked) - before;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(looked_up("a.example", 2), 1);
    assert_int_equal(looked_up("a.example", 2), 0);
    assert_int_equal(looked_up("b.example", 2), 1);
    assert_int_equal(looked_up("a.example", 2), 0);
    fetch_forget("a.example");
    fetch_forget("c.example");
    assert_int_equal(looked_up("a.example", 2), 1);
    assert_int_equal(looked_up("b.example", 2), 0);
}

static void names_expire(void **state)
{
    (void)state;
    assert_int_equal(looked_up("d.example", 2), 1);
    atomic_fetch_add(&later, 20);
    assert_int_equal(looked_up("d.example", 2), 0);
    atomic_fetch_add(&later, 11);
    assert_int_equal(looked_up("d.example", 2), 1);
}

static void names_without_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) /* nothing is remembered */
        assert_int_equal(looked_up("nobody.example", WEIR_EDNS), 1);
}

static void names_of_any_length(void **state)
{
    char host[1000];

    (void)state;
    for (size_t len = 250; len < 260; len++) {
        memset(host, 'a', len);
        host[len] = '\0';
        assert_int_equal(looked_up(host, len <= 255 ? 2 : WEIR_EDNS), len <= 255 ? 1 : 0);
    }
}

/* More names than there are places. */
static void many_names(void **state)
{
    char host[32];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(host, sizeof host, "%u.example", i);
        assert_int_equal(looked_up(host, 2), 1);
        assert_int_equal(looked_up(host, 2), 0);
    }
}

static void wait_asked(unsigned n)
{
    while (atomic_load(&asked) < n)
        sched_yield();
}

/* Many wait for one look-up, and whose time is over leaves. */
static void a_slow_name(void **state)
{
    struct question hasty = { .host = "slow.example", .timeout = 1 * WEIR_MS }, q[20];
    unsigned before = atomic_load(&asked);

    (void)state;
    workers_run(0, ask, &hasty);
    workers_join();
    assert_int_equal(hasty.found, WEIR_EUPTIME);
    assert_string_equal(hasty.why, "its name was not found in time");
    wait_asked(before + 1);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i] = (struct question){ .host = "slow.example",
                                  .timeout = i % 2 == 0 ? WEIR_FOREVER : 1 * WEIR_MS };
        workers_run((unsigned)i % 2, ask, &q[i]);
    }
    sem_post(&gate);
    workers_join();
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        if (q[i].timeout == WEIR_FOREVER)
            assert_int_equal(q[i].found, 2);
    assert_int_equal(atomic_load(&asked), before + 1);
}

static int start(void **state)
{
    (void)state;
    sem_init(&gate, 0, 0);
    workers_start(2);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    workers_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(methods),
        cmocka_unit_test(heads_of_others),
        cmocka_unit_test(loops),
        cmocka_unit_test(names),
        cmocka_unit_test(names_expire),
        cmocka_unit_test(names_without_address),
        cmocka_unit_test(names_of_any_length),
        cmocka_unit_test(many_names),
        cmocka_unit_test(a_slow_name),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
