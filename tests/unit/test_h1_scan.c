/* test_h1_scan.c -- the end of a head, in every feeding and by every way of classifying. */
#include "heads.h"

#define CONTROL "a control byte in the head"
#define TLS     "a TLS handshake where HTTP was expected"
#define FIRST   "a head that begins with a byte that no name begins with"

static const struct {
    weir_str in;
    int want; /* 1: a head that ends where `left` bytes are left; 0: more is needed */
    size_t left;
    size_t lines;
    const char *reason;
} cases[] = {
    { TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 1, 0, 2, NULL },
    { TEXT("GET / HTTP/1.1\r\n\r\n"), 1, 0, 1, NULL },
    { TEXT("GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"), 1, 19, 1, NULL },
    { TEXT("GET / HTTP/1.1\r\n\r\n\0\1\2\n\r"), 1, 5, 1, NULL }, /* a body is not looked at */
    { TEXT("a\r\n\r\n"), 1, 0, 1, NULL },
    { TEXT("a: \t\r\nb:\t\xff\x80\r\n\r\n"), 1, 0, 2, NULL },
    { TEXT("GET / HTTP/1.1\r\n"), 0, 0, 1, NULL },
    { TEXT("GET / HTTP/1.1\r"), 0, 0, 0, NULL },
    { TEXT("GET / HTTP/1.1\r\n\r"), 0, 0, 1, NULL },
    { TEXT(""), 0, 0, 0, NULL },
    { TEXT("G"), 0, 0, 0, NULL },
    { TEXT("GET / HTTP/1.1\n\n"), WEIR_EBADHEAD, 0, 0, "a LF without CR before it" },
    { TEXT("GET / HTTP/1.1\r\nHost: a\n\r\n"), WEIR_EBADHEAD, 0, 0, "a LF without CR before it" },
    { TEXT("GET / HTTP/1.1\r\nHost: a\r\n\n"), WEIR_EBADHEAD, 0, 0, "a LF without CR before it" },
    { TEXT("GET / HTTP/1.1\rX: 1\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a CR that no LF follows" },
    { TEXT("GET / HTTP/1.1\r\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a CR that no LF follows" },
    { TEXT("GET / HTTP/1.1\r\n\r\r\n"), WEIR_EBADHEAD, 0, 0, "a CR that no LF follows" },
    { TEXT("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a NUL byte in the head" },
    { TEXT("GET /\0 HTTP/1.1\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a NUL byte in the head" },
    { TEXT("GET / HTTP/1.1\r\nA: \x01\r\n\r\n"), WEIR_EBADHEAD, 0, 0, CONTROL },
    { TEXT("GET / HTTP/1.1\r\nA: \x7f\r\n\r\n"), WEIR_EBADHEAD, 0, 0, CONTROL },
    { TEXT("GET / HTTP/1.1\r\nA: \x0b\r\n\r\n"), WEIR_EBADHEAD, 0, 0, CONTROL },
    { TEXT("GET / HTTP/1.1\r\nA: \x1b[2J\r\n\r\n"), WEIR_EBADHEAD, 0, 0, CONTROL },
    { TEXT("\r\n"), WEIR_EBADHEAD, 0, 0, "an empty line where a head was expected" },
    { TEXT("\n"), WEIR_EBADHEAD, 0, 0, "an empty line where a head was expected" },
    { TEXT(" GET / HTTP/1.1\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a blank at the start of a head" },
    { TEXT("\tGET / HTTP/1.1\r\n\r\n"), WEIR_EBADHEAD, 0, 0, "a blank at the start of a head" },
    { TEXT("\x16\x03\x01\x02\x00\x01"), WEIR_EBADHEAD, 0, 0, TLS },
    { TEXT("\0"), WEIR_EBADHEAD, 0, 0, FIRST },
    { TEXT(":"), WEIR_EBADHEAD, 0, 0, FIRST },
    { TEXT("\xff"), WEIR_EBADHEAD, 0, 0, FIRST },
};

static void heads_end_where_they_end(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int feeding = 0; feeding < FEEDINGS; feeding++) {
            struct h1_scan s;
            int rc = feed_scan(cases[i].in, (enum feeding)feeding, &r, &s);

            if (rc != cases[i].want)
                fail_case(cases[i].in, "gave %d (%s)", rc, s.reason ? s.reason : "");
            if (rc == 1 && s.at != cases[i].in.len - cases[i].left)
                fail_case(cases[i].in, "ended at %zu", s.at);
            if (rc >= 0 && s.lines != cases[i].lines)
                fail_case(cases[i].in, "has %zu lines", s.lines);
            if (rc < 0)
                assert_string_equal(s.reason, cases[i].reason);
        }
    }
}

static void knows_where_lines_end(void **state)
{
    static char text[3 * 200 + 3];
    struct h1_scan s;
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < 200; i++, len += 3)
        memcpy(text + len, "a\r\n", 3);
    memcpy(text + len, "\r\n", 2);
    for (int kind = 0; kind < H1_KINDS; kind++) {
        if (!h1_use((enum h1_kind)kind))
            continue;
        h1_scan_init(&s);
        assert_int_equal(h1_scan(&s, text, len), 0);
        assert_int_equal(s.lines, 200);
        assert_int_equal(h1_scan(&s, text, len + 2), 1);
        for (size_t i = 0; i < H1_ENDS; i++)
            assert_int_equal(s.ends[i], 3 * i + 1);
    }
}

/* Each byte value at each place of two blocks and a bit: only controls are refused. */
static void every_byte_everywhere(void **state)
{
    char text[100];

    (void)state;
    for (int kind = 0; kind < H1_KINDS; kind++) {
        for (size_t at = 1; at < 80; at++) {
            for (int byte = 0; byte < 256; byte++) {
                bool bad = (byte < 32 && byte != '\t') || byte == 127;
                struct h1_scan s;
                int rc;

                memset(text, 'x', sizeof(text));
                memcpy(text + 80, "\r\n\r\n", 4);
                text[at] = (char)byte;
                h1_scan_init(&s);
                if (!h1_use((enum h1_kind)kind))
                    continue;
                rc = h1_scan(&s, text, 84);
                assert_int_equal(rc, bad ? WEIR_EBADHEAD : 1);
                assert_int_equal(s.at, bad ? at : 84);
            }
        }
    }
}

/* A text that looks like a head, with a few bytes spoiled. */
static size_t random_text(struct random *r, char *out, size_t cap)
{
    static const char *const pieces[] = {
        "\r\n",     "\r\n", "\r\n\r\n", "Host: a",
        "x",        ": ",   "\t",       "a longer value that fills a block of its own",
        "\x80\xff", "\r",   "\n",       "\x7f",
        "\x1f",     " "
    };
    size_t len = 0;

    while (len < cap) {
        /* The last pieces are poison: rare, or no head would be longer than a few bytes. */
        size_t kinds = random_below(r, 30) == 0 ? ARRAY_LEN(pieces) : ARRAY_LEN(pieces) - 5;
        const char *piece = pieces[random_below(r, kinds)];
        size_t n = strlen(piece);

        if (n > cap - len || (random_below(r, 10) == 0 && len > 0))
            break;
        memcpy(out + len, piece, n);
        len += n;
    }
    if (len > 0 && random_below(r, 10) != 0)
        out[0] = 'G';
    return len;
}

/* Splits `text` for one kind; a block of the exact size each time shows a read past it. */
static int scan_in_steps(weir_str text, struct random *r, struct h1_scan *s)
{
    int rc = 0;

    h1_scan_init(s);
    for (size_t end = next_end(FEED_SPLITS, 0, text.len, r);;
         end = next_end(FEED_SPLITS, end, text.len, r)) {
        char *copy = exact_copy((weir_str){ text.ptr, end });

        rc = h1_scan(s, copy, end);
        free(copy);
        if (rc != 0 || end == text.len)
            return rc;
    }
}

/* The oracle is the portable pass, given the text whole; the others get it in splits. */
static void vector_scans_agree_with_the_portable_one(void **state)
{
    struct random r;
    char text[300];

    (void)state;
    random_seed(&r, 20261123);
    for (int i = 0; i < 50000; i++) {
        size_t len = random_text(&r, text, 1 + random_below(&r, sizeof(text)));
        struct h1_scan want, got;
        int want_rc, rc;

        h1_scan_init(&want);
        assert_true(h1_use(H1_PORTABLE));
        want_rc = h1_scan(&want, text, len);
        for (int kind = 0; kind < H1_KINDS; kind++) {
            if (!h1_use((enum h1_kind)kind))
                continue; /* this machine lacks it */
            rc = scan_in_steps((weir_str){ text, len }, &r, &got);
            if (rc != want_rc || got.at != want.at || got.lines != want.lines ||
                got.reason != want.reason ||
                memcmp(got.ends, want.ends, MIN(got.lines, (size_t)H1_ENDS) * sizeof(*got.ends)))
                fail_case(((weir_str){ text, len }), "kind %d gave %d at %zu, not %d at %zu", kind,
                          rc, got.at, want_rc, want.at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_end_where_they_end),
        cmocka_unit_test(knows_where_lines_end),
        cmocka_unit_test(every_byte_everywhere),
        cmocka_unit_test(vector_scans_agree_with_the_portable_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
