/* slot.c -- slots from their making to their end: registered, idle, and what events do to them.
 * How their words change is in slot_word.h, how their owner waits in slot_wait.c. */
#include <limits.h>

#include "runtime/slot_word.h"
#include "runtime/sys.h"

/* Generation 0 is nobody's: so zeros as a word are dropped by every event and won by nobody. */
static void init(void *object, uint64_t floor)
{
    struct slot *s = object;
    uint32_t generation = (uint32_t)MAX(floor, 1);

    for (int d = DIR_IN; d <= DIR_OUT; d++)
        atomic_store_explicit(&s->word[d],
                              word_fresh(generation) | (uint64_t)SLOT_CLOSED << SLOT_FLAG_SHIFT,
                              memory_order_relaxed);
    lazy_init(&s->timer, LAZY_SLOT);
    s->spent = 0;
    s->fd = -1;
}

static uint64_t retire(void *object)
{
    struct slot *s = object;

    lazy_forget(&s->timer);
    return word_generation(word_load(s, DIR_IN));
}

const struct slab_type slot_type = {
    .size = sizeof(struct slot),
    .max = 1 << 26,
    .init = init,
    .retire = retire,
};

static struct slab_magazine *magazine(void)
{
    struct worker *w = worker_self();

    return w != NULL ? &w->slots : NULL;
}

struct slot *slot_new(int fd, const struct slot_class *class, void *owner)
{
    struct slot *s = slab_get(&rt.slots, magazine());
    uint32_t generation;

    if (s == NULL) {
        sys_close(fd);
        return NULL;
    }
    generation = word_generation(word_load(s, DIR_IN));
    s->fd = fd;
    atomic_store_explicit(&s->class, class, memory_order_relaxed);
    s->owner = owner;
    s->home = NO_HOME;
    s->spent = 0;
    atomic_store_explicit(&s->watch, 0, memory_order_relaxed);
    lazy_clear(&s->timer);
    for (int d = DIR_IN; d <= DIR_OUT; d++) /* before EPOLL_CTL_ADD (D12) */
        atomic_store_explicit(&s->word[d], word_fresh(generation), memory_order_release);
    return s;
}

/* What its epoll reports from now on: room to write only if `room`. A change reports once more what
 * there is already. */
static int ask(struct slot *s, int op, bool room)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (room ? EPOLLOUT : 0),
        .data.u64 = (uint64_t)EVENT_SLOT << EVENT_KIND_SHIFT |
                    (uint64_t)word_generation(word_load(s, DIR_IN)) << 32 | s->item.index,
    };

    if (sys_epoll_ctl(rt.workers[s->home]->epoll, op, s->fd, &ev) < 0)
        return WEIR_ENOMEM;
    s->asks_room = room;
    return 0;
}

/* There is room until a write says otherwise, and whoever then waits for room asks for its event.
 * So most connections never have one: else each segment that comes would report the room again. */
int slot_register(struct slot *s, unsigned id)
{
    uint64_t ready = (uint64_t)SLOT_READY << SLOT_FLAG_SHIFT;

    s->home = (uint16_t)(id == UINT_MAX ? worker_self()->id : id);
    atomic_store_explicit(&s->word[DIR_OUT], word_load(s, DIR_OUT) | ready, memory_order_release);
    return ask(s, EPOLL_CTL_ADD, false);
}

int slot_register_connecting(struct slot *s)
{
    s->home = (uint16_t)worker_self()->id;
    return ask(s, EPOLL_CTL_ADD, true);
}

void slot_connected(struct slot *s)
{
    ask(s, EPOLL_CTL_MOD, false); /* failed: then it goes on telling */
}

int slot_ask_room(struct slot *s)
{
    return ask(s, EPOLL_CTL_MOD, true);
}

void slot_close(struct slot **slot)
{
    struct slot *s = *slot;
    uint32_t generation = (word_generation(word_load(s, DIR_IN)) + 1) & SLOT_GEN_MASK;

    *slot = NULL;
    lazy_clear(&s->timer);
    atomic_store_explicit(&s->watch, 0, memory_order_relaxed);
    for (int d = DIR_IN; d <= DIR_OUT; d++) {
        uint64_t old = atomic_exchange_explicit(
            &s->word[d], word_fresh(generation) | (uint64_t)SLOT_CLOSED << SLOT_FLAG_SHIFT,
            memory_order_acq_rel);

        ensure(word_waiter(old) == 0);
    }
    sys_close(s->fd);
    s->fd = -1;
    if (generation != 0) /* else retired: an old event might name it again */
        slab_put(&rt.slots, magazine(), s);
}

int slot_fd(const struct slot *s)
{
    return s->fd;
}

unsigned slot_home(const struct slot *s)
{
    return s->home;
}

void *slot_owner(const struct slot *s)
{
    return s->owner;
}

void slot_set_owner(struct slot *s, const struct slot_class *class, void *owner)
{
    atomic_store_explicit(&s->class, class, memory_order_relaxed);
    s->owner = owner;
}

struct slot_ref slot_name(const struct slot *s)
{
    return (struct slot_ref){ .slot = (struct slot *)s,
                              .generation = word_generation(word_load(s, DIR_IN)) };
}

/* --- idle --- */

/* A strand that watches: who sets HUP or ERR either does so before the flags that the strand looks
 * at before it waits, or finds the watch. Both sides store their own word and then load the
 * other's, with a full barrier between. As of deadlines (timer.c) a strand watches for each
 * request, and few hang up amid one: so, where the kernel can do it, who reports that has the
 * barrier made in all threads, and who watches has none but the compiler's. */
static void set_watch(struct slot *s, strand_ref watcher)
{
    if (unlikely(!rt.barriers)) {
        atomic_store(&s->watch, watcher);
        return;
    }
    atomic_store_explicit(&s->watch, watcher, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

void slot_watch(struct slot *s)
{
    ensure(slot_class_of(s)->watched);
    set_watch(s, strand_self());
}

bool slot_arm(struct slot *s, int64_t until)
{
    uint64_t watch = atomic_load_explicit(&s->watch, memory_order_relaxed), w, seen;

    atomic_store_explicit(&s->watch, 0, memory_order_relaxed); /* before it is anybody's */
    if (until != TIMER_NONE)
        lazy_set(&s->timer, until, s->home);
    w = word_load(s, DIR_IN);
    do {
        seen = word_unspent(s, DIR_IN, w);
        if (slot_flags(seen) & SLOT_ANY) {
            lazy_clear(&s->timer);
            set_watch(s, watch); /* the strand goes on */
            return false;
        }
        ensure(word_waiter(seen) == 0);
    } while (!word_swap_own(s, DIR_IN, &w, (seen + SLOT_SEQ) | SLOT_START));
    return true;
}

/* START -> 0 on a word that has not changed since `w` was loaded. */
static bool win(struct slot *s, uint64_t w)
{
    if (word_waiter(w) != SLOT_START ||
        !word_swap(s, DIR_IN, &w, (w & ~(uint64_t)SLOT_WAITER) + SLOT_SEQ))
        return false;
    return true;
}

bool slot_take(struct slot_ref ref)
{
    uint64_t w = word_load(ref.slot, DIR_IN);

    /* a freshly loaded word is not enough: the slot may be another connection by now (D6) */
    if (word_generation(w) != ref.generation || !win(ref.slot, w))
        return false;
    lazy_clear(&ref.slot->timer);
    return true;
}

enum lazy_outcome slot_expired(struct slot *s, int64_t now, int64_t *deadline)
{
    uint64_t w = word_load(
        s, DIR_IN); /* before the deadline: an unchanged word means an unchanged deadline (D6b) */

    *deadline = atomic_load(&s->timer.t.deadline);
    if (*deadline > now)
        return LAZY_AGAIN;
    if (!win(s, w))
        return LAZY_LATER; /* being armed or taken: the deadline will start to count, or go */
    lazy_clear(&s->timer);
    return LAZY_WON;
}

void slot_take_all(const struct slot_class *class,
                   void (*fn)(struct slot *, void *owner, void *arg), void *arg)
{
    uint32_t made = atomic_load_explicit(&rt.slots.made, memory_order_acquire);

    for (uint32_t i = 0; i < made; i++) {
        struct slot *s = slab_at(&rt.slots, i);
        uint64_t w = word_load(s, DIR_IN);

        /* the class is constant while the word says START, and a change of the word fails the
         * swap */
        if (word_waiter(w) == SLOT_START && slot_class_of(s) == class && win(s, w)) {
            lazy_clear(&s->timer);
            fn(s, s->owner, arg);
        }
    }
}

/* --- events --- */

/* The flags are in the word. A single worker polls where it runs the strand. */
static void tell_watcher(struct slot *s)
{
    strand_ref watcher;

    if (!slot_class_of(s)->watched)
        return;
    if (rt.barriers && rt.count > 1)
        sys_barrier();
    watcher = atomic_load(&s->watch);
    if (watcher != 0)
        strand_notify(watcher);
}

/* What the poller saw for one direction. */
static void note(struct slot *s, enum dir d, uint32_t generation, unsigned flags)
{
    uint64_t w = word_load(s, d), new;

    do {
        if (word_generation(w) != generation)
            return; /* of a connection that is no more */
        new = ((w + SLOT_SEQ) | (uint64_t)flags << SLOT_FLAG_SHIFT) & ~(uint64_t)SLOT_WAITER;
    } while (!word_swap(s, d, &w, new));

    if (word_waiter(w) == SLOT_START) {
        slot_class_of(s)->ready(s, s->owner);
        return;
    }
    if (word_waiter(w) != 0) {
        /* after the swap: read before it, the number may be that of an earlier wait (D3) */
        uint64_t number = atomic_load_explicit(&s->number[d], memory_order_acquire);

        co_wake(slab_at(&rt.cos, word_waiter(w) - 1), number, WAKE_IO);
    }
    if (d == DIR_IN && flags & (SLOT_HUP | SLOT_ERR))
        tell_watcher(s);
}

/* A function of its own, as its locks are those of requests: bench/locked.py. */
__attribute__((noinline)) void slot_event(uint64_t data, uint32_t mask)
{
    struct slot *s = slab_at(&rt.slots, (uint32_t)data);
    uint32_t generation = (uint32_t)(data >> 32) & SLOT_GEN_MASK;
    unsigned both = 0, in, out;

    if (likely(mask == EPOLLIN)) {
        note(s, DIR_IN, generation, SLOT_READY);
        return;
    }
    if (mask & EPOLLERR)
        both |= SLOT_ERR;
    if (mask & EPOLLHUP)
        both |= SLOT_HUP;
    in = both | (mask & EPOLLIN ? SLOT_READY : 0) | (mask & EPOLLRDHUP ? SLOT_HUP : 0);
    out = both | (mask & EPOLLOUT ? SLOT_READY : 0);
    if (out != 0) /* first: what `in` starts may close the slot */
        note(s, DIR_OUT, generation, out);
    if (in != 0)
        note(s, DIR_IN, generation, in);
}

/* --- starting what an idle slot was waiting for --- */

static void starve(struct slot *s)
{
    spin_lock(&rt.starved_lock);
    s->item.next = NULL;
    *rt.starved_end = s;
    rt.starved_end = (struct slot **)&s->item.next;
    atomic_fetch_add_explicit(&rt.starved_count, 1, memory_order_relaxed);
    rt.starved_total++;
    spin_unlock(&rt.starved_lock);
}

void slot_start_strand(struct slot *s, void (*fn)(void *))
{
    int64_t deadline = atomic_load_explicit(&s->timer.t.deadline, memory_order_relaxed);

    lazy_clear(&s->timer); /* before the strand may run elsewhere, and arm it again */
    if (unlikely(strand_start(fn, s->owner) < 0)) {
        atomic_store(&s->timer.t.deadline, deadline);
        starve(s);
    }
}

static struct slot *next_starved(void)
{
    struct slot *s;

    spin_lock(&rt.starved_lock);
    s = rt.starved;
    if (s != NULL) {
        rt.starved = (struct slot *)s->item.next;
        if (rt.starved == NULL)
            rt.starved_end = &rt.starved;
        atomic_fetch_sub_explicit(&rt.starved_count, 1, memory_order_relaxed);
    }
    spin_unlock(&rt.starved_lock);
    return s;
}

/* Each that waits gets one more try, or its idle deadline has come. */
void slots_starved(int64_t now)
{
    unsigned n = atomic_load_explicit(&rt.starved_count, memory_order_relaxed);
    struct slot *s;

    while (n-- > 0 && (s = next_starved()) != NULL) {
        if (atomic_load(&s->timer.t.deadline) > now)
            slot_class_of(s)->ready(s, s->owner);
        else
            slot_class_of(s)->expire(s, s->owner);
    }
}
