/* test_lb.c -- balancing: errors of the configuration, turns, what was tried, and names whose
 * addresses change. The resolver is scripted; the strand that calls it is the runtime's affair. */
#include "workers.h"

#include <sched.h>

#include "base/log.h"
#include "lb/lb.h"

static struct weir_lb *lb_of(const char *a, const char *b, const char *c)
{
    struct weir_lb *lb = lb_new(&(struct weir_lb_config){ .backends = { a, b, c } });

    assert_non_null(lb);
    return lb;
}

/* All that is wrong with it, line by line; "" if nothing. */
static const char *faults(const struct weir_lb *lb)
{
    static struct faults found;

    found = (struct faults){ 0 };
    lb_faults(lb, &found);
    for (const char *at = NULL; (at = faults_next(&found, at)) != NULL;)
        if (at > found.text)
            found.text[at - found.text - 1] = '\n';
    return found.text;
}

static void configuration_errors(void **state)
{
    static const struct {
        const char *backends[3];
        const char *error;
    } cases[] = {
        { { "127.0.0.1:80", "[::1]:80", "unix:/a" }, "" },
        { { "localhost:80" }, "" },
        { { NULL }, "weir_lb_new: no backends" },
        { { "127.0.0.1:80", "127.0.0.1" },
          "weir_lb_new: backends[1] \"127.0.0.1\": no port (write 127.0.0.1:80)" },
        { { "[::1]" }, "weir_lb_new: backends[0] \"[::1]\": no port (write [::1]:80)" },
        { { ":8080" }, "weir_lb_new: backends[0] \":8080\": no host (write 127.0.0.1:8080)" },
        { { "127.0.0.1:0" }, "weir_lb_new: backends[0] \"127.0.0.1:0\": nobody listens on port 0" },
        { { "localhost:0" }, "weir_lb_new: backends[0] \"localhost:0\": nobody listens on port 0" },
        { { "", "a:80", "127.0.0.1" },
          "weir_lb_new: backends[0] \"\": no address\n"
          "weir_lb_new: backends[2] \"127.0.0.1\": no port (write 127.0.0.1:80)" },
        { { "unix:a" },
          "weir_lb_new: backends[0] \"unix:a\": the path of a Unix socket begins with a slash" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_lb *lb =
            lb_of(cases[i].backends[0], cases[i].backends[1], cases[i].backends[2]);

        assert_string_equal(faults(lb), cases[i].error);
        lb_free(&lb);
        assert_null(lb);
    }
}

static void errors_of_other_calls(void **state)
{
    struct weir_lb_config full = { .policy = WEIR_ROUND_ROBIN };
    struct weir_lb *lb = lb_of(NULL, NULL, NULL);
    char huge[600];

    (void)state;
    lb_add(lb, "127.0.0.1:80");
    assert_string_equal(faults(lb), "");
    lb_add(lb, "1.2.3.4");
    lb_add(lb, NULL);
    assert_string_equal(faults(lb), "weir_lb_add: \"1.2.3.4\": no port (write 1.2.3.4:80)\n"
                                    "weir_lb_add: no address");
    lb_free(&lb);

    lb = lb_of("127.0.0.1:80", NULL, NULL);
    lb_add(lb, NULL);
    assert_string_equal(faults(lb), "weir_lb_add: no address");
    lb_free(&lb);

    for (size_t i = 0; i < WEIR_LB_BACKENDS; i++)
        full.backends[i] = "127.0.0.1:80";
    lb = lb_new(&full);
    assert_string_equal(
        faults(lb), "weir_lb_new: backends[63] is no NULL: the array is full (use weir_lb_add)");
    lb_free(&lb);

    lb = lb_new(&(struct weir_lb_config){ .backends = { "127.0.0.1:80" }, .policy = 7 });
    assert_string_equal(faults(lb), "weir_lb_new: there is no policy 7");
    lb_free(&lb);

    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    lb = lb_of(huge, NULL, NULL);
    assert_true(strlen(faults(lb)) < FAULT_LEN);
    lb_free(&lb);
    lb_free(&lb);
}

/* The next choice by name, or the error's word. */
static const char *next(struct weir_lb *lb, struct tried *tried)
{
    struct backend *b;
    int rc = lb_choose(lb, tried, &b);

    if (rc < 0) {
        assert_null(b);
        return weir_error_why(rc);
    }
    assert_ptr_equal(b, tried->list[tried->count - 1]);
    return b->name;
}

/* What a request gets that tries only once. */
static const char *once(struct weir_lb *lb)
{
    static char name[ADDR_TEXT];
    struct tried tried = { .count = 0 };

    snprintf(name, sizeof name, "%s", next(lb, &tried));
    tried_done(&tried);
    assert_int_equal(tried.count, 0);
    return name;
}

static void turns(void **state)
{
    static const char *const want[] = { "1.0.0.1:1", "[::2]:2", "unix:/3" };
    struct weir_lb *lb = lb_of(want[0], want[1], want[2]);

    (void)state;
    assert_string_equal(once(lb), "no_upstream"); /* nothing is there before lb_resolve */
    assert_int_equal(lb_resolve(lb), 0);
    for (size_t i = 0; i < 9; i++)
        assert_string_equal(once(lb), want[i % 3]);
    lb_free(&lb);
}

static void passes_over_what_was_tried(void **state)
{
    struct weir_lb *lb = lb_of("1.0.0.1:1", "1.0.0.2:1", "1.0.0.1:1");
    struct tried tried = { .count = 0 };

    (void)state;
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(next(lb, &tried), "1.0.0.1:1");
    assert_string_equal(next(lb, &tried), "1.0.0.2:1");
    assert_string_equal(next(lb, &tried), "no_upstream"); /* listed twice, but the same address */
    assert_string_equal(next(lb, &tried), "no_upstream");
    tried_done(&tried);
    lb_free(&lb);

    lb = lb_of("1.0.0.1:1", NULL, NULL);
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(next(lb, &tried), "1.0.0.1:1");
    assert_string_equal(next(lb, &tried), "no_upstream");
    tried_done(&tried);
    lb_free(&lb);
}

static void tries_are_bounded(void **state)
{
    struct weir_lb *lb = lb_of("1.0.0.1:1", NULL, NULL);
    struct tried tried = { .count = 0 };
    char text[32];

    (void)state;
    for (int i = 2; i < 20; i++) {
        snprintf(text, sizeof text, "1.0.0.%d:1", i);
        lb_add(lb, text);
    }
    assert_string_equal(faults(lb), "");
    assert_int_equal(lb_resolve(lb), 0);
    for (int i = 0; i < TRIED_MAX; i++)
        next(lb, &tried);
    assert_int_equal(tried.count, TRIED_MAX);
    assert_string_equal(next(lb, &tried), "no_upstream");
    tried_done(&tried);
    lb_free(&lb);
}

static void a_held_backend_outlives_the_balancer(void **state)
{
    struct weir_lb *lb = lb_of("unix:/run/a.sock", NULL, NULL);
    struct tried tried = { .count = 0 };

    (void)state;
    assert_int_equal(lb_resolve(lb), 0);
    next(lb, &tried);
    lb_free(&lb);
    assert_string_equal(tried.list[0]->name, "unix:/run/a.sock");
    assert_string_equal(tried.list[0]->addr.path, "/run/a.sock");
    assert_int_equal(tried.list[0]->refs, 1);
    tried_done(&tried);
}

/* The name service: last octets of the addresses of the one name that is asked for, 0 ends; fails
 * if empty. */
static struct {
    uint8_t answer[4];
    unsigned asked, warnings;
} dns;

static int scripted(const char *host, uint16_t port, struct addr *out, unsigned max,
                    const char **why)
{
    int n = 0;

    dns.asked++;
    assert_string_equal(host, "origin.example");
    assert_int_equal(port, 443);
    assert_true(max >= 4);
    for (; n < 4 && dns.answer[n] != 0; n++)
        out[n] = (struct addr){ .kind = ADDR_V4, .port = port, .ip = { 9, 0, 0, dns.answer[n] } };
    if (n > 0)
        return n;
    *why = "no such name";
    return WEIR_EDNS;
}

static void note_warning(enum log_kind kind, weir_str line)
{
    static const char end[] = "\"level\":\"warning\","
                              "\"msg\":\"upstream \\\"origin.example:443\\\" was not resolved: "
                              "no such name\"}\n";

    assert_int_equal(kind, LOG_ERROR);
    assert_true(line.len > strlen(end));
    assert_str(((weir_str){ line.ptr + line.len - strlen(end), strlen(end) }), end);
    dns.warnings++;
}

static void answer(uint8_t a, uint8_t b)
{
    dns.answer[0] = a;
    dns.answer[1] = b;
    dns.answer[2] = 0;
}

static void names(void **state)
{
    struct weir_lb *lb = lb_of("origin.example:443", NULL, NULL);
    struct tried held = { .count = 0 }, again = { .count = 0 };

    (void)state;
    lb_lookup = scripted;
    log_sink = note_warning;
    answer(0, 0);
    assert_int_equal(lb_resolve(lb), 0); /* a warning, no refusal to start */
    assert_int_equal(dns.warnings, 1);
    assert_string_equal(once(lb), "dns");

    answer(2, 1); /* sorted: servers rotate their answers */
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(next(lb, &held), "9.0.0.1:443");
    assert_string_equal(once(lb), "9.0.0.2:443");

    answer(1, 2); /* the same: nothing changes */
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(next(lb, &again), "9.0.0.1:443");
    assert_ptr_equal(again.list[0], held.list[0]);
    tried_done(&again);

    answer(3, 1); /* one goes, one stays and is the same backend, one comes */
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(once(lb), "9.0.0.3:443");
    assert_string_equal(next(lb, &again), "9.0.0.1:443");
    assert_ptr_equal(again.list[0], held.list[0]);
    tried_done(&again);

    answer(2, 0); /* a held backend lives on; a request that tried it goes to the new one */
    assert_int_equal(lb_resolve(lb), 0);
    assert_int_equal(held.list[0]->refs, 1);
    assert_string_equal(held.list[0]->name, "9.0.0.1:443");
    assert_string_equal(next(lb, &held), "9.0.0.2:443");
    assert_string_equal(next(lb, &held), "no_upstream");

    answer(0, 0); /* what was known before stays */
    assert_int_equal(lb_resolve(lb), 0);
    assert_int_equal(dns.warnings, 2);
    assert_string_equal(once(lb), "9.0.0.2:443");
    assert_int_equal(dns.asked, 6);
    tried_done(&held);
    lb_free(&lb);
    log_sink = NULL;
}

static void a_name_beside_addresses(void **state)
{
    struct weir_lb *lb = lb_of("1.0.0.1:1", "origin.example:443", "1.0.0.2:1");

    (void)state;
    lb_lookup = scripted;
    answer(0, 0);
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(once(lb), "1.0.0.1:1");
    assert_string_equal(once(lb), "1.0.0.2:1");
    answer(7, 0);
    assert_int_equal(lb_resolve(lb), 0);
    assert_string_equal(once(lb), "1.0.0.2:1");
    assert_string_equal(once(lb), "1.0.0.1:1");
    assert_string_equal(once(lb), "9.0.0.7:443");
    lb_free(&lb);
}

/* The strand of the look-ups ends when told, whether it has run yet or not (rt_stop would wait for
 * it). */
static void the_strand_ends(void **state)
{
    (void)state;
    lb_lookup = scripted;
    answer(1, 0);
    for (int i = 0; i < 20; i++) {
        struct weir_lb *lb = lb_of("origin.example:443", NULL, NULL);

        assert_int_equal(lb_resolve(lb), 0);
        workers_start(2);
        assert_int_equal(lb_start(lb), 0);
        if (i % 2)
            sched_yield();
        lb_stop(lb);
        workers_stop();
        assert_string_equal(once(lb), "9.0.0.1:443");
        lb_free(&lb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_errors),
        cmocka_unit_test(errors_of_other_calls),
        cmocka_unit_test(turns),
        cmocka_unit_test(passes_over_what_was_tried),
        cmocka_unit_test(tries_are_bounded),
        cmocka_unit_test(a_held_backend_outlives_the_balancer),
        cmocka_unit_test(names),
        cmocka_unit_test(a_name_beside_addresses),
        cmocka_unit_test(the_strand_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
