/* test_head_hop.c -- what a proxy says and asks of its own hop: Upgrade, Forwarded,
 * Max-Forwards. */
#include "heads.h"

#include "codec/forwarded.h"

/* A head from lines of fields; a status of 0 makes it a request of `method`. */
static void make(struct heap_head *h, const char *method, int minor, int status, const char *fields)
{
    char text[1024];
    int len = status > 0
                  ? snprintf(text, sizeof(text), "HTTP/1.%d %d x\r\n%s\r\n", minor, status, fields)
                  : snprintf(text, sizeof(text), "%s * HTTP/1.%d\r\nHost: a\r\n%s\r\n", method,
                             minor, fields);

    parse_head(h, (weir_str){ text, (size_t)len }, status > 0, &usual_limits, FEED_WHOLE);
    assert_int_equal(h->rc, 0);
}

static void requests_ask_for_upgrades(void **state)
{
    static const struct {
        const char *fields;
        int minor;
        bool want;
    } cases[] = {
        { "Connection: upgrade\r\nUpgrade: websocket\r\n", 1, true },
        { "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, foo/2, ,bar\r\n", 1, true },
        { "Connection: a\r\nConnection: UPGRADE\r\nUpgrade: a\r\nUpgrade: b\r\n", 1, true },
        { "Connection: upgrade\r\nUpgrade: websocket\r\n", 0, false }, /* RFC 9110 7.8 */
        { "Upgrade: websocket\r\n", 1, false },
        { "Connection: upgraded\r\nUpgrade: websocket\r\n", 1, false },
        { "Connection: upgrade\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade:\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: ,\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: web socket\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: a/\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: /1\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: a/b/c\r\n", 1, false },
        { "Connection: upgrade\r\nUpgrade: a, b;c\r\n", 1, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heap_head h;

        make(&h, "OPTIONS", cases[i].minor, 0, cases[i].fields);
        if (head_asks_upgrade(&h.head) != cases[i].want)
            fail_case(weir_str_from(cases[i].fields), "mistaken");
        heap_head_done(&h);
    }
}

static void switches_agree_with_offers(void **state)
{
    static const struct {
        const char *offer, *answer;
        bool want;
    } cases[] = {
        { "websocket", "Connection: upgrade\r\nUpgrade: websocket\r\n", true },
        { "websocket", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n", true },
        { "a, b/1", "Connection: upgrade\r\nUpgrade: b/1\r\n", true },
        { "a, b", "Connection: upgrade\r\nUpgrade: b, a\r\n", true },
        { "a, b", "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: c\r\n", false },
        { "b/1", "Connection: upgrade\r\nUpgrade: b\r\n", false },
        { "websocket", "Connection: upgrade\r\n", false },
        { "websocket", "Upgrade: websocket\r\n", false },
        { "websocket", "Connection: upgrade\r\nUpgrade:\r\n", false },
        { "websocket", "Connection: upgrade\r\nUpgrade: h2c\r\n", false },
        { "websocket", "", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heap_head req, res;
        char fields[200];

        snprintf(fields, sizeof(fields), "Connection: upgrade\r\nUpgrade: %s\r\n", cases[i].offer);
        make(&req, "OPTIONS", 1, 0, fields);
        make(&res, NULL, 1, 101, cases[i].answer);
        if (head_upgrade_agrees(&req.head, &res.head) != cases[i].want)
            fail_case(weir_str_from(cases[i].answer), "mistaken");
        heap_head_done(&req);
        heap_head_done(&res);
    }
}

static void lines_become_one_list(void **state)
{
    struct heap_head h;

    (void)state;
    make(&h, "OPTIONS", 1, 0, "Via: a\r\nX: y\r\nvia:\r\nVia: b, c\r\n");
    assert_str(head_join_id(&h.head, FIELD_VIA, &h.arena), "a, b, c");
    assert_str(head_join_id(&h.head, FIELD_FORWARDED, &h.arena), "");
    heap_head_done(&h);
}

static void forwarded_elements(void **state)
{
    static const struct {
        struct forwarded in;
        const char *want;
    } cases[] = {
        { { LIT("192.0.2.43"), { NULL, 0 }, LIT("a.example"), LIT("http") },
          "for=192.0.2.43;host=a.example;proto=http" },
        { { LIT("2001:db8::1"), LIT("::1"), LIT("[::1]:80"), LIT("https") },
          "for=\"[2001:db8::1]\";by=\"[::1]\";host=\"[::1]:80\";proto=https" },
        { { LIT("unknown"), LIT("_edge1"), LIT("a:80"), { NULL, 0 } },
          "for=unknown;by=_edge1;host=\"a:80\"" },
        { { LIT("[::1]"), { NULL, 0 }, LIT(""), { NULL, 0 } }, "for=\"[::1]\"" },
        { { { NULL, 0 }, { NULL, 0 }, LIT("q\"\\q"), { NULL, 0 } }, "host=\"q\\\"\\\\q\"" },
        { { LIT("a\r\n"), LIT("b:\n"), LIT("h"), { NULL, 0 } }, "host=h" },
        { { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }, "" },
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(forwarded_print(&cases[i].in, &arena), cases[i].want);
    arena_done(&arena);
}

static void forwards_count_down(void **state)
{
    static const struct {
        const char *method, *fields;
        enum forwards want;
        unsigned left;
    } cases[] = {
        { "OPTIONS", "", FORWARDS_ON, 0 },
        { "OPTIONS", "Max-Forwards: 0\r\n", FORWARDS_END, 0 },
        { "OPTIONS", "Max-Forwards: 000\r\n", FORWARDS_END, 0 },
        { "OPTIONS", "Max-Forwards: 1\r\n", FORWARDS_LESS, 0 },
        { "OPTIONS", "Max-Forwards: 10\r\n", FORWARDS_LESS, 9 },
        { "OPTIONS", "Max-Forwards: 99999999999999999999999\r\n", FORWARDS_LESS, FORWARDS_MAX },
        { "OPTIONS", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n", FORWARDS_WRONG, 0 },
        { "OPTIONS", "Max-Forwards:\r\n", FORWARDS_WRONG, 0 },
        { "OPTIONS", "Max-Forwards: -1\r\n", FORWARDS_WRONG, 0 },
        { "OPTIONS", "Max-Forwards: 1, 1\r\n", FORWARDS_WRONG, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heap_head h;
        unsigned left = 77;

        make(&h, cases[i].method, 1, 0, cases[i].fields);
        if (max_forwards(&h.head, &left) != cases[i].want || left != cases[i].left)
            fail_case(weir_str_from(cases[i].fields), "left %u", left);
        h.head.method_id = METHOD_TRACE;
        assert_int_equal(max_forwards(&h.head, &left), cases[i].want);
        h.head.method_id = METHOD_GET; /* other methods may pass over it */
        assert_int_equal(max_forwards(&h.head, &left), FORWARDS_ON);
        heap_head_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_ask_for_upgrades), cmocka_unit_test(switches_agree_with_offers),
        cmocka_unit_test(lines_become_one_list),     cmocka_unit_test(forwarded_elements),
        cmocka_unit_test(forwards_count_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
