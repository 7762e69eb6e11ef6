/* test_h1_parse.c -- requests, responses, trailers: what is refused, and what the rest becomes. */
#include "heads.h"

#include "codec/chunked.h"

#define V " HTTP/1.1\r\n"
#define H "Host: a\r\n"
#define GET "GET /" V H

#define BLANKS     "two blanks in a row in the request line"
#define NO_VERSION "a request line without an HTTP version"
#define NO_HOST    "a Host that is no host and port"

static const struct {
    weir_str in;
    int want;
    const char *reason; /* NULL: not looked at */
} requests[] = {
    { TEXT(GET "\r\n"), 0, NULL },
    /* the request line */
    { TEXT("GET  /" V H "\r\n"), WEIR_EBADHEAD, BLANKS },
    { TEXT("GET /  HTTP/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, BLANKS },
    { TEXT("GET\t/" V H "\r\n"), WEIR_EBADHEAD, "a method that is no token" },
    { TEXT("GET /\tHTTP/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, NO_VERSION },
    { TEXT("GET / HTTP/1.1 \r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1.1\t\r\n" H "\r\n"), WEIR_EBADHEAD, NULL },
    { TEXT("G(T /" V H "\r\n"), WEIR_EBADHEAD, "a method that is no token" },
    { TEXT("G\xc3\x89T /" V H "\r\n"), WEIR_EBADHEAD, "a method that is no token" },
    { TEXT("GET\r\n" H "\r\n"), WEIR_EBADHEAD, "a request line without a target" },
    { TEXT("GET \r\n" H "\r\n"), WEIR_EBADHEAD, NO_VERSION },
    { TEXT("GET /\r\n" H "\r\n"), WEIR_EBADHEAD, NO_VERSION },
    { TEXT("GET HTTP/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, NULL },
    { TEXT("GET  HTTP/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, NULL },
    { TEXT("GET / http/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / Http/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1.1x\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1.10\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/01.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1,1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/1.\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTP/-1.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / HTTPS/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET / ICY/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, "a malformed HTTP version" },
    { TEXT("GET /HTTP/1.1\r\n" H "\r\n"), WEIR_EBADHEAD, NO_VERSION },
    { TEXT("GET / HTTP/2.0\r\n" H "\r\n"), WEIR_EVERSION, NULL },
    { TEXT("GET / HTTP/0.9\r\n" H "\r\n"), WEIR_EVERSION, NULL },
    { TEXT("GET / HTTP/3.0\r\n\r\n"), WEIR_EVERSION, NULL },
    { TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), WEIR_EVERSION, NULL },
    { TEXT("GET / HTTP/1.9\r\n" H "\r\n"), 0, NULL },
    { TEXT("GET / HTTP/1.0\r\n\r\n"), 0, NULL },
    { TEXT("get /" V H "\r\n"), 0, NULL }, /* another method than GET */
    { TEXT("M-SEARCH /" V H "\r\n"), 0, NULL },
    { TEXT("!#$%&'*+-.^_`|~09 /" V H "\r\n"), 0, NULL },
    /* targets, in full in test_uri.c */
    { TEXT("GET /a b" V H "\r\n"), WEIR_EBADTARGET, "a blank in the request target" },
    { TEXT("GET /a\tb" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("GET /\xc3\xa9" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("GET a" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("GET *" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("GET /#f" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("CONNECT /" V H "\r\n"), WEIR_EBADTARGET, NULL },
    { TEXT("GET http://u@h/" V H "\r\n"), WEIR_EBADTARGET, NULL },
    /* Host */
    { TEXT("GET /" V "\r\n"), WEIR_EBADHOST, "no Host field" },
    { TEXT("GET http://a/" V "\r\n"), WEIR_EBADHOST, "no Host field" },
    { TEXT("GET / HTTP/1.7\r\n\r\n"), WEIR_EBADHOST, "no Host field" },
    { TEXT(GET "Host: a\r\n\r\n"), WEIR_EBADHOST, "more than one Host field" },
    { TEXT(GET "hOST: b\r\n\r\n"), WEIR_EBADHOST, "more than one Host field" },
    { TEXT("GET / HTTP/1.0\r\n" H "Host: b\r\n\r\n"), WEIR_EBADHOST, "more than one Host field" },
    { TEXT("GET http://b/" V H "Host: b\r\n\r\n"), WEIR_EBADHOST, "more than one Host field" },
    { TEXT("GET http://b/" V "Host: a b\r\n\r\n"), WEIR_EBADHOST, NO_HOST },
    { TEXT("GET /" V "Host: a, b\r\n\r\n"), WEIR_EBADHOST, NO_HOST },
    { TEXT("GET /" V "Host: a/b\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host: u@a\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host: a:b\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host: a:65536\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host: :80\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host: \xff\r\n\r\n"), WEIR_EBADHOST, NULL },
    { TEXT("GET /" V "Host:\r\n\r\n"), 0, NULL },
    { TEXT("GET /" V "Host: [::1]:8080\r\n\r\n"), 0, NULL },
    /* fields */
    { TEXT(GET "A : b\r\n\r\n"), WEIR_EBADHEAD, "a blank before the colon of a field" },
    { TEXT(GET "A\t: b\r\n\r\n"), WEIR_EBADHEAD, "a blank before the colon of a field" },
    { TEXT(GET "A b: c\r\n\r\n"), WEIR_EBADHEAD, "a blank before the colon of a field" },
    { TEXT(GET "A: b\r\n c\r\n\r\n"), WEIR_EBADHEAD, "a folded field line" },
    { TEXT(GET "A: b\r\n\tc: d\r\n\r\n"), WEIR_EBADHEAD, "a folded field line" },
    { TEXT("GET /" V " " H "\r\n"), WEIR_EBADHEAD, "a folded field line" }, /* before any field */
    { TEXT(GET "A: b\r\n \r\n\r\n"), WEIR_EBADHEAD, "a folded field line" },
    { TEXT(GET "A\r\n\r\n"), WEIR_EBADHEAD, "a field line without a colon" },
    { TEXT(GET ": b\r\n\r\n"), WEIR_EBADHEAD, "a field without a name" },
    { TEXT(GET ":\r\n\r\n"), WEIR_EBADHEAD, "a field without a name" },
    { TEXT(GET "A@: b\r\n\r\n"), WEIR_EBADHEAD, "a field name that is no token" },
    { TEXT(GET "\"A\": b\r\n\r\n"), WEIR_EBADHEAD, "a field name that is no token" },
    { TEXT(GET "A\x80: b\r\n\r\n"), WEIR_EBADHEAD, "a field name that is no token" },
    { TEXT(GET "A(x): b\r\n\r\n"), WEIR_EBADHEAD, NULL },
    { TEXT(GET "A;x: b\r\n\r\n"), WEIR_EBADHEAD, NULL },
    { TEXT(GET "A: b\x01\r\n\r\n"), WEIR_EBADHEAD, "a control byte in the head" },
    { TEXT(GET "A: b\rc\r\n\r\n"), WEIR_EBADHEAD, "a CR that no LF follows" },
    { TEXT(GET "A: b\nB: c\r\n\r\n"), WEIR_EBADHEAD, "a LF without CR before it" },
    { TEXT(GET "A: b\0\r\n\r\n"), WEIR_EBADHEAD, "a NUL byte in the head" },
    { TEXT(GET "A: caf\xc3\xa9 \x80\xff\r\n\r\n"), 0, NULL }, /* obs-text is legal in values */
    { TEXT(GET "A:\r\nA:b\r\nA: \r\n\r\n"), 0, NULL },
    { TEXT(GET "A:: b:\r\n\r\n"), 0, NULL }, /* the second colon is of the value */
    { TEXT(GET "A: b"), 1, NULL },
    { TEXT("\r\n" GET "\r\n"), WEIR_EBADHEAD, "an empty line where a head was expected" },
};

static void requests_are_refused_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        for (int feeding = 0; feeding < FEEDINGS; feeding++) {
            struct heap_head h;

            parse_head(&h, requests[i].in, false, &usual_limits, (enum feeding)feeding);
            if (h.rc != requests[i].want)
                fail_case(requests[i].in, "gave %d (%s)", h.rc,
                          h.fault.reason ? h.fault.reason : "");
            if (h.rc < 0)
                assert_non_null(h.fault.reason);
            if (requests[i].reason != NULL &&
                strcmp(h.fault.reason, requests[i].reason) != 0)
                fail_case(requests[i].in, "reason: %s", h.fault.reason);
            heap_head_done(&h);
        }
    }
}

/* A head that stops anywhere is not a head yet, and never one with less in it. */
static void cut_off_requests_are_never_heads(void **state)
{
    static const char text[] = "POST /a?b=%20c" V H "Content-Length: 10\r\nA: b\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct heap_head h;

        parse_head(&h, (weir_str){ text, len }, false, &usual_limits, FEED_WHOLE);
        assert_int_equal(h.rc, 1);
        heap_head_done(&h);
    }
}

static void a_request_in_full(void **state)
{
    static const char text[] = "POST /a/b?c=d HTTP/1.1\r\n"
                               "hOsT:Example.org:8080\r\n"
                               "X-Odd_Name!:  two  words \t \r\n"
                               "Cookie: a=1\r\n"
                               "cookie: b=2\r\n"
                               "Empty:\r\n"
                               "Content-Length: 0\r\n\r\n";
    static const struct {
        const char *name, *value;
        enum field_id id;
    } fields[] = {
        { "hOsT", "Example.org:8080", FIELD_HOST },
        { "X-Odd_Name!", "two  words", FIELD_OTHER },
        { "Cookie", "a=1", FIELD_COOKIE },
        { "cookie", "b=2", FIELD_COOKIE },
        { "Empty", "", FIELD_OTHER },
        { "Content-Length", "0", FIELD_CONTENT_LENGTH },
    };
    struct heap_head h;

    (void)state;
    parse_head(&h, (weir_str){ text, sizeof(text) - 1 }, false, &usual_limits, FEED_WHOLE);
    assert_int_equal(h.rc, 0);
    assert_str(weir_method(&h.head), "POST");
    assert_int_equal(h.head.method_id, METHOD_POST);
    assert_str(weir_target(&h.head), "/a/b?c=d");
    assert_str(h.head.authority, "Example.org:8080");
    assert_int_equal(weir_status(&h.head), 0);
    assert_int_equal(h.head.minor, 1);
    assert_int_equal(h.head.count, ARRAY_LEN(fields));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        weir_str name, value;

        assert_true(weir_head_at(&h.head, i, &name, &value));
        assert_str(name, fields[i].name);
        assert_str(value, fields[i].value);
        assert_int_equal(h.head.fields[i].id, fields[i].id);
    }
    assert_true(head_has_id(&h.head, FIELD_COOKIE));
    assert_false(head_has_id(&h.head, FIELD_OTHER));
    assert_false(head_has_id(&h.head, FIELD_TE));
    heap_head_done(&h);
}

/* What the four forms of a target become, and what becomes of Host. */
static void targets_and_hosts(void **state)
{
    static const struct {
        const char *in, *target, *authority, *host; /* host: value of the field, NULL: absent */
    } cases[] = {
        { "GET /a?b" V H, "/a?b", "a", "a" },
        { "GET / HTTP/1.0\r\n", "/", NULL, NULL },
        { "GET /" V "Host:\r\n", "/", "", "" },
        { "OPTIONS *" V H, "*", "a", "a" },
        { "GET http://b:80/x?y" V H, "/x?y", "b:80", "b:80" },
        { "GET HTTP://b" V H, "/", "b", "b" },
        { "GET https://b?q=/" V H, "/?q=/", "b", "b" },
        { "GET http://b/" V "Host:\r\n", "/", "b", "b" },
        { "GET http://b/ HTTP/1.0\r\n", "/", "b", "b" },
        { "OPTIONS http://b" V H, "*", "b", "b" },
        { "OPTIONS http://b/" V H, "/", "b", "b" },
        { "OPTIONS http://b?" V H, "/?", "b", "b" },
        { "CONNECT b:443" V H, "b:443", "b:443", "b:443" },
        { "CONNECT [::1]:443" V H, "[::1]:443", "[::1]:443", "[::1]:443" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200];
        struct heap_head h;

        snprintf(text, sizeof(text), "%s\r\n", cases[i].in);
        parse_head(&h, weir_str_from(text), false, &usual_limits, FEED_WHOLE);
        if (h.rc != 0)
            fail_case(weir_str_from(text), "gave %d (%s)", h.rc, h.fault.reason);
        assert_str(h.head.target, cases[i].target);
        assert_str(h.head.authority, cases[i].authority);
        assert_str(weir_get(&h.head, "host"), cases[i].host);
        assert_true(head_count_id(&h.head, FIELD_HOST) <= 1);
        heap_head_done(&h);
    }
}

static void limits_hold_to_the_byte(void **state)
{
    static const struct h1_limits limits = {
        .max_head = 1000, .max_field = 10, .max_target = 5, .max_fields = 3
    };
    static const struct {
        weir_str in;
        int want, response; /* what it gives as a response, with its status line */
    } cases[] = {
        { TEXT("GET /2345" V H "\r\n"), 0, 1 },
        { TEXT("GET /23456" V H "\r\n"), WEIR_ETARGETSIZE, 1 },
        { TEXT("GET /23456789012345678901\r\n" H "\r\n"), WEIR_ETARGETSIZE, 1 },
        { TEXT(GET "A: 4567890\r\n\r\n"), 0, 1 },
        { TEXT(GET "A: 45678901\r\n\r\n"), WEIR_EFIELDSIZE, 1 },
        { TEXT(GET "A:       b\r\n\r\n"), 0, 1 },
        { TEXT(GET "A:        b\r\n\r\n"), WEIR_EFIELDSIZE, 1 }, /* blanks count */
        { TEXT(GET "A: 1\r\nA: 2\r\n\r\n"), 0, 1 },
        { TEXT(GET "A: 1\r\nA: 2\r\nA: 3\r\n\r\n"), WEIR_EFIELDCOUNT, 1 },
        { TEXT("HTTP/1.1 200 OK\r\nA: 4567890\r\n\r\n"), 1, 0 },
        { TEXT("HTTP/1.1 200 OK\r\nA: 45678901\r\n\r\n"), 1, WEIR_EUPHEADSIZE },
        { TEXT("HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nA: 3\r\n\r\n"), 1, 0 },
        { TEXT("HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nA: 3\r\nA:\r\n\r\n"), 1, WEIR_EUPHEADSIZE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool response = cases[i].want == 1;
        struct heap_head h;

        parse_head(&h, cases[i].in, response, &limits, FEED_WHOLE);
        if (h.rc != (response ? cases[i].response : cases[i].want))
            fail_case(cases[i].in, "gave %d (%s)", h.rc, h.fault.reason ? h.fault.reason : "");
        heap_head_done(&h);
    }
}

/* A name of 64 KiB does not fit the length of a field, whatever the limits allow. */
static void names_have_a_limit_of_their_own(void **state)
{
    static const struct h1_limits huge = {
        .max_head = 1 << 20, .max_field = 1 << 20, .max_target = 1 << 20, .max_fields = 100
    };
    static char text[FIELD_NAME_MAX + 100];

    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        int at = snprintf(text, sizeof(text), GET);
        struct heap_head h;

        memset(text + at, 'n', FIELD_NAME_MAX + over);
        memcpy(text + at + FIELD_NAME_MAX + over, ": v\r\n\r\n", 8);
        parse_head(&h, weir_str_from(text), false, &huge, FEED_WHOLE);
        assert_int_equal(h.rc, over ? WEIR_EFIELDSIZE : 0);
        if (!over)
            assert_int_equal(h.head.fields[1].name_len, FIELD_NAME_MAX);
        heap_head_done(&h);
    }
}

static void responses_are_refused_or_not(void **state)
{
    static const struct {
        weir_str in;
        int want, status;
        const char *reason_phrase;
    } cases[] = {
        { TEXT("HTTP/1.1 200 OK\r\n\r\n"), 0, 200, "OK" },
        { TEXT("HTTP/1.0 404 Not  Found \r\n\r\n"), 0, 404, "Not  Found " },
        { TEXT("HTTP/1.1 200 \r\n\r\n"), 0, 200, "" },
        { TEXT("HTTP/1.1 200\r\n\r\n"), 0, 200, "" },
        { TEXT("HTTP/1.1 200 caf\xc3\xa9\r\n\r\n"), 0, 200, "caf\xc3\xa9" },
        { TEXT("HTTP/1.1 100 Continue\r\n\r\n"), 0, 100, "Continue" },
        { TEXT("HTTP/1.7 599 x\r\nA: b\r\n\r\n"), 0, 599, "x" },
        { TEXT("HTTP/1.1 600 x\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 999 x\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 099 x\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 000 x\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 20 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 2000 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 +20 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 2x0 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1  200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200\tOK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1\t200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 \r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("H\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/2 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/2.0 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/0.9 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.10 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("http/1.1 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("ICY 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("XHTTP/1.1 200 OK\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200 OK\r\n A: b\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("HTTP/1.1 200 OK\r\n: b\r\n\r\n"), WEIR_EUPHEAD, 0, NULL },
        { TEXT("<html></html>\r\n\r\n"), WEIR_EBADHEAD, 0, NULL }, /* the scanner's word for it */
        { TEXT("HTTP/1.1 200 OK\n\n"), WEIR_EBADHEAD, 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int feeding = 0; feeding < FEEDINGS; feeding++) {
            struct heap_head h;

            parse_head(&h, cases[i].in, true, &usual_limits, (enum feeding)feeding);
            if (h.rc != cases[i].want)
                fail_case(cases[i].in, "gave %d (%s)", h.rc, h.fault.reason ? h.fault.reason : "");
            if (h.rc == 0) {
                assert_int_equal(weir_status(&h.head), cases[i].status);
                assert_str(h.head.reason, cases[i].reason_phrase);
                assert_str(weir_method(&h.head), NULL);
            } else {
                assert_non_null(h.fault.reason);
            }
            heap_head_done(&h);
        }
    }
}

static void trailers(void **state)
{
    static const struct h1_limits limits = {
        .max_head = 1000, .max_field = 30, .max_target = 5, .max_fields = 3
    };
    static const struct {
        const char *in;
        int want;
        const char *kept; /* "name=value;" of each */
    } cases[] = {
        { "\r\n", 0, "" },
        { "A: b\r\nC:  d \r\n\r\n", 0, "A=b;C=d;" },
        { "ETag: \"x\"\r\n\r\n", 0, "ETag=\"x\";" },
        { "Content-Length: 5\r\nx: y\r\n\r\n", 0, "x=y;" },
        { "transfer-encoding: chunked\r\n\r\n", 0, "" },
        { "Host: evil\r\nAuthorization: x\r\n\r\n", 0, "" },
        { "Cookie: a\r\nSet-Cookie: b\r\n\r\n", 0, "" },
        { "X-Forwarded-For: 1\r\nx-forwarded-port: 1\r\n\r\n", 0, "" },
        { "If-None-Match: *\r\nWWW-Authenticate: x\r\n\r\n", 0, "" },
        { "Connection: close\r\nTrailer: x\r\n\r\n", 0, "" },
        { "A : b\r\n\r\n", WEIR_EBADBODY, "" },
        { "A: b\r\n c\r\n\r\n", WEIR_EBADBODY, "" },
        { " A: b\r\n\r\n", -1, "" }, /* for the scan to say */
        { ": b\r\n\r\n", -1, "" },
        { "A\r\n\r\n", WEIR_EBADBODY, "" },
        { "A: 0123456789012345678901234567\r\n\r\n", WEIR_EBADBODY, "" },
        { "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", 0, "A=1;B=2;C=3;" },
        { "A: 1\r\nHost: 2\r\nC: 3\r\nD: 4\r\n\r\n", WEIR_EBADBODY, "" }, /* dropped ones count */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        weir_str text = weir_str_from(cases[i].in), name, value;
        char *copy = padded_copy(text, H1_PAD), kept[200] = "";
        struct h1_fault fault = { NULL };
        struct h1_scan scan;
        struct weir_head head;
        struct arena arena;
        int rc;

        arena_init(&arena, NULL, 0);
        head_init(&head, &arena, 0);
        h1_scan_init(&scan);
        rc = (int)chunked_trailers(&scan, text);
        if (rc > 0)
            rc = h1_parse_trailers(copy, &scan, &limits, &head, WEIR_EBADBODY, &fault);
        if (rc != cases[i].want)
            fail_case(text, "gave %d (%s)", rc, fault.reason ? fault.reason : "");
        for (size_t j = 0; rc == 0 && weir_head_at(&head, j, &name, &value); j++)
            snprintf(kept + strlen(kept), sizeof(kept) - strlen(kept), "%.*s=%.*s;",
                     WEIR_ARG(name), WEIR_ARG(value));
        assert_string_equal(kept, cases[i].kept);
        free(copy);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_refused_or_not),
        cmocka_unit_test(cut_off_requests_are_never_heads),
        cmocka_unit_test(a_request_in_full),
        cmocka_unit_test(targets_and_hosts),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(names_have_a_limit_of_their_own),
        cmocka_unit_test(responses_are_refused_or_not),
        cmocka_unit_test(trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
