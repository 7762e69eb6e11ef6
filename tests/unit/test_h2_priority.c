/* test_h2_priority.c -- what a priority field says (RFC 9218 4), whatever else stands in it. */
#include "cases.h"

#include "http/h2_parts.h"

static const struct {
    const char *in;
    unsigned urgency;
    bool incremental;
} cases[] = {
    { "", 3, false },
    { "u=0", 0, false },
    { "u=7, i", 7, true },
    { "i,u=1", 1, true },
    { "i=?1", 3, true },
    { "i=?0", 3, false },
    { "u=5,u=2", 2, false }, /* the last one holds (RFC 8941 3.2) */
    { "i, i=?0", 3, false },
    { " u=1 \t, i ", 1, true },
    { "u=1;x=2, i;y", 1, true }, /* parameters mean nothing */
    { "u=8", 3, false },
    { "u=-1", 3, false },
    { "u=1.0", 3, false },
    { "u=10", 3, false },
    { "u", 3, false },
    { "i=1", 3, false },
    { "U=1, I", 3, false },
    { "uu=1, ui", 3, false },
    { "a=\"u=1\", u=2", 2, false },
    { "a=\",u=1,\", i", 3, true },
    { "a=\"\\\",u=1\", u=6", 6, false },
    { "u=4, a=\"u=1", 4, false }, /* without an end */
    { "u=4, a=\"\\", 4, false },
    { ",,,", 3, false },
    { ";u=1", 3, false },
};

static void fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *copy = exact_copy(WEIR(cases[i].in));
        struct h2_priority p = h2_priority_parse((weir_str){ copy, strlen(cases[i].in) });

        if (p.urgency != cases[i].urgency || p.incremental != cases[i].incremental)
            fail_msg("\"%s\": u=%u, i=%d", cases[i].in, p.urgency, p.incremental);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
