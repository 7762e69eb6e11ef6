/* test_framing.c -- how long a body is. The refused rows are the ways to smuggle. */
#include "heads.h"

#include "codec/framing.h"

#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

#define OK_11 "HTTP/1.1 200 OK"
#define OK_10 "HTTP/1.0 200 OK"

struct row {
    const char *in; /* lines behind the start line */
    int want;
    enum body_mode mode;
    uint64_t length;
    bool closes;
};

static const struct row requests_11[] = {
    { "", 0, BODY_NONE, 0, false },
    { "Connection: close\r\n", 0, BODY_NONE, 0, true },
    { "Connection: keep-alive, CLOSE\r\n", 0, BODY_NONE, 0, true },
    { "Connection: x\r\nconnection:\tClose\r\n", 0, BODY_NONE, 0, true },
    { "Connection: closed, \"close\"\r\n", 0, BODY_NONE, 0, false },
    { "Proxy-Connection: close\r\n", 0, BODY_NONE, 0, false },
    { CL "0\r\n", 0, BODY_LENGTH, 0, false },
    { CL "5\r\n", 0, BODY_LENGTH, 5, false },
    { CL "\t 0005 \r\n", 0, BODY_LENGTH, 5, false },
    { CL "9223372036854775807\r\n", 0, BODY_LENGTH, INT64_MAX, false },
    { TE "chunked\r\n", 0, BODY_CHUNKED, 0, false },
    { TE "CHUNKed\r\n", 0, BODY_CHUNKED, 0, false },
    { TE " \tchunked\t \r\n", 0, BODY_CHUNKED, 0, false },
    /* Content-Length */
    { CL "\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "9223372036854775808\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "18446744073709551616\r\n", WEIR_EBADLENGTH, 0, 0, false }, /* 2^64: would wrap to 0 */
    { CL "18446744073709551621\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "184467440737095516150\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "+5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "-5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "-0\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "0x5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5_0\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5 0\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5.0\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5e1\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5;\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "\"5\"\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5, 5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5,\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL ",5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "\xb2\r\n", WEIR_EBADLENGTH, 0, 0, false }, /* a superscript two in Latin-1 */
    { CL "5\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "5\r\nA: b\r\ncontent-LENGTH: 6\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { CL "0\r\n" CL "\r\n", WEIR_EBADLENGTH, 0, 0, false },
    /* both */
    { CL "5\r\n" TE "chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" CL "0\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "identity\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "gzip, chunked\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
    /* Transfer-Encoding */
    { TE "\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE ",\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "identity\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "gzip\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "xchunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunkedx\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunk\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chun\tked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "x chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "\"chunked\"\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "'chunked'\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked;q=1\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked;\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked,\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE ", chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked, , \r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked, gzip\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked, identity\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked, chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" TE "chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" TE "identity\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\ntransfer-encoding: x\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" TE "\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "\r\n" TE "chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked, gzip, chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "\x0b" "chunked\r\n", WEIR_EBADHEAD, 0, 0, false },
    { TE "chunked\xff\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "gzip, chunked\r\n", WEIR_ECODING, 0, 0, false },
    { TE "gzip\r\n" TE "chunked\r\n", WEIR_ECODING, 0, 0, false },
    { TE "identity, chunked\r\n", WEIR_ECODING, 0, 0, false },
    { TE "x;a=\"b, chunked\"\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "x;a=\", chunked\r\n", WEIR_ECODING, 0, 0, false },
};

static const struct row requests_10[] = {
    { "", 0, BODY_NONE, 0, true },
    { "Connection: keep-alive\r\n", 0, BODY_NONE, 0, false },
    { "Connection: Keep-Alive, close\r\n", 0, BODY_NONE, 0, true },
    { "Keep-Alive: timeout=5\r\n", 0, BODY_NONE, 0, true },
    { CL "5\r\n", 0, BODY_LENGTH, 5, true },
    { CL "5\r\nConnection: keep-alive\r\n", 0, BODY_LENGTH, 5, false },
    { TE "chunked\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\nConnection: keep-alive\r\n", WEIR_EBADLENGTH, 0, 0, false },
    { TE "chunked\r\n" CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false },
};

static void check_request(const char *line, const struct row *row)
{
    char text[400];
    struct heap_head h;
    struct framing f = { 0 };

    snprintf(text, sizeof(text), "%s\r\nHost: a\r\n%s\r\n", line, row->in);
    parse_head(&h, weir_str_from(text), false, &usual_limits, FEED_WHOLE);
    if (h.rc == 0)
        h.rc = framing_request(&h.head, &f, &h.fault);
    if (h.rc != row->want)
        fail_case(weir_str_from(text), "gave %d (%s)", h.rc, h.fault.reason ? h.fault.reason : "");
    if (h.rc < 0)
        assert_non_null(h.fault.reason);
    else if (f.mode != row->mode || f.length != row->length || f.persistent == row->closes)
        fail_case(weir_str_from(text), "mode %d, length %llu, %s", (int)f.mode,
                  (unsigned long long)f.length, f.persistent ? "goes on" : "closes");
    heap_head_done(&h);
}

static void requests(void **state)
{
    static const struct row no_body = { CL "0\r\n", 0, BODY_LENGTH, 0, false };
    static const struct row length = { CL "5\r\n", WEIR_EBADLENGTH, 0, 0, false };
    static const struct row chunked = { TE "chunked\r\n", WEIR_EBADLENGTH, 0, 0, false };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests_11); i++) {
        check_request("POST / HTTP/1.1", &requests_11[i]);
        check_request("GET / HTTP/1.1", &requests_11[i]); /* the method changes nothing */
        check_request("HEAD / HTTP/1.2", &requests_11[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(requests_10); i++)
        check_request("POST / HTTP/1.0", &requests_10[i]);
    check_request("CONNECT a:1 HTTP/1.1", &no_body);
    check_request("CONNECT a:1 HTTP/1.1", &length);
    check_request("CONNECT a:1 HTTP/1.1", &chunked);
}

static const struct {
    const char *line;
    enum method method;
    const char *in;
    int want;
    enum body_mode mode;
    uint64_t length;
    bool persistent;
    const char *stated;
} responses[] = {
    { OK_11, METHOD_GET, "", 0, BODY_CLOSE, 0, false, NULL },
    { OK_11, METHOD_GET, "Connection: keep-alive\r\n", 0, BODY_CLOSE, 0, false, NULL },
    { OK_11, METHOD_GET, CL "5\r\n", 0, BODY_LENGTH, 5, true, NULL },
    { OK_11, METHOD_GET, CL "5\r\nConnection: close\r\n", 0, BODY_LENGTH, 5, false, NULL },
    { OK_10, METHOD_GET, CL "5\r\n", 0, BODY_LENGTH, 5, false, NULL },
    { OK_10, METHOD_GET, CL "5\r\nConnection: keep-alive\r\n", 0, BODY_LENGTH, 5, true, NULL },
    { OK_11, METHOD_GET, TE "chunked\r\n", 0, BODY_CHUNKED, 0, true, NULL },
    { "HTTP/1.1 500 x", METHOD_POST, TE "Chunked\r\n", 0, BODY_CHUNKED, 0, true, NULL },
    { "HTTP/1.1 205 x", METHOD_POST, CL "0\r\n", 0, BODY_LENGTH, 0, true, NULL },
    { OK_11, METHOD_OTHER, CL "5\r\n", 0, BODY_LENGTH, 5, true, NULL },
    /* ambiguous: refused */
    { OK_11, METHOD_GET, CL "5\r\n" TE "chunked\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, CL "5\r\n" CL "5\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, CL "5, 5\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, CL "-1\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, CL "\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, CL "9223372036854775808\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_10, METHOD_GET, TE "chunked\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, TE "gzip\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, TE "identity\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, TE "gzip, chunked\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, TE "chunked, chunked\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    { OK_11, METHOD_GET, TE "\r\n", WEIR_EUPLENGTH, 0, 0, false, NULL },
    /* without a body, whatever the fields say */
    { OK_11, METHOD_HEAD, "", 0, BODY_NONE, 0, true, NULL },
    { OK_11, METHOD_HEAD, CL "5\r\n", 0, BODY_NONE, 0, true, "5" },
    { OK_11, METHOD_HEAD, TE "chunked\r\n", 0, BODY_NONE, 0, true, NULL },
    { OK_11, METHOD_HEAD, CL "x\r\n", 0, BODY_NONE, 0, false, NULL },
    { OK_11, METHOD_HEAD, CL "5\r\n" TE "chunked\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 304 x", METHOD_GET, CL "5\r\n", 0, BODY_NONE, 0, true, "5" },
    { "HTTP/1.1 304 x", METHOD_GET, CL "5\r\n" CL "6\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 304 x", METHOD_GET, TE "gzip, chunked\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 204 x", METHOD_GET, "", 0, BODY_NONE, 0, true, NULL },
    { "HTTP/1.1 204 x", METHOD_GET, CL "0\r\n", 0, BODY_NONE, 0, true, NULL },
    { "HTTP/1.1 204 x", METHOD_GET, CL "5\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 204 x", METHOD_GET, TE "chunked\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 100 x", METHOD_POST, "", 0, BODY_NONE, 0, true, NULL },
    { "HTTP/1.1 103 x", METHOD_GET, CL "5\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 101 x", METHOD_GET, "Connection: upgrade\r\n", 0, BODY_NONE, 0, true, NULL },
    { "HTTP/1.1 200 x", METHOD_CONNECT, "", 0, BODY_NONE, 0, true, NULL },
    { "HTTP/1.1 200 x", METHOD_CONNECT, CL "5\r\n", 0, BODY_NONE, 0, false, NULL },
    { "HTTP/1.1 403 x", METHOD_CONNECT, CL "5\r\n", 0, BODY_LENGTH, 5, true, NULL },
};

static void responses_have_one_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        char text[400];
        struct heap_head h;
        struct framing f = { 0 };

        snprintf(text, sizeof(text), "%s\r\n%s\r\n", responses[i].line, responses[i].in);
        parse_head(&h, weir_str_from(text), true, &usual_limits, FEED_WHOLE);
        assert_int_equal(h.rc, 0);
        h.rc = framing_response(&h.head, responses[i].method, &f, &h.fault);
        if (h.rc != responses[i].want)
            fail_case(weir_str_from(text), "gave %d", h.rc);
        if (h.rc < 0) {
            assert_non_null(h.fault.reason);
        } else {
            if (f.mode != responses[i].mode || f.length != responses[i].length ||
                f.persistent != responses[i].persistent)
                fail_case(weir_str_from(text), "mode %d, length %llu, %s", (int)f.mode,
                          (unsigned long long)f.length, f.persistent ? "goes on" : "closes");
            assert_str(f.stated, responses[i].stated);
        }
        heap_head_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(responses_have_one_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
