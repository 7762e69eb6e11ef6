/* test_h1_split.c -- the second pass, each kind of it against the tables of bytes and names. */
#include "heads.h"

#include "codec/chars.h"
#include "codec/h1_split.h"

/* Splits one line of `name`, a colon and a value behind it; NULL if it is refused. */
static const struct field *split_line(const char *name, size_t len, struct field *f)
{
    static char text[400];
    struct split_fields out = { .fields = f };
    struct h1_scan scan;

    memcpy(text, name, len);
    memcpy(text + len, ": v\r\n\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 47);
    h1_scan_init(&scan);
    scan.lines = 1;
    scan.ends[0] = (uint32_t)len + 3;
    scan.at = len + 7;
    return h1_split(text, &scan, 0, 1000, &out) == SPLIT_DONE ? f : NULL;
}

/* Each byte value at each place of names of all lengths: only tokens are names. */
static void names_are_tokens(void **state)
{
    char name[70];
    struct field f;

    (void)state;
    for (int kind = 0; kind < H1_KINDS; kind++) {
        if (!h1_use((enum h1_kind)kind))
            continue;
        for (size_t len = 1; len < sizeof(name); len++) {
            memset(name, 'n', sizeof(name));
            for (int byte = 1; byte < 256; byte++) {
                size_t at = (size_t)byte % len;
                bool good = char_is((char)byte, CHAR_TOKEN);

                if (byte == ':' || byte == '\r' || byte == '\n')
                    continue;
                name[at] = (char)byte;
                if ((split_line(name, len, &f) != NULL) != good)
                    fail_case(((weir_str){ name, len }), "kind %d is mistaken", kind);
                if (good) {
                    assert_int_equal(f.name_len, len);
                    assert_int_equal(f.id, FIELD_OTHER);
                    assert_str(((weir_str){ f.value, f.value_len }), "v");
                }
                name[at] = 'n';
            }
        }
    }
}

/* Known names in any case are known; one byte more, less or other is another name. */
static void known_names_are_known(void **state)
{
    struct random r;
    struct field f;
    char name[40];

    (void)state;
    random_seed(&r, 7);
    for (int kind = 0; kind < H1_KINDS; kind++) {
        if (!h1_use((enum h1_kind)kind))
            continue;
        for (int id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
            weir_str known = field_name_of((enum field_id)id);

            memcpy(name, known.ptr, known.len);
            for (size_t i = 0; i < known.len; i++) {
                if (name[i] != '-' && random_below(&r, 2) == 0)
                    name[i] ^= name[i] >= 'A' ? 0x20 : 0;
            }
            assert_non_null(split_line(name, known.len, &f));
            if (f.id != id)
                fail_case(((weir_str){ name, known.len }), "kind %d does not know it", kind);
            name[known.len] = 's';
            for (size_t len = known.len - 1; len <= known.len + 1; len++) {
                assert_non_null(split_line(name, len, &f));
                assert_int_equal(f.id, field_id_of((weir_str){ name, len }));
            }
            for (size_t i = 0; i < known.len; i++) {
                char right = name[i];

                name[i] = right == '_' ? '-' : '_';
                assert_non_null(split_line(name, known.len, &f));
                assert_int_equal(f.id, FIELD_OTHER);
                name[i] = right;
            }
        }
    }
}

/* Each byte at each place of a target or host, with and without room to read behind it. */
static void spans_end_at_the_first_odd_byte(void **state)
{
    static const unsigned classes[SET_COUNT] = { CHAR_TARGET, CHAR_HOST };
    char text[80 + H1_PAD];

    (void)state;
    for (int kind = 0; kind < H1_KINDS * SET_COUNT; kind++) {
        enum h1_set set = (enum h1_set)(kind % SET_COUNT);

        if (!h1_use((enum h1_kind)(kind / SET_COUNT)))
            continue;
        for (size_t at = 0; at < 80; at++) {
            for (int byte = 0; byte < 256; byte++) {
                size_t want = char_is((char)byte, classes[set]) ? 80 : at;

                memset(text, 'x', sizeof(text));
                text[at] = (char)byte;
                assert_int_equal(h1_span(set, text, text + 80, text + 80), want);
                assert_int_equal(h1_span(set, text, text + 80, text + 80 + H1_PAD), want);
                assert_int_equal(h1_span(set, text, text + at, text + 80), at);
            }
        }
    }
}

/* More lines than the scan remembers. */
static void heads_of_many_lines(void **state)
{
    static const struct h1_limits wide = {
        .max_head = 1 << 20, .max_field = 1 << 20, .max_target = 100, .max_fields = 1000
    };
    static char text[20000];
    struct heap_head h;

    (void)state;
    for (int lines = 120; lines < 140; lines++) {
        int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");

        for (int i = 0; i < lines; i++)
            len +=
                snprintf(text + len, sizeof(text) - (size_t)len, "Name-%d:  value %d \r\n", i, i);
        snprintf(text + len, sizeof(text) - (size_t)len, "Cookie: c\r\n\r\n");
        for (int kind = 0; kind < H1_KINDS; kind++) {
            if (!h1_use((enum h1_kind)kind))
                continue;
            parse_head(&h, weir_str_from(text), false, &wide, FEED_SPLITS);
            assert_int_equal(h.rc, 0);
            assert_int_equal(h.head.count, lines + 2);
            assert_str(weir_get(&h.head, "name-119"), "value 119");
            assert_str(weir_get(&h.head, "cookie"), "c");
            assert_true(head_has_id(&h.head, FIELD_COOKIE));
            heap_head_done(&h);
        }
        memcpy(text + len, "A : b\r\n\r\n", 10);
        parse_head(&h, weir_str_from(text), false, &wide, FEED_WHOLE);
        assert_int_equal(h.rc, WEIR_EBADHEAD);
        heap_head_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_tokens),
        cmocka_unit_test(known_names_are_known),
        cmocka_unit_test(spans_end_at_the_first_odd_byte),
        cmocka_unit_test(heads_of_many_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
