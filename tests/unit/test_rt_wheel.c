/* test_rt_wheel.c -- the timer wheel against a naive list of times, with random operations. */
#include "cases.h"

#include "runtime/wheel.h"

enum { TIMERS = 200, STEPS = 20000 };

struct subject {
    struct timer t;
    int64_t due; /* tick at which it must expire; -1: not in the wheel */
};

static struct wheel wheel;
static struct subject subjects[TIMERS];
static int64_t now;

static int64_t up(int64_t ns)
{
    return ns / WEIR_MS + (ns % WEIR_MS > 0);
}

static void begin(int64_t at)
{
    now = at;
    wheel_init(&wheel, at);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&subjects[i].t);
        subjects[i].due = -1;
    }
}

/* The horizon: a tick that the wheel may not look at later than. */
static void insert(struct subject *s, int64_t at)
{
    const int64_t horizon = INT64_C(1) << 29;
    int64_t tick = now / WEIR_MS, entry;

    wheel_insert(&wheel, &s->t, at);
    entry = atomic_load(&s->t.entry);
    if (up(at) - tick < horizon)
        assert_true(entry == at);
    else
        assert_true(entry <= at && up(entry) - tick >= horizon); /* earlier, but not soon */
    s->due = MAX(up(entry), tick + 1);
}

static void check_earliest(void)
{
    int64_t first = INT64_MAX, earliest = wheel_earliest(&wheel);

    for (size_t i = 0; i < TIMERS; i++)
        if (subjects[i].due >= 0)
            first = MIN(first, subjects[i].due);
    if (first == INT64_MAX) {
        assert_true(earliest == TIMER_NONE);
        return;
    }
    assert_true(earliest <= first * WEIR_MS);
    assert_true(earliest > now / WEIR_MS * WEIR_MS); /* each sleep gets further */
    assert_int_equal(earliest % WEIR_MS, 0);
}

static unsigned advance(int64_t to)
{
    struct link expired;
    int64_t last = 0;
    unsigned count = 0;

    now = to;
    link_init(&expired);
    do
        wheel_advance(&wheel, now, &expired, 3);
    while (wheel_earliest(&wheel) <= now / WEIR_MS * WEIR_MS);
    while (!link_alone(&expired)) {
        struct subject *s = container_of(expired.next, struct subject, t.link);

        assert_true(s->due >= 0 && s->due <= now / WEIR_MS);
        assert_true(s->due >= last); /* in order */
        assert_true(atomic_load(&s->t.entry) == TIMER_NONE);
        last = s->due;
        s->due = -1;
        count++;
        wheel_remove(&wheel, &s->t); /* from the list, which the wheel allows */
    }
    for (size_t i = 0; i < TIMERS; i++)
        assert_true(subjects[i].due < 0 || subjects[i].due > now / WEIR_MS);
    return count;
}

/* Up to `limit`, all magnitudes alike. */
static int64_t any_magnitude(struct random *r, unsigned bits)
{
    return (int64_t)(random_next(r) >> (63 - random_below(r, bits))) & INT64_MAX;
}

static void step(struct random *r)
{
    struct subject *s = &subjects[random_below(r, TIMERS)];

    switch (random_below(r, 8)) {
    case 0:
        advance(now + any_magnitude(r, random_below(r, 20) == 0 ? 52 : 32));
        break;
    case 1: /* exactly when the wheel asks for it */
        if (wheel_earliest(&wheel) != TIMER_NONE)
            advance(wheel_earliest(&wheel));
        break;
    default:
        if (s->due < 0) {
            insert(s, MAX(0, now - WEIR_SEC + any_magnitude(r, 54)));
        } else if (random_below(r, 2) == 0) {
            wheel_remove(&wheel, &s->t);
            assert_true(atomic_load(&s->t.entry) == TIMER_NONE);
            s->due = -1;
        }
    }
    check_earliest();
}

static void agrees_with_a_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random r;

        random_seed(&r, seed);
        begin(any_magnitude(&r, 60));
        for (int i = 0; i < STEPS; i++)
            step(&r);
    }
}

static const int64_t starts[] = {
    0,
    63 * WEIR_MS,
    (64 * 64 - 1) * WEIR_MS + 999999,
    ((INT64_C(1) << 24) - 1) * WEIR_MS,
    ((INT64_C(1) << 30) - 1) * WEIR_MS, /* the top level goes round */
    ((INT64_C(63) << 24) + 5) * WEIR_MS,
    ((INT64_C(1) << 40) - 1) * WEIR_MS + 1,
};

/* Distances in ticks around each digit's carry, one timer alone: it expires with its tick, and a
 * sleeper that trusts wheel_earliest wakes at most once for each level. */
static void each_carry_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        for (unsigned bits = 0; bits <= 29; bits++) {
            for (int64_t off = -1; off <= 1; off++) {
                int64_t at = starts[i] + ((INT64_C(1) << bits) + off) * WEIR_MS;
                unsigned wakes = 0;

                begin(starts[i]);
                insert(&subjects[0], at);
                while (subjects[0].due >= 0) {
                    int64_t next = wheel_earliest(&wheel);

                    assert_int_equal(advance(next - 1), 0);
                    advance(next);
                    assert_true(++wakes <= WHEEL_LEVELS);
                }
                assert_true(now >= at && now < at + WEIR_MS + (off < 0 && bits == 0) * WEIR_MS);
                check_earliest();
            }
        }
    }
}

/* What is due and not taken yet is still in the wheel: it may be removed, or another be put in. */
static void due_in_portions(void **state)
{
    struct link expired;
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        begin(starts[i]);
        for (size_t k = 0; k < 10; k++)
            insert(&subjects[k], starts[i] + 100 * WEIR_MS);
        now = starts[i] + 200 * WEIR_MS;
        link_init(&expired);
        wheel_advance(&wheel, now, &expired, 4);
        assert_true(wheel_earliest(&wheel) <= now);
        wheel_remove(&wheel, &subjects[9].t);
        insert(&subjects[10], starts[i]);
        insert(&subjects[11], now + WEIR_SEC);
        wheel_advance(&wheel, now, &expired, 5);
        assert_true(wheel_earliest(&wheel) <= now);
        wheel_advance(&wheel, now, &expired, 5);
        assert_true(wheel_earliest(&wheel) > now);
        for (count = 0; !link_alone(&expired); count++)
            wheel_remove(&wheel, container_of(expired.next, struct timer, link));
        assert_int_equal(count, 10); /* one was removed, one is not due */
        wheel_remove(&wheel, &subjects[11].t);
        assert_true(wheel_earliest(&wheel) == TIMER_NONE);
    }
}

static void the_past_expires_with_the_next_tick(void **state)
{
    (void)state;
    begin(1000 * WEIR_MS + 1);
    insert(&subjects[0], 0);
    insert(&subjects[1], 1000 * WEIR_MS);
    insert(&subjects[2], 1000 * WEIR_MS + 1);
    assert_int_equal(advance(1000 * WEIR_MS + 999999), 0);
    assert_int_equal(advance(1001 * WEIR_MS), 3);
    assert_int_equal(advance(1 * WEIR_MS), 0); /* a clock that went back */
}

static void beyond_the_horizon_is_looked_at_early(void **state)
{
    static const int64_t far[] = { INT64_C(1) << 60, INT64_MAX - 1, INT64_MAX };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        begin(starts[i]);
        for (size_t j = 0; j < ARRAY_LEN(far); j++)
            insert(&subjects[j], far[j]);
        assert_int_equal(advance(now + 10 * 24 * 3600 * WEIR_SEC), 0);
        assert_int_equal(advance(now + 3 * 24 * 3600 * WEIR_SEC), 3);
        check_earliest();
    }
}

static void removing_what_is_nowhere_is_nothing(void **state)
{
    (void)state;
    begin(0);
    insert(&subjects[0], 5 * WEIR_MS);
    wheel_remove(&wheel, &subjects[1].t);
    wheel_remove(&wheel, &subjects[0].t);
    wheel_remove(&wheel, &subjects[0].t);
    subjects[0].due = -1;
    check_earliest();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_list),
        cmocka_unit_test(each_carry_is_exact),
        cmocka_unit_test(due_in_portions),
        cmocka_unit_test(the_past_expires_with_the_next_tick),
        cmocka_unit_test(beyond_the_horizon_is_looked_at_early),
        cmocka_unit_test(removing_what_is_nowhere_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
