/* test_rt_buf.c -- buffers: whose bytes are whose, reuse, and memory given back. */
#include "cases.h"

#include <pthread.h>
#include <sys/mman.h>

#include "runtime/buf_pool.h"
#include "runtime/sanitize.h"

static struct buf_stats stats(void)
{
    struct buf_stats s;

    buf_stats(&s);
    return s;
}

static void are_aligned_and_apart(void **state)
{
    struct buf_magazine m = { .free.count = 0 };
    char *bufs[500];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        bufs[i] = buf_take(&m);
        assert_non_null(bufs[i]);
        assert_int_equal((uintptr_t)bufs[i] % BUF_SIZE, 0);
        memset(bufs[i], (int)(i % 251), BUF_SIZE);
    }
    assert_int_equal(stats().mapped, ARRAY_LEN(bufs));
    assert_int_equal(stats().chunks, (ARRAY_LEN(bufs) + 62) / 63);
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        for (size_t j = 0; j < BUF_SIZE; j += 511)
            assert_int_equal((unsigned char)bufs[i][j], i % 251);
        assert_int_equal((unsigned char)bufs[i][BUF_SIZE - 1], i % 251);
        buf_return(&m, bufs[i]);
    }
    bufs_free();
}

static void the_newest_is_reused_first(void **state)
{
    struct buf_magazine m = { .free.count = 0 }, other = { .free.count = 0 };
    char *a = buf_take(&m), *b = buf_take(&m);

    (void)state;
    buf_return(&m, a);
    buf_return(&m, b);
    assert_ptr_equal(buf_take(&m), b);
    assert_ptr_equal(buf_take(&m), a);
    assert_int_equal(stats().mapped, 2);
    buf_return(&m, a); /* by the depot to another worker */
    buf_flush(&m);
    assert_int_equal(m.free.count, 0);
    assert_ptr_equal(buf_take(&other), a);
    bufs_free();
}

static void a_free_one_is_poisoned(void **state)
{
    struct buf_magazine m = { .free.count = 0 };
    char *a = buf_take(&m), *b = buf_take(&m);

    (void)state;
    if (!SANITIZE_ADDRESS) { /* cmocka's skip counts as a failure in TAP */
        bufs_free();
        return;
    }
    assert_false(asan_poisoned(a, BUF_SIZE));
    buf_return(&m, a);
    assert_true(asan_poisoned(a + 64, BUF_SIZE - 64));
    assert_true(asan_poisoned(a + BUF_SIZE - 1, 1));
    assert_false(asan_poisoned(b, BUF_SIZE));
    assert_ptr_equal(buf_take(&m), a);
    assert_false(asan_poisoned(a, BUF_SIZE));
    bufs_free();
}

static bool resident(char *buf)
{
    unsigned char pages[BUF_SIZE / 4096];

    if (mincore(buf, BUF_SIZE, pages) != 0)
        return false; /* not even mapped any more */
    return (pages[0] | pages[1] | pages[2] | pages[3]) & 1;
}

static void what_a_peak_left_is_given_back(void **state)
{
    struct buf_magazine m = { .free.count = 0 };
    char *bufs[1000];
    unsigned left = 0;

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
            bufs[i] = buf_take(&m);
            assert_non_null(bufs[i]);
            memset(bufs[i], 1, BUF_SIZE);
        }
        char *kept = bufs[500];
        for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
            if (bufs[i] != kept)
                buf_return(&m, bufs[i]);
        buf_flush(&m);
        bufs_trim(64); /* until now they were needed */
        assert_int_equal(stats().mapped, ARRAY_LEN(bufs));
        bufs_trim(64);
        assert_in_range(stats().mapped, 1, ARRAY_LEN(bufs) / 10);
        assert_int_equal(stats().kept, stats().mapped - 1);
        assert_int_equal(kept[BUF_SIZE - 1], 1);
        left = 0;
        for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
            left += resident(bufs[i]);
        assert_int_equal(left, stats().mapped);
        assert_in_range(stats().chunks, 1, ARRAY_LEN(bufs) / 63 / 2); /* most are unmapped */
        buf_return(&m, kept);
    }
    bufs_free();
    assert_int_equal(stats().mapped, 0);
    assert_int_equal(stats().chunks, 0);
}

/* --- several workers --- */

enum { HELD = 100, PASSED = 64 };

static struct {
    pthread_mutex_t lock;
    char *bufs[PASSED]; /* from any thread to any other */
} passed = { .lock = PTHREAD_MUTEX_INITIALIZER };

static char *exchange(size_t place, char *buf)
{
    pthread_mutex_lock(&passed.lock);
    char *other = passed.bufs[place];
    passed.bufs[place] = buf;
    pthread_mutex_unlock(&passed.lock);
    return other;
}

static void mark(char *buf)
{
    uintptr_t name = (uintptr_t)buf;

    memcpy(buf, &name, sizeof name);
    memcpy(buf + BUF_SIZE - sizeof name, &name, sizeof name);
}

static void check(const char *buf)
{
    uintptr_t name = (uintptr_t)buf;

    ensure(memcmp(buf, &name, sizeof name) == 0);
    ensure(memcmp(buf + BUF_SIZE - sizeof name, &name, sizeof name) == 0);
}

static void *work(void *arg)
{
    struct buf_magazine m = { .free.count = 0 };
    char *held[HELD] = { NULL };
    struct random r;

    random_seed(&r, (uintptr_t)arg);
    for (int i = 0; i < 50000; i++) {
        char **at = &held[random_below(&r, HELD)];

        if (*at == NULL) {
            *at = buf_take(&m);
            ensure(*at != NULL);
            mark(*at);
        } else if (random_below(&r, 4) == 0) {
            *at = exchange(random_below(&r, PASSED), *at);
        } else {
            check(*at);
            buf_return(&m, *at);
            *at = NULL;
        }
        if (i % 1000 == 0)
            bufs_trim(64);
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i] != NULL)
            buf_return(&m, held[i]);
    buf_flush(&m);
    return NULL;
}

static void workers_share_the_depot(void **state)
{
    pthread_t threads[4];
    struct buf_magazine m = { .free.count = 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < PASSED; i++) {
        if (passed.bufs[i] != NULL) {
            check(passed.bufs[i]);
            buf_return(&m, passed.bufs[i]);
        }
    }
    buf_flush(&m);
    assert_int_equal(stats().kept, stats().mapped);
    bufs_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_aligned_and_apart),
        cmocka_unit_test(the_newest_is_reused_first),
        cmocka_unit_test(a_free_one_is_poisoned),
        cmocka_unit_test(what_a_peak_left_is_given_back),
        cmocka_unit_test(workers_share_the_depot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
