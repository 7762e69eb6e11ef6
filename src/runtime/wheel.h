/* wheel.h -- a hierarchical timer wheel (Varghese and Lauck 1987) with ticks of a millisecond: 5
 * levels of 64 slots, some 12 days, everything O(1).
 *
 * Timers are lazy (RUNTIME.md S9): the wheel knows an *entry* time, the user stores a *deadline*;
 * while deadlines only move later nobody touches the wheel. Callers hold the wheel's lock, but for
 * wheel_earliest. A timer never expires before its entry, and less than a tick after it. */
#ifndef RUNTIME_WHEEL_H
#define RUNTIME_WHEEL_H

#include <stdatomic.h>

#include "base/list.h"

#define TIMER_NONE INT64_MAX

enum { WHEEL_LEVELS = 5, WHEEL_SLOTS = 64 };

struct timer {
    struct link link;
    _Atomic int64_t deadline; /* what the user wants: ns, TIMER_NONE: nothing */
    _Atomic int64_t entry;    /* when the wheel will look at it: ns, TIMER_NONE: not in the wheel */
};

struct wheel {
    int64_t tick;                    /* ms up to which everything has expired */
    uint64_t occupied[WHEEL_LEVELS]; /* bit: the slot is not empty */
    struct link slots[WHEEL_LEVELS][WHEEL_SLOTS];
    _Atomic int64_t earliest; /* ns: see wheel_earliest */
};

void wheel_init(struct wheel *w, int64_t now);
void timer_init(struct timer *t);

/* Puts `t`, which is in no wheel, in at `at` (ns; the past: expires with the next tick), and
 * stores t->entry (seq_cst). Beyond the horizon: into the last slot, looked at earlier than asked,
 * which lazy timers allow. */
void wheel_insert(struct wheel *w, struct timer *t, int64_t at);

/* Takes it out, entry = TIMER_NONE; also out of the list of wheel_advance, or out of nothing. */
void wheel_remove(struct wheel *w, struct timer *t);

/* Moves entries of up to `now`, at most so many, to the end of `expired` (a list head), with entry
 * = TIMER_NONE, in the order of their ticks. If there are more, wheel_earliest is not later than
 * `now`. */
void wheel_advance(struct wheel *w, int64_t now, struct link *expired, unsigned most);

/* When wheel_advance has something to do next, ns: sleep until then, and each call makes progress.
 * It is a whole tick, so less than one after the first entry, or earlier than that, where timers
 * far away only move closer. Without a lock. TIMER_NONE: empty. */
int64_t wheel_earliest(const struct wheel *w);

#endif
