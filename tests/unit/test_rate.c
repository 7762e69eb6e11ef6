/* test_rate.c -- events counted by key, with a clock that the test moves; and by many threads at
 * once. Times in milliseconds. */
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"

#include "base/clock.h"
#include "limits/rate.h"

#define WINDOW 1000
#define ROOM   (64 * RATE_SHARDS)

static int64_t ms(int64_t n)
{
    return n * WEIR_MS;
}

static unsigned observe(struct weir_rate *r, const char *key, unsigned n, int64_t at)
{
    return rate_observe(r, WEIR(key), n, ms(at));
}

static unsigned observe_number(struct weir_rate *r, unsigned key, unsigned n, int64_t at)
{
    return rate_observe(r, (weir_str){ (const char *)&key, sizeof key }, n, ms(at));
}

/* Each step's key and moment, how many events come, how many there are then, and for how long. */
static void steps_of_two_keys(void **state)
{
    static const struct {
        int64_t at;
        const char *key;
        unsigned n, want;
        int64_t left;
    } steps[] = {
        { -5000, "a", 0, 0, 0 },    /* a look makes no window */
        { -5000, "a", 1, 1, 1000 }, /* clocks may begin anywhere */
        { -4001, "a", 0, 1, 1 },
        { -4000, "a", 0, 0, 0 },
        { 0, "a", 1, 1, 1000 },
        { 0, "a", 1, 2, 1000 },
        { 1, "b", 3, 3, 1000 },
        { 500, "a", 0, 2, 500 },
        { 500, "", 1, 1, 1000 },
        { 500, NULL, 1, 2, 1000 }, /* absent is the empty key */
        { 999, "a", 5, 7, 1 },
        { 1000, "b", 0, 3, 1 },
        { 1000, "a", 0, 0, 0 },
        { 1000, "a", 1, 1, 1000 },
        { 1001, "b", 0, 0, 0 },
        { 1001, "A", 0, 0, 0 }, /* bytes, not names */
        { 1500, "b", UINT_MAX - 1, UINT_MAX - 1, 1000 },
        { 1500, "b", 1, UINT_MAX, 1000 },
        { 1500, "b", 1, UINT_MAX, 1000 }, /* no overflow */
        { 1500, "b", UINT_MAX, UINT_MAX, 1000 },
        { 1500, "b", 0, UINT_MAX, 1000 },
        { 1400, "a", 1, 2, 600 }, /* a thread that took its time before another */
        { 900, "a", 1, 3, 1000 }, /* by more than its window: at most the whole of it */
        { 1999, "a", 1, 4, 1 },
        { 99999999, "a", 0, 0, 0 },
        { 99999999, "a", 2, 2, 1000 },
    };
    struct weir_rate *r = rate_new(ms(WINDOW), ROOM);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        unsigned got = observe(r, steps[i].key, steps[i].n, steps[i].at);
        int64_t left = rate_left(r, WEIR(steps[i].key), ms(steps[i].at));

        if (got != steps[i].want || left != ms(steps[i].left))
            fail_msg("step %zu: %u for %lld ms", i, got, (long long)(left / WEIR_MS));
    }
    rate_free(&r);
    assert_null(r);
}

static void keys_are_told_apart(void **state)
{
    static const weir_str keys[] = {
        TEXT("a"), TEXT("a\0"), TEXT("\0a"), TEXT("\0"), TEXT("\0\0"), TEXT("aa"), TEXT(""),
    };
    char page[4096] = { 0 };
    struct weir_rate *r = rate_new(ms(WINDOW), ROOM);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(rate_observe(r, keys[i], (unsigned)i + 1, 0), i + 1);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(rate_observe(r, keys[i], 0, 0), i + 1);
    for (size_t i = 0; i < sizeof page; i++) { /* long ones that differ in one byte */
        page[i] = 1;
        assert_int_equal(rate_observe(r, (weir_str){ page, sizeof page }, 1, ms(5 * (int)i)), 1);
        page[i] = 0;
    }
    assert_int_equal(weir_rate_observe(r, (weir_str){ NULL, 4 }, 0), /* absent: the empty one */
                     weir_rate_observe(r, LIT(""), 0));
    rate_free(&r);
}

/* A process does not end so soon; a window may be as long as that. */
static void windows_without_end(void **state)
{
    struct weir_rate *r = rate_new(WEIR_FOREVER, RATE_SHARDS);

    (void)state;
    assert_int_equal(rate_observe(r, WEIR("a"), 1, 5), 1);
    assert_int_equal(rate_observe(r, WEIR("a"), 1, INT64_MAX - 1), 2);
    assert_true(rate_left(r, WEIR("a"), 5) == WEIR_FOREVER);
    rate_free(&r);
}

/* As many as have room, window after window: each exact, none in the way of the next. */
static void old_keys_leave(void **state)
{
    enum { KEYS = ROOM / 2 }; /* no shard gets twice its share */
    struct weir_rate *r = rate_new(ms(WINDOW), ROOM);

    (void)state;
    for (unsigned round = 0; round < 50; round++)
        for (unsigned i = 0; i < KEYS; i++) {
            int64_t at = round * WINDOW + (int64_t)i * WINDOW / KEYS;

            assert_int_equal(observe_number(r, round * KEYS + i, i % 7 + 1, at), i % 7 + 1);
            if (i > 0)
                assert_int_equal(observe_number(r, round * KEYS + i - 1, 0, at), (i - 1) % 7 + 1);
        }
    rate_free(&r);
}

/* A flood of keys takes nothing from those that are there, and nobody is counted too low. */
static void a_flood(void **state)
{
    enum { KNOWN = ROOM / 4, FLOOD = 20 * ROOM };
    struct weir_rate *r = rate_new(ms(WINDOW), ROOM);
    unsigned exact = 0;

    (void)state;
    for (unsigned i = 0; i < KNOWN; i++)
        assert_int_equal(observe_number(r, i, 100 + i, 0), 100 + i);
    for (unsigned i = 0; i < FLOOD; i++) {
        unsigned got = observe_number(r, KNOWN + i, 1, 1);

        assert_true(got >= 1 && got < 30); /* 80,000 in 65,536 places */
        exact += got == 1;
    }
    assert_true(exact >= ROOM - KNOWN && exact < FLOOD);
    for (unsigned i = 0; i < KNOWN; i++)
        assert_int_equal(observe_number(r, i, 1, 999), 101 + i);
    for (unsigned i = 0; i < FLOOD; i++)
        assert_true(observe_number(r, KNOWN + i, 1, 1000) >= 2);
    rate_free(&r);
}

/* Its second event comes when there is room again, and is not its first. */
static void a_place_of_its_own_later(void **state)
{
    struct weir_rate *r = rate_new(ms(WINDOW), RATE_SHARDS); /* one for each shard */
    unsigned late = 10000;

    (void)state;
    for (unsigned i = 0; i < late; i++)
        observe_number(r, i, 1, 0);
    assert_true(observe_number(r, late, 5, 600) >= 5); /* in a shared place, since 0 or 600 */
    while (rate_left(r, (weir_str){ (char *)&late, sizeof late }, ms(600)) != ms(1000))
        assert_true(observe_number(r, ++late, 5, 600) >= 5);
    assert_true(observe_number(r, late, 1, 1200) >= 6); /* in its own one, since 600 */
    assert_true(observe_number(r, late, 1, 1599) >= 7);
    assert_true(rate_left(r, (weir_str){ (char *)&late, sizeof late }, ms(1599)) == ms(1));
    assert_int_equal(observe_number(r, late, 1, 1600), 1);
    rate_free(&r);
}

/* All is forgotten at the end: what was shared, too. */
static void after_the_flood(void **state)
{
    struct weir_rate *r = rate_new(ms(WINDOW), ROOM);

    (void)state;
    for (unsigned i = 0; i < 10 * ROOM; i++)
        observe_number(r, i, 3, 0);
    for (unsigned i = 0; i < 10 * ROOM; i++)
        assert_int_equal(observe_number(r, i, 0, WINDOW), 0);
    for (unsigned i = 0; i < ROOM / 2; i++)
        assert_int_equal(observe_number(r, i, 2, WINDOW), 2);
    rate_free(&r);
}

/* How many bytes of the first `size` have memory. */
static size_t resident(const struct weir_rate *r, size_t size)
{
    static unsigned char pages[16384];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = size / page, found = 0;

    assert_in_range(n, 1, sizeof pages);
    assert_int_equal(mincore((void *)(uintptr_t)r, n * page, pages), 0);
    for (size_t i = 0; i < n; i++)
        found += pages[i] & 1u;
    return found * page;
}

/* What a peak took goes back as few others come and go, who lose nothing by it. */
static void memory_after_a_peak(void **state)
{
    enum { PEAK = 8192 * RATE_SHARDS, FEW = 4096, ROUNDS = 24, SIZE = PEAK * 40 };
    struct weir_rate *r = rate_new(ms(WINDOW), 2 * PEAK);

    (void)state;
    for (unsigned i = 0; i < PEAK; i++)
        assert_int_equal(observe_number(r, i, 1, 0), 1);
    assert_true(resident(r, 2 * SIZE) >= SIZE);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < FEW; i++)
            assert_int_equal(observe_number(r, PEAK + i, i + 1, round * WINDOW), i + 1);
        for (unsigned i = 0; i < FEW; i++)
            assert_int_equal(observe_number(r, PEAK + i, 0, round * WINDOW), i + 1);
    }
    assert_true(resident(r, 2 * SIZE) < SIZE / 5);
    rate_free(&r);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, LOOPS = 20000, KEYS = 50 };

static struct weir_rate *common;
static pthread_barrier_t all_there;

/* Every thread counts the same keys, and keys of its own that come and go. */
static void *count_all(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    char own[32];

    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < LOOPS; i++) {
        unsigned key = i % KEYS;

        ensure(rate_observe(common, (weir_str){ (char *)&key, sizeof key }, 1, 0) > i / KEYS);
        snprintf(own, sizeof own, "%u of %u", i, me);
        ensure(rate_observe(common, WEIR(own), 2, 0) >= 2);
        ensure(rate_left(common, WEIR(own), 0) > 0);
    }
    return NULL;
}

static void totals_of_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    common = rate_new(ms(WINDOW), ROOM);
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (unsigned key = 0; key < KEYS; key++)
        assert_int_equal(observe_number(common, key, 1, 0), 1); /* each has its place */
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_all, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned key = 0; key < KEYS; key++)
        assert_int_equal(observe_number(common, key, 0, 0), 1 + THREADS * LOOPS / KEYS);
    pthread_barrier_destroy(&all_there);
    rate_free(&common);
}

/* The public names, by the real clock. */
static void by_the_clock(void **state)
{
    struct weir_rate *r = rate_new(WEIR_FOREVER, WEIR_RATE_KEYS);
    int64_t before = clock_now();

    (void)state;
    assert_int_equal(weir_rate_observe(r, WEIR("a"), 2), 2);
    assert_int_equal(weir_rate_observe(r, WEIR("a"), 0), 2);
    assert_true(weir_rate_left(r, WEIR("a")) >= WEIR_FOREVER - (clock_now() - before));
    assert_true(weir_rate_left(r, WEIR("b")) == 0);
    assert_int_equal(weir_rate_observe(NULL, WEIR("a"), 3), 3);
    assert_true(weir_rate_left(NULL, WEIR("a")) == 0);
    rate_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_two_keys),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(windows_without_end),
        cmocka_unit_test(old_keys_leave),
        cmocka_unit_test(a_flood),
        cmocka_unit_test(a_place_of_its_own_later),
        cmocka_unit_test(after_the_flood),
        cmocka_unit_test(memory_after_a_peak),
        cmocka_unit_test(totals_of_threads),
        cmocka_unit_test(by_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
