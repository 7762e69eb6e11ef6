/* test_lb_health.c -- checks of backends: what they make of a sequence of results, how many run at
 * once, what a choice does with it, how they end. Results are scripted, but for a few real
 * sockets. */
#include "workers.h"

#include <pthread.h>

#include "base/log.h"
#include "lb/lb.h"

/* ---- a world in which the last octet of an address names its script -------------------------- */

enum { SCRIPTS = 64, NOTES = 64 };

/* Results in order: g good, r refused, t timeout, m no memory of our own; at its end it waits. */
static struct {
    const char *script[SCRIPTS];
    atomic_uint done[SCRIPTS];
    atomic_uint busy, most;
    weir_dur takes;
} world;

/* "3-" for a backend that became unhealthy after its third check, "5+" for the way back. */
static struct {
    pthread_mutex_t lock;
    char text[SCRIPTS][128];
    char last[1024]; /* the last line */
} heard = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int result(char c)
{
    switch (c) {
    case 'g':
        return 0;
    case 'r':
        return WEIR_EREFUSED;
    case 't':
        return WEIR_ECONNTIME;
    case 'd':
        return WEIR_EDESCRIPTORS;
    default:
        return WEIR_ENOMEM;
    }
}

static int scripted_check(const struct addr *to, weir_dur timeout)
{
    unsigned id = to->ip[3], n = atomic_load(&world.done[id]);
    unsigned busy = atomic_fetch_add(&world.busy, 1) + 1;

    ensure(timeout == WEIR_SEC); /* the default */
    if (busy > atomic_load(&world.most))
        atomic_store(&world.most, busy); /* one strand: nobody stores in between */

    bool over = n == strlen(world.script[id]);
    int rc = co_sleep(over ? NEVER : deadline_in(rt_now(), world.takes, 0));

    atomic_fetch_sub(&world.busy, 1);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&world.done[id], 1);
    return result(world.script[id][n]);
}

static void listen_in(enum log_kind kind, weir_str line)
{
    char copy[1024];
    const char *at;
    unsigned id;
    size_t len;

    ensure(kind == LOG_ERROR && line.len < sizeof copy);
    snprintf(copy, sizeof copy, WEIR_FMT, WEIR_ARG(line));
    at = strstr(copy, "\"upstream\":\"9.0.0.");
    ensure(at != NULL);
    id = (unsigned)atoi(at + strlen("\"upstream\":\"9.0.0."));
    pthread_mutex_lock(&heard.lock);
    len = strlen(heard.text[id]);
    snprintf(heard.text[id] + len, sizeof heard.text[id] - len, "%u%s ",
             atomic_load(&world.done[id]), strstr(copy, "again") != NULL ? "+" : "-");
    memcpy(heard.last, copy, sizeof copy);
    pthread_mutex_unlock(&heard.lock);
}

static void set_up_world(void)
{
    for (unsigned i = 0; i < SCRIPTS; i++) {
        world.script[i] = "";
        atomic_store(&world.done[i], 0);
        heard.text[i][0] = '\0';
    }
    atomic_store(&world.busy, 0);
    atomic_store(&world.most, 0);
    world.takes = 0;
    lb_check = scripted_check;
    log_sink = listen_in;
}

/* A balancer over 9.0.0.0 to 9.0.0.n-1, checked as fast as it goes. */
static struct weir_lb *balancer(unsigned n, unsigned rise, unsigned fall)
{
    struct weir_lb_config config = {
        .health = { .kind = WEIR_CHECK_TCP, .every = 10 * WEIR_MS, .rise = rise, .fall = fall },
    };
    struct faults faults = { 0 };
    struct weir_lb *lb = lb_new(&config);
    char text[32];

    assert_non_null(lb);
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof text, "9.0.0.%u:80", i);
        lb_add(lb, text);
    }
    lb_faults(lb, &faults);
    assert_string_equal(faults.text, "");
    assert_int_equal(lb_resolve(lb), 0);
    return lb;
}

/* Until the first `n` scripts have been played, and no check is on its way but those that wait. */
static void play(struct weir_lb *lb, unsigned n)
{
    int64_t until = clock_now() + PATIENCE * WEIR_SEC;
    bool over = false;

    workers_start(2);
    assert_int_equal(lb_start(lb), 0);
    while (!over) {
        assert_true(clock_now() < until);
        sched_yield();
        over = true;
        for (unsigned i = 0; i < n; i++)
            over &= atomic_load(&world.done[i]) == strlen(world.script[i]);
        over &= atomic_load(&world.busy) >= MIN(n, 16); /* the last verdicts were given before */
    }
}

static void end(struct weir_lb **lb)
{
    lb_stop(*lb);
    workers_stop();
    assert_int_equal(atomic_load(&world.busy), 0);
    lb_free(lb);
    log_sink = NULL;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void rise_and_fall(void **state)
{
    static const struct {
        unsigned rise, fall;
        const char *script, *want;
    } cases[] = {
        { 2, 3, "gggg", "" },
        { 2, 3, "grrg", "" },      /* two are not three */
        { 2, 3, "grrgrrgrr", "" }, /* and a good one begins anew */
        { 2, 3, "grrr", "4- " },
        { 2, 3, "grtr", "4- " },    /* for different reasons */
        { 2, 3, "grrrrrr", "4- " }, /* told once */
        { 2, 3, "grrrgg", "4- 6+ " },
        { 2, 3, "grrrgrgrgg", "4- 10+ " },
        { 2, 3, "r", "1- " }, /* the first decides alone */
        { 2, 3, "t", "1- " },
        { 2, 3, "rgg", "1- 3+ " },
        { 2, 3, "rggrrr", "1- 3+ 6- " }, /* but only the first */
        { 2, 3, "mmmmm", "" },           /* nothing is known of it */
        { 2, 3, "mr", "2- " },           /* so this is the first */
        { 2, 3, "grrmdr", "6- " },        /* neither good nor bad: it interrupts nothing */
        { 1, 1, "grgr", "2- 3+ 4- " },
        { 1, 1, "rrgg", "1- 3+ " },
        { 3, 1, "grggrggg", "2- 8+ " },
        { 0, 0, "grrrgg", "4- 6+ " }, /* the defaults */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_lb *lb;

        set_up_world();
        world.script[0] = cases[i].script;
        lb = balancer(1, cases[i].rise, cases[i].fall);
        play(lb, 1);
        end(&lb);
        if (strcmp(heard.text[0], cases[i].want) != 0)
            fail_msg("%u/%u \"%s\": \"%s\"", cases[i].rise, cases[i].fall, cases[i].script,
                     heard.text[0]);
    }
}

static void the_log_line(void **state)
{
    static const struct {
        const char *scripts[2], *want;
    } cases[] = {
        { { "gg", "r" },
          "\"level\":\"warning\",\"why\":\"connect_refused\",\"msg\":\"the backend is unhealthy: "
          "the "
          "upstream refused the connection\",\"upstream\":\"9.0.0.1:80\",\"healthy\":1,"
          "\"backends\":2}\n" },
        { { "t", "" },
          "\"level\":\"warning\",\"why\":\"connect_timeout\",\"msg\":\"the backend is unhealthy: "
          "connecting to the upstream took too long\",\"upstream\":\"9.0.0.0:80\",\"healthy\":1,"
          "\"backends\":2}\n" },
        { { "rgg", "" },
          "\"level\":\"notice\",\"msg\":\"the backend is healthy again\",\"upstream\":"
          "\"9.0.0.0:80\",\"healthy\":2,\"backends\":2}\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_lb *lb;

        set_up_world();
        world.script[0] = cases[i].scripts[0];
        world.script[1] = cases[i].scripts[1];
        lb = balancer(2, 2, 3);
        play(lb, 2);
        end(&lb);
        assert_non_null(strstr(heard.last, ",\"level\""));
        assert_string_equal(strstr(heard.last, "\"level\""), cases[i].want);
    }

    struct weir_lb *lb;

    set_up_world();
    world.script[0] = "r";
    lb = balancer(1, 2, 3);
    play(lb, 1);
    end(&lb);
    assert_non_null(strstr(heard.last, "\"level\":\"error\",")); /* none is left */
}

/* ---- choices --------------------------------------------------------------------------------- */

static void unhealthy_ones_are_passed_over(void **state)
{
    struct weir_lb_backend info;
    struct tried tried = { .count = 0 };
    struct backend *b;
    struct weir_lb *lb;

    (void)state;
    set_up_world();
    world.script[1] = "r";
    world.script[3] = "grrr";
    world.script[4] = "rgg";
    lb = balancer(5, 2, 3);
    assert_true(weir_lb_backends(lb, 1, &info) && info.healthy); /* until it is checked */
    play(lb, 5);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(lb_choose(lb, &tried, &b), 0);
        tried_done(&tried);
    }
    for (unsigned i = 0; i < 5; i++) {
        bool up = i != 1 && i != 3;

        assert_true(weir_lb_backends(lb, i, &info));
        assert_int_equal(info.healthy, up);
        assert_int_equal(info.requests, up ? 100 : 0); /* none inherits the share of the dead */
        assert_int_equal(info.failures, 0);
    }
    assert_false(weir_lb_backends(lb, 5, &info));
    assert_string_equal(info.name, "");

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(lb_choose(lb, &tried, &b), 0);
    backend_failed(tried.list[0]);
    backend_failed(tried.list[0]);
    assert_true(weir_lb_backends(lb, 0, &info));
    assert_int_equal(info.requests, 101);
    assert_int_equal(info.failures, 2);
    assert_int_equal(lb_choose(lb, &tried, &b), WEIR_ENOUPSTREAM); /* the others are down */
    tried_done(&tried);
    end(&lb);
}

static void nobody_is_healthy(void **state)
{
    struct tried tried = { .count = 0 };
    struct backend *b;
    struct weir_lb *lb;

    (void)state;
    set_up_world();
    world.script[0] = world.script[1] = "r";
    lb = balancer(2, 2, 3);
    play(lb, 2);
    assert_int_equal(lb_choose(lb, &tried, &b), WEIR_ENOUPSTREAM);
    assert_null(b);
    end(&lb);
}

enum { THREADS = 4, CHOICES = 3000 };

static void *choose_many(void *lb)
{
    for (unsigned i = 0; i < CHOICES; i++) {
        struct tried tried = { .count = 0 };
        struct backend *b;

        ensure(lb_choose(lb, &tried, &b) == 0);
        tried_done(&tried);
    }
    return NULL;
}

/* Whoever asks: the turn is one for all threads. */
static void turns_are_shared(void **state)
{
    pthread_t threads[THREADS];
    struct weir_lb_backend info;
    struct weir_lb *lb;

    (void)state;
    lb = balancer(3, 0, 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, choose_many, lb), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(weir_lb_backends(lb, i, &info));
        assert_int_equal(info.requests, THREADS * CHOICES / 3);
    }
    lb_free(&lb);
}

static atomic_bool choosing;

static void *choose_on(void *lb)
{
    unsigned long chosen = 0;

    while (atomic_load(&choosing)) {
        struct tried tried = { .count = 0 };
        struct backend *b;

        while (lb_choose(lb, &tried, &b) == 0) /* until none is left */
            chosen++;
        tried_done(&tried);
    }
    return (void *)chosen;
}

/* Nothing else to assert than the counts: a sanitizer looks on. */
static void choices_go_on_while_health_changes(void **state)
{
    struct weir_lb_backend info;
    unsigned long all = 0, counted = 0;
    pthread_t threads[2];
    struct weir_lb *lb;
    void *chosen;

    (void)state;
    set_up_world();
    for (unsigned i = 0; i < 4; i++)
        world.script[i] = "grgrgrgrgrgrgrgrgrgr";
    lb = balancer(4, 1, 1);
    atomic_store(&choosing, true);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, choose_on, lb), 0);
    play(lb, 4);
    atomic_store(&choosing, false);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], &chosen);
        all += (unsigned long)chosen;
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(weir_lb_backends(lb, i, &info) && !info.healthy);
        counted += info.requests;
    }
    assert_int_equal(counted, all);
    end(&lb);
}

/* ---- names ----------------------------------------------------------------------------------- */

static uint8_t answers[4];

static int scripted_lookup(const char *host, uint16_t port, struct addr *out, unsigned max,
                           const char **why)
{
    unsigned n = 0;

    (void)host, (void)why;
    for (; n < max && n < ARRAY_LEN(answers) && answers[n] != 0; n++)
        out[n] = (struct addr){ .kind = ADDR_V4, .port = port, .ip = { 9, 0, 0, answers[n] } };
    return (int)n;
}

/* An address that stays keeps its health; one that left and came back is new. */
static void health_survives_a_look_up(void **state)
{
    struct weir_lb_config config = {
        .backends = { "origin.example:80" },
        .health = { .kind = WEIR_CHECK_TCP, .every = 10 * WEIR_MS },
    };
    struct weir_lb_backend info;
    struct weir_lb *lb;

    (void)state;
    set_up_world();
    lb_lookup = scripted_lookup;
    world.script[1] = world.script[2] = "r";
    memcpy(answers, (uint8_t[]){ 1, 2, 0, 0 }, 4);
    lb = lb_new(&config);
    assert_int_equal(lb_resolve(lb), 0);
    workers_start(2);
    assert_int_equal(lb_start(lb), 0);
    for (int64_t until = clock_now() + PATIENCE * WEIR_SEC; atomic_load(&world.busy) < 2;)
        assert_true(clock_now() < until);
    lb_stop(lb);
    workers_stop();

    memcpy(answers, (uint8_t[]){ 2, 3, 0, 0 }, 4);
    assert_int_equal(lb_resolve(lb), 0);
    assert_true(weir_lb_backends(lb, 0, &info) && !info.healthy);
    assert_string_equal(info.name, "9.0.0.2:80");
    assert_true(weir_lb_backends(lb, 1, &info) && info.healthy);
    memcpy(answers, (uint8_t[]){ 1, 2, 0, 0 }, 4);
    assert_int_equal(lb_resolve(lb), 0);
    assert_true(weir_lb_backends(lb, 0, &info) && info.healthy);
    assert_true(weir_lb_backends(lb, 1, &info) && !info.healthy);
    lb_free(&lb);
    log_sink = NULL;
}

/* ---- many, and the end ----------------------------------------------------------------------- */

static void few_at_once(void **state)
{
    struct weir_lb *lb;

    (void)state;
    set_up_world();
    world.takes = 2 * WEIR_MS;
    for (unsigned i = 0; i < 60; i++)
        world.script[i] = "ggggggggggggggggggggggggggggggggggggggggggg";
    lb = balancer(60, 2, 3);
    workers_start(2);
    assert_int_equal(lb_start(lb), 0);
    for (int64_t until = clock_now() + PATIENCE * WEIR_SEC; atomic_load(&world.most) < 16;)
        assert_true(clock_now() < until);
    for (unsigned i = 0; i < 60; i++) /* another round: time for more */
        while (atomic_load(&world.done[i]) < 2)
            sched_yield();
    end(&lb);
    assert_int_equal(atomic_load(&world.most), 16);
}

/* Stopped at any moment: before its strand runs, before a check, within one (which then waits for
 * ever, so that only cancelling ends it). */
static void it_ends_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct weir_lb *lb;

        set_up_world();
        lb = balancer(3, 2, 3);
        workers_start(2);
        assert_int_equal(lb_start(lb), 0);
        for (unsigned k = 0; i % 4 != 0 && k < i * 200 && atomic_load(&world.busy) < i % 4; k++)
            sched_yield();
        end(&lb);
    }
}

/* ---- real sockets ---------------------------------------------------------------------------- */

static int (*check_for_real)(const struct addr *, weir_dur);

struct real {
    struct addr addr;
    weir_dur timeout;
    int rc;
};

static void check_it(void *arg)
{
    struct real *r = arg;

    r->rc = check_for_real(&r->addr, r->timeout);
}

static int listener(struct sockaddr_in *at, int backlog)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){ .sin_family = AF_INET };
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static struct addr addr_of(const struct sockaddr_in *at)
{
    struct sockaddr_storage ss = { 0 };
    struct addr a;

    memcpy(&ss, at, sizeof *at);
    addr_from_sockaddr(&a, &ss, sizeof *at);
    return a;
}

/* The listener sees a connection that ends by FIN, without a byte. */
static void a_check_is_polite(void **state)
{
    struct sockaddr_in at;
    int fd = listener(&at, 5), conn;
    struct real r = { .addr = addr_of(&at), .timeout = PATIENCE * WEIR_SEC };

    (void)state;
    on_workers(1, check_it, &r);
    assert_int_equal(r.rc, 0);
    conn = accept(fd, NULL, NULL);
    assert_true(conn >= 0);
    assert_int_equal(recv(conn, &(char){ 0 }, 1, 0), 0);
    close(conn);
    close(fd);
}

static void real_failures(void **state)
{
    struct sockaddr_in at;
    int bound = listener(&at, -1), full, filler[2];
    struct real r = { .addr = addr_of(&at), .timeout = PATIENCE * WEIR_SEC };

    (void)state;
    on_workers(1, check_it, &r);
    assert_int_equal(r.rc, WEIR_EREFUSED);
    close(bound);

    /* A full backlog drops SYNs, as a black hole does. */
    full = listener(&at, 0);
    for (unsigned i = 0; i < 2; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(filler[i], (struct sockaddr *)&at, sizeof at);
    }
    r = (struct real){ .addr = addr_of(&at), .timeout = 50 * WEIR_MS };
    on_workers(1, check_it, &r);
    assert_int_equal(r.rc, WEIR_ECONNTIME);
    close(filler[0]);
    close(filler[1]);
    close(full);
}

static void bad_configurations(void **state)
{
    static const struct {
        struct weir_lb_health health;
        const char *want;
    } cases[] = {
        { { .kind = WEIR_CHECK_TCP }, "" },
        { { .kind = (enum weir_check)7 }, "weir_lb_new: health.kind: there is no check 7" },
        { { .every = WEIR_SEC }, "weir_lb_new: health: times without a kind (WEIR_CHECK_TCP)" },
        { { .kind = WEIR_CHECK_TCP, .every = -1 }, "weir_lb_new: health.every: a negative time" },
        { { .kind = WEIR_CHECK_TCP, .every = WEIR_MS },
          "weir_lb_new: health.every: shorter than 10ms" },
        { { .kind = WEIR_CHECK_TCP, .timeout = WEIR_FOREVER },
          "weir_lb_new: health.timeout: it cannot be switched off (leave out kind, and nothing is "
          "checked)" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct weir_lb *lb = lb_new(
            &(struct weir_lb_config){ .backends = { "127.0.0.1:80" }, .health = cases[i].health });
        struct faults faults = { 0 };

        lb_faults(lb, &faults);
        assert_string_equal(faults.text, cases[i].want);
        lb_free(&lb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rise_and_fall),
        cmocka_unit_test(the_log_line),
        cmocka_unit_test(unhealthy_ones_are_passed_over),
        cmocka_unit_test(nobody_is_healthy),
        cmocka_unit_test(turns_are_shared),
        cmocka_unit_test(choices_go_on_while_health_changes),
        cmocka_unit_test(health_survives_a_look_up),
        cmocka_unit_test(few_at_once),
        cmocka_unit_test(it_ends_at_once),
        cmocka_unit_test(a_check_is_polite),
        cmocka_unit_test(real_failures),
        cmocka_unit_test(bad_configurations),
    };

    check_for_real = lb_check;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
