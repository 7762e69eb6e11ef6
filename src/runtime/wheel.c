/* wheel.c -- a tick is a number of five digits to base 64, a level per digit.
 *
 * An entry lies on the level of the highest digit in which it differs from the current tick, in
 * the slot of that digit. When the tick reaches that slot the lower digits count, and what is in
 * it moves down; level 0 expires. So on each level the slots before and at the current digit are
 * empty, and the first occupied slot of the lowest occupied level comes first; but what is due and
 * was not asked for yet waits at the current digit of level 0. Only the top level goes round. */
#include "runtime/wheel.h"

enum { BITS = 6, TOP = WHEEL_LEVELS - 1 };
#define HORIZON ((int64_t)(WHEEL_SLOTS - 1) << (BITS * TOP)) /* never the slot we are in */

void wheel_init(struct wheel *w, int64_t now)
{
    w->tick = now / WEIR_MS;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            link_init(&w->slots[level][slot]);
    }
    atomic_init(&w->earliest, TIMER_NONE);
}

void timer_init(struct timer *t)
{
    link_init(&t->link);
    atomic_init(&t->deadline, TIMER_NONE);
    atomic_init(&t->entry, TIMER_NONE);
}

/* The first tick that begins at or after `at`. */
static int64_t tick_of(int64_t at)
{
    return at / WEIR_MS + (at % WEIR_MS > 0);
}

static unsigned digit(int64_t tick, unsigned level)
{
    return (unsigned)(tick >> (BITS * level)) & (WHEEL_SLOTS - 1);
}

static unsigned level_of(int64_t now, int64_t due)
{
    unsigned highest = 63 - (unsigned)__builtin_clzll((uint64_t)(now ^ due));

    return MIN(highest / BITS, TOP);
}

/* `due` is within the horizon. */
static void place(struct wheel *w, struct timer *t, int64_t due)
{
    unsigned level = due > w->tick ? level_of(w->tick, due) : 0;
    unsigned slot = digit(MAX(due, w->tick), level);

    link_before(&w->slots[level][slot], &t->link);
    w->occupied[level] |= UINT64_C(1) << slot;
}

/* The next tick at which a slot expires or moves down, and its level. */
static int64_t next_tick(const struct wheel *w, unsigned *level)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        if (w->occupied[l] == 0)
            continue;
        unsigned at = digit(w->tick, l);
        uint64_t ahead = w->occupied[l] >> at | w->occupied[l] << (-at & (WHEEL_SLOTS - 1));

        *level = l;
        return ((w->tick >> (BITS * l)) + __builtin_ctzll(ahead)) << (BITS * l);
    }
    return TIMER_NONE;
}

static void publish_earliest(struct wheel *w)
{
    unsigned level;
    int64_t next = next_tick(w, &level);

    atomic_store_explicit(&w->earliest, next == TIMER_NONE ? TIMER_NONE : next * WEIR_MS,
                          memory_order_release);
}

int64_t wheel_earliest(const struct wheel *w)
{
    return atomic_load_explicit(&w->earliest, memory_order_acquire);
}

void wheel_insert(struct wheel *w, struct timer *t, int64_t at)
{
    int64_t due = MAX(tick_of(at), w->tick + 1);

    ensure(link_alone(&t->link));
    if (due > w->tick + HORIZON) {
        due = w->tick + HORIZON;
        at = due * WEIR_MS;
    }
    atomic_store(&t->entry, at);
    place(w, t, due);
    publish_earliest(w);
}

/* After a timer left: was it the last of its slot? Then its neighbour on both sides is the head. */
static void vacate(struct wheel *w, const struct link *head)
{
    const struct link *slots = &w->slots[0][0];
    size_t offset = (uintptr_t)head - (uintptr_t)slots;

    if (offset < sizeof w->slots && link_alone(head)) {
        size_t index = offset / sizeof *slots;

        w->occupied[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << index % WHEEL_SLOTS);
        publish_earliest(w);
    }
}

void wheel_remove(struct wheel *w, struct timer *t)
{
    const struct link *neighbour = t->link.next;

    link_remove(&t->link);
    atomic_store(&t->entry, TIMER_NONE);
    vacate(w, neighbour);
}

/* The current tick has reached this slot of a level above 0. */
static void move_down(struct wheel *w, unsigned level)
{
    unsigned slot = digit(w->tick, level);
    struct link *head = &w->slots[level][slot];

    w->occupied[level] &= ~(UINT64_C(1) << slot);
    while (!link_alone(head)) {
        struct timer *t = container_of(head->next, struct timer, link);

        link_remove(&t->link);
        place(w, t, tick_of(atomic_load_explicit(&t->entry, memory_order_relaxed)));
    }
}

/* `most` of what is due at the current tick; how many are left of these. */
static unsigned expire(struct wheel *w, struct link *expired, unsigned most)
{
    unsigned slot = digit(w->tick, 0);
    struct link *head = &w->slots[0][slot];

    for (; !link_alone(head) && most > 0; most--) {
        struct timer *t = container_of(head->next, struct timer, link);

        link_remove(&t->link);
        atomic_store(&t->entry, TIMER_NONE);
        link_before(expired, &t->link);
    }
    if (link_alone(head))
        w->occupied[0] &= ~(UINT64_C(1) << slot);
    return most;
}

void wheel_advance(struct wheel *w, int64_t now, struct link *expired, unsigned most)
{
    int64_t target = now / WEIR_MS, next;
    unsigned level;

    if (target < w->tick)
        return;
    while (most > 0 && (next = next_tick(w, &level)) <= target) {
        w->tick = next;
        if (level > 0)
            move_down(w, level);
        else
            most = expire(w, expired, most);
    }
    if (next_tick(w, &level) > target)
        w->tick = target;
    publish_earliest(w);
}
