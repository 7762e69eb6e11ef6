/* test_pace.c -- how long a peer may keep us waiting, as a table. Times in milliseconds. */
#include "cases.h"

#include "net/pace.h"

enum { LIMIT = -1001, GAP = -1002, RATE = -1003 };

#define OFF (-1)
#define NOW 100000 /* long after the start of the clock */

static int64_t ms(int64_t n)
{
    return n == OFF ? INT64_MAX : n * WEIR_MS;
}

static void the_first_bound_counts(void **state)
{
    static const struct {
        int64_t limit, gap; /* limit: from now */
        uint64_t min_rate, bytes;
        int64_t waited;
        int64_t want; /* from now */
        int err;
    } cases[] = {
        { OFF, OFF, 0, 0, 0, OFF, LIMIT },
        { 700, OFF, 0, 0, 0, 700, LIMIT },
        { 700, 300, 0, 0, 0, 300, GAP },
        { 300, 700, 0, 0, 0, 300, LIMIT },
        { 300, 300, 0, 0, 0, 300, LIMIT }, /* a tie: the absolute one */
        { -5, 300, 0, 0, 0, -5, LIMIT },   /* over already */
        { OFF, 700, WEIR_UNLIMITED, 0, 60000, 700, GAP },

        /* The rate: 5 s of grace, and a second for each min_rate bytes. */
        { OFF, OFF, 256, 0, 0, 5000, RATE },
        { OFF, OFF, 256, 0, 4999, 1, RATE },
        { OFF, OFF, 256, 0, 5000, 0, RATE },
        { OFF, OFF, 256, 0, 7000, 0, RATE }, /* never in the past */
        { OFF, OFF, 256, 256, 5000, 1000, RATE },
        { OFF, OFF, 256, 128, 5000, 500, RATE },
        { OFF, OFF, 256, 25600, 5000, 100000, RATE },
        { OFF, 30000, 256, 25600, 5000, 30000, GAP },
        { OFF, 30000, 256, 25600, 90000, 15000, RATE },
        { 10000, 30000, 256, 25600, 90000, 10000, LIMIT },
        { OFF, OFF, 1, 1, 0, 6000, RATE },

        /* No overflow, whatever the numbers. */
        { OFF, OFF, 1, UINT64_MAX, 5000, OFF, LIMIT },
        { OFF, OFF, 256, UINT64_MAX / 2, 0, OFF, LIMIT },
        { OFF, OFF, UINT64_MAX - 1, UINT64_MAX, 0, 6000, RATE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t limit = cases[i].limit == OFF ? INT64_MAX : ms(NOW) + cases[i].limit * WEIR_MS;
        struct pace p = {
            .limit = { .at = limit, .err = LIMIT },
            .gap = ms(cases[i].gap),
            .gap_err = GAP,
            .rate_err = RATE,
            .min_rate = cases[i].min_rate,
            .bytes = cases[i].bytes,
            .waited = ms(cases[i].waited),
        };
        struct deadline got = pace_next(&p, ms(NOW));
        int64_t want = cases[i].want == OFF ? INT64_MAX : ms(NOW) + cases[i].want * WEIR_MS;

        if (got.at != want || got.err != cases[i].err) {
            print_error("case %zu: %ld ms, error %d\n", i, (long)((got.at - ms(NOW)) / WEIR_MS),
                        got.err);
            fail();
        }
    }
}

static void fractions_of_a_byte_count(void **state)
{
    const struct pace p = {
        .limit = NEVER,
        .gap = WEIR_FOREVER,
        .rate_err = RATE,
        .min_rate = 3,
        .bytes = 1,
    };

    (void)state;
    assert_int_equal(pace_next(&p, 0).at, PACE_GRACE + WEIR_SEC / 3);
}

/* What our kernel keeps for the peer is no sign of life; what it kept of earlier messages is one
 * when it goes. */
static void only_what_is_taken_counts(void **state)
{
    static const struct {
        uint64_t bytes;
        uint32_t first, then; /* untaken */
        uint64_t taken;
    } cases[] = {
        { 1000, 0, 0, 1000 },
        { 1000, 300, 300, 700 },
        { 1000, 300, 100, 900 },
        { 1000, 1000, 1000, 0 },
        { 0, 500, 500, 0 }, /* of an earlier message */
        { 0, 500, 200, 300 },
        { 100, 500, 200, 300 },
        { 100, 500, 900, 0 }, /* more was written since */
        { 1ULL << 32, 1 << 20, 0, 1ULL << 32 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pace p = {
            .limit = NEVER,
            .gap = WEIR_FOREVER,
            .rate_err = RATE,
            .min_rate = 1,
            .bytes = cases[i].bytes,
        };

        pace_untaken(&p, cases[i].first);
        pace_untaken(&p, cases[i].then);
        assert_int_equal(pace_next(&p, 0).at, PACE_GRACE + (int64_t)cases[i].taken * WEIR_SEC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bound_counts),
        cmocka_unit_test(fractions_of_a_byte_count),
        cmocka_unit_test(only_what_is_taken_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
