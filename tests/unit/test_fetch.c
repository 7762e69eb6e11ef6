/* test_fetch.c -- what weir_fetch makes of a URL, and its guard against loops. */
#include "cases.h"
#include "proxy/fetch.h"
#include "proxy/session.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),    cmocka_unit_test(bad_urls),
        cmocka_unit_test(methods), cmocka_unit_test(heads_of_others),
        cmocka_unit_test(loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
