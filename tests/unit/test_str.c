/* test_str.c -- slices, spans, sizes, and the error table. */
#include "cases.h"

static void slices_compare(void **state)
{
    weir_str absent = { NULL, 0 };

    (void)state;
    assert_true(weir_eq("abc", "abc"));
    assert_false(weir_eq("abc", "abd"));
    assert_false(weir_eq("abc", "ab"));
    assert_true(weir_eq(absent, ""));
    assert_null(WEIR((const char *)NULL).ptr);
    assert_true(weir_eq_nocase("Content-LENGTH", "content-length"));
    assert_false(weir_eq_nocase("a@", "a`")); /* a bit apart, but no letters */
    assert_false(weir_eq_nocase("[", "{"));
    assert_false(weir_eq_nocase("\xc4", "\xe4"));
    assert_false(weir_eq_nocase("ab", "abc"));
    assert_true(weir_starts("abc", "ab"));
    assert_true(weir_starts("abc", ""));
    assert_true(weir_starts(absent, absent));
    assert_false(weir_starts("ab", "abc"));
    assert_false(weir_starts("abc", "AB"));
}

static void spans(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        weir_dur want;
    } cases[] = {
        { NULL, false, 0 },
        { "", false, 0 },
        { "5", false, 0 },
        { "0", false, 0 },
        { "0s", false, 0 },
        { "+5s", false, 0 },
        { "-5s", false, 0 },
        { " 5s", false, 0 },
        { "5 s", false, 0 },
        { "5s ", false, 0 },
        { "5S", false, 0 },
        { "s", false, 0 },
        { "1.5s", false, 0 },
        { "5d", false, 0 },
        { "5us", false, 0 },
        { "OFF", false, 0 },
        { "offs", false, 0 },
        { "2562048h", false, 0 },                /* above 2^63 ns */
        { "99999999999999999999s", false, 0 },   /* above 2^64 */
        { "18446744073709551616ms", false, 0 },  /* 2^64: wraps to 0 */
        { "2562047h", true, 2562047 * (3600 * WEIR_SEC) },
        { "500ms", true, 500 * WEIR_MS },
        { "5s", true, 5 * WEIR_SEC },
        { "05s", true, 5 * WEIR_SEC },
        { "2m", true, 120 * WEIR_SEC },
        { "1h", true, 3600 * WEIR_SEC },
        { "off", true, WEIR_FOREVER },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        weir_dur got = -1;

        if (weir_parse_dur(cases[i].text, &got) != cases[i].ok)
            fail_msg("\"%s\" is %s", cases[i].text, cases[i].ok ? "refused" : "accepted");
        assert_true(got == (cases[i].ok ? cases[i].want : -1));
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t want;
    } cases[] = {
        { NULL, false, 0 },
        { "", false, 0 },
        { "0", false, 0 },
        { "0KiB", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { "0x10", false, 0 },
        { "1_000", false, 0 },
        { "16 KiB", false, 0 },
        { "16kib", false, 0 },
        { "16KB", false, 0 },
        { "16K", false, 0 },
        { "KiB", false, 0 },
        { "1TiB", false, 0 },
        { "18446744073709551615", false, 0 }, /* would be "off" */
        { "18446744073709551616", false, 0 },
        { "17179869184GiB", false, 0 },
        { "18446744073709551614", true, UINT64_MAX - 1 },
        { "4096", true, 4096 },
        { "512B", true, 512 },
        { "16KiB", true, 16384 },
        { "1MiB", true, 1048576 },
        { "5GiB", true, UINT64_C(5368709120) },
        { "off", true, WEIR_UNLIMITED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t got = 1;

        if (weir_parse_size(cases[i].text, &got) != cases[i].ok)
            fail_msg("\"%s\" is %s", cases[i].text, cases[i].ok ? "refused" : "accepted");
        assert_true(got == (cases[i].ok ? cases[i].want : 1));
    }
}

static void errors_have_rows(void **state)
{
    static const struct {
        int err;
        const char *why;
        enum weir_source source;
        int status;
    } cases[] = {
        { WEIR_EINTERNAL, "internal", WEIR_SRC_INTERNAL, 500 },
        { WEIR_EBADHEAD, "bad_head", WEIR_SRC_DOWNSTREAM, 400 },
        { WEIR_EFIELDCOUNT, "too_many_fields", WEIR_SRC_DOWNSTREAM, 431 },
        { WEIR_ECLIENTGONE, "client_gone", WEIR_SRC_DOWNSTREAM, 0 },
        { WEIR_EUPSWITCH, "unexpected_switch", WEIR_SRC_UPSTREAM, 502 },
        { 0, "none", WEIR_SRC_INTERNAL, 0 },
        { 1, "none", WEIR_SRC_INTERNAL, 0 },
        { -19, "none", WEIR_SRC_INTERNAL, 0 }, /* a gap in the numbers */
        { -1000, "none", WEIR_SRC_INTERNAL, 0 },
        { INT32_MIN, "none", WEIR_SRC_INTERNAL, 0 },
        { INT32_MAX, "none", WEIR_SRC_INTERNAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(weir_error_why(cases[i].err), cases[i].why);
        assert_int_equal(weir_error_source(cases[i].err), cases[i].source);
        assert_int_equal(weir_error_status(cases[i].err), cases[i].status);
    }
    assert_string_equal(weir_error_text(0), "no error");
    assert_string_equal(weir_error_text(WEIR_ENOMEM), "out of memory");
}

/* Each number once: a repeated one would give an error the row of another. */
static void error_numbers_differ(void **state)
{
    static const int numbers[] = {
#define X(name, number, why, source, status, text) number,
        WEIR_ERRORS(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
        assert_string_not_equal(weir_error_why(numbers[i]), "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare),   cmocka_unit_test(spans),
        cmocka_unit_test(sizes),            cmocka_unit_test(errors_have_rows),
        cmocka_unit_test(error_numbers_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
