/* test_net_names.c -- names are looked up once for all who ask, within their deadlines, and
 * remembered for a while. The name service and the clock are here. */
#include <netdb.h>
#include <sched.h>
#include <sys/syscall.h>

#include <weir/runtime.h>

#include "net/names.h"
#include "runtime/co.h"
#include "workers.h"

/* ---- the name service, and the clock --------------------------------------------------------- */

static atomic_uint asked;
static _Atomic time_t later; /* seconds that have passed */
static sem_t gate;           /* slow names wait for it */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    struct {
        struct addrinfo ai[2];
        struct sockaddr_in sa[2];
    } * made;

    (void)service;
    (void)hints;
    atomic_fetch_add(&asked, 1);
    if (strcmp(host, "nobody.example") == 0)
        return EAI_NONAME;
    if (strncmp(host, "slow", 4) == 0)
        sem_wait(&gate);
    made = calloc(1, sizeof *made);
    ensure(made != NULL);
    for (unsigned i = 0; i < 2; i++) {
        made->sa[i].sin_family = AF_INET;
        made->sa[i].sin_addr.s_addr = htonl(0x7f000001 + i);
        made->ai[i] = (struct addrinfo){
            .ai_family = AF_INET,
            .ai_addr = (struct sockaddr *)&made->sa[i],
            .ai_addrlen = sizeof made->sa[i],
            .ai_next = i == 0 ? &made->ai[1] : NULL,
        };
    }
    *out = made->ai;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list); /* the front of `made` */
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, which, out);

    out->tv_sec += later;
    return rc;
}

/* ---- the cases ------------------------------------------------------------------------------- */

struct question {
    const char *host;
    weir_dur timeout;
    int found;
    const char *why;
    struct addr addrs[NAMES_ADDRESSES];
};

static void ask(void *arg)
{
    struct question *q = arg;

    q->found = names_find(q->host, 8080, q->addrs,
                          deadline_in(clock_now(), q->timeout, WEIR_EUPTIME), &q->why);
}

/* How often the name service was asked for it. */
static unsigned looked_up(const char *host, int found)
{
    struct question q = { .host = host, .timeout = WEIR_FOREVER };
    unsigned before = atomic_load(&asked);

    workers_run(0, ask, &q);
    workers_join();
    assert_int_equal(q.found, found);
    for (int i = 0; i < found; i++) {
        assert_int_equal(q.addrs[i].port, 8080);
        assert_int_equal(q.addrs[i].ip[3], 1 + i);
    }
    return atomic_load(&asked) - before;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(looked_up("a.example", 2), 1);
    assert_int_equal(looked_up("a.example", 2), 0);
    assert_int_equal(looked_up("b.example", 2), 1);
    assert_int_equal(looked_up("a.example", 2), 0);
    names_forget("a.example");
    names_forget("c.example");
    assert_int_equal(looked_up("a.example", 2), 1);
    assert_int_equal(looked_up("b.example", 2), 0);
}

static void names_expire(void **state)
{
    (void)state;
    assert_int_equal(looked_up("d.example", 2), 1);
    atomic_fetch_add(&later, 20);
    assert_int_equal(looked_up("d.example", 2), 0);
    atomic_fetch_add(&later, 11);
    assert_int_equal(looked_up("d.example", 2), 1);
}

static void names_without_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) /* nothing is remembered */
        assert_int_equal(looked_up("nobody.example", WEIR_EDNS), 1);
}

static void names_of_any_length(void **state)
{
    char host[1000];

    (void)state;
    for (size_t len = 250; len < 260; len++) {
        memset(host, 'a', len);
        host[len] = '\0';
        assert_int_equal(looked_up(host, len <= 255 ? 2 : WEIR_EDNS), len <= 255 ? 1 : 0);
    }
}

/* More names than there are places. */
static void many_names(void **state)
{
    char host[32];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(host, sizeof host, "%u.example", i);
        assert_int_equal(looked_up(host, 2), 1);
        assert_int_equal(looked_up(host, 2), 0);
    }
}

static void wait_asked(unsigned n)
{
    while (atomic_load(&asked) < n)
        sched_yield();
}

/* Many wait for one look-up, and whose time is over leaves. */
static void a_slow_name(void **state)
{
    struct question hasty = { .host = "slow.example", .timeout = 1 * WEIR_MS }, q[20];
    unsigned before = atomic_load(&asked);

    (void)state;
    workers_run(0, ask, &hasty);
    workers_join();
    assert_int_equal(hasty.found, WEIR_EUPTIME);
    assert_string_equal(hasty.why, "its name was not found in time");
    wait_asked(before + 1);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i] = (struct question){ .host = "slow.example",
                                  .timeout = i % 2 == 0 ? WEIR_FOREVER : 1 * WEIR_MS };
        workers_run((unsigned)i % 2, ask, &q[i]);
    }
    sem_post(&gate);
    workers_join();
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        if (q[i].timeout == WEIR_FOREVER)
            assert_int_equal(q[i].found, 2);
    assert_int_equal(atomic_load(&asked), before + 1);
}

enum { AT_ONCE = 1001 };

/* Who is refused lets the others go on. */
static void ask_among_many(void *arg)
{
    struct question *q = arg;

    ask(q);
    for (unsigned i = 1; q->found < 0 && i < AT_ONCE; i++)
        sem_post(&gate);
}

/* One more than may be looked up at the same time; and that one is not forgotten. */
static void too_many_names(void **state)
{
    static struct question q[AT_ONCE];
    static char hosts[AT_ONCE][32];
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        snprintf(hosts[i], sizeof hosts[i], "slow%u.example", i);
        q[i] = (struct question){ .host = hosts[i], .timeout = WEIR_FOREVER };
        workers_run(i % 2, ask_among_many, &q[i]);
    }
    workers_join();
    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (q[i].found == 2)
            continue;
        refused++;
        assert_int_equal(q[i].found, WEIR_EDNS);
        assert_string_equal(q[i].why, "too many names are being looked up");
    }
    assert_int_equal(refused, 1);
}

static void connect_soon(void *arg)
{
    struct weir_stream *none;

    *(int *)arg = weir_connect("slow.too.example:80", 1 * WEIR_MS, &none);
}

/* The timeout of a connection counts from before its name is looked up. */
static void a_connection_to_a_slow_name(void **state)
{
    int rc = 0;

    (void)state;
    workers_run(0, connect_soon, &rc);
    workers_join();
    assert_int_equal(rc, WEIR_ECONNTIME);
    sem_post(&gate);
}

static int start(void **state)
{
    (void)state;
    sem_init(&gate, 0, 0);
    workers_start(2);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    workers_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(names_expire),
        cmocka_unit_test(names_without_address),
        cmocka_unit_test(names_of_any_length),
        cmocka_unit_test(many_names),
        cmocka_unit_test(a_slow_name),
        cmocka_unit_test(too_many_names),
        cmocka_unit_test(a_connection_to_a_slow_name),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
