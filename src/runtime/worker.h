/* worker.h -- the inside of the runtime: what workers, strands, coroutines and slots are made of.
 * RUNTIME.md R1 says who may touch what; the fields below are grouped by it. */
#ifndef RUNTIME_WORKER_H
#define RUNTIME_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "runtime/buf_pool.h"
#include "runtime/co.h"
#include "runtime/fiber.h"
#include "runtime/runtime.h"
#include "runtime/slab.h"
#include "runtime/slot.h"
#include "runtime/stack.h"
#include "runtime/wheel.h"

/* --- coroutines (R3) --- */

/* The wait word: number (48 bits, never repeats, never reset) | state | reason. */
enum wait_state { WAIT_RUN, WAIT_WAITING, WAIT_WOKEN };
enum wait_reason { WAKE_IO, WAKE_TIMEOUT, WAKE_CANCEL, WAKE_OTHER };

#define WAIT_WORD(number, state, reason) \
    ((number) << 8 | (uint64_t)(state) << 4 | (uint64_t)(reason))
#define WAIT_NUMBER(word) ((word) >> 8)
#define WAIT_STATE(word)  ((enum wait_state)((word) >> 4 & 15))
#define WAIT_REASON(word) ((enum wait_reason)((word)&15))

/* A timer that its owner moves without touching the wheel (wheel.h, RUNTIME.md S9). */
enum lazy_kind { LAZY_CO, LAZY_SLOT };
enum lazy_outcome { LAZY_DROP, LAZY_AGAIN, LAZY_LATER, LAZY_WON };
struct lazy {
    struct timer t;
    uint16_t home; /* whose wheel has it, while it is in one */
    uint8_t kind;
    uint8_t waiting; /* slots: directions with a logical waiter, for the assertion (D3b) */
};

struct co {
    _Alignas(64) struct slab_item item;
    _Atomic uint64_t wait;
    struct co *next; /* in its strand's list */
    struct strand *strand;
    struct fiber fiber;
    struct stack *stack;
    void (*fn)(void *);
    void *arg;
    struct scope *scope; /* innermost one that it opened, or was started into */
    struct task *task;   /* NULL: the first coroutine of its strand */
    unsigned mask;       /* > 0: blocking calls ignore cancelling */
    bool canceled;       /* task_cancel */
    bool ended;
    const char *who, *what;
    struct lazy timer;
};

static_assert((int)REQUEST_ROOM == (int)STACK_ROOM, "what is promised is there");

/* --- strands (R4) --- */

/* The word of a strand: 0, or PENDING and what came since it was queued: NEWS (look at what was
 * posted), and the list of coroutines that became ready (pointers are aligned). */
#define STRAND_PENDING ((uintptr_t)1)
#define STRAND_NEWS    ((uintptr_t)2)
#define STRAND_BITS    ((uintptr_t)15)

struct strand {
    _Alignas(64) struct slab_item item;
    _Atomic uintptr_t word;      /* never stored at reuse (D5) */
    _Atomic uint32_t generation; /* odd: in use */
    _Atomic uint64_t cancel_req; /* generation << 32 | cause */
    _Atomic uint32_t notice;     /* generation of the strand it is for; 0: none */
    struct strand *next;         /* in a run queue, under its lock */
    int64_t ready_at;            /* the same */

    struct co *first, *last; /* ready, in order; of who set PENDING, then of who runs it */
    uint64_t spent;          /* of what a run may take, co_spend; runner only, as the next */
    unsigned live;           /* coroutines */
    bool yielded;            /* the others of its worker come first */
    bool cancels;            /* a task or a scope with tasks was cancelled: co_canceled looks */
    int (*on_notice)(void *);
    void *notice_arg;
    struct scope root;
};

/* --- slots (R2) --- */

/* seq 16 | generation 20 | flags 4 | waiter 24 */
#define SLOT_SEQ        ((uint64_t)1 << 48)
#define SLOT_GEN_SHIFT  28
#define SLOT_GEN_MASK   0xfffffu
#define SLOT_FLAG_SHIFT 24
#define SLOT_WAITER     0xffffffu
#define SLOT_START      0xffffffu /* nobody waits: start something */

struct slot {
    _Alignas(64) struct slab_item item;
    _Atomic uint64_t word[2];
    _Atomic uint64_t number[2]; /* of the waiter beside it */
    struct lazy timer;          /* idle deadline */
    _Atomic(const struct slot_class *) class;
    void *owner;
    _Atomic uint64_t watch; /* strand_ref to be told of hang-ups, 0: none */
    uint64_t spent;         /* owner: a word of DIR_IN whose READY has been used up; 0: none */
    int fd;
    uint16_t home;  /* whose epoll has it; NO_HOME: none yet */
    bool asks_room; /* which reports EPOLLOUT */
};

static_assert(sizeof(struct slot) == 128, "two cache lines");

enum { NO_HOME = UINT16_MAX };

/* --- workers --- */

struct post {
    struct post *next;
    void (*fn)(void *);
    void *arg;
    bool kept; /* its memory is somebody's */
};

struct run_queue {
    struct spin lock;
    struct strand *first, *last;
    _Atomic unsigned count;
};

struct worker {
    /* others may touch */
    struct run_queue queue;
    struct spin inbox_lock;
    struct post *inbox, **inbox_end;
    _Atomic bool has_post;
    struct spin wheel_lock;
    struct wheel wheel;
    _Atomic int sleeping;
    struct spin lease;          /* the right to poll `epoll` */
    _Atomic int64_t turn_start; /* so that others see that it is stuck: watch.c */
    _Atomic int64_t active_at;  /* the last turn in which it had a strand to run */
    _Atomic int64_t event_at;   /* the last turn in which something came */
    _Atomic bool watching;      /* one of rt.watchers */

    /* its own */
    _Alignas(64) unsigned id;
    int epoll, wake_fd;
    pthread_t thread;
    int64_t now;
    int64_t trim_at;    /* when it gives memory back next: trim.c */
    struct fiber fiber; /* of the thread: the scheduler */
    struct co *current;
    struct strand *running;
    void (*call)(void *); /* to be run on this stack for the current coroutine */
    void *call_arg;
    struct strand *batch, **batch_end; /* made ready by the events being handled */
    bool batching;
    unsigned batch_count;
    int64_t looked; /* after the others */
    bool slept;     /* before this turn */
    _Atomic bool changing; /* a slot's word, by a plain store: slot_word.h; others read it */
    struct stack_magazine stacks;
    struct buf_magazine bufs;
    struct slab_magazine cos, strand_items, slots;
    void *locals[RT_LOCAL_COUNT];
    void *signal_stack;
    _Atomic uint64_t turns, runs, stolen, wakeups;
};

/* What was given back, and what may be (trim.c). */
struct trim {
    struct spin lock; /* guards the rest */
    int64_t tick_at;
    int64_t all_at;               /* the last event before everything was given back */
    uint32_t most, least, before; /* slots in use: since then, and at the last tick */
};

struct runtime {
    struct worker **workers;
    unsigned count;
    bool no_steal;
    bool barriers; /* there are sys_barrier's: timer.c */
    _Atomic bool stopping, exiting;
    _Atomic unsigned searching; /* id + 1 of the worker that was woken to steal; 0: none */
    _Atomic unsigned watchers;
    struct slab cos, strands, slots;
    struct spin starved_lock;
    struct slot *starved, **starved_end; /* linked by item.next */
    _Atomic unsigned starved_count;
    uint64_t starved_total;
    struct start *late, **late_end; /* strands that other threads wait for; worker 0 only */
    _Atomic unsigned late_count;
    struct trim trim;
};

extern struct runtime rt;

/* worker.c. The worker of this thread, NULL elsewhere. Never kept over a call that may park: the
 * address of a thread-local may be cached by the compiler, this call may not (RUNTIME.md B4). */
struct worker *worker_self(void);
void worker_queue(struct worker *w, struct strand *st); /* any thread */
bool worker_wake(struct worker *w);                     /* false: it did not sleep */

/* rt_post with memory of the caller's, free again once fn runs: cannot fail. */
void worker_post(struct worker *w, struct post *p, void (*fn)(void *), void *arg);
void *worker_main(void *worker);

/* The part of worker.c that others may do for a stuck worker: all its events become flags and ready
 * strands of the caller, which is amid its own batch. */
void worker_handle(struct worker *w, struct epoll_event *events, int n);

/* watch.c. How long `w` may sleep if it would sleep for `span`; it sleeps no more; it has strands
 * to run; and it looks after stuck workers, amid its batch. */
int64_t watch_sleep(struct worker *w, int64_t span, int64_t now);
void watch_wake(struct worker *w);
void watch_run(struct worker *w);
void watch_others(struct worker *w, struct epoll_event *events, int max);

/* The lease of another worker, to poll its epoll and to report what that says (spin_unlock gives it
 * back). false: not now. */
bool watch_lease(struct worker *other);

/* Of a worker's thread only: NULL on its own stack. The same is true of it. */
struct co *co_self(void);

/* co.c */
extern const struct slab_type co_type;
struct co *co_make(struct worker *w, struct strand *st, void (*fn)(void *), void *arg, int *err);
void co_run(struct worker *w, struct co *c); /* until it parks or ends */
uint64_t co_park_begin(struct co *c);
bool co_park_leave(struct co *c, uint64_t number); /* false: a waker has won; switch */
enum wait_reason co_park(struct co *c);            /* switches away */
bool co_wake(struct co *c, uint64_t number, enum wait_reason reason);
bool co_canceled(const struct co *c);

/* strand.c */
extern const struct slab_type strand_type;
void strand_push(struct strand *st, struct co *c); /* c is ready; any thread */
void strand_add(struct strand *st, struct co *c);  /* the same, by a coroutine of this strand */
void strand_run(struct worker *w, struct strand *st);
void strand_notify(strand_ref ref);                        /* its slot hung up */
int strand_start_elsewhere(void (*fn)(void *), void *arg); /* not on a worker */

/* timer.c */
void lazy_init(struct lazy *l, enum lazy_kind kind);
void lazy_set(struct lazy *l, int64_t at, unsigned home); /* home: if it is in no wheel */
static inline void lazy_clear(struct lazy *l)
{
    atomic_store_explicit(&l->t.deadline, TIMER_NONE, memory_order_relaxed);
}
void lazy_forget(struct lazy *l); /* out of the wheel; its user is gone */

/* Deals with what is due in its wheel, on any worker: with about as many entries as the `events`
 * that came in this turn, and with a few if there were none. */
void timers_expire(struct worker *w, int64_t now, int events);

/* slot.c */
extern const struct slab_type slot_type;
void slot_event(uint64_t data, uint32_t mask);
enum lazy_outcome slot_expired(struct slot *s, int64_t now, int64_t *deadline);
void slots_starved(int64_t now); /* tries again */

/* trim.c: once a turn; `active`: something came in it */
void trim_turn(struct worker *w, bool active);

/* runtime.c */
void worker_stopping(struct worker *w);
void starts_late(void); /* tries again, on worker 0 */

/* listener.c */
void listener_event(uint32_t index);

/* blocking.c */
int blocking_start(unsigned threads);
void blocking_stop(void);

/* What epoll hands back: a slot (index, generation), a listener, or the worker's own eventfd. */
#define EVENT_KIND_SHIFT 60
enum event_kind { EVENT_SLOT, EVENT_LISTENER, EVENT_WAKE };

#endif
