/* slot.h -- a descriptor as the runtime sees it: readiness remembered in one atomic word for each
 * direction.
 *
 * RUNTIME.md R2. A descriptor is registered once, edge-triggered, in the epoll of one worker, under
 * (slot index, generation). Slots are type-stable: an old handle never reads foreign memory, and
 * its generation tells that the slot is another connection by now.
 *
 * A slot is *owned*: by a strand, or, while idle, by nobody. Going idle (slot_arm) publishes
 * everything; the event, the timeout, a taker from the pool and a shutdown then compete for it by
 * one compare-and-swap, and the winner owns it. */
#ifndef RUNTIME_SLOT_H
#define RUNTIME_SLOT_H

#include "runtime/co.h"

enum dir { DIR_IN, DIR_OUT };

enum {
    SLOT_READY = 1, /* bytes, room, or a connection to accept */
    SLOT_HUP = 2,   /* RDHUP or HUP: sticky */
    SLOT_ERR = 4,   /* sticky */
    SLOT_CLOSED = 8,
};

struct slot;

/* What happens to an idle slot of this kind. Both are called by the winner on the worker's stack,
 * own the slot, and must not block. */
struct slot_class {
    const char *name;
    void (*ready)(struct slot *slot, void *owner);  /* readable, closed or broken while idle */
    void (*expire)(struct slot *slot, void *owner); /* idle deadline reached */
    bool watched; /* may be slot_watch'ed; from slot_new on, or not at all */
};

/* A slot by name, to take it while it is idle. */
struct slot_ref {
    struct slot *slot;
    uint32_t generation;
};

/* Makes a slot for `fd` (which it owns from here on, also on failure). Not registered yet. NULL
 * without memory. */
struct slot *slot_new(int fd, const struct slot_class *class, void *owner);

/* Registers it (EPOLL_CTL_ADD) with worker `id` (UINT_MAX: this one). Events are remembered from
 * here on, and there is room to write; the slot is still owned, and may be armed next. 0 or
 * WEIR_ENOMEM. */
int slot_register(struct slot *s, unsigned id);

/* The same for a socket after connect(), with this worker: DIR_OUT tells when that is decided.
 * slot_connected: it was, and well. */
int slot_register_connecting(struct slot *s);
void slot_connected(struct slot *s);

/* Ends it: descriptor closed, events and contenders see another generation. Owner only; nobody may
 * wait on it. Clears `*s`. */
void slot_close(struct slot **s);

int slot_fd(const struct slot *s);
unsigned slot_home(const struct slot *s); /* the worker whose epoll has it */
void *slot_owner(const struct slot *s);
void slot_set_owner(struct slot *s, const struct slot_class *class, void *owner);
struct slot_ref slot_name(const struct slot *s);

/* Going idle until `until` (ns; INT64_MAX: for ever): gives the slot up. All state must be
 * published before. true: done, do not touch it any more. false: something happened already
 * (readable, hung up): it is still yours, go on with it. */
bool slot_arm(struct slot *s, int64_t until);

/* Takes an idle slot: true if this caller won and owns it now. `clean`: only if nothing has
 * happened on it. */
bool slot_take(struct slot_ref ref);

/* Calls fn(slot, owner, arg) for each idle slot of the class that it wins (shutdown); from any
 * worker's stack. */
void slot_take_all(const struct slot_class *class,
                   void (*fn)(struct slot *, void *owner, void *arg), void *arg);

/* Starts a strand for a slot that was just won (slot_class.ready): fn(owner) is its first
 * coroutine. Without a stack the slot waits its turn in the starved queue, under its idle deadline
 * (then `expire`). */
void slot_start_strand(struct slot *s, void (*fn)(void *));

/* When this slot hangs up or breaks, the strand gets a notice (strand_on_notice), unless it did so
 * before: look at its flags afterwards. Cleared by slot_arm, if it gives the slot up, and
 * slot_close. Its class says `watched`. */
void slot_watch(struct slot *s);

/* I/O calls (net/stream.c): load the word; without READY, HUP or ERR wait; do the call; on EAGAIN
 * or a short transfer clear by compare-and-swap.
 *
 *     for (;;) {
 *         uint64_t w = slot_load(s, DIR_IN);
 *         if (!(slot_flags(w) & (SLOT_READY | SLOT_HUP | SLOT_ERR))) {
 *             TRY(slot_wait(s, DIR_IN, until));
 *             continue;
 *         }
 *         n = sys_recv(...);
 *         if (n == -EAGAIN) { slot_drained(s, DIR_IN, w, true); continue; }
 *         if (n < wanted) slot_drained(s, DIR_IN, w, false);
 *         return n;
 *     } */
uint64_t slot_load(const struct slot *s, enum dir d);
static inline unsigned slot_flags(uint64_t word)
{
    return (unsigned)(word >> 24) & 15;
}

/* `eagain`: the kernel said so (clears READY, HUP and ERR: a true HUP never gives EAGAIN); else a
 * short transfer (clears READY, unless HUP or ERR is set). A newer event since `word` was loaded is
 * kept. */
void slot_drained(struct slot *s, enum dir d, uint64_t word, bool eagain);

/* Blocks until something happened on this direction (it may have been spurious: look again), the
 * deadline (its err), or cancelling (WEIR_ECANCELED); WEIR_ENOMEM. One waiter a direction. */
int slot_wait(struct slot *s, enum dir d, struct deadline until);

/* Listeners: level-triggered, EPOLLEXCLUSIVE, in every worker's epoll; `ready` is called for each
 * event and owns nothing. */
struct listener_slot;
struct listener_slot *listener_new(int fd, void (*ready)(int fd, void *owner), void *owner);
int listener_pause(struct listener_slot *l);  /* out of the epolls; from any thread */
int listener_resume(struct listener_slot *l); /* back into them */
/* Out of the epolls, then closed, once no worker can be inside `ready`. Clears `*l`. */
void listener_close(struct listener_slot **l);

#endif
