/* test_log_record.c -- no peer writes a log line of its own, and no line is longer than its
 * buffer. */
#include "cases.h"

#include <inttypes.h>

#include "base/digits.h"
#include "base/log_record.h"

static void one_line_of_each_kind(void **state)
{
    char buf[512];
    struct log_record r;

    (void)state;
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "path", LIT("/a?b=c"));
    log_str(&r, "absent", (weir_str){ NULL, 0 });
    log_str(&r, "empty", LIT(""));
    log_int(&r, "status", 200);
    log_int(&r, "low", INT64_MIN);
    log_int(&r, "high", INT64_MAX);
    log_int(&r, "zero", 0);
    log_usec(&r, "took", 1234567890);
    log_usec(&r, "none", 0);
    log_usec(&r, "back", -1500);
    log_usec(&r, "less", -999);
    log_bool(&r, "reused", true);
    log_bool(&r, "tls", false);
    assert_str(log_end(&r),
               "{\"path\":\"/a?b=c\",\"empty\":\"\",\"status\":200,\"low\":-9223372036854775808,"
               "\"high\":9223372036854775807,\"zero\":0,\"took\":1.234567,\"none\":0.000000,"
               "\"back\":-0.000001,\"less\":0.000000,\"reused\":true,\"tls\":false}\n");
    assert_false(r.full);
}

/* From one digit to twenty, where a digit is added and before. */
static void numbers_of_each_length(void **state)
{
    char text[DIGITS_MAX], want[DIGITS_MAX + 1];

    (void)state;
    for (uint64_t n = 1; n <= UINT64_MAX / 10; n *= 10) {
        for (uint64_t m = n - 1; m <= n; m++) {
            char *end = text + sizeof text, *first = digits_before(end, m, 1);

            snprintf(want, sizeof want, "%" PRIu64, m);
            assert_str(((weir_str){ first, (size_t)(end - first) }), want);
        }
    }
}

static void an_empty_record(void **state)
{
    char buf[3];
    struct log_record r;

    (void)state;
    log_begin(&r, buf, sizeof(buf));
    log_int(&r, "n", 1);
    assert_str(log_end(&r), "{}\n");
    assert_true(r.full);
}

static void peers_bytes_are_escaped(void **state)
{
    static const struct {
        weir_str in;
        const char *want;
    } cases[] = {
        { TEXT("\"}\n{\"a\":\""), "\\\"}\\u000a{\\\"a\\\":\\\"" },
        { TEXT("\r\n"), "\\u000d\\u000a" },
        { TEXT("a\0b"), "a\\u0000b" },
        { TEXT("\\u0041"), "\\\\u0041" },
        { TEXT("\x1b[31m"), "\\u001b[31m" },
        { TEXT("\x7f\x80\xff"), "\\u007f\\u0080\\u00ff" },
        { TEXT("\xe2\x80\xa8"), "\\u00e2\\u0080\\u00a8" }, /* a line separator in UTF-8 */
        { TEXT(" ~"), " ~" },
    };
    char buf[256], want[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct log_record r;

        log_begin(&r, buf, sizeof(buf));
        log_str(&r, "v", cases[i].in);
        snprintf(want, sizeof(want), "{\"v\":\"%s\"}\n", cases[i].want);
        assert_str(log_end(&r), want);
    }
}

static void long_values_are_cut(void **state)
{
    static char buf[LOG_RECORD_MAX], value[LOG_VALUE_MAX + 1], want[LOG_RECORD_MAX];
    struct log_record r;

    (void)state;
    memset(value, 'x', sizeof(value));
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "v", (weir_str){ value, LOG_VALUE_MAX });
    snprintf(want, sizeof(want), "{\"v\":\"%.*s\"}\n", LOG_VALUE_MAX, value);
    assert_str(log_end(&r), want);
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "v", (weir_str){ value, LOG_VALUE_MAX + 1 });
    snprintf(want, sizeof(want), "{\"v\":\"%.*s...\"}\n", LOG_VALUE_MAX, value);
    assert_str(log_end(&r), want);
}

/* In a buffer of every size: a whole object with the first fields, and nothing behind the first
 * that did not fit, even if it would. */
static void full_records_end_with_a_whole_field(void **state)
{
    static const char *const wants[] = {
        "{}\n",
        "{\"a\":\"x\\u000ay\"}\n",
        "{\"a\":\"x\\u000ay\",\"b\":-12}\n",
        "{\"a\":\"x\\u000ay\",\"b\":-12,\"c\":0.000001}\n",
        "{\"a\":\"x\\u000ay\",\"b\":-12,\"c\":0.000001,\"d\":true}\n",
    };

    (void)state;
    for (size_t cap = 3; cap <= strlen(wants[4]) + 4; cap++) {
        char *buf = malloc(cap); /* exactly: a sanitizer sees a write past its end */
        size_t fits = 0;
        struct log_record r;

        assert_non_null(buf);
        while (fits + 1 < ARRAY_LEN(wants) && strlen(wants[fits + 1]) <= cap)
            fits++;
        log_begin(&r, buf, cap);
        log_str(&r, "a", LIT("x\ny"));
        log_int(&r, "b", -12);
        log_usec(&r, "c", 1000);
        log_bool(&r, "d", true);
        assert_str(log_end(&r), wants[fits]);
        assert_int_equal(r.full, fits < 4);
        free(buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_of_each_kind),
        cmocka_unit_test(numbers_of_each_length),
        cmocka_unit_test(an_empty_record),
        cmocka_unit_test(peers_bytes_are_escaped),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(full_records_end_with_a_whole_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
