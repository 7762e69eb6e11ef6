/* slot.c -- readiness words: one for each direction of a descriptor (RUNTIME.md R2).
 *
 * Everything an event, a reader, a timeout or a taker decides is one compare-and-swap on a word
 * that also holds the generation and a sequence number, so a decision that rests on something old
 * fails. The counterexamples that this order of steps prevents (D1 to D17) are in
 * tests/unit/test_rt_schedule_*.c. */
#include <limits.h>

#include "base/inject.h"
#include "runtime/sys.h"
#include "runtime/worker.h"

static uint64_t load(const struct slot *s, enum dir d)
{
    return atomic_load_explicit(&s->word[d], memory_order_acquire);
}

/* What the owner sees: READY of a word that a read has used up (slot_drained) is none. */
static uint64_t unspent(const struct slot *s, enum dir d, uint64_t w)
{
    return d == DIR_IN && w == s->spent ? w & ~((uint64_t)SLOT_READY << SLOT_FLAG_SHIFT) : w;
}

/* A failed one reloads `*w`. */
static bool cas(struct slot *s, enum dir d, uint64_t *w, uint64_t new)
{
    return atomic_compare_exchange_strong_explicit(&s->word[d], w, new, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* The same for the owner of a slot where nobody waits: then only events contend for its word. They
 * are reported by its own worker, amid its own poll, or by another one under the lease of that
 * epoll, which is seldom (watch.c). So on the worker whose epoll it is, outside its poll, a plain
 * store does, if the other is kept out meanwhile. Both sides store their own word (`changing`, the
 * lease) and then load the other's, with a full barrier between: the other has it made in all
 * threads (as in timer.c), and waits until nothing is being changed; here it is the compiler's. Who
 * finds the lease free again has read what its last holder released, and so the words as that one
 * left them. */
static bool cas_owner(struct slot *s, enum dir d, uint64_t *w, uint64_t new)
{
    struct worker *home = worker_self();
    uint64_t seen;

    if (unlikely(!rt.barriers || home == NULL || home->id != s->home))
        return cas(s, d, w, new);
    atomic_store_explicit(&home->changing, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(&home->lease.word, memory_order_acquire) != 0)) {
        atomic_store_explicit(&home->changing, false, memory_order_relaxed);
        return cas(s, d, w, new);
    }
    seen = load(s, d);
    if (likely(seen == *w))
        atomic_store_explicit(&s->word[d], new, memory_order_release);
    atomic_store_explicit(&home->changing, false, memory_order_release);
    if (seen == *w)
        return true;
    *w = seen;
    return false;
}

static uint32_t generation_in(uint64_t w)
{
    return (uint32_t)(w >> SLOT_GEN_SHIFT) & SLOT_GEN_MASK;
}

static uint32_t waiter_in(uint64_t w)
{
    return (uint32_t)(w & SLOT_WAITER);
}

static uint64_t fresh_word(uint32_t generation)
{
    return (uint64_t)generation << SLOT_GEN_SHIFT;
}

static const struct slot_class *class_of(const struct slot *s)
{
    return atomic_load_explicit(&s->class, memory_order_relaxed);
}

enum { SLOT_ANY = SLOT_READY | SLOT_HUP | SLOT_ERR | SLOT_CLOSED };

/* Generation 0 is nobody's: so zeros as a word are dropped by every event and won by nobody. */
static void init(void *object, uint64_t floor)
{
    struct slot *s = object;
    uint32_t generation = (uint32_t)MAX(floor, 1);

    for (int d = DIR_IN; d <= DIR_OUT; d++)
        atomic_store_explicit(
            &s->word[d], fresh_word(generation) | (uint64_t)SLOT_CLOSED << SLOT_FLAG_SHIFT,
            memory_order_relaxed);
    lazy_init(&s->timer, LAZY_SLOT);
    s->spent = 0;
    s->fd = -1;
}

static uint64_t retire(void *object)
{
    struct slot *s = object;

    lazy_forget(&s->timer);
    return generation_in(load(s, DIR_IN));
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
    generation = generation_in(load(s, DIR_IN));
    s->fd = fd;
    atomic_store_explicit(&s->class, class, memory_order_relaxed);
    s->owner = owner;
    s->home = NO_HOME;
    s->spent = 0;
    atomic_store_explicit(&s->watch, 0, memory_order_relaxed);
    lazy_clear(&s->timer);
    for (int d = DIR_IN; d <= DIR_OUT; d++) /* before EPOLL_CTL_ADD (D12) */
        atomic_store_explicit(&s->word[d], fresh_word(generation), memory_order_release);
    return s;
}

/* What its epoll reports from now on: room to write only if `room`. A change reports once more what
 * there is already. */
static int ask(struct slot *s, int op, bool room)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (room ? EPOLLOUT : 0),
        .data.u64 = (uint64_t)EVENT_SLOT << EVENT_KIND_SHIFT |
                    (uint64_t)generation_in(load(s, DIR_IN)) << 32 | s->item.index,
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
    atomic_store_explicit(&s->word[DIR_OUT], load(s, DIR_OUT) | ready, memory_order_release);
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

void slot_close(struct slot **slot)
{
    struct slot *s = *slot;
    uint32_t generation = (generation_in(load(s, DIR_IN)) + 1) & SLOT_GEN_MASK;

    *slot = NULL;
    lazy_clear(&s->timer);
    atomic_store_explicit(&s->watch, 0, memory_order_relaxed);
    for (int d = DIR_IN; d <= DIR_OUT; d++) {
        uint64_t old = atomic_exchange_explicit(
            &s->word[d], fresh_word(generation) | (uint64_t)SLOT_CLOSED << SLOT_FLAG_SHIFT,
            memory_order_acq_rel);

        ensure(waiter_in(old) == 0);
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
                              .generation = generation_in(load(s, DIR_IN)) };
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
    ensure(class_of(s)->watched);
    set_watch(s, strand_self());
}

bool slot_arm(struct slot *s, int64_t until)
{
    uint64_t watch = atomic_load_explicit(&s->watch, memory_order_relaxed), w, seen;

    atomic_store_explicit(&s->watch, 0, memory_order_relaxed); /* before it is anybody's */
    if (until != TIMER_NONE)
        lazy_set(&s->timer, until, s->home);
    w = load(s, DIR_IN);
    do {
        seen = unspent(s, DIR_IN, w);
        if (slot_flags(seen) & SLOT_ANY) {
            lazy_clear(&s->timer);
            set_watch(s, watch); /* the strand goes on */
            return false;
        }
        ensure(waiter_in(seen) == 0);
    } while (!cas_owner(s, DIR_IN, &w, (seen + SLOT_SEQ) | SLOT_START));
    return true;
}

/* START -> 0 on a word that has not changed since `w` was loaded. */
static bool win(struct slot *s, uint64_t w)
{
    if (waiter_in(w) != SLOT_START || !cas(s, DIR_IN, &w, (w & ~(uint64_t)SLOT_WAITER) + SLOT_SEQ))
        return false;
    return true;
}

bool slot_take(struct slot_ref ref)
{
    uint64_t w = load(ref.slot, DIR_IN);

    /* a freshly loaded word is not enough: the slot may be another connection by now (D6) */
    if (generation_in(w) != ref.generation || !win(ref.slot, w))
        return false;
    lazy_clear(&ref.slot->timer);
    return true;
}

enum lazy_outcome slot_expired(struct slot *s, int64_t now, int64_t *deadline)
{
    uint64_t w = load(
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
        uint64_t w = load(s, DIR_IN);

        /* the class is constant while the word says START, and a change of the word fails the
         * swap */
        if (waiter_in(w) == SLOT_START && class_of(s) == class && win(s, w)) {
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

    if (!class_of(s)->watched)
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
    uint64_t w = load(s, d), new;

    do {
        if (generation_in(w) != generation)
            return; /* of a connection that is no more */
        new = ((w + SLOT_SEQ) | (uint64_t)flags << SLOT_FLAG_SHIFT) & ~(uint64_t)SLOT_WAITER;
    } while (!cas(s, d, &w, new));

    if (waiter_in(w) == SLOT_START) {
        class_of(s)->ready(s, s->owner);
        return;
    }
    if (waiter_in(w) != 0) {
        /* after the swap: read before it, the number may be that of an earlier wait (D3) */
        uint64_t number = atomic_load_explicit(&s->number[d], memory_order_acquire);

        co_wake(slab_at(&rt.cos, waiter_in(w) - 1), number, WAKE_IO);
    }
    if (d == DIR_IN && flags & (SLOT_HUP | SLOT_ERR))
        tell_watcher(s);
}

void slot_event(uint64_t data, uint32_t mask)
{
    struct slot *s = slab_at(&rt.slots, (uint32_t)data);
    uint32_t generation = (uint32_t)(data >> 32) & SLOT_GEN_MASK;
    unsigned both = 0, in, out;

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

/* --- waiting --- */

/* READY that a read has used up is not taken out of the word at once: the word as it was is kept in
 * `spent`, and as long as the two are equal its READY is void. The compare-and-swap that waits or
 * goes idle takes it out. An event meanwhile makes it another word, and so READY counts again. Only
 * the owner looks at `spent`: what others decide does not rest on READY. A word that a swap has
 * replaced never comes back but after 65,536 changes (docs/runtime.md). */

uint64_t slot_load(const struct slot *s, enum dir d)
{
    return unspent(s, d, load(s, d));
}

void slot_drained(struct slot *s, enum dir d, uint64_t w, bool eagain)
{
    const uint64_t flags = SLOT_READY | SLOT_HUP | SLOT_ERR;
    bool broken = slot_flags(w) & (SLOT_HUP | SLOT_ERR);

    if (!(slot_flags(w) & flags) || (!eagain && (broken || inject_on())))
        return; /* a FIN came with the data, and gives no edge of its own (B1) */
    if (d == DIR_IN && !broken)
        s->spent = w;
    else /* a true HUP never gives EAGAIN */
        cas(s, d, &w, w & ~(flags << SLOT_FLAG_SHIFT)); /* failed: a new edge, which stays */
}

/* Publishes the waiter, unless something has happened. */
static bool publish(struct slot *s, enum dir d, uint32_t waiter)
{
    uint64_t w = load(s, d), seen;

    do {
        seen = unspent(s, d, w);
        if (slot_flags(seen) & SLOT_ANY)
            return false;
        ensure(waiter_in(seen) == 0);
    } while (!cas_owner(s, d, &w, (seen + SLOT_SEQ) | waiter));
    return true;
}

/* Takes the waiter back, if it is still there. */
static void withdraw(struct slot *s, enum dir d, uint32_t waiter)
{
    uint64_t w = load(s, d);

    while (waiter_in(w) == waiter && !cas(s, d, &w, w & ~(uint64_t)SLOT_WAITER))
        ;
}

static enum wait_reason park_on(struct co *c, struct slot *s, enum dir d, int64_t until)
{
    uint32_t waiter = c->item.index + 1;
    uint64_t number = co_park_begin(c);
    enum wait_reason reason;

    atomic_store_explicit(&s->number[d], number, memory_order_release);
    if (until != INT64_MAX)
        lazy_set(&c->timer, until, rt_worker_id());
    if (!publish(s, d, waiter) && co_park_leave(c, number))
        reason = WAKE_IO;
    else
        reason =
            co_park(c); /* also when a waker won before we could leave: its entry resumes us (D1) */
    lazy_clear(&c->timer);
    /* Also after an event: it may have been that of an earlier park, which took that waiter out of
     * the word and then read the number of this park (D3). */
    withdraw(s, d, waiter);
    return reason;
}

int slot_wait(struct slot *s, enum dir d, struct deadline until)
{
    struct co *c = co_self();
    uint8_t bit = (uint8_t)(1 << d);
    enum wait_reason reason;

    if (slot_flags(slot_load(s, d)) & SLOT_ANY)
        return 0;
    if (co_canceled(c))
        return WEIR_ECANCELED;
    if (until.at <= rt_now())
        return until.err;
    if (d == DIR_OUT && !s->asks_room)
        TRY(ask(s, EPOLL_CTL_MOD, true));
    ensure(!(s->timer.waiting & bit)); /* one logical waiter a direction (D3b) */
    s->timer.waiting |= bit;
    reason = park_on(c, s, d, until.at);
    s->timer.waiting &= (uint8_t)~bit;
    if (slot_flags(slot_load(s, d)) & SLOT_ANY)
        return co_canceled(c) ? WEIR_ECANCELED : 0;
    if (co_canceled(c))
        return WEIR_ECANCELED;
    return reason == WAKE_TIMEOUT && until.at <= rt_now() ? until.err : 0;
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
            class_of(s)->ready(s, s->owner);
        else
            class_of(s)->expire(s, s->owner);
    }
}
