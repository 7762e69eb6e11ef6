/* test_h2_budget.c -- what a peer may do is counted to the unit, as docs/http2.md says: 2,000 at
 * first and at most, 200 more each second. Time passes here by being moved. */
#include "heads.h"
#include "workers.h"

#include "http/h2_parts.h"

enum { ALL = 2000 };

#define UNIT_TIME (5 * WEIR_MS)

static const struct h2_config config = {
    .limits = &usual_limits,
    .max_streams = 100,
    .max_requests = UINT64_MAX,
};

static void pass(struct h2_conn *c, weir_dur time)
{
    c->budget_at -= time;
}

static bool pays(struct h2_conn *c, unsigned cost)
{
    h2_spend(c, cost, "too much");
    return c->err == 0;
}

/* ---- the cases: a connection whose budget is full -------------------------------------------- */

static void so_much_at_once(struct h2_conn *c)
{
    for (int i = 0; i < 200; i++)
        ensure(pays(c, H2_COST_RESET));
    ensure(!pays(c, 1));
}

/* Who asks often must not get less: half a unit is kept for the next time. */
static void fractions_count(struct h2_conn *c)
{
    ensure(pays(c, ALL));
    for (int i = 0; i < 1000; i++) {
        pass(c, UNIT_TIME / 2);
        ensure(pays(c, i % 2));
    }
    ensure(!pays(c, 1));
}

static void odd_pieces_of_a_second(struct h2_conn *c)
{
    ensure(pays(c, ALL));
    for (int i = 0; i < 1000; i++) {
        pass(c, WEIR_MS);
        ensure(pays(c, 0));
    }
    ensure(pays(c, 200) && !pays(c, 1));
}

static void not_more_than_full(struct h2_conn *c)
{
    pass(c, 3600 * WEIR_SEC);
    ensure(pays(c, ALL) && !pays(c, 1));
}

/* Nor a fraction more, whatever filled it. */
static void full_by_time(struct h2_conn *c)
{
    pass(c, UNIT_TIME - 1);
    ensure(pays(c, ALL));
    pass(c, 1);
    ensure(!pays(c, 1));
}

static void full_by_data(struct h2_conn *c)
{
    ensure(pays(c, H2_GAIN_DATA));
    pass(c, UNIT_TIME - 1);
    h2_earn(c, H2_GAIN_DATA);
    ensure(pays(c, ALL));
    pass(c, 1);
    ensure(!pays(c, 1));
}

static void data_pays(struct h2_conn *c)
{
    ensure(pays(c, ALL));
    for (int i = 0; i < 1000; i++) {
        h2_earn(c, H2_GAIN_DATA);
        ensure(pays(c, H2_GAIN_DATA));
    }
    ensure(!pays(c, 1));
}

static const struct {
    const char *name;
    void (*run)(struct h2_conn *c);
} cases[] = {
    { "so much at once", so_much_at_once },
    { "fractions count", fractions_count },
    { "odd pieces of a second", odd_pieces_of_a_second },
    { "not more than full", not_more_than_full },
    { "full by time", full_by_time },
    { "full by data", full_by_data },
    { "data pays", data_pays },
};

/* Within one turn of a worker its clock stands. */
static void each(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream net = { .slot = NULL };
        struct h2_conn *c = h2_server_new(&net, &config, NULL);

        print_message("%s\n", cases[i].name);
        ensure(c != NULL);
        cases[i].run(c);
        h2_free(&c);
    }
}

static void counted_to_the_unit(void **state)
{
    (void)state;
    on_workers(1, each, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_to_the_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
