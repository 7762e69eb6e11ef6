/* test_rt_wide.c -- larger buffers: bounded, used again, given back when nobody needs them. */
#include "cases.h"

#include <pthread.h>

#include "runtime/buf_wide.h"

static void they_are_bounded_and_kept(void **state)
{
    char *held[WIDE_MAX], *again;

    (void)state;
    for (unsigned i = 0; i < WIDE_MAX; i++) {
        held[i] = buf_wide_get();
        assert_non_null(held[i]);
        held[i][0] = held[i][BUF_WIDE - 1] = 'x';
    }
    assert_null(buf_wide_get());
    again = held[7];
    buf_wide_put(&held[7]);
    assert_null(held[7]);
    assert_ptr_equal(buf_wide_get(), again);
    held[7] = again;
    for (unsigned i = 0; i < WIDE_MAX; i++)
        buf_wide_put(&held[i]);
    bufs_wide_free();
}

static void what_is_not_needed_is_unmapped(void **state)
{
    char *one = buf_wide_get(), *two = buf_wide_get(), *last = two;

    (void)state;
    buf_wide_put(&one);
    buf_wide_put(&two);
    bufs_wide_trim(); /* both were needed since the last time */
    two = buf_wide_get();
    assert_ptr_equal(two, last);
    buf_wide_put(&two);
    bufs_wide_trim(); /* one was not */
    two = buf_wide_get();
    assert_ptr_equal(two, last);
    assert_int_equal(two[0], 0); /* this memory is not lost */
    buf_wide_put(&two);
    bufs_wide_free();
}

static void *take_and_give(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2000; i++) {
        char *buf = buf_wide_get();

        if (buf == NULL)
            continue;
        buf[0] = 'x';
        buf_wide_put(&buf);
    }
    return NULL;
}

/* Any worker may trim while others take and give: for TSan, above all. */
static void any_thread_may_trim(void **state)
{
    pthread_t users[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&users[i], NULL, take_and_give, NULL), 0);
    for (unsigned i = 0; i < 200; i++)
        bufs_wide_trim();
    for (unsigned i = 0; i < 2; i++)
        pthread_join(users[i], NULL);
    bufs_wide_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_bounded_and_kept),
        cmocka_unit_test(what_is_not_needed_is_unmapped),
        cmocka_unit_test(any_thread_may_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
