/* test_base64.c -- text for bytes and back, whole and in all pieces. */
#include "cases.h"

#include "codec/base64.h"

static const struct {
    const char *bytes, *text;
} pairs[] = {
    { "", "" },           { "f", "Zg==" },        { "fo", "Zm8=" },
    { "foo", "Zm9v" },    { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" },
};

static void rfc_4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        weir_str in = weir_str_from(pairs[i].bytes);
        char out[16];
        size_t n = base64_encode(out, in);

        assert_int_equal(n, strlen(pairs[i].text));
        assert_int_equal(n, BASE64_LEN(in.len));
        assert_memory_equal(out, pairs[i].text, n);
    }
}

/* `text` cut into pieces of `step`; how many bytes, or the error. */
static ssize_t decode(const char *text, size_t step, char *out, bool *complete)
{
    struct base64 b = { .have = 0 };
    size_t done = 0, len = strlen(text);

    for (size_t at = 0; at < len; at += step) {
        char piece[64]; /* exactly the room that is promised to be enough */
        size_t size = MIN(step, len - at);
        ssize_t n = base64_decode(&b, piece, (weir_str){ text + at, size });

        if (n < 0)
            return n;
        assert_true((size_t)n <= size / 4 * 3 + 3);
        memcpy(out + done, piece, (size_t)n);
        done += (size_t)n;
    }
    *complete = base64_complete(&b);
    return (ssize_t)done;
}

static void in_all_pieces(void **state)
{
    static const char all[] = "Zg==Zm8=Zm9vZm9vYg==Zm9vYmE=Zm9vYmFy";
    bool complete;
    char out[64];

    (void)state;
    for (size_t step = 1; step < sizeof all; step++) {
        assert_int_equal(decode(all, step, out, &complete), 1 + 2 + 3 + 4 + 5 + 6);
        assert_memory_equal(out, "ffofoofoobfoobafoobar", 21);
        assert_true(complete);
    }
}

static void what_is_none(void **state)
{
    static const char *const wrong[] = { "=",    "a===", "====", "ab=c", "ab*=", "Zg==\n", "QR==",
                                         "QUJ=", "ab-_", " Zg=", "Zg= ", "\x80" };
    static const char *const cut[] = { "Z", "Zg", "Zg=", "Zm9vZ" };
    bool complete;
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        for (size_t step = 1; step <= 8; step++)
            assert_int_equal(decode(wrong[i], step, out, &complete), WEIR_EBADBODY);
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        assert_true(decode(cut[i], 1, out, &complete) >= 0);
        assert_false(complete);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648),
        cmocka_unit_test(in_all_pieces),
        cmocka_unit_test(what_is_none),
    };

    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
