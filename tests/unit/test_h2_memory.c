/* test_h2_memory.c -- what nghttp2 allocates, and what it frees twice. */
#include "cases.h"

#include "http/h2_parts.h"

/* No memory for a size that is absurd is what these tests are about. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct h2_conn conn;

/* With a block that its caller can read and free again after the first free, in the order of
 * nghttp2's calls; a sanitizer tells of any that was freed. */
static void a_queue_that_cannot_grow(void **state)
{
    nghttp2_mem mem = h2_memory_of(&conn);
    char *queue = mem.realloc(NULL, 32, &conn), *item = mem.malloc(152, &conn);

    (void)state;
    memset(item, 1, 152);
    assert_null(mem.realloc(queue, SIZE_MAX / 2, &conn));
    mem.free(item, &conn);
    assert_int_equal(item[151], 1);
    mem.free(item, &conn);
    mem.free(queue, &conn);
    h2_memory_end(&conn);
}

/* A block that it frees once is given back with the session, the others at once. */
static void freed_once(void **state)
{
    nghttp2_mem mem = h2_memory_of(&conn);

    (void)state;
    for (int i = 0; i < 3; i++) {
        char *first = mem.malloc(152, &conn), *second = mem.malloc(152, &conn);

        assert_null(mem.realloc(NULL, SIZE_MAX / 2, &conn));
        mem.free(NULL, &conn);
        mem.free(first, &conn);
        assert_null(mem.realloc(NULL, SIZE_MAX / 2, &conn));
        mem.free(second, &conn);
        h2_memory_end(&conn);
    }
    h2_memory_end(&conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_that_cannot_grow),
        cmocka_unit_test(freed_once),
    };

    return cmocka_run_group_tests_name("h2_memory", tests, NULL, NULL);
}
