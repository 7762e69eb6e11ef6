/* test_h1_cases.c -- the tables of cases, each fed whole, byte by byte and in splits, by each kind
 * of vector instructions; and docs/http1.md, which is printed from them (--page prints it anew). */
#include "h1_feed.h"

enum { SPLITS = 4 };

static void check_case(const struct h1_case *c, enum h1_side side, enum feeding feeding,
                       struct random *r)
{
    struct fed f;

    feed(&f, c->in, side, c->method, feeding, r);
    if (f.rc != c->want)
        fail_case(c->in, "gave %d (%s), not %d", f.rc, f.reason ? f.reason : "", c->want);
    if (f.goes_on != c->goes_on)
        fail_case(c->in, "the connection %s", f.goes_on ? "goes on" : "ends");
    if (f.rc < 0)
        assert_non_null(f.reason);
    if (f.rc == 0 && strcmp(fed_text(&f), c->gives) != 0)
        fail_case(c->in, "gave <%s>, not <%s>", fed_text(&f), c->gives);
    fed_done(&f);
}

static unsigned check_all(const struct h1_case *cases, size_t count, enum h1_side side)
{
    unsigned checked = 0;
    struct random r;

    random_seed(&r, 20261123);
    for (size_t i = 0; i < count; i++) {
        if (cases[i].title != NULL)
            continue;
        for (int kind = 0; kind < H1_KINDS; kind++) {
            if (!h1_use((enum h1_kind)kind))
                continue;
            check_case(&cases[i], side, FEED_WHOLE, &r);
            check_case(&cases[i], side, FEED_BYTES, &r);
            for (int n = 0; n < SPLITS; n++)
                check_case(&cases[i], side, FEED_SPLITS, &r);
        }
        checked++;
    }
    return checked;
}

static void requests(void **state)
{
    (void)state;
    assert_true(check_all(request_cases, request_case_count, H1_REQUEST) >= 300);
}

static void responses(void **state)
{
    (void)state;
    assert_true(check_all(response_cases, response_case_count, H1_RESPONSE) >= 120);
}

/* A good message that is cut anywhere is never complete, but where the close is its end. */
static void no_message_is_complete_too_early(void **state)
{
    (void)state;
    for (size_t i = 0; i < request_case_count; i++) {
        const struct h1_case *c = &request_cases[i];
        struct fed f;

        if (c->title != NULL || c->want != 0)
            continue;
        feed(&f, c->in, H1_REQUEST, METHOD_GET, FEED_WHOLE, NULL);
        for (size_t len = 0; len < c->in.len - f.left; len++) {
            struct fed cut;

            feed(&cut, (weir_str){ c->in.ptr, len }, H1_REQUEST, METHOD_GET, FEED_WHOLE, NULL);
            if (cut.rc != FED_CUT || cut.goes_on)
                fail_case(c->in, "with %zu bytes it gives %d", len, cut.rc);
            fed_done(&cut);
        }
        fed_done(&f);
    }
}

static void page_is_as_printed(void **state)
{
    const char *path = getenv("WEIR_HTTP1_PAGE");
    char *want = NULL, *have;
    size_t want_len, n;
    FILE *memory, *file;

    (void)state;
    if (path == NULL)
        skip(); /* not run by Meson */
    memory = open_memstream(&want, &want_len);
    assert_non_null(memory);
    print_page(memory);
    fclose(memory);
    file = fopen(path, "rb");
    assert_non_null(file);
    have = malloc(want_len + 1);
    assert_non_null(have);
    n = fread(have, 1, want_len + 1, file);
    fclose(file);
    if (n != want_len || memcmp(have, want, want_len) != 0) {
        print_error("%s is not what the tables give: print it anew by test_h1_cases --page\n",
                    path);
        fail();
    }
    free(have);
    free(want);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(responses),
        cmocka_unit_test(no_message_is_complete_too_early),
        cmocka_unit_test(page_is_as_printed),
    };

    if (argc == 2 && strcmp(argv[1], "--page") == 0) {
        print_page(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
