/* test_retry.c -- the budget of further tries: what it starts with, what requests and time add, and
 * that nothing is saved for longer than ten seconds. */
#include "cases.h"
#include "proxy/retry.h"

static struct retry_budget budget;
static int64_t now;

static void start(uint64_t percent, uint64_t per_second)
{
    now = 1000 * WEIR_SEC;
    retry_budget_init(&budget, percent, per_second, now);
}

/* How many can be taken at once, up to 10,000. */
static unsigned take_all(void)
{
    unsigned n = 0;

    while (n < 10000 && retry_budget_take(&budget, now))
        n++;
    return n;
}

static void pass(weir_dur span, unsigned requests)
{
    now += span;
    atomic_fetch_add(&budget.requests, requests);
}

static void test_start(void **state)
{
    (void)state;
    start(20, 10);
    assert_int_equal(take_all(), 100);
    start(20, 1);
    assert_int_equal(take_all(), 10);
}

static void test_time_and_requests(void **state)
{
    (void)state;
    start(20, 10);
    take_all();
    pass(0, 1000); /* in no time: they count with the next bit of it */
    assert_int_equal(take_all(), 0);
    pass(1 * WEIR_SEC, 0);
    assert_int_equal(take_all(), 210);
    pass(2 * WEIR_SEC, 100);
    assert_int_equal(take_all(), 40);
    pass(50 * WEIR_MS, 0);
    assert_int_equal(take_all(), 0);
    pass(51 * WEIR_MS, 0); /* halves are not lost */
    assert_int_equal(take_all(), 1);
}

static void test_nothing_is_saved(void **state)
{
    (void)state;
    start(20, 10);
    pass(1000 * WEIR_SEC, 1000000); /* as of the last ten seconds: 10,000 requests */
    assert_in_range(take_all(), 2099, 2100);
    for (unsigned i = 0; i < 10000; i++) {
        pass(100 * WEIR_MS, 10);
        assert_true(retry_budget_take(&budget, now)); /* earns three, and one is taken */
    }
    assert_in_range(take_all(), 100, 300);
}

static void test_a_clock_that_stands(void **state)
{
    (void)state;
    start(20, 10);
    now -= 5 * WEIR_SEC; /* another worker's turn began earlier */
    assert_int_equal(take_all(), 100);
}

static void test_off(void **state)
{
    (void)state;
    start(WEIR_UNLIMITED, 10);
    assert_int_equal(take_all(), 10000);
    start(20, WEIR_UNLIMITED);
    assert_int_equal(take_all(), 10000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_time_and_requests),
        cmocka_unit_test(test_nothing_is_saved),
        cmocka_unit_test(test_a_clock_that_stands),
        cmocka_unit_test(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
