/* runtime.c -- coroutines, scopes and what is between them (<weir/runtime.h>), as a program without
 * any HTTP meets them: what the header promises, many at once, and from threads of its own. */
#include "checks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { MANY = 1000, THREADS = 4 };

static void nap(long milliseconds)
{
    nanosleep(&(struct timespec){ .tv_nsec = milliseconds * 1000000 }, NULL);
}

static void run_threads(pthread_t *threads, void *(*fn)(void *), void *arg)
{
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, fn, arg) == 0);
}

static int join_threads(void *arg)
{
    pthread_t *threads = arg;

    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}

/* ---- outside of coroutines ------------------------------------------------------------------- */

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* In any thread but a worker: what may block fails, the rest works. */
static int elsewhere(void *arg)
{
    struct weir_channel *ch = weir_channel_new(1, 256);
    struct weir_semaphore sem;
    struct weir_listener *l;
    struct weir_stream *st;
    char item[256] = "x";

    (void)arg;
    weir_semaphore_init(&sem, 1);
    CHECK(ch != NULL && weir_channel_receive(ch, item, 0) == WEIR_ETIMEOUT);
    CHECK(weir_channel_send(ch, item, 0) == 0 && weir_channel_send(ch, item, -1) == WEIR_ETIMEOUT);
    CHECK(weir_channel_send(ch, item, 1) == WEIR_EINVALID);
    CHECK(weir_channel_receive(ch, item, WEIR_FOREVER) == WEIR_EINVALID);
    weir_channel_close(ch);
    CHECK(weir_channel_receive(ch, item, 0) == 0 && item[0] == 'x');
    CHECK(weir_channel_receive(ch, item, 0) == WEIR_ECLOSED);
    CHECK(weir_channel_send(ch, item, 0) == WEIR_ECLOSED);
    weir_channel_free(&ch);
    CHECK(weir_semaphore_take(&sem, 0) == WEIR_EINVALID);
    weir_semaphore_give(&sem, 1);
    CHECK(weir_sleep_for(WEIR_MS) == WEIR_EINVALID && weir_canceled() == 0);
    CHECK(weir_listen("127.0.0.1:0", &l) == WEIR_EINVALID && l == NULL);
    CHECK(weir_connect("127.0.0.1:1", WEIR_SEC, &st) == WEIR_EINVALID && st == NULL);
    CHECK(weir_blocking(seven, NULL) == 7);
    CHECK(weir_session_new(NULL) == NULL);
    weir_yield();
    return 0;
}

static int call_elsewhere(void *arg)
{
    return weir_blocking(elsewhere, arg);
}

static int outside(int argc, char **argv)
{
    int rc;

    elsewhere(NULL);
    CHECK(weir_spawn(nothing, NULL) == WEIR_ESHUTDOWN); /* before it serves, and after */
    rc = weir_run(argc, argv, call_elsewhere, NULL);
    CHECK(weir_spawn(nothing, NULL) == WEIR_ESHUTDOWN);
    elsewhere(NULL);
    return rc;
}

/* ---- many ------------------------------------------------------------------------------------ */

static struct {
    struct weir_semaphore over;
    struct weir_mutex mutex;
    unsigned counter;
} many;

static void count_once(void *arg)
{
    (void)arg;
    CHECK(weir_sleep_for(WEIR_MS) == 0);
    weir_mutex_lock(&many.mutex);
    many.counter++;
    weir_yield(); /* and still nobody else is in */
    weir_mutex_unlock(&many.mutex);
    weir_semaphore_give(&many.over, 1);
}

static void *spawn_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++)
        CHECK(weir_spawn(count_once, NULL) == 0);
    return NULL;
}

static int strands_of(void *arg)
{
    pthread_t threads[THREADS];

    (void)arg;
    weir_semaphore_init(&many.over, 0);
    run_threads(threads, spawn_many, NULL);
    spawn_many(NULL);
    for (int i = 0; i < (THREADS + 1) * MANY; i++)
        CHECK(weir_semaphore_take(&many.over, WEIR_FOREVER) == 0);
    CHECK(many.counter == (THREADS + 1) * MANY);
    return weir_blocking(join_threads, threads);
}

static int strands(int argc, char **argv)
{
    return weir_run(argc, argv, strands_of, NULL);
}

/* ---- cancelling against giving --------------------------------------------------------------- */

static struct {
    struct weir_semaphore permits;
    struct weir_channel *channel;
    atomic_uint taken, sent, received;
    atomic_int members;
    atomic_bool over;
} race;

static int take_one(void *arg)
{
    int rc = weir_semaphore_take(&race.permits, (weir_dur)(uintptr_t)arg * WEIR_MS / 8);

    CHECK(rc == 0 || rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED);
    race.taken += rc == 0;
    return 0;
}

static int send_one(void *arg)
{
    unsigned item = (unsigned)(uintptr_t)arg;
    int rc = weir_channel_send(race.channel, &item, (weir_dur)(item % 9) * WEIR_MS / 8);

    CHECK(rc == 0 || rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED);
    race.sent += rc == 0 ? item : 0;
    return 0;
}

static int receive_one(void *arg)
{
    unsigned item = 0;
    int rc = weir_channel_receive(race.channel, &item, (weir_dur)(uintptr_t)arg * WEIR_MS / 8);

    CHECK(rc == 0 || rc == WEIR_ETIMEOUT || rc == WEIR_ECANCELED);
    race.received += rc == 0 ? item : 0;
    return 0;
}

/* Scopes that end while their members wait, are given something, and time out. */
static void cancel_often(void *arg)
{
    static int (*const fns[])(void *) = { take_one, send_one, receive_one };
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (unsigned round = 0; round < 50; round++) {
        struct weir_scope sc;

        weir_scope_open(&sc);
        for (unsigned i = 0; i < 9; i++)
            CHECK(weir_scope_spawn(&sc, fns[i % 3], (void *)(uintptr_t)(1 + rand_r(&seed) % 9)) ==
                  0);
        weir_sleep_for((weir_dur)(rand_r(&seed) % 10) * WEIR_MS / 8);
        CHECK(weir_scope_end(&sc, 5) == 5);
    }
    race.members--;
}

static void *give_often(void *arg)
{
    unsigned *given = arg, item;

    while (!race.over) {
        weir_semaphore_give(&race.permits, 1);
        __atomic_fetch_add(given, 1, __ATOMIC_RELAXED);
        item = 3;
        if (weir_channel_send(race.channel, &item, 0) == 0)
            race.sent += item;
        if (weir_channel_receive(race.channel, &item, 0) == 0)
            race.received += item;
        nap(1);
    }
    return NULL;
}

/* Nothing is lost and nothing comes twice. */
static int races_of(void *arg)
{
    pthread_t threads[THREADS];
    unsigned given = 0, item;

    (void)arg;
    weir_semaphore_init(&race.permits, 0);
    race.channel = weir_channel_new(2, sizeof item);
    race.members = 20;
    run_threads(threads, give_often, &given);
    for (uintptr_t i = 0; i < 20; i++)
        CHECK(weir_spawn(cancel_often, (void *)i) == 0);
    while (race.members > 0)
        CHECK(weir_sleep_for(WEIR_MS) == 0);
    race.over = true;
    weir_blocking(join_threads, threads);
    while (weir_channel_receive(race.channel, &item, 0) == 0)
        race.received += item;
    while (weir_semaphore_take(&race.permits, 0) == 0)
        race.taken++;
    CHECK(race.taken == given && race.sent == race.received && race.sent > 0);
    weir_channel_free(&race.channel);
    return 0;
}

static int races(int argc, char **argv)
{
    return weir_run(argc, argv, races_of, NULL);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static int fail_with(void *arg)
{
    weir_yield();
    return (int)(intptr_t)arg;
}

static int sleep_on(void *arg)
{
    int rc = weir_sleep_for(WEIR_FOREVER);

    CHECK(rc == WEIR_ECANCELED && weir_canceled() == WEIR_ECANCELED);
    CHECK(weir_sleep_for(0) == WEIR_ECANCELED); /* it lasts */
    CHECK(weir_semaphore_take(&many.over, 0) == WEIR_ECANCELED);
    weir_mutex_lock(&many.mutex); /* but for what tells nothing */
    many.counter++;
    weir_mutex_unlock(&many.mutex);
    CHECK(weir_blocking(seven, NULL) == 7);
    return arg != NULL ? (int)(intptr_t)arg : rc;
}

static int nest(void *arg)
{
    struct weir_scope sc;

    weir_scope_open(&sc);
    CHECK(weir_scope_spawn(&sc, sleep_on, arg) == 0);
    CHECK(weir_scope_wait(&sc, WEIR_FOREVER) == WEIR_ECANCELED);
    return weir_scope_end(&sc, WEIR_ECANCELED);
}

static int scopes_of(void *arg)
{
    struct weir_scope sc;
    int limited;

    (void)arg;
    weir_semaphore_init(&many.over, 1);
    weir_scope_open(&sc); /* the first error, whatever followed from it */
    for (int i = 0; i < MANY; i++)
        CHECK(weir_scope_spawn(&sc, i % 2 == 0 ? sleep_on : nest, NULL) == 0);
    CHECK(weir_scope_wait(&sc, 0) == WEIR_ETIMEOUT);
    CHECK(weir_scope_spawn(&sc, fail_with, (void *)(intptr_t)WEIR_EDNS) == 0);
    CHECK(weir_scope_wait(&sc, WEIR_FOREVER) == WEIR_ECANCELED);
    CHECK(weir_canceled() == WEIR_ECANCELED);
    CHECK(weir_scope_spawn(&sc, seven, NULL) == WEIR_ECANCELED);
    CHECK(weir_scope_end(&sc, WEIR_ETIMEOUT) == WEIR_EDNS);
    CHECK(many.counter == MANY && weir_canceled() == 0 && weir_sleep_for(0) == 0);

    weir_scope_open(&sc); /* a result that is no error */
    CHECK(weir_scope_spawn(&sc, seven, NULL) == 0);
    CHECK(weir_scope_wait(&sc, WEIR_FOREVER) == 0 && weir_scope_wait(&sc, 0) == 0);
    CHECK(weir_scope_end(&sc, 0) == 0);

    weir_scope_open(&sc); /* who is cancelled by the end, and fails in its own way */
    CHECK(weir_scope_spawn(&sc, sleep_on, (void *)(intptr_t)WEIR_EFILTER) == 0);
    weir_yield();
    CHECK(weir_scope_end(&sc, 0) == 0);

    weir_scope_open(&sc);
    weir_scope_limit(&sc, 20 * WEIR_MS);
    limited = weir_sleep_for(WEIR_FOREVER);
    CHECK(limited == WEIR_ETIMEOUT && weir_canceled() == 0);
    CHECK(weir_semaphore_take(&many.over, WEIR_FOREVER) == 0); /* there was one */
    CHECK(weir_semaphore_take(&many.over, WEIR_FOREVER) == WEIR_ETIMEOUT);
    CHECK(weir_scope_end(&sc, limited) == WEIR_ETIMEOUT);
    return 0;
}

static int scopes(int argc, char **argv)
{
    return weir_run(argc, argv, scopes_of, NULL);
}

/* ---- helper threads -------------------------------------------------------------------------- */

static int nap_on(void *arg)
{
    nap(20);
    *(atomic_uint *)arg += 1;
    return -1000;
}

static int block(void *arg)
{
    CHECK(weir_blocking(nap_on, arg) == -1000); /* to its end, though the scope is over */
    return 0;
}

static int blocking_of(void *arg)
{
    struct weir_scope sc;
    atomic_uint ended = 0;

    (void)arg;
    weir_scope_open(&sc);
    for (int i = 0; i < 40; i++)
        CHECK(weir_scope_spawn(&sc, block, &ended) == 0);
    weir_yield();
    CHECK(weir_scope_end(&sc, 0) == 0);
    CHECK(ended == 40);
    return 0;
}

static int blocking(int argc, char **argv)
{
    return weir_run(argc, argv, blocking_of, NULL);
}

static const struct check checks[] = {
    { "outside", outside }, { "strands", strands },   { "races", races },
    { "scopes", scopes },   { "blocking", blocking }, { NULL, NULL },
};

int main(int argc, char **argv)
{
    return run_check(argc, argv, checks);
}
