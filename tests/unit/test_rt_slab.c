/* test_rt_slab.c -- objects that are free give their memory back, and to who holds an old name they
 * are still others when they live again. */
#include "workers.h"

#include <sys/mman.h>

#include "runtime/worker.h"

/* ---- a slab by itself ------------------------------------------------------------------------ */

struct thing {
    _Alignas(64) struct slab_item item;
    uint64_t generation;
};

static void thing_init(void *object, uint64_t floor)
{
    struct thing *t = object;

    assert_int_equal(t->generation, 0); /* its memory is new, or as new */
    t->generation = MAX(floor, 1);
}

static uint64_t thing_retire(void *object)
{
    return ((struct thing *)object)->generation;
}

static const struct slab_type thing_type = {
    .size = sizeof(struct thing),
    .max = 1024,
    .init = thing_init,
    .retire = thing_retire,
};

enum { THINGS = 2 * SLAB_CHUNK };

static size_t resident(const void *at, size_t size)
{
    unsigned char pages[1024];
    size_t count = 0, n = size / 4096;

    assert_in_range(n, 1, ARRAY_LEN(pages));
    assert_int_equal(mincore((void *)(uintptr_t)at, size, pages), 0);
    for (size_t i = 0; i < n; i++)
        count += pages[i] & 1;
    return count;
}

static size_t pages_of(struct slab *s)
{
    size_t count = 0;

    for (uint32_t i = 0; i < s->made; i += SLAB_CHUNK)
        count += resident(slab_at(s, i), SLAB_CHUNK * s->type.size);
    return count;
}

static void take(struct slab *s, struct slab_magazine *m, struct thing *things[THINGS])
{
    for (size_t i = 0; i < THINGS; i++) {
        things[i] = slab_get(s, m);
        assert_non_null(things[i]);
        assert_ptr_equal(slab_at(s, things[i]->item.index), things[i]);
    }
}

static void give(struct slab *s, struct slab_magazine *m, struct thing *t)
{
    t->generation++;
    slab_put(s, m, t);
}

static void memory_goes_back_and_names_stay_unique(void **state)
{
    struct thing *things[THINGS];
    struct slab_magazine m = { .count = 0 };
    uint64_t last[THINGS];
    struct slab s;

    (void)state;
    assert_int_equal(slab_start(&s, &thing_type), 0);
    take(&s, &m, things);
    assert_int_equal(slab_used(&s), THINGS);
    assert_int_equal(pages_of(&s), THINGS * sizeof(struct thing) / 4096);
    for (size_t i = 0; i < THINGS; i++) {
        things[i]->generation += i; /* some lived more often than others */
        last[things[i]->item.index] = things[i]->generation;
        give(&s, &m, things[i]);
    }
    slabs_trim(); /* what lies in the magazine, and its neighbours, stay */
    assert_in_range(pages_of(&s), 1, THINGS * sizeof(struct thing) / 4096 / 2);
    slab_flush(&s, &m);
    slabs_trim();
    assert_int_equal(pages_of(&s), 0);
    assert_int_equal(slab_used(&s), 0);
    assert_int_equal(((struct thing *)slab_at(&s, 7))->generation, 0);
    take(&s, &m, things);
    for (size_t i = 0; i < THINGS; i++)
        assert_true(things[i]->generation > last[things[i]->item.index]);
    assert_int_equal(s.made, THINGS);
    slab_stop(&s);
}

static void one_that_is_used_keeps_its_neighbours(void **state)
{
    struct thing *things[THINGS], *kept;
    struct slab s;

    (void)state;
    assert_int_equal(slab_start(&s, &thing_type), 0);
    take(&s, NULL, things);
    kept = things[100];
    for (size_t i = 0; i < THINGS; i++)
        if (things[i] != kept)
            give(&s, NULL, things[i]);
    slabs_trim();
    slabs_trim();
    assert_int_equal(kept->generation, 1);
    assert_int_equal(pages_of(&s), SLAB_UNIT * sizeof(struct thing) / 4096);
    assert_int_equal(slab_used(&s), 1);
    for (size_t i = 1; i < THINGS; i++) /* what is warm goes first, and nothing twice */
        assert_ptr_not_equal(slab_get(&s, NULL), kept);
    assert_int_equal(s.made, THINGS);
    slab_stop(&s);
}

static void the_bound_holds(void **state)
{
    struct slab s;

    (void)state;
    assert_int_equal(slab_start(&s, &thing_type), 0);
    for (uint32_t i = 0; i < thing_type.max; i++)
        assert_non_null(slab_get(&s, NULL));
    assert_null(slab_get(&s, NULL));
    slab_stop(&s);
}

/* ---- slots ----------------------------------------------------------------------------------- */

enum { SLOTS = 1024 };

static void nothing(struct slot *s, void *owner)
{
    (void)s;
    (void)owner;
    ensure(false);
}

static const struct slot_class still = { .name = "still", .ready = nothing, .expire = nothing };

static struct slot_ref arm_one(void)
{
    int fd = dup(STDERR_FILENO);
    struct slot *s;
    struct slot_ref ref;

    ensure(fd >= 0);
    s = slot_new(fd, &still, NULL);
    ensure(s != NULL);
    s->home = 0; /* in no epoll, but in the wheel of worker 0, for long */
    ref = slot_name(s);
    ensure(slot_arm(s, rt_now() + 3600 * WEIR_SEC));
    return ref;
}

static uint64_t name_in_epoll(struct slot_ref ref)
{
    return (uint64_t)EVENT_SLOT << EVENT_KIND_SHIFT | (uint64_t)ref.generation << 32 |
           ref.slot->item.index;
}

static void close_one(struct slot_ref ref)
{
    struct slot *s = ref.slot;

    ensure(slot_take(ref));
    slot_close(&s);
}

/* Late events and takers find nothing of theirs: neither while the slot has no memory, nor when it
 * lives again. */
static void be_late(const struct slot_ref *old, const uint64_t *name)
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t before = slot_load(old[i].slot, DIR_IN);

        ensure(!slot_take(old[i]));
        slot_event(name[i], EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
        ensure(slot_load(old[i].slot, DIR_IN) == before);
    }
}

static void count_idle(struct slot *s, void *owner, void *arg)
{
    struct slot *slot = s;

    (void)owner;
    ++*(unsigned *)arg;
    slot_close(&slot);
}

static void slots_strand(void *arg)
{
    static struct slot_ref old[SLOTS];
    static uint64_t name[SLOTS];
    unsigned found = 0;

    (void)arg;
    for (size_t i = 0; i < SLOTS; i++) {
        old[i] = arm_one();
        name[i] = name_in_epoll(old[i]);
    }
    for (size_t i = 0; i < SLOTS; i++)
        close_one(old[i]);
    slab_flush(&rt.slots, &worker_self()->slots);
    slabs_trim();
    ensure(pages_of(&rt.slots) == 0);
    ensure(wheel_earliest(&rt.workers[0]->wheel) == TIMER_NONE); /* nothing refers to them */
    be_late(old, name);
    slot_take_all(&still, count_idle, &found);
    ensure(found == 0);
    for (size_t i = 0; i < SLOTS; i++)
        arm_one();
    be_late(old, name);
    slot_take_all(&still, count_idle, &found);
    ensure(found == SLOTS);
}

static void old_names_of_slots(void **state)
{
    (void)state;
    on_workers(1, slots_strand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_goes_back_and_names_stay_unique),
        cmocka_unit_test(one_that_is_used_keeps_its_neighbours),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(old_names_of_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
