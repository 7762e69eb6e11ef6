/* test_compress.c -- who gets a response compressed, by what, and what its head says then. */
#include "sessions.h"

#define HTML "Content-Type: text/html\r\nContent-Length: 4000\r\n"

/* What the module makes of a response; the coding it chose, absent: none. */
static weir_str coded(struct request *r, const struct weir_compression_config *config)
{
    char work[64] = { 0 };
    struct weir_use me = { .module = &weir_compression, .config = config, .ctx = work };

    assert_true(weir_compression.ctx_size <= sizeof work);
    assert_int_equal(weir_compression.response_filter(&r->s, &me, &r->s.res), 0);
    return weir_get(&r->s.res, "Content-Encoding");
}

static void weights(void **state)
{
    static const struct {
        const char *accept, *want;
    } cases[] = {
        { "gzip", "gzip" },
        { "gzip, br, zstd", "zstd" },
        { "gzip;q=1, br;q=0.9, zstd;q=0.8", "gzip" },
        { "br;q=0.5,gzip;q=0.5", "br" }, /* a tie: what we prefer */
        { "x-gzip", "gzip" },
        { "GZip;Q=0.3", "gzip" },
        { "*", "zstd" },
        { "*;q=0", NULL },
        { "zstd;q=0, br;q=0, *;q=0.1", "gzip" },
        { "identity;q=0.5, gzip;q=0.4", NULL },
        { "identity;q=0.5, gzip;q=0.5", "gzip" },
        { "identity", NULL },
        { "", NULL },
        { " , ,, gzip ,", "gzip" },
        { "gzip\t; \tq=0.001", "gzip" },
        { "gzip;q=0", NULL },
        { "gzip;q=0.", NULL },
        { "gzip;q=1.", "gzip" },
        { "gzip;q=1 ", "gzip" },
        { "gzip;;q=1", NULL },
        { "gzip;", NULL },
        { "gzip;q=.5", NULL },
        { "gzip;q=01", NULL },
        { "gzip;q=0.000", NULL },
        { "gzip;q=1.000", "gzip" },
        /* What is malformed asks for nothing. */
        { "gzip;q=", NULL },
        { "gzip;q", NULL },
        { "gzip;q=2", NULL },
        { "gzip;q=-1", NULL },
        { "gzip;q=1.5", NULL },
        { "gzip;q=1.001", NULL },
        { "gzip;q=0.5555", NULL },
        { "gzip;q=0.5x", NULL },
        { "gzip;q=1x", NULL },
        { "gzip;q=0,5", NULL },
        { "gzip;q=1;q=0", NULL },
        { "gzip;level=9", NULL },
        { "gzip q=1", NULL },
        { "\"gzip\"", NULL },
        { "gz", NULL },
        { "gzipp", NULL },
        { "deflate, compress", NULL },
        { "gzip;q=0\r\nAccept-Encoding: br", "br" }, /* both lines count */
        { "gzip, gzip;q=0", NULL },                  /* the last word */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        char fields[256];
        weir_str got;

        snprintf(fields, sizeof fields, "Accept-Encoding: %s\r\n", cases[i].accept);
        request_made(&r, "GET", fields);
        request_answered(&r, "200 OK\r\n" HTML);
        got = coded(&r, NULL);
        if (cases[i].want == NULL ? got.ptr != NULL : !weir_eq(got, cases[i].want))
            fail_case(((weir_str){ fields, strlen(fields) }), "%.*s", (int)got.len,
                      got.ptr != NULL ? got.ptr : "");
        assert_true((r.s.edit_down != NULL) == (cases[i].want != NULL));
        assert_str(weir_get(&r.s.res, "Vary"), "Accept-Encoding");
        request_done(&r);
    }
}

/* What is not compressed, to whoever asks: then Vary says nothing either. */
static void left_alone(void **state)
{
    static const char *const cases[] = {
        "206 Partial Content\r\n" HTML "Content-Range: bytes 0-3999/9000\r\n",
        "200 OK\r\n" HTML "Content-Range: bytes 0-3999/9000\r\n",
        "204 No Content\r\nContent-Type: text/html\r\n",
        "304 Not Modified\r\nContent-Type: text/html\r\n",
        "200 OK\r\n" HTML "Cache-Control: max-age=5, No-Transform\r\n",
        "200 OK\r\n" HTML "Content-Encoding: br\r\n",
        "200 OK\r\n" HTML "Content-Encoding: identity, gzip\r\n",
        "200 OK\r\nContent-Type: text/html\r\nContent-Length: 255\r\n",
        "200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n",
        "200 OK\r\nContent-Type: text\r\nContent-Length: 4000\r\n",
        "200 OK\r\nContent-Type: text/\r\nContent-Length: 4000\r\n",
        "200 OK\r\nContent-Type: image/png\r\nContent-Length: 4000\r\n",
        "200 OK\r\nContent-Type: application/jsonp\r\nContent-Length: 4000\r\n",
        "200 OK\r\nContent-Type: ;text/html\r\nContent-Length: 4000\r\n",
        "200 OK\r\nContent-Length: 4000\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        uint32_t count;

        request_made(&r, "GET", "Accept-Encoding: gzip, br, zstd, *\r\n");
        request_answered(&r, cases[i]);
        count = r.s.res.count;
        coded(&r, NULL);
        if (r.s.edit_down != NULL || weir_has(&r.s.res, "Vary") || r.s.res.count != count)
            fail_case(((weir_str){ cases[i], strlen(cases[i]) }), "changed");
        request_done(&r);
    }
}

static void what_the_head_says_then(void **state)
{
    static const struct {
        const char *fields, *vary, *etag;
    } cases[] = {
        { "", "Accept-Encoding", NULL },
        { "ETag: \"a\"\r\n", "Accept-Encoding", "W/\"a\"" },
        { "ETag: W/\"a\"\r\n", "Accept-Encoding", "W/\"a\"" },
        { "ETag: nonsense\r\n", "Accept-Encoding", "nonsense" },
        { "Vary: Origin\r\n", "Origin, Accept-Encoding", NULL },
        { "Vary: Origin\r\nVary: Cookie\r\n", "Origin, Cookie, Accept-Encoding", NULL },
        { "Vary: Origin, accept-ENCODING\r\n", "Origin, accept-ENCODING", NULL },
        { "Vary: Accept-Encoding-Too\r\n", "Accept-Encoding-Too, Accept-Encoding", NULL },
        { "Vary: *\r\n", "*", NULL },
        { "Vary:\r\n", "Accept-Encoding", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        char head[256];

        request_made(&r, "GET", "Accept-Encoding: gzip\r\n");
        snprintf(head, sizeof head, "200 OK\r\n" HTML "%s", cases[i].fields);
        request_answered(&r, head);
        assert_str(coded(&r, NULL), "gzip");
        assert_str(weir_get(&r.s.res, "Vary"), cases[i].vary);
        assert_str(weir_get(&r.s.res, "ETag"), cases[i].etag);
        request_done(&r);
    }
}

/* 304: about what the client has, which may be what was made of it. */
static void what_has_not_changed(void **state)
{
    static const struct {
        const char *fields, *etag, *want;
    } cases[] = {
        { "If-None-Match: W/\"a\"\r\n", "\"a\"", "W/\"a\"" },
        { "If-None-Match: \"b\", W/\"a\"\r\n", "\"a\"", "W/\"a\"" },
        { "If-None-Match: \"b\"\r\nIf-None-Match: W/\"a\"\r\n", "\"a\"", "W/\"a\"" },
        { "If-None-Match: \"a\"\r\n", "\"a\"", "\"a\"" }, /* what it has came as it was */
        { "If-None-Match: W/\"aa\", W/\"ba\"\r\n", "\"a\"", "\"a\"" },
        { "If-None-Match: *\r\n", "\"a\"", "\"a\"" },
        { "If-None-Match: W/\"a\"\r\n", "W/\"a\"", "W/\"a\"" },
        { "", "\"a\"", "\"a\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        char head[128];
        bool changed = strcmp(cases[i].etag, cases[i].want) != 0;

        request_made(&r, "GET", cases[i].fields);
        snprintf(head, sizeof head, "304 Not Modified\r\nETag: %s\r\n", cases[i].etag);
        request_answered(&r, head);
        coded(&r, NULL);
        assert_str(weir_get(&r.s.res, "ETag"), cases[i].want);
        assert_str(weir_get(&r.s.res, "Vary"), changed ? "Accept-Encoding" : NULL);
        assert_null(r.s.edit_down);
        request_done(&r);
    }
}

static void what_a_service_prefers(void **state)
{
    static const char *const types[] = { "image/", "application/x", NULL };
    static const struct weir_compression_config gzip_first = { .prefer = { WEIR_GZIP, WEIR_BR } },
                                                only_br = { .prefer = { WEIR_BR } },
                                                small = { .min_length = 1 },
                                                large = { .min_length = 4001 },
                                                others = { .types = types },
                                                never = { .only_decompress = true };
    static const struct {
        const struct weir_compression_config *config;
        const char *accept, *head, *want;
    } cases[] = {
        { &gzip_first, "gzip, br, zstd", HTML, "gzip" },
        { &gzip_first, "zstd", HTML, NULL },
        { &gzip_first, "br;q=0.9, gzip;q=0.1", HTML, "br" },
        { &only_br, "*", HTML, "br" },
        { &only_br, "gzip, zstd", HTML, NULL },
        { &small, "gzip", "Content-Type: text/x\r\nContent-Length: 1\r\n", "gzip" },
        { &small, "gzip", "Content-Type: text/x\r\nContent-Length: 0\r\n", NULL },
        { &large, "gzip", HTML, NULL },
        { &large, "gzip", "Content-Type: text/x\r\nTransfer-Encoding: chunked\r\n", "gzip" },
        { &others, "gzip", HTML, NULL },
        { &others, "gzip", "Content-Type: Image/Png\r\nContent-Length: 4000\r\n", "gzip" },
        { &others, "gzip", "Content-Type: application/x ;a=b\r\nContent-Length: 4000\r\n", "gzip" },
        { &others, "gzip", "Content-Type: application/xy\r\nContent-Length: 4000\r\n", NULL },
        { &never, "gzip", HTML, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        char text[256];

        snprintf(text, sizeof text, "Accept-Encoding: %s\r\n", cases[i].accept);
        request_made(&r, "GET", text);
        snprintf(text, sizeof text, "200 OK\r\n%s", cases[i].head);
        request_answered(&r, text);
        assert_str(coded(&r, cases[i].config), cases[i].want);
        request_done(&r);
    }
}

/* It came compressed. */
static void unpacking(void **state)
{
    static const struct weir_compression_config config = { .decompress = true };
    static const struct {
        const char *fields, *coding, *want; /* Content-Encoding of the response, before and after */
    } cases[] = {
        { "", "gzip", NULL },
        { "Accept-Encoding: br\r\n", "gzip", NULL },
        { "Accept-Encoding: gzip;q=0, *\r\n", "gzip", NULL },
        { "Accept-Encoding: gzip\r\n", "gzip", "gzip" },
        { "Accept-Encoding: *;q=0.1\r\n", "zstd", "zstd" },
        { "", "x-gzip", NULL },
        { "", "deflate", "deflate" },
        { "", "gzip, br", "gzip, br" }, /* one behind the other */
        { "", "gzip\r\nContent-Encoding: br", "gzip" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        char head[256];

        request_made(&r, "GET", cases[i].fields);
        snprintf(head, sizeof head, "200 OK\r\n" HTML "Content-Encoding: %s\r\n", cases[i].coding);
        request_answered(&r, head);
        assert_str(coded(&r, &config), cases[i].want);
        assert_true((r.s.edit_down != NULL) == (cases[i].want == NULL));
        request_done(&r);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(what_the_head_says_then),
        cmocka_unit_test(what_has_not_changed),
        cmocka_unit_test(what_a_service_prefers),
        cmocka_unit_test(unpacking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
