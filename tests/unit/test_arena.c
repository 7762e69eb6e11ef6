/* test_arena.c -- memory, lists, random numbers, hashes. */
#include "cases.h"

#include "base/hash.h"
#include "base/list.h"

static void starts_in_the_given_memory(void **state)
{
    _Alignas(16) char mem[64];
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, mem, sizeof(mem));
    p = arena_text(&a, 3);
    assert_ptr_equal(p, mem);
    p = arena_alloc(&a, 16);
    assert_ptr_equal(p, mem + 16); /* aligned behind the odd text */
    p = arena_text(&a, 32);
    assert_ptr_equal(p, mem + 32); /* the last byte counts */
    assert_null(a.pieces);
    p = arena_text(&a, 1);
    assert_true(p < mem || p >= mem + sizeof(mem));
    assert_non_null(a.pieces);
    arena_done(&a);
    assert_null(a.pieces);
}

static void blocks_do_not_overlap(void **state)
{
    static char mem[100]; /* not aligned, not a whole number of blocks */
    struct arena a;
    struct random r;
    struct {
        unsigned char *at;
        size_t len;
    } blocks[300];

    (void)state;
    random_seed(&r, 1);
    for (int round = 0; round < 20; round++) {
        arena_init(&a, mem + 1, sizeof(mem) - 1 - random_below(&r, 20));
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
            bool text = random_below(&r, 2) == 0;

            blocks[i].len = random_below(&r, random_below(&r, 20) == 0 ? 20000 : 100);
            blocks[i].at = text ? (unsigned char *)arena_text(&a, blocks[i].len)
                                : arena_alloc(&a, blocks[i].len);
            assert_non_null(blocks[i].at);
            assert_true(text || (uintptr_t)blocks[i].at % 16 == 0);
            memset(blocks[i].at, (int)(i & 255), blocks[i].len);
        }
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
            for (size_t j = 0; j < blocks[i].len; j++)
                assert_int_equal(blocks[i].at[j], i & 255);
        }
        arena_done(&a);
    }
}

static void refuses_what_cannot_be(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, NULL, 0);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_text(&a, SIZE_MAX - 8));
    assert_non_null(arena_alloc(&a, 1));
    arena_done(&a);
}

static void copies(void **state)
{
    struct arena a;
    weir_str s;

    (void)state;
    arena_init(&a, NULL, 0);
    s = arena_copy(&a, (weir_str){ NULL, 0 });
    assert_null(s.ptr);
    s = arena_copy(&a, LIT(""));
    assert_non_null(s.ptr); /* empty is not absent */
    assert_int_equal(s.len, 0);
    s = arena_copy(&a, LIT("a\0b"));
    assert_true(weir_str_eq(s, LIT("a\0b")));
    arena_done(&a);
}

static void formats(void **state)
{
    char mem[12];
    struct arena a;

    (void)state;
    arena_init(&a, mem, sizeof(mem));
    assert_str(arena_printf(&a, "%d-%s", 7, "abc"), "7-abc"); /* fits: 6 bytes with its NUL */
    assert_null(a.pieces);
    assert_str(arena_printf(&a, "%s", "12345"), "12345"); /* fits exactly */
    assert_null(a.pieces);
    assert_str(arena_printf(&a, "%s", ""), "");
    assert_non_null(a.pieces);
    assert_int_equal(arena_printf(&a, "%9000d", 1).len, 9000); /* longer than a piece */
    assert_int_equal(arena_printf(&a, "%100d", 1).ptr[100], '\0');
    arena_done(&a);
}

static void lists_link_and_unlink(void **state)
{
    struct link head, a, b, c;

    (void)state;
    link_init(&head);
    link_init(&a);
    assert_true(link_alone(&head));
    link_before(&head, &a);
    link_before(&head, &b);
    link_after(&head, &c);
    assert_ptr_equal(head.next, &c);
    assert_ptr_equal(c.next, &a);
    assert_ptr_equal(a.next, &b);
    assert_ptr_equal(b.next, &head);
    assert_ptr_equal(head.prev, &b);
    link_remove(&a);
    assert_true(link_alone(&a));
    link_remove(&a); /* once more does nothing */
    assert_ptr_equal(c.next, &b);
    assert_ptr_equal(b.prev, &c);
    link_remove(&b);
    link_remove(&c);
    assert_true(link_alone(&head));
}

/* The numbers of xoshiro256** from the state that splitmix64 makes of seed 0, by an independent
 * computation. */
static void random_numbers_are_the_known_ones(void **state)
{
    static const uint64_t want[] = {
        UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a), UINT64_C(0x1a5f849d4933e6e0),
    };
    struct random r;

    (void)state;
    random_seed(&r, 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(random_next(&r) == want[i]);
}

static void random_numbers_stay_below(void **state)
{
    struct random r;
    unsigned seen[7] = { 0 };

    (void)state;
    random_seed(&r, 42);
    for (int i = 0; i < 7000; i++)
        seen[random_below(&r, ARRAY_LEN(seen))]++;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_in_range(seen[i], 850, 1150);
    assert_int_equal(random_below(&r, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(random_below(&r, UINT64_MAX / 3 * 2) < UINT64_MAX / 3 * 2);
}

static void seeds_of_the_kernel_differ(void **state)
{
    struct random a, b;

    (void)state;
    random_init(&a);
    random_init(&b);
    assert_true(random_next(&a) != random_next(&b));
}

static void hashes_depend_on_every_byte(void **state)
{
    char text[64];
    uint64_t plain;

    (void)state;
    memset(text, 'a', sizeof(text));
    plain = hash_bytes(text, sizeof(text));
    assert_true(hash_bytes(text, sizeof(text) - 1) != plain);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = 'b';
        assert_true(hash_bytes(text, sizeof(text)) != plain);
        text[i] = 'a';
    }
    assert_true(hash_bytes(text, sizeof(text)) == plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_in_the_given_memory),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(copies),
        cmocka_unit_test(formats),
        cmocka_unit_test(lists_link_and_unlink),
        cmocka_unit_test(random_numbers_are_the_known_ones),
        cmocka_unit_test(random_numbers_stay_below),
        cmocka_unit_test(seeds_of_the_kernel_differ),
        cmocka_unit_test(hashes_depend_on_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
