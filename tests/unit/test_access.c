/* test_access.c -- who may ask: by address, and by name and password. Refused is who gets an
 * answer: here that fails, as these clients have had theirs. */
#include "sessions.h"

/* ---- addresses ------------------------------------------------------------------------------- */

static struct addr address(const char *text)
{
    struct addr_spec spec;

    assert_null(addr_parse(text, &spec));
    return spec.addr;
}

static bool may_ask(const struct weir_access_config *config, const char *client)
{
    struct weir_use me = { .module = &weir_access, .config = config };
    struct request r;
    int rc;

    request_made(&r, "GET", "");
    r.client = address(client);
    rc = weir_access.request_filter(&r.s, &me);
    request_done(&r);
    return rc == WEIR_OK;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void address_lists(void **state)
{
    static const char *const none[] = { NULL };
    const struct {
        const char *const *allow, *const *deny, *client;
        bool want;
    } cases[] = {
        { NULL, NULL, "1.2.3.4:5", true },
        { none, NULL, "1.2.3.4:5", false }, /* an empty list: nobody */
        { NULL, none, "1.2.3.4:5", true },
        { LIST("1.2.3.4"), NULL, "1.2.3.4:5", true },
        { LIST("1.2.3.4"), NULL, "1.2.3.5:5", false },
        { LIST("10.0.0.0/8", "1.2.3.4"), NULL, "1.2.3.4:5", true },
        { LIST("10.0.0.0/8"), NULL, "11.0.0.0:5", false },
        { LIST("0.0.0.0/0"), NULL, "11.0.0.0:5", true },
        { LIST("0.0.0.0/0"), NULL, "[::1]:5", false },
        { LIST("::/0"), NULL, "1.2.3.4:5", false },
        { LIST("2001:db8::/33"), NULL, "[2001:db8:7fff::1]:5", true },
        { LIST("2001:db8::/33"), NULL, "[2001:db8:8000::1]:5", false },
        { LIST("10.0.0.0/8"), LIST("10.1.0.0/16"), "10.1.2.3:5", false }, /* `deny` counts */
        { LIST("10.1.2.3"), LIST("10.0.0.0/8"), "10.1.2.3:5", false },
        { LIST("10.0.0.0/8"), LIST("10.1.0.0/16"), "10.2.2.3:5", true },
        { NULL, LIST("10.1.0.0/16", "::1"), "[::1]:5", false },
        { NULL, LIST("10.1.0.0/16", "::1"), "[::2]:5", true },
        { none, LIST("0.0.0.0/0", "::/0"), "unix:/s", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_access_config config = { .allow = cases[i].allow, .deny = cases[i].deny };

        assert_null(weir_access.check(&config));
        if (may_ask(&config, cases[i].client) != cases[i].want)
            fail_msg("case %zu: %s", i, cases[i].client);
    }
}

static void lists_that_cannot_be(void **state)
{
    static const char *const cases[] = {
        "",         "10.0.0.0/33", "::/129",     "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1",
        "10.0.0/8", "localhost",   "1.2.3.4:80", "[::1]",      " 1.2.3.4",  "1.2.3.4 ",
    };

    (void)state;
    assert_non_null(weir_access.check(NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const list[] = { "::1", cases[i], NULL };

        if (weir_access.check(&(struct weir_access_config){ .allow = list }) == NULL ||
            weir_access.check(&(struct weir_access_config){ .deny = list }) == NULL)
            fail_msg("\"%s\" is no network", cases[i]);
    }
}

/* ---- basic authentication -------------------------------------------------------------------- */

static const struct weir_user users[] = {
    { "ann", "secret" }, { "bob", "a:b" }, { "eve", "" }, { "", "nobody" }, { NULL, NULL },
};

/* The name that may enter; "-": nobody. */
static void entering(const struct weir_basic_auth_config *config, const char *fields, char name[64])
{
    weir_str visit = { NULL, 0 }; /* what the module keeps */
    struct weir_use me = { .module = &weir_basic_auth, .config = config, .ctx = &visit };
    struct uses uses = { .count = 1, .use = { me } };
    struct request r;
    int rc;

    assert_int_equal(weir_basic_auth.ctx_size, sizeof visit);
    request_made(&r, "GET", fields);
    r.s.uses = &uses;
    rc = weir_basic_auth.request_filter(&r.s, &me);
    assert_true((rc == WEIR_OK) == (weir_basic_auth_user(&r.s).ptr != NULL));
    snprintf(name, 64, WEIR_FMT, WEIR_ARG(weir_basic_auth_user(&r.s)));
    if (rc != WEIR_OK)
        strcpy(name, "-");
    request_done(&r);
}

#define BASIC "Authorization: Basic "

static void credentials(void **state)
{
    static const struct weir_basic_auth_config config = { .users = users };
    static const struct {
        const char *fields, *want;
    } cases[] = {
        { "", "-" },
        { "Authorization:\r\n", "-" },
        { "Authorization: Basic\r\n", "-" },
        { BASIC "\r\n", "-" },
        { BASIC "YW5uOnNlY3JldA==\r\n", "ann" },
        { "authorization: bASIC YW5uOnNlY3JldA==\r\n", "ann" },
        { BASIC "   YW5uOnNlY3JldA==\r\n", "ann" },
        { BASIC "YW5uOnNlY3JldA\r\n", "ann" }, /* without padding */
        { BASIC "YW5uOnNlY3JldA=\r\n", "ann" },
        { BASIC "YW5uOnNlY3JldA==, x\r\n", "-" },
        { BASIC "YW5uOnNlY3Jl dA==\r\n", "-" },
        { BASIC "YW5u=OnNlY3JldA==\r\n", "-" },
        { BASIC "YW5uOnNlY3JldA==A\r\n", "-" },
        { BASIC "Y\r\n", "-" },
        { BASIC "=\r\n", "-" },
        { BASIC "!!!!\r\n", "-" },
        { BASIC "YW5u\r\n", "-" },                     /* ann, without a colon */
        { BASIC "YW5uOg==\r\n", "-" },                 /* ann: */
        { BASIC "YW5uOnNlY3Jl\r\n", "-" },             /* ann:secre */
        { BASIC "YW5uOnNlY3JldHM=\r\n", "-" },         /* ann:secrets */
        { BASIC "YW5uOnNlY3JldHNlY3JldA==\r\n", "-" }, /* ann:secretsecret */
        { BASIC "QW5uOnNlY3JldA==\r\n", "-" },         /* Ann:secret */
        { BASIC "YW5uOnNlY3JldAA=\r\n", "-" },         /* a NUL behind it */
        { BASIC "YW5uAHg6c2VjcmV0\r\n", "-" },         /* and behind the name: "ann\0x:secret" */
        { BASIC "YW5uADpzZWNyZXQ=\r\n", "-" },         /* "ann\0:secret" */
        { BASIC "Ym9iOmE6Yg==\r\n", "bob" },           /* the first colon counts */
        { BASIC "Ym9iOnNlY3JldA==\r\n", "-" },         /* the password of another */
        { BASIC "ZXZlOg==\r\n", "eve" },               /* eve: */
        { BASIC "ZXZlOng=\r\n", "-" },                 /* eve:x */
        { BASIC "Om5vYm9keQ==\r\n", "" },              /* :nobody */
        { BASIC "Og==\r\n", "-" },
        { "Authorization: Basi YW5uOnNlY3JldA==\r\n", "-" },
        { "Authorization: BasicYW5uOnNlY3JldA==\r\n", "-" },
        { "Authorization: Bearer YW5uOnNlY3JldA==\r\n", "-" },
        { "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n", "-" },
        { BASIC "YW5uOnNlY3JldA==\r\n" BASIC "YW5uOnNlY3JldA==\r\n", "-" }, /* which one? */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[64];

        entering(&config, cases[i].fields, name);
        if (strcmp(name, cases[i].want) != 0)
            fail_msg("%s: \"%s\"", cases[i].fields, name);
    }
}

static bool asked_for(struct weir_session *s, weir_str name, weir_str password)
{
    (void)s;
    return weir_eq(name, "dan") && weir_eq(password, "x");
}

static void a_function_decides(void **state)
{
    static const struct weir_basic_auth_config both = { .users = users, .check = asked_for },
                                               alone = { .check = asked_for };
    char name[64];

    (void)state;
    entering(&both, BASIC "ZGFuOng=\r\n", name);
    assert_string_equal(name, "dan");
    entering(&both, BASIC "YW5uOnNlY3JldA==\r\n", name);
    assert_string_equal(name, "ann");
    entering(&alone, BASIC "YW5uOnNlY3JldA==\r\n", name);
    assert_string_equal(name, "-");
}

static void users_that_cannot_be(void **state)
{
    static const struct weir_user colon[] = { { "a:b", "x" }, { NULL, NULL } },
                                  without[] = { { "a", NULL }, { NULL, NULL } };
    static const struct weir_basic_auth_config cases[] = {
        { .realm = "x" },
        { .users = colon },
        { .users = without },
        { .users = users, .realm = "a\"b" },
        { .users = users, .realm = "a\\b" },
        { .users = users, .realm = "a\r\nX: y" },
        { .users = users, .realm = "a\x7f" },
    };

    (void)state;
    assert_non_null(weir_basic_auth.check(NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (weir_basic_auth.check(&cases[i]) == NULL)
            fail_msg("case %zu passes", i);
    assert_null(weir_basic_auth.check(&(struct weir_basic_auth_config){ .users = users }));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_lists),        cmocka_unit_test(lists_that_cannot_be),
        cmocka_unit_test(credentials),          cmocka_unit_test(a_function_decides),
        cmocka_unit_test(users_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
