/* test_options.c -- command lines: what is read, what is refused and in which words, what wins over
 * what; and docs/options.md is what the table prints. */
#include "cases.h"
#include "server/cmdline.h"

enum { ARGS = 8 };

/* ---- a program with options of its own ------------------------------------------------------- */

struct own {
    const char *colour, *operands[ARGS];
    unsigned operand_count, loud;
};

static const char *set_colour(void *state, const char *value)
{
    ((struct own *)state)->colour = value;
    return strcmp(value, "red") == 0 ? "anything but red" : NULL;
}

static const char *set_loud(void *state, const char *value)
{
    assert_null(value);
    ((struct own *)state)->loud++;
    return NULL;
}

static const char *add_operand(void *state, const char *value)
{
    struct own *o = state;

    o->operands[o->operand_count++] = value;
    return strcmp(value, "bad") == 0 ? "that is bad" : NULL;
}

static const struct weir_option own_options[] = {
    { .name = "colour", .value = "NAME", .help = "paint", .set = set_colour },
    { .name = "loud", .help = "shout", .set = set_loud },
    { .name = "echo", .help = "shout again", .set = set_loud, .needs = "loud" },
    { .name = "brush",
      .value = "N",
      .help = "paint",
      .set = add_operand,
      .needs = "colour",
      .repeats = true },
    { .value = "THING", .help = "things", .set = add_operand, .required = true },
    { .name = NULL },
};

static void read_line(struct cmdline *c, const char *const *args, struct own *own)
{
    char *argv[ARGS + 2] = { (char *)"/usr/bin/prog" };
    int argc = 1;

    for (; argc <= ARGS && args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)args[argc - 1];
    if (own != NULL)
        *own = (struct own){ 0 };
    cmdline_read(c, argc, argv, own != NULL ? "prog THING..." : NULL,
                 own != NULL ? own_options : NULL, own);
}

/* ---- values ---------------------------------------------------------------------------------- */

#define IN(member)  offsetof(struct settings, process.member)
#define FOR(member) offsetof(struct settings, service.member)

static void values_go_to_their_places(void **state)
{
    static const struct {
        const char *args[ARGS + 1];
        size_t place;
        uint64_t want;
    } cases[] = {
        { { NULL }, IN(pool), 512 },
        { { NULL }, IN(backlog), 4096 },
        { { NULL }, IN(grace), 30 * WEIR_SEC },
        { { NULL }, IN(workers), 0 }, /* the machine decides */
        { { "--workers", "3" }, IN(workers), 3 },
        { { "--workers=3" }, IN(workers), 3 },
        { { "--workers", "3", "--workers", "4" }, IN(workers), 4 },
        { { "--pool", "off" }, IN(pool), 0 },
        { { "--grace", "off" }, IN(grace), WEIR_FOREVER },
        { { "--grace", "500ms" }, IN(grace), 500 * WEIR_MS },
        { { "--timeout-header", "2m" }, FOR(header_timeout), 120 * WEIR_SEC },
        { { "--timeout-body=1h" }, FOR(body_timeout), 3600 * WEIR_SEC },
        { { "--timeout-send", "off" }, FOR(send_timeout), WEIR_FOREVER },
        { { "--timeout-idle", "1s" }, FOR(idle_timeout), WEIR_SEC },
        { { "--timeout-connect", "1s" }, FOR(connect_timeout), WEIR_SEC },
        { { "--timeout-upstream", "1s" }, FOR(upstream_timeout), WEIR_SEC },
        { { "--timeout-request", "1s" }, FOR(request_timeout), WEIR_SEC },
        { { "--max-head", "1KiB" }, FOR(max_head), 1024 },
        { { "--max-field", "100B" }, FOR(max_field), 100 },
        { { "--max-target", "7" }, FOR(max_target), 7 },
        { { "--max-fields", "7" }, FOR(max_fields), 7 },
        { { "--max-body", "off" }, FOR(max_body), WEIR_UNLIMITED },
        { { "--max-body", "8GiB" }, FOR(max_body), UINT64_C(8) << 30 },
        { { "--max-requests", "1" }, FOR(max_requests), 1 },
        { { "--max-connections", "off" }, FOR(max_connections), WEIR_UNLIMITED },
        { { "--max-per-client", "5" }, FOR(max_per_client), 5 },
        { { "--min-rate", "1KiB" }, FOR(min_rate), 1024 },
        { { "--retry-budget", "100" }, FOR(retry_percent), 100 },
    };
    struct cmdline c;
    uint64_t got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        read_line(&c, cases[i].args, NULL);
        assert_string_equal(c.faults.text, "");
        memcpy(&got, (char *)&c.settings + cases[i].place, sizeof(got));
        if (got != cases[i].want)
            fail_msg("case %zu (%s): %llu", i, cases[i].args[0], (unsigned long long)got);
    }
}

static void texts_flags_and_lists(void **state)
{
    static const char *const args[] = {
        "--access-log=off", "--via",         "--server-name",      "",   "--trusted",
        "10.0.0.0/8",       "--trusted=::1", "--forwarded=append", NULL,
    };
    struct cmdline c;

    (void)state;
    read_line(&c, args, NULL);
    assert_string_equal(c.faults.text, "");
    assert_string_equal(c.settings.process.access_log, "off");
    assert_string_equal(c.settings.process.error_log, "-");
    assert_true(c.settings.service.via);
    assert_string_equal(c.settings.service.server_name, "");
    assert_string_equal(c.settings.service.trusted[0], "10.0.0.0/8");
    assert_string_equal(c.settings.service.trusted[1], "::1");
    assert_null(c.settings.service.trusted[2]);
    assert_int_equal(c.settings.service.forwarding, WEIR_FORWARD_APPEND);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void errors_say_what_to_do(void **state)
{
    static const struct {
        const char *args[ARGS + 1], *want;
    } cases[] = {
        { { "--timeout-idle", "5" },
          "--timeout-idle: \"5\": a number needs a unit (500ms, 5s, 2m, 1h)" },
        { { "--timeout-idle=0" },
          "--timeout-idle: \"0\": must be more than 0; \"off\" switches it off" },
        { { "--timeout-idle=0s" },
          "--timeout-idle: \"0s\": must be more than 0; \"off\" switches it off" },
        { { "--timeout-idle", "soon" },
          "--timeout-idle: \"soon\": not a time (500ms, 5s, 2m, 1h)" },
        { { "--timeout-idle", "-1s" }, "--timeout-idle: \"-1s\": not a time (500ms, 5s, 2m, 1h)" },
        { { "--timeout-idle", "" }, "--timeout-idle: \"\": not a time (500ms, 5s, 2m, 1h)" },
        { { "--timeout-idle" }, "--timeout-idle: its value is missing (--timeout-idle TIME)" },
        { { "--timeout_idle", "5s" },
          "unknown option --timeout_idle; did you mean --timeout-idle?" },
        { { "--timeout-idel=5s" },
          "unknown option --timeout-idel=5s; did you mean --timeout-idle?" },
        { { "--wrokers", "2" }, "unknown option --wrokers; did you mean --workers?" },
        { { "--hlep" }, "unknown option --hlep; did you mean --help?" },
        { { "--qqqqqqqq" }, "unknown option --qqqqqqqq; --help lists them" },
        { { "-x" }, "unknown option -x; --help lists them" },
        { { "--max-head", "off" }, "--max-head: \"off\": it cannot be switched off" },
        { { "--max-head", "1GiB" }, "--max-head: \"1GiB\": must be at most 16MiB" },
        { { "--max-head", "1k" },
          "--max-head: \"1k\": not a size (4096, 512B, 16KiB, 1MiB, 2GiB)" },
        { { "--max-fields", "0" }, "--max-fields: \"0\": must be more than 0" },
        { { "--max-fields", "1KiB" }, "--max-fields: \"1KiB\": not a number" },
        { { "--max-fields", "99999999999999999999999" },
          "--max-fields: \"99999999999999999999999\": must be at most 100000" },
        { { "--workers", "1000000" }, "--workers: \"1000000\": must be at most 1024" },
        { { "--retry-budget", "200" }, "--retry-budget: \"200\": a percentage is at most 100" },
        { { "--max-body", "99999999999GiB" }, "--max-body: \"99999999999GiB\": that is too large" },
        { { "--timeout-idle", "99999999999999h" },
          "--timeout-idle: \"99999999999999h\": that is too large" },
        { { "--timeout-idle", "0.5s" },
          "--timeout-idle: \"0.5s\": not a time (500ms, 5s, 2m, 1h)" },
        { { "--max-fields", "0x10" }, "--max-fields: \"0x10\": not a number" },
        { { "--max-fields", "1B" }, "--max-fields: \"1B\": not a number" },
        { { "--server-name", "a\r\nb" }, "--server-name: \"a\r\nb\": not short, printable ASCII" },
        { { "--workers", "off" }, "--workers: \"off\": it cannot be switched off" },
        { { "--pool", "-1" }, "--pool: \"-1\": not a number" },
        { { "--via=yes" }, "--via: it takes no value" },
        { { "--forwarded", "maybe" }, "--forwarded: \"maybe\": must be off, replace or append" },
        { { "operand" }, "\"operand\": there are no operands here, only options" },
        { { "--", "--via" }, "\"--via\": there are no operands here, only options" },
        { { "--workers", "x", "--pool", "y" }, "--workers: \"x\": not a number" }, /* the first */
    };
    struct cmdline c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        read_line(&c, cases[i].args, NULL);
        assert_string_equal(c.faults.text, cases[i].want);
    }
}

static void a_network_is_checked(void **state)
{
    static const char *const args[] = { "--trusted", "10.0.0.0/99", NULL };
    struct cmdline c;

    (void)state;
    read_line(&c, args, NULL);
    assert_non_null(strstr(c.faults.text, "--trusted: \"10.0.0.0/99\": "));
}

static void too_many_networks(void **state)
{
    char *argv[WEIR_TRUSTED + 2] = { (char *)"p" };
    struct cmdline c;

    (void)state;
    for (int i = 1; i <= WEIR_TRUSTED + 1; i++)
        argv[i] = (char *)"--trusted=::1";
    cmdline_read(&c, WEIR_TRUSTED + 1, argv, NULL, NULL, NULL);
    assert_string_equal(c.faults.text, "");
    cmdline_read(&c, WEIR_TRUSTED + 2, argv, NULL, NULL, NULL);
    assert_string_equal(c.faults.text, "--trusted: \"::1\": there are too many (16 at most)");
}

/* ---- own options and actions ----------------------------------------------------------------- */

static void own_options_are_read(void **state)
{
    static const char *const args[] = {
        "--loud", "one", "--colour=blue", "-", "--workers=2", "--", "--colour", NULL,
    };
    struct cmdline c;
    struct own own;

    (void)state;
    read_line(&c, args, &own);
    assert_string_equal(c.faults.text, "");
    assert_string_equal(c.program, "prog");
    assert_string_equal(own.colour, "blue");
    assert_int_equal(own.loud, 1);
    assert_int_equal(own.operand_count, 3);
    assert_string_equal(own.operands[0], "one");
    assert_string_equal(own.operands[1], "-");
    assert_string_equal(own.operands[2], "--colour");
    assert_int_equal(c.settings.process.workers, 2);
}

/* The last one counts, and nobody has to wonder which. */
static void what_is_given_again(void **state)
{
    static const struct {
        const char *args[ARGS + 1], *want;
    } cases[] = {
        { { "x", "--workers", "3", "--workers=4" },
          "--workers is given more than once: the last one counts" },
        { { "x", "--colour=blue", "--colour", "green" },
          "--colour is given more than once: the last one counts" },
        { { "x", "y", "--trusted=::1", "--trusted=::2" }, "" },
        { { "x", "--brush=1", "--brush=2", "--colour=blue" }, "" },
        { { "x", "--loud", "--loud", "--via", "--via" }, "" },
    };
    struct cmdline c;
    struct own own;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        read_line(&c, cases[i].args, &own);
        assert_string_equal(c.faults.text, "");
        assert_string_equal(c.warnings.text, cases[i].want);
    }
}

static void own_errors(void **state)
{
    static const struct {
        const char *args[ARGS + 1], *want;
    } cases[] = {
        { { "x", "--colour", "red" }, "--colour: \"red\": anything but red" },
        { { "x", "--color", "blue" }, "unknown option --color; did you mean --colour?" },
        { { "x", "--colour" }, "--colour: its value is missing (--colour NAME)" },
        { { "x", "--loud=1" }, "--loud: it takes no value" },
        { { "x", "bad" }, "THING: \"bad\": that is bad" },
        { { "--loud" }, "THING is missing (usage: prog THING...)" },
        { { "x", "--echo" }, "--echo needs --loud" },
        { { "x", "--brush", "1" }, "--brush needs --colour NAME" },
        { { "--color", "bad" }, "unknown option --color; did you mean --colour?" },
        { { "--color", "blue", "x" }, "unknown option --color; did you mean --colour?" },
        { { "--loudly", "x" }, "unknown option --loudly; did you mean --loud?" },
        { { "-q", "bad" }, "unknown option -q; --help lists them" },
        { { "--color=blue", "bad" }, "unknown option --color=blue; did you mean --colour?" },
    };
    struct cmdline c;
    struct own own;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        read_line(&c, cases[i].args, &own);
        assert_string_equal(c.faults.text, cases[i].want);
    }
}

/* What stands behind an unknown option may be its value or an operand. */
static void one_mistake_is_one_error(void **state)
{
    static const char *const lines[][ARGS + 1] = {
        { "--color", "bad" },
        { "--color", "blue", "x" },
        { "--color", "x" },
        { "--loudly", "x", "--loud" },
        { "-q", "bad" },
        { "x", "--color" },
        { "x", "--color", "--loud" },
        { "x", "--color=blue" },
        { "x", "--echo" },
    };
    static const char *const two[] = { "--color=blue", "bad", NULL };
    struct cmdline c;
    struct own own;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        read_line(&c, lines[i], &own);
        assert_int_equal(c.faults.count, 1);
    }
    read_line(&c, two, &own);
    assert_int_equal(c.faults.count, 2);
}

static void help_wins_over_errors(void **state)
{
    static const struct {
        const char *args[ARGS + 1];
        enum action want;
    } cases[] = {
        { { "-h" }, ACTION_HELP },
        { { "--nonsense", "--help" }, ACTION_HELP },
        { { "--workers", "x", "-v" }, ACTION_VERSION },
        { { "--version", "--help" }, ACTION_VERSION },
        { { "thing", "--", "-h" }, ACTION_RUN },
    };
    struct cmdline c;
    struct own own;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        read_line(&c, cases[i].args, &own);
        assert_int_equal(c.action, cases[i].want);
        assert_string_equal(c.faults.text, "");
    }
}

/* ---- services -------------------------------------------------------------------------------- */

static void options_over_fields_over_defaults(void **state)
{
    static const char *const args[] = { "--timeout-body=1s", "--forwarded=off", "--max-body=off",
                                        "--forwarded-as=both", NULL };
    struct weir_service svc = {
        .body_timeout = 2 * WEIR_SEC,
        .send_timeout = 3 * WEIR_SEC,
        .request_timeout = 4 * WEIR_SEC,
        .forwarding = WEIR_FORWARD_REPLACE,
        .max_body = 5,
        .trusted = { "::1" },
        .server_name = "",
        .via = true,
    };
    struct cmdline c;

    (void)state;
    read_line(&c, args, NULL);
    settings_apply(&c.settings, &svc);
    assert_int_equal(svc.body_timeout, WEIR_SEC);
    assert_int_equal(svc.send_timeout, 3 * WEIR_SEC);
    assert_int_equal(svc.request_timeout, 4 * WEIR_SEC);
    assert_int_equal(svc.idle_timeout, 60 * WEIR_SEC);
    assert_int_equal(svc.forwarding, WEIR_FORWARD_OFF);
    assert_int_equal(svc.forwarded_as, WEIR_FORWARDED_BOTH);
    assert_true(svc.max_body == WEIR_UNLIMITED);
    assert_string_equal(svc.trusted[0], "::1");
    assert_string_equal(svc.server_name, "");
    assert_true(svc.via);
}

static void the_defaults(void **state)
{
    struct weir_service svc = { 0 };
    struct settings s;

    (void)state;
    settings_init(&s);
    settings_apply(&s, &svc);
    assert_int_equal(svc.header_timeout, 10 * WEIR_SEC);
    assert_int_equal(svc.body_timeout, 30 * WEIR_SEC);
    assert_int_equal(svc.send_timeout, 30 * WEIR_SEC);
    assert_int_equal(svc.idle_timeout, 60 * WEIR_SEC);
    assert_int_equal(svc.connect_timeout, 5 * WEIR_SEC);
    assert_int_equal(svc.upstream_timeout, 60 * WEIR_SEC);
    assert_true(svc.request_timeout == WEIR_FOREVER);
    assert_int_equal(svc.max_head, 32 << 10);
    assert_int_equal(svc.max_field, 16 << 10);
    assert_int_equal(svc.max_target, 8 << 10);
    assert_int_equal(svc.max_fields, 100);
    assert_int_equal(svc.max_body, 1 << 30);
    assert_int_equal(svc.max_requests, 10000);
    assert_int_equal(svc.max_connections, 0); /* from RLIMIT_NOFILE, later */
    assert_true(svc.max_per_client == WEIR_UNLIMITED);
    assert_int_equal(svc.min_rate, 256);
    assert_int_equal(svc.forwarding, WEIR_FORWARD_OFF);
    assert_false(svc.via);
    assert_string_equal(svc.server_name, "weir");
}

static void fields_that_cannot_be(void **state)
{
    static const struct {
        struct weir_service service;
        const char *field;
    } cases[] = {
        { { .body_timeout = -1 }, "body_timeout" },
        { { .max_head = WEIR_UNLIMITED }, "max_head" },
        { { .max_fields = 1u << 30 }, "max_fields" },
        { { .forwarding = (enum weir_forwarding)9 }, "forwarding" },
        { { .forwarded_as = (enum weir_forwarded_as)3 }, "forwarded_as" },
        { { .max_body = WEIR_UNLIMITED, .request_timeout = WEIR_FOREVER }, NULL },
        { { .max_connections = WEIR_UNLIMITED }, NULL },
    };
    const char *why, *field;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        field = settings_fault(&cases[i].service, &(size_t){ 0 }, &why);
        if (cases[i].field == NULL) {
            assert_null(field);
        } else {
            assert_non_null(field);
            assert_string_equal(field, cases[i].field);
            assert_non_null(why);
        }
    }
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void nearest_words(void **state)
{
    static const char *const words[] = { "proxy", "help", "demo", NULL };
    static const struct {
        const char *word, *want;
    } cases[] = {
        { "prox", "proxy" }, { "porxy", "proxy" }, { "hlep", "help" },
        { "hepl", "help" },  { "dmo", "demo" },    { "proxies", "proxy" },
        { "", NULL },        { "x", NULL },        { "nonsense", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *got = weir_nearest(cases[i].word, words);

        if (cases[i].want == NULL)
            assert_null(got);
        else
            assert_string_equal(got != NULL ? got : "(none)", cases[i].want);
    }
}

static void help_names_everything_in_100_columns(void **state)
{
    static const char *const args[] = { "--help", NULL };
    struct cmdline c;
    struct own own;
    char *text;

    (void)state;
    read_line(&c, args, &own);
    text = usage_text(&c);
    assert_non_null(text);
    assert_non_null(strstr(text, "usage: prog THING...\n"));
    assert_non_null(strstr(text, "--colour NAME"));
    for (size_t g = 0; g < option_group_count; g++) {
        for (size_t i = 0; i < option_groups[g].count; i++)
            assert_non_null(strstr(text, option_groups[g].rows[i].name));
    }
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        assert_true(end - line <= 100 && (end == line || end[-1] != ' '));
    free(text);
}

/* The page, found from this source: its name is relative to the build folder, where tests run. */
static char *read_page(void)
{
    char *text = calloc(1, 1 << 16), path[1024] = __FILE__;
    FILE *f;

    strcpy(strrchr(path, '/'), "/../../docs/options.md");
    f = fopen(path, "r");
    assert_non_null(text);
    if (f == NULL)
        fail_msg("cannot open %s", path);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

static void the_page_is_printed_from_the_table(void **state)
{
    static const char *const args[] = { "--help-markdown", NULL };
    struct cmdline c;
    char *printed, *page = read_page();

    (void)state;
    read_line(&c, args, NULL);
    printed = usage_text(&c);
    assert_string_equal(page, printed); /* weir proxy --help-markdown > docs/options.md */
    free(printed);
    free(page);
}

static void one_without_a_use_is_taken(void **state)
{
    static const struct weir_option idle[] = { { .name = "idle", .value = "N" }, { .name = NULL } };
    const char *argv[] = { "prog", "--idle", "7", "--workers", "3", NULL };
    struct cmdline c;

    (void)state;
    cmdline_read(&c, ARRAY_LEN(argv) - 1, (char **)argv, NULL, idle, NULL);
    assert_string_equal(c.faults.text, "");
    assert_int_equal(c.settings.process.workers, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_to_their_places),
        cmocka_unit_test(texts_flags_and_lists),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(a_network_is_checked),
        cmocka_unit_test(too_many_networks),
        cmocka_unit_test(own_options_are_read),
        cmocka_unit_test(what_is_given_again),
        cmocka_unit_test(own_errors),
        cmocka_unit_test(one_mistake_is_one_error),
        cmocka_unit_test(help_wins_over_errors),
        cmocka_unit_test(options_over_fields_over_defaults),
        cmocka_unit_test(the_defaults),
        cmocka_unit_test(fields_that_cannot_be),
        cmocka_unit_test(nearest_words),
        cmocka_unit_test(one_without_a_use_is_taken),
        cmocka_unit_test(help_names_everything_in_100_columns),
        cmocka_unit_test(the_page_is_printed_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
