/* test_date.c -- the calendar, HTTP dates and log times, against libc and against what peers
 * send. */
#include "cases.h"

#include <time.h>

#include "base/clock.h"
#include "codec/date.h"

enum { NOW = 1795392000 }; /* Mon, 23 Nov 2026 00:00:00 GMT */

static weir_str print(int64_t seconds, char out[HTTP_DATE_LEN])
{
    http_date_print(seconds, out);
    return (weir_str){ out, HTTP_DATE_LEN };
}

static void known_dates(void **state)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } cases[] = {
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" }, /* of RFC 9110 */
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
        { NOW, "Mon, 23 Nov 2026 00:00:00 GMT" },
        { INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT" },
    };
    char out[HTTP_DATE_LEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(print(cases[i].seconds, out), cases[i].want);
}

static void accepted_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
        { "Sun Nov  6 08:49:37 1994", 784111777 },
        { "Wed Nov 16 08:49:37 1994", 784975777 },
        { "Tue, 29 Feb 2000 00:00:00 GMT", 951782400 },
        { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },     /* the leap second */
        { "Monday, 23-Nov-26 00:00:00 GMT", NOW },
        { "Sunday, 22-Nov-76 00:00:00 GMT", 3373228800 },    /* just below 50 years ahead */
        { "Wednesday, 24-Nov-76 00:00:00 GMT", 217641600 },  /* just above: of the past */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        weir_str text = weir_str_from(cases[i].text);
        char *copy = exact_copy(text);
        int64_t got = -1;

        if (!http_date_parse((weir_str){ copy, text.len }, NOW, &got) || got != cases[i].want)
            fail_case(text, "gave %lld", (long long)got);
        free(copy);
    }
}

static void refused_forms(void **state)
{
    static const char *const cases[] = {
        "", "0", "-1", "Sun", "Sun,", "now",
        "sun, 06 Nov 1994 08:49:37 GMT",    /* case counts */
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT",    /* it was a Sunday */
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT",    /* 30 days */
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",    /* no leap year */
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",      /* the weekday in full */
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",          /* the day is padded */
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "1994-11-06T08:49:37Z",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got;

        if (http_date_parse(weir_str_from(cases[i]), NOW, &got))
            fail_case(weir_str_from(cases[i]), "is accepted");
    }
}

/* Every cut-off and every changed byte of a good date: refused, or another date, never a read too
 * far. */
static void damaged_dates(void **state)
{
    static const char good[] = "Sunday, 06-Nov-94 08:49:37 GMT";
    int64_t got;

    (void)state;
    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        char *copy = exact_copy((weir_str){ good, len });

        assert_false(http_date_parse((weir_str){ copy, len }, NOW, &got));
        free(copy);
    }
}

/* Over all days and years the calendar agrees with libc, and what is printed reads back. */
static void agrees_with_libc(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 7);
    for (int i = 0; i < 20000; i++) {
        time_t t = (time_t)random_below(&r, UINT64_C(315569520000)) - 62167219200;
        char got[HTTP_DATE_LEN], want[64];
        struct civil c;
        struct tm tm;
        int64_t back;

        gmtime_r(&t, &tm);
        assert_int_equal(strftime(want, sizeof(want), "%a, %d %b ", &tm), 12);
        snprintf(want + 12, sizeof(want) - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_str(print(t, got), want);
        civil_of(t, &c);
        assert_true(civil_seconds(&c) == t);
        assert_true(http_date_parse((weir_str){ got, sizeof(got) }, NOW, &back));
        assert_true(back == t);
    }
}

static void log_times(void **state)
{
    static const struct {
        int64_t wall;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 999999, "1970-01-01T00:00:00.000Z" },
        { 1000000, "1970-01-01T00:00:00.001Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { NOW * WEIR_SEC + 32400 * WEIR_SEC + 7 * WEIR_MS, "2026-11-23T09:00:00.007Z" },
        { INT64_MAX, "2262-04-11T23:47:16.854Z" },
        { INT64_MIN, "1677-09-21T00:12:43.145Z" },
    };
    char out[RFC3339_LEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        clock_rfc3339(cases[i].wall, out);
        assert_str(((weir_str){ out, sizeof(out) }), cases[i].want);
    }
}

static void clocks_run(void **state)
{
    int64_t before = clock_now();

    (void)state;
    assert_true(before > 0);
    assert_true(clock_now() >= before);
    assert_true(clock_wall() / WEIR_SEC >= 1700000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_dates),   cmocka_unit_test(accepted_forms),
        cmocka_unit_test(refused_forms), cmocka_unit_test(damaged_dates),
        cmocka_unit_test(agrees_with_libc), cmocka_unit_test(log_times),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
