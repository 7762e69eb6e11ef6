/* test_uri.c -- targets taken apart, authorities, and paths in one form. */
#include "heads.h"

#include "codec/uri.h"

static const struct {
    enum method method;
    weir_str in;
    int form; /* < 0: refused */
    const char *authority, *path;
} targets[] = {
    { METHOD_GET, TEXT("/"), TARGET_ORIGIN, NULL, "/" },
    { METHOD_GET, TEXT("/a/b;c=1,2/$&'()*+:@!~-._?x=/?[]"), TARGET_ORIGIN, NULL,
      "/a/b;c=1,2/$&'()*+:@!~-._?x=/?[]" },
    { METHOD_GET, TEXT("//a"), TARGET_ORIGIN, NULL, "//a" },
    { METHOD_GET, TEXT("/?"), TARGET_ORIGIN, NULL, "/?" },
    { METHOD_GET, TEXT("/%41%2f%00?%fF"), TARGET_ORIGIN, NULL, "/%41%2f%00?%fF" },
    { METHOD_GET, TEXT("/http://x/"), TARGET_ORIGIN, NULL, "/http://x/" },
    { METHOD_OPTIONS, TEXT("*"), TARGET_ASTERISK, NULL, "*" },
    { METHOD_GET, TEXT("http://h"), TARGET_ABSOLUTE, "h", "" },
    { METHOD_GET, TEXT("http://h?q"), TARGET_ABSOLUTE, "h", "?q" },
    { METHOD_GET, TEXT("hTTPs://h:1/p?q"), TARGET_ABSOLUTE, "h:1", "/p?q" },
    { METHOD_GET, TEXT("http://[::1]/"), TARGET_ABSOLUTE, "[::1]", "/" },
    { METHOD_GET, TEXT("http://h:/"), TARGET_ABSOLUTE, "h:", "/" },
    { METHOD_GET, TEXT("http://h//a"), TARGET_ABSOLUTE, "h", "//a" },
    { METHOD_OPTIONS, TEXT("http://h"), TARGET_ABSOLUTE, "h", "" },
    { METHOD_CONNECT, TEXT("h:443"), TARGET_AUTHORITY, "h:443", NULL },
    { METHOD_CONNECT, TEXT("[::1]:443"), TARGET_AUTHORITY, "[::1]:443", NULL },
    { METHOD_GET, TEXT(""), -1, NULL, NULL },
    { METHOD_GET, TEXT("*"), -1, NULL, NULL },
    { METHOD_OPTIONS, TEXT("**"), -1, NULL, NULL },
    { METHOD_OPTIONS, TEXT("*/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("a"), -1, NULL, NULL },
    { METHOD_GET, TEXT("?q"), -1, NULL, NULL },
    { METHOD_GET, TEXT("./a"), -1, NULL, NULL },
    { METHOD_GET, TEXT("h:80"), -1, NULL, NULL },
    { METHOD_GET, TEXT("\\a"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/\\a"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/a b"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/a\tb"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/a\0b"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/a\x7f"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/\x80"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/\xff"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/caf\xc3\xa9"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/\""), -1, NULL, NULL },
    { METHOD_GET, TEXT("/<"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/>"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/^"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/`"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/{"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/|?|^`{}"), TARGET_ORIGIN, NULL, "/|?|^`{}" }, /* as browsers send them */
    { METHOD_GET, TEXT("http://h?{"), TARGET_ABSOLUTE, "h", "?{" },
    { METHOD_GET, TEXT("/%41?{%42}^%43"), TARGET_ORIGIN, NULL, "/%41?{%42}^%43" },
    { METHOD_GET, TEXT("/{?{"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h/{?"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?\\"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?\""), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?<>"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?{%zz"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/}"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/#"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?#f"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/%"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/%4"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/%g0"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/%0g"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/%%41"), -1, NULL, NULL },
    { METHOD_GET, TEXT("/?%u0041"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:/h"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:///a"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://?q"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://:80/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:h"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:/\\h"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http:\\\\h"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://u@h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://u:p@h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://@h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h#f"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h\\x"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h/a#f"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h:x/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h:99999/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://h%2f/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("http://[::1/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("ftp://h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("ws://h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("httpx://h/"), -1, NULL, NULL },
    { METHOD_GET, TEXT("xhttp://h/"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("h"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("h:"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT(":443"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("h:443/"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("h:443x"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("h:99999"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("u@h:443"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("http://h/"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("/"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("*"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT("[::1]"), -1, NULL, NULL },
    { METHOD_CONNECT, TEXT(""), -1, NULL, NULL },
};

static void targets_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char *copy = exact_copy(targets[i].in);
        struct h1_fault fault = { NULL };
        struct target t;
        int rc = target_parse((weir_str){ copy, targets[i].in.len }, targets[i].method, &t, &fault);

        if (rc != (targets[i].form < 0 ? WEIR_EBADTARGET : 0))
            fail_case(targets[i].in, "gave %d (%s)", rc, fault.reason ? fault.reason : "");
        if (rc == 0) {
            assert_int_equal(t.form, targets[i].form);
            assert_str(t.authority, targets[i].authority);
            if (targets[i].path != NULL)
                assert_str(t.path, targets[i].path);
        } else {
            assert_non_null(fault.reason);
        }
        free(copy);
    }
}

static void authorities(void **state)
{
    static const struct {
        weir_str in;
        bool want;
    } cases[] = {
        { TEXT("a"), true },
        { TEXT("example.org"), true },
        { TEXT("example.org."), true },
        { TEXT("EXAMPLE.org:8080"), true },
        { TEXT("a_b-c~d"), true },
        { TEXT("127.0.0.1:0"), true },
        { TEXT("a:"), true },
        { TEXT("a:65535"), true },
        { TEXT("a:00080"), true },
        { TEXT("[::]"), true },
        { TEXT("[::1]:80"), true },
        { TEXT("[2001:db8::1]"), true },
        { TEXT("[::ffff:1.2.3.4]:1"), true },
        { TEXT(""), false },
        { TEXT(":"), false },
        { TEXT(":80"), false },
        { TEXT("a:65536"), false },
        { TEXT("a:000080"), false },
        { TEXT("a:99999999999999999999"), false },
        { TEXT("a:+80"), false },
        { TEXT("a:-1"), false },
        { TEXT("a:80 "), false },
        { TEXT("a:8_0"), false },
        { TEXT("a:80:80"), false },
        { TEXT("a::80"), false },
        { TEXT("::1"), false },
        { TEXT("a b"), false },
        { TEXT(" a"), false },
        { TEXT("a/"), false },
        { TEXT("a?"), false },
        { TEXT("a#"), false },
        { TEXT("a\\b"), false },
        { TEXT("u@a"), false },
        { TEXT("a%41"), false },
        { TEXT("a\0"), false },
        { TEXT("\xc3\xa9"), false },
        { TEXT("a<b>"), false },
        { TEXT("["), false },
        { TEXT("[]"), false },
        { TEXT("[:]"), false },
        { TEXT("[::1"), false },
        { TEXT("[::1]x"), false },
        { TEXT("[::1]]"), false },
        { TEXT("[[::1]]"), false },
        { TEXT("[::1]:x"), false },
        { TEXT("[::1%25eth0]"), false },
        { TEXT("[v1.a]"), false },
        { TEXT("[1.2.3.4]"), false },
        { TEXT("[::1\0]"), false },
        { TEXT("[1:2:3:4:5:6:7:8:9]"), false },
        { TEXT("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), false },
        { TEXT("x[::1]"), false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *copy = exact_copy(cases[i].in);

        if (authority_valid((weir_str){ copy, cases[i].in.len }) != cases[i].want)
            fail_case(cases[i].in, "is %s", cases[i].want ? "refused" : "accepted");
        free(copy);
    }
}

static const struct {
    const char *in, *want; /* want: NULL if refused */
} paths[] = {
    { "/", "/" },
    { "/a/b", "/a/b" },
    { "/a/b/", "/a/b/" },
    { "/a?b//../%41", "/a" }, /* the query is no path */
    { "/?a", "/" },
    { "/%6cogin", "/login" },
    { "/%6C%6f%67%69%6e", "/login" },
    { "//login", "/login" },
    { "///a////b//", "/a/b/" },
    { "/x/../login", "/login" },
    { "/./login", "/login" },
    { "/a/./b/.", "/a/b/" },
    { "/a/b/..", "/a/" },
    { "/a/b/../", "/a/" },
    { "/a/..", "/" },
    { "/a//../b", "/b" }, /* slashes are merged first */
    { "/a/b/c/../../d", "/a/d" },
    { "/...", "/..." },
    { "/a/.../b", "/a/.../b" },
    { "/.a/..b/a./b..", "/.a/..b/a./b.." },
    { "/.well-known/x", "/.well-known/x" },
    { "/a%2eb", "/a.b" },
    { "/%7e%2D%5f", "/~-_" },
    { "/a%20b%3f%c3%a9", "/a%20b%3F%C3%A9" },
    { "/a%25b", "/a%25b" },
    { "/%2541", "/%2541" }, /* decoded once, not twice */
    { "/%252e%252e/a", "/%252e%252e/a" },
    { "/a;x=../b", "/a;x=../b" },
    { "/a;../b", "/a;../b" },
    { "/%3b%2b", "/%3B%2B" },
    /* refused */
    { "", NULL },
    { "a", NULL },
    { "?a", NULL },
    { "*", NULL },
    { "/..", NULL },
    { "/../a", NULL },
    { "/a/../../b", NULL },
    { "/./..", NULL },
    { "//..", NULL },
    { "/%2e%2e/a", NULL },
    { "/a/%2e%2e/b", NULL },
    { "/a/.%2E/b", NULL },
    { "/a/%2e./b", NULL },
    { "/a/%2e/b", NULL },
    { "/a/%2e", NULL },
    { "/a%2fb", NULL },
    { "/a%2Fb", NULL },
    { "/a%5cb", NULL },
    { "/a\\b", NULL },
    { "/a/..\\b", NULL },
    { "/a%00b", NULL },
    { "/a/..;/b", NULL },
    { "/a/..;x=1/b", NULL },
    { "/a/.;/b", NULL },
    { "/a/..%3b/b", NULL },
    { "/a/%2e%2e;/b", NULL },
    { "/%", NULL },
    { "/%4", NULL },
    { "/%zz", NULL },
};

static void paths_have_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        weir_str text = weir_str_from(paths[i].in), got, again;
        char *copy = exact_copy(text);
        struct arena arena;
        bool same = false;
        int rc;

        arena_init(&arena, NULL, 0);
        rc = path_canonical((weir_str){ copy, text.len }, &arena, &got, &same);
        if (rc != (paths[i].want == NULL ? WEIR_EBADTARGET : 0))
            fail_case(text, "gave %d", rc);
        if (rc == 0) {
            assert_str(got, paths[i].want);
            if (same != weir_starts(text, paths[i].want) && text.len == got.len)
                fail_case(text, "same: %d", same);
            assert_int_equal(path_canonical(got, &arena, &again, &same), 0);
            assert_true(same); /* a fixed point */
        }
        free(copy);
        arena_done(&arena);
    }
}

static void paths_are_matched_by_segments(void **state)
{
    static const struct {
        const char *target, *prefix;
        bool want;
        const char *after; /* the target that goes upstream; NULL: as it was */
    } cases[] = {
        { "/login", "/login", true, NULL },
        { "/login/", "/login", true, NULL },
        { "/login/x?y", "/login", true, NULL },
        { "/login?x", "/login", true, NULL },
        { "/login", "/login/", true, NULL },
        { "/loginx", "/login", false, NULL },
        { "/logi", "/login", false, NULL },
        { "/LOGIN", "/login", false, NULL },
        { "/x/login", "/login", false, NULL },
        { "/x?/login", "/login", false, NULL },
        { "/", "/", true, NULL },
        { "/a", "/", true, NULL },
        { "/a", "", true, NULL },
        { "/%6cogin", "/login", true, "/login" },
        { "//login", "/login", true, "/login" },
        { "/x/../login?a=%41//..", "/login", true, "/login?a=%41//.." },
        { "/login/..", "/login", false, "/" },
        { "/login/%78", "/login/x", true, "/login/x" },
        { "/a%20b/c", "/a b", true, NULL },
        { "/%c3%a9", "/\xc3\xa9", true, "/%C3%A9" },
        { "/a%25", "/a%", true, NULL },
        { "/a%25x", "/a%", false, NULL },
        { "/login;x=1", "/login", true, NULL },
        { "/login;x/y", "/login/y", true, NULL },
        { "/login;x/y", "/login/z", false, NULL },
        { "/log;x/in", "/login", false, NULL },
        { "*", "/", false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_head head;
        struct arena arena;

        arena_init(&arena, NULL, 0);
        head_init(&head, &arena, 0);
        head.target = weir_str_from(cases[i].target);
        for (int again = 0; again < 2; again++) {
            if (weir_path_under(&head, cases[i].prefix) != cases[i].want)
                fail_case(head.target, "%s %s", cases[i].want ? "is not under" : "is under",
                          cases[i].prefix);
            assert_str(head.target, cases[i].after ? cases[i].after : cases[i].target);
        }
        assert_int_equal(head.failed, 0);
        arena_done(&arena);
    }
}

/* A path without one form is under nothing, and the request fails. */
static void ambiguous_paths_fail_the_head(void **state)
{
    struct weir_head head;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    head.target = LIT("/a/%2e%2e/login");
    assert_false(weir_path_under(&head, "/"));
    assert_false(weir_path_under(&head, "/login"));
    assert_int_equal(head.failed, WEIR_EBADTARGET);
    assert_str(head.target, "/a/%2e%2e/login");
    arena_done(&arena);
}

/* Another target, another path: nothing old is kept. */
static void a_new_target_has_a_new_path(void **state)
{
    struct weir_head head;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    assert_false(weir_path_under(&head, "/")); /* no target at all: a response */
    head.target = LIT("//a");
    assert_true(weir_path_under(&head, "/a"));
    head.target = LIT("/%62");
    assert_false(weir_path_under(&head, "/a"));
    assert_true(weir_path_under(&head, "/b"));
    assert_int_equal(head.failed, 0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_taken_apart),
        cmocka_unit_test(authorities),
        cmocka_unit_test(paths_have_one_form),
        cmocka_unit_test(paths_are_matched_by_segments),
        cmocka_unit_test(ambiguous_paths_fail_the_head),
        cmocka_unit_test(a_new_target_has_a_new_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
