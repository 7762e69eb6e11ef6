/* test_chunked.c -- the chunked coding: every way to be wrong, in every feeding. */
#include "cases.h"

#include "codec/chunked.h"

static const struct {
    weir_str in;
    int want;         /* the last result */
    const char *data; /* all data up to there */
    const char *rest; /* CHUNKED_TRAILERS: what is left of the input */
} cases[] = {
    { TEXT("0\r\n\r\n"), CHUNKED_TRAILERS, "", "\r\n" },
    { TEXT("5\r\nhello\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "hello", "\r\n" },
    { TEXT("5\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\nGET"), CHUNKED_TRAILERS, "hello world",
      "A: b\r\n\r\nGET" },
    { TEXT("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n"), CHUNKED_TRAILERS,
      "01234567890123456789", "" },
    { TEXT("2\r\n\r\n\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "\r\n", "\r\n" }, /* data is any bytes */
    { TEXT("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    { TEXT("00\r\n\r\n"), CHUNKED_TRAILERS, "", "\r\n" },
    /* extensions */
    { TEXT("1;a\r\nx\r\n0;b=c\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    { TEXT("1;a=b;c;d=\"e\"\r\nx\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    { TEXT("1 ; a = b\t; c\r\nx\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    { TEXT("1;a=\";\\\"=\\\\ \t\x80\"\r\nx\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    { TEXT("1;a=\"\"\r\nx\r\n0\r\n\r\n"), CHUNKED_TRAILERS, "x", "\r\n" },
    /* not all there */
    { TEXT(""), CHUNKED_MORE, "", NULL },
    { TEXT("5"), CHUNKED_MORE, "", NULL },
    { TEXT("5\r"), CHUNKED_MORE, "", NULL },
    { TEXT("5\r\n"), CHUNKED_MORE, "", NULL },
    { TEXT("5\r\nhel"), CHUNKED_DATA, "hel", NULL },
    { TEXT("5\r\nhello\r"), CHUNKED_MORE, "hello", NULL },
    { TEXT("5\r\nhello\r\n"), CHUNKED_MORE, "hello", NULL },
    { TEXT("5\r\nhello\r\n0\r"), CHUNKED_MORE, "hello", NULL },
    { TEXT("7fffffffffffffff\r\nx"), CHUNKED_DATA, "x", NULL },
    /* sizes */
    { TEXT("\r\n"), -1, "", NULL },
    { TEXT("+5\r\nhello\r\n0\r\n\r\n"), -1, "", NULL },
    { TEXT("-5\r\nhello\r\n0\r\n\r\n"), -1, "", NULL },
    { TEXT("-0\r\n\r\n"), -1, "", NULL },
    { TEXT("0x5\r\nhello\r\n0\r\n\r\n"), -1, "", NULL },
    { TEXT("x5\r\nhello\r\n"), -1, "", NULL },
    { TEXT("0_5\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5_\r\nhello\r\n"), -1, "", NULL },
    { TEXT(" 5\r\nhello\r\n"), -1, "", NULL },
    { TEXT("\t5\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5 \r\nhello\r\n"), -1, "", NULL },
    { TEXT("5\t\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5 0\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5.0\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5,\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5h\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5g\r\nhello\r\n"), -1, "", NULL },
    { TEXT("\"5\"\r\nhello\r\n"), -1, "", NULL },
    { TEXT("\0" "5\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5\0\r\nhello\r\n"), -1, "", NULL },
    { TEXT("\xb2\r\nhello\r\n"), -1, "", NULL },
    { TEXT(";a\r\n"), -1, "", NULL },
    { TEXT("8000000000000000\r\nx"), -1, "", NULL },  /* 2^63 */
    { TEXT("ffffffffffffffff\r\nx"), -1, "", NULL },
    { TEXT("10000000000000000\r\nx"), -1, "", NULL }, /* 2^64: would wrap to 0 */
    { TEXT("10000000000000005\r\nhello"), -1, "", NULL },
    { TEXT("00000000000000005\r\nhello"), -1, "", NULL }, /* 17 digits */
    { TEXT("5\r\nhello\r\nfffffffffffffffe\r\nx"), -1, "hello", NULL },
    /* line ends */
    { TEXT("5\nhello\r\n"), -1, "", NULL },
    { TEXT("5\rhello\r\n"), -1, "", NULL },
    { TEXT("5\r\r\nhello\r\n"), -1, "", NULL },
    { TEXT("5;a\nhello\r\n"), -1, "", NULL },
    { TEXT("0\n\n"), -1, "", NULL },
    { TEXT("5\r\nhello0\r\n\r\n"), -1, "hello", NULL },
    { TEXT("5\r\nhello\n0\r\n\r\n"), -1, "hello", NULL },
    { TEXT("5\r\nhello\r0\r\n\r\n"), -1, "hello", NULL },
    { TEXT("5\r\nhello \r\n0\r\n\r\n"), -1, "hello", NULL },
    { TEXT("5\r\nhello\r\n\r\n0\r\n\r\n"), -1, "hello", NULL },
    /* malformed extensions */
    { TEXT("1;\r\nx\r\n"), -1, "", NULL },
    { TEXT("1; \r\nx\r\n"), -1, "", NULL },
    { TEXT("1;;a\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a;\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a= \r\nx\r\n"), -1, "", NULL },
    { TEXT("1;=b\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a \r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a b\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=b \r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=b c\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=b=c\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\r\n\"\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\n\"\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\\\r\n\"\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\"c\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=\"b\0\"\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a=b\"c\"\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;\xc3\xa9\r\nx\r\n"), -1, "", NULL },
    { TEXT("1;a@\r\nx\r\n"), -1, "", NULL },
};

struct decoded {
    int rc;
    char data[300];
    size_t len, left; /* bytes of data; bytes of input that are left */
    const char *reason;
};

/* Feeds a decoder in steps; what is left of a step is given back to it with the next one. */
static void decode(weir_str text, enum feeding feeding, struct random *r, struct decoded *out)
{
    struct chunked c;
    size_t used = 0, end = 0;

    *out = (struct decoded){ .rc = CHUNKED_MORE };
    chunked_init(&c);
    do {
        char *copy;
        weir_str in, piece;

        end = next_end(feeding, end, text.len, r);
        in = (weir_str){ text.ptr + used, end - used };
        in.ptr = copy = exact_copy(in);
        do {
            out->rc = chunked_next(&c, &in, &piece);
            if (out->rc == CHUNKED_DATA) {
                assert_true(piece.len > 0 && out->len + piece.len < sizeof(out->data));
                memcpy(out->data + out->len, piece.ptr, piece.len);
                out->len += piece.len;
            }
        } while (out->rc == CHUNKED_DATA && in.len > 0);
        used = end - in.len;
        free(copy);
    } while (end < text.len && out->rc >= 0);
    out->left = text.len - used;
    out->reason = c.reason;
    if (out->rc == -1 || out->rc == CHUNKED_TRAILERS) {
        weir_str in = LIT("0\r\n"), piece;

        assert_int_equal(chunked_next(&c, &in, &piece), out->rc); /* it stays so */
        assert_int_equal(in.len, 3);
    }
}

static void bodies_are_decoded_or_refused(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 3);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int feeding = 0; feeding < FEEDINGS; feeding++) {
            struct decoded d;

            decode(cases[i].in, (enum feeding)feeding, &r, &d);
            if (d.rc != cases[i].want)
                fail_case(cases[i].in, "gave %d (%s)", d.rc, d.reason ? d.reason : "");
            assert_true((d.rc == -1) == (d.reason != NULL));
            if (!weir_eq(((weir_str){ d.data, d.len }), cases[i].data))
                fail_case(cases[i].in, "data: %.*s", (int)d.len, d.data);
            if (d.rc == CHUNKED_TRAILERS)
                assert_int_equal(d.left, strlen(cases[i].rest));
        }
    }
}

/* No cut-off body ever reaches its end. */
static void cut_off_bodies_are_never_complete(void **state)
{
    static const char text[] = "5;a=\"b\"\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n";
    struct random r;

    (void)state;
    random_seed(&r, 4);
    for (size_t len = 0; len < sizeof(text); len++) {
        struct decoded d;

        decode((weir_str){ text, len }, FEED_SPLITS, &r, &d);
        assert_int_equal(d.rc == CHUNKED_TRAILERS, len == sizeof(text) - 1);
        assert_true(d.rc >= 0);
    }
}

/* Feeds `n` times `text`; the number of repetitions that were accepted. */
static size_t repeat(struct chunked *c, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        weir_str in = weir_str_from(text), piece;

        while (in.len > 0) {
            if (chunked_next(c, &in, &piece) < 0)
                return i;
        }
    }
    return n;
}

static void extensions_are_bounded(void **state)
{
    struct chunked c;

    (void)state;
    chunked_init(&c); /* one line: "1;" and the name */
    assert_int_equal(repeat(&c, "1;", 1), 1);
    assert_int_equal(repeat(&c, "x", CHUNK_LINE_MAX - 4), CHUNK_LINE_MAX - 4);
    assert_int_equal(repeat(&c, "\r\n", 1), 1);
    chunked_init(&c);
    assert_int_equal(repeat(&c, "1;", 1), 1);
    assert_int_equal(repeat(&c, "x", CHUNK_LINE_MAX), CHUNK_LINE_MAX - 2);
    assert_string_equal(c.reason, "a chunk size line longer than 4 KiB");
    chunked_init(&c); /* many small ones; the first byte, ";", is not counted */
    assert_int_equal(repeat(&c, "1;abcd\r\nx\r\n", CHUNK_EXT_MAX), CHUNK_EXT_MAX / 5);
    assert_string_equal(c.reason, "more than 16 KiB of chunk extensions");
    chunked_init(&c); /* plain lines have no such bound */
    assert_int_equal(repeat(&c, "1\r\nx\r\n", 100000), 100000);
}

static void trailers_end_where_they_end(void **state)
{
    static const struct {
        weir_str in;
        int want;
    } trailers[] = {
        { TEXT("\r\n"), 2 },
        { TEXT("\r\nGET"), 2 },
        { TEXT("A: b\r\n\r\n"), 8 },
        { TEXT("A: b\r\nC: d\r\n\r\n\r\n"), 14 },
        { TEXT(""), 0 },
        { TEXT("\r"), 0 },
        { TEXT("A: b\r\n"), 0 },
        { TEXT("A: b\r\n\r"), 0 },
        { TEXT("\n"), -1 },
        { TEXT("\rx"), -1 },
        { TEXT("\r\r\n"), -1 },
        { TEXT("A: b\n\n"), -1 },
        { TEXT("A: b\rC: d\r\n\r\n"), -1 },
        { TEXT("A: \0\r\n\r\n"), -1 },
        { TEXT("A: b\r\n\n"), -1 },
        { TEXT(" A: b\r\n\r\n"), -1 },
        { TEXT("0\r\n\r\n"), 5 }, /* not a field line: for h1_parse_trailers to say */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(trailers); i++) {
        char *copy = exact_copy(trailers[i].in);
        struct h1_scan scan;
        ptrdiff_t got;

        h1_scan_init(&scan);
        got = chunked_trailers(&scan, (weir_str){ copy, trailers[i].in.len });

        if (got != trailers[i].want)
            fail_case(trailers[i].in, "gave %td", got);
        assert_true((got < 0) == (scan.reason != NULL));
        free(copy);
    }
}

static void size_lines(void **state)
{
    static const struct {
        uint64_t len;
        const char *want;
    } lines[] = {
        { 1, "1\r\n" },           { 15, "f\r\n" },
        { 16, "10\r\n" },         { 0xabc, "abc\r\n" },
        { 16384, "4000\r\n" },    { UINT64_C(0x100000000), "100000000\r\n" },
        { INT64_MAX, "7fffffffffffffff\r\n" }, { UINT64_MAX, "ffffffffffffffff\r\n" },
    };
    char out[CHUNK_HEAD_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_str(((weir_str){ out, chunked_print_head(out, lines[i].len) }), lines[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_decoded_or_refused),
        cmocka_unit_test(cut_off_bodies_are_never_complete),
        cmocka_unit_test(extensions_are_bounded),
        cmocka_unit_test(trailers_end_where_they_end),
        cmocka_unit_test(size_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
