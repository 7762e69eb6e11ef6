/* test_rt_starve.c -- more idle slots become ready than there are stacks. */
#include "slots.h"

#include "runtime/co.h"

/* The bound on stacks: idle slots whose start finds none wait their turn, under their deadline. */

enum { WAITING = 48 };

static struct {
    atomic_uint served, expired, holding;
    atomic_bool go;
    int peer[WAITING];
} bound;

static const struct slot_class bound_class;

static void serve(void *owner)
{
    struct slot *s = owner;

    atomic_fetch_add(&bound.served, 1);
    slot_close(&s);
}

static void bound_expire(struct slot *s, void *owner)
{
    (void)owner;
    atomic_fetch_add(&bound.expired, 1);
    slot_close(&s);
}

/* The owner of a slot is the slot itself: all there is to tell it. */
static void bound_ready(struct slot *s, void *owner)
{
    ensure(owner == NULL || owner == s); /* the second time it waited for a stack */
    slot_set_owner(s, &bound_class, s);
    slot_start_strand(s, serve);
}

static const struct slot_class bound_class = {
    .name = "bound",
    .ready = bound_ready,
    .expire = bound_expire,
};

static void hold_stack(void *arg)
{
    (void)arg;
    AWAIT(atomic_load(&bound.go));
    atomic_fetch_sub(&bound.holding, 1);
}

/* Idle slots with something to read, while other strands have all stacks. */
static void bound_strand(void *arg)
{
    bool in_time = arg == NULL;
    int64_t until = in_time ? INT64_MAX : rt_now() + 20 * WEIR_MS;
    struct rt_stats stats;
    int rc;

    while ((rc = strand_start(hold_stack, NULL)) == 0)
        atomic_fetch_add(&bound.holding, 1);
    ensure(rc == WEIR_ESTACKS && atomic_load(&bound.holding) > 0);
    for (unsigned i = 0; i < WAITING; i++) {
        struct slot *s;
        int fd[2];

        unix_pair(fd);
        ensure(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
        s = slot_new(fd[0], &bound_class, NULL);
        ensure(s != NULL && slot_register(s, UINT_MAX) == 0 && slot_arm(s, until));
        bound.peer[i] = fd[1];
        ensure(send(fd[1], "x", 1, 0) == 1);
    }
    if (in_time)
        AWAIT((rt_stats(&stats), stats.starved >= WAITING));
    else
        AWAIT(atomic_load(&bound.expired) == WAITING);
    ensure(atomic_load(&bound.served) == 0);
    atomic_store(&bound.go, true);
    AWAIT(atomic_load(&bound.holding) == 0);
    AWAIT(atomic_load(&bound.served) + atomic_load(&bound.expired) == WAITING);
    ensure(atomic_load(in_time ? &bound.served : &bound.expired) == WAITING);
    for (unsigned i = 0; i < WAITING; i++)
        close(bound.peer[i]);
}

static void few_stacks(void *arg)
{
    const struct rt_config config = { .workers = 1, .max_stacks = 16, .blocking_threads = 2 };

    memset(&bound, 0, sizeof bound);
    sem_init(&workers.ended, 0, 0);
    workers.started = 0;
    assert_int_equal(rt_start(&config), 0);
    workers_run(0, bound_strand, arg);
    workers_join();
    workers_stop();
}

static void bound_on_stacks(void **state)
{
    (void)state;
    few_stacks(NULL);
    few_stacks("too late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound_on_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
