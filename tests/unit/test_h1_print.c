/* test_h1_print.c -- what leaves: each byte of it, and that it parses again to the same head. */
#include "heads.h"

#include "codec/h1_print.h"

enum { OUT_MAX = 4000 };

/* Prints into a block of exactly the promised size. */
static void check_print(const struct weir_head *h, const struct h1_extra *extra, const char *want)
{
    size_t bound = h1_print_bound(h, extra), len;
    char *out = malloc(bound);

    assert_non_null(out);
    len = h->status > 0 ? h1_print_response(out, h, extra) : h1_print_request(out, h, extra);
    assert_true(len <= bound);
    assert_str(((weir_str){ out, len }), want);
    free(out);
}

/* Parses `in`, leaves away hop-by-hop fields, prints. */
static void check_forwarded(const char *in, bool response, const struct h1_extra *extra,
                            const char *want)
{
    struct heap_head h;
    struct weir_head copy;

    parse_head(&h, weir_str_from(in), response, &usual_limits, FEED_WHOLE);
    assert_int_equal(h.rc, 0);
    assert_int_equal(head_copy_end_to_end(&copy, &h.head, &h.arena), 0);
    check_print(&copy, extra, want);
    heap_head_done(&h);
}

static const struct h1_extra nothing = { .no_length = true };

static void requests(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n" },
        { "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n" }, /* our version, not the peer's */
        { "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1\r\nHost: b\r\n\r\n" },
        /* Host goes first, spelling and order stay, blanks are brought to one */
        { "get / HTTP/1.1\r\nx-A:1\r\nB:  2 \t\r\nhoST: a\r\nx-a: 3\r\nEmpty:\r\nE2: \r\n\r\n",
          "get / HTTP/1.1\r\nhoST: a\r\nx-A: 1\r\nB: 2\r\nx-a: 3\r\nEmpty: \r\nE2: \r\n\r\n" },
        /* this hop's fields in front of, between and behind others */
        { "GET / HTTP/1.1\r\nConnection: close, x\r\nHost: a\r\nA: 1\r\nKeep-Alive: x\r\nB: 2\r\n"
          "X: y\r\nC: 3\r\nTE: trailers\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_forwarded(cases[i].in, false, &nothing, cases[i].want);
}

static void responses(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "HTTP/1.0 200 Fine\r\nA: b\r\n\r\n", "HTTP/1.1 200 Fine\r\nA: b\r\n\r\n" },
        { "HTTP/1.1 404\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n" },
        { "HTTP/1.1 299 \r\n\r\n", "HTTP/1.1 299 \r\n\r\n" }, /* the blank stays, RFC 9112 4 */
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nSet-Cookie: a\r\n"
          "Set-Cookie: b\r\nContent-Length: 5\r\n\r\n",
          "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_forwarded(cases[i].in, true, &nothing, cases[i].want);
}

static void extras(void **state)
{
    static const char in[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    static const struct {
        struct h1_extra extra;
        const char *want; /* behind the head's own field */
    } cases[] = {
        { { .no_length = true }, "" },
        { { .no_length = false }, "Content-Length: 0\r\n" },
        { { .framing = { .mode = BODY_LENGTH, .length = 0 } }, "Content-Length: 0\r\n" },
        { { .framing = { .mode = BODY_LENGTH, .length = UINT64_MAX } },
          "Content-Length: 18446744073709551615\r\n" },
        { { .framing = { .mode = BODY_CHUNKED } }, "Transfer-Encoding: chunked\r\n" },
        { { .framing = { .mode = BODY_CLOSE }, .connection = TEXT("close") },
          "Connection: close\r\n" },
        { { .length_as = TEXT("123"), .no_length = true }, "Content-Length: 123\r\n" },
        { { .framing = { .mode = BODY_CHUNKED }, .date = TEXT("now"), .connection = TEXT("TE"),
            .upgrade = TEXT("y") },
          "Date: now\r\nUpgrade: y\r\nConnection: TE\r\n"
          "Transfer-Encoding: chunked\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[OUT_MAX];

        snprintf(want, sizeof(want), "HTTP/1.1 200 OK\r\nA: b\r\n%s\r\n", cases[i].want);
        check_forwarded(in, true, &cases[i].extra, want);
    }
}

static void a_date_is_not_replaced(void **state)
{
    static const struct h1_extra extra = { .no_length = true, .date = TEXT("now") };

    (void)state;
    check_forwarded("HTTP/1.1 200 OK\r\ndate: then\r\n\r\n", true, &extra,
                    "HTTP/1.1 200 OK\r\ndate: then\r\n\r\n");
}

/* A filter may store fields that frame or belong to a hop; they do not leave. */
static void filters_cannot_break_framing(void **state)
{
    static const char *const names[] = {
        "Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive", "Proxy-Connection",
        "Upgrade",        "TE",                "Trailer",    "HTTP2-Settings",
    };
    static const struct h1_extra extra = { .framing = { .mode = BODY_LENGTH, .length = 7 } };
    struct arena arena;
    struct weir_head head;

    (void)state;
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    head.status = 200;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        weir_set(&head, names[i], "chunked");
    weir_set(&head, "A", "b");
    assert_str(weir_get(&head, "Content-Length"), "chunked");
    check_print(&head, &extra, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 7\r\n\r\n");
    arena_done(&arena);
}

/* Changed, added and removed fields break up the runs that are copied in one piece. */
static void changed_heads(void **state)
{
    static const char in[] = "GET /old HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC:3\r\nD: 4\r\n"
                             "E: 5\r\n\r\n";
    struct heap_head h;

    (void)state;
    parse_head(&h, weir_str_from(in), false, &usual_limits, FEED_WHOLE);
    assert_int_equal(h.rc, 0);
    weir_set(&h.head, "host", "origin.example");
    weir_set(&h.head, "B", "22");
    weir_del(&h.head, "D");
    weir_add(&h.head, "F", "");
    h.head.target = LIT("/new");
    check_print(&h.head, &nothing,
                "GET /new HTTP/1.1\r\nHost: origin.example\r\nA: 1\r\nB: 22\r\nC: 3\r\nE: 5\r\n"
                "F: \r\n\r\n");
    heap_head_done(&h);
}

static void trailers(void **state)
{
    struct arena arena;
    struct weir_head head;
    char out[OUT_MAX];

    (void)state;
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    assert_str(((weir_str){ out, h1_print_trailers(out, &head) }), "\r\n");
    weir_set(&head, "X-Sum", "1");
    weir_set(&head, "Content-Length", "1");
    assert_str(((weir_str){ out, h1_print_trailers(out, &head) }), "X-Sum: 1\r\n\r\n");
    arena_done(&arena);
}

static void reasons(void **state)
{
    (void)state;
    assert_str(status_reason(200), "OK");
    assert_str(status_reason(431), "Request Header Fields Too Large");
    assert_str(status_reason(511), "Network Authentication Required");
    assert_str(status_reason(299), "");
    assert_str(status_reason(-1), "");
    assert_str(status_reason(600), "");
}

/* Random heads: fields of this and that, edited at random; what is printed parses to the same. */
static void what_is_printed_parses_again(void **state)
{
    static const char *const names[] = { "Accept", "x-a",           "Cookie",
                                         "Via",    "X-LONGER-NAME", "ETag" };
    struct random r;

    (void)state;
    random_seed(&r, 5);
    for (int round = 0; round < 3000; round++) {
        char text[OUT_MAX] = "GET /x HTTP/1.1\r\nHost: h\r\n", out[OUT_MAX];
        struct heap_head h, again;
        size_t len;

        for (size_t i = random_below(&r, 12); i > 0; i--)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s:%s%llu%s\r\n",
                     names[random_below(&r, ARRAY_LEN(names))], random_below(&r, 4) ? " " : "",
                     (unsigned long long)random_below(&r, 1000), random_below(&r, 4) ? "" : "\t");
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "\r\n");
        parse_head(&h, weir_str_from(text), false, &usual_limits, FEED_SPLITS);
        assert_int_equal(h.rc, 0);
        for (size_t i = random_below(&r, 4); i > 0; i--) {
            const char *name = names[random_below(&r, ARRAY_LEN(names))];

            if (random_below(&r, 2))
                weir_set(&h.head, name, "changed");
            else
                weir_del(&h.head, name);
        }
        assert_true(h1_print_bound(&h.head, &nothing) <= sizeof(out));
        len = h1_print_request(out, &h.head, &nothing);
        parse_head(&again, (weir_str){ out, len }, false, &usual_limits, FEED_WHOLE);
        assert_int_equal(again.rc, 0);
        assert_int_equal(again.head.count, h.head.count);
        for (size_t i = 0; i < h.head.count; i++) {
            weir_str name, value, name2, value2;

            assert_true(weir_head_at(&h.head, i, &name, &value));
            assert_true(weir_head_at(&again.head, i, &name2, &value2));
            assert_true(weir_str_eq(name, name2) && weir_str_eq(value, value2));
        }
        heap_head_done(&h);
        heap_head_done(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(responses),
        cmocka_unit_test(extras),
        cmocka_unit_test(a_date_is_not_replaced),
        cmocka_unit_test(filters_cannot_break_framing),
        cmocka_unit_test(changed_heads),
        cmocka_unit_test(trailers),
        cmocka_unit_test(reasons),
        cmocka_unit_test(what_is_printed_parses_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
