/* fiber.h -- a stack and the place where it stopped: the switch between coroutines, with what
 * sanitizers have to be told about it. Nobody else changes the stack pointer.
 *
 * The floating-point modes (mxcsr, the x87 control word, fpcr) are not part of a fiber: who changes
 * them restores them before it blocks. */
#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H

#include "base/base.h"

struct fiber {
    void *sp;        /* where it stopped; callee-saved registers are on its stack */
    const void *low; /* its stack: lowest address and size (ASan) */
    size_t size;
    void *fake; /* ASan: its fake stack while it is not running */
    void *tsan; /* TSan: its fiber */
};

/* The thread this is called on, as a fiber to come back to. Nothing has to be ended. */
void fiber_thread(struct fiber *f);

/* A fresh fiber on the stack [low, top): the first switch to it calls fn(arg), which must never
 * return: it ends with fiber_switch(..., true). `tsan`: the TSan fiber of this stack, or NULL. What
 * the caller did before has happened before fn(arg). */
void fiber_prepare(struct fiber *f, void *low, void *top, void (*fn)(void *), void *arg,
                   void *tsan);

/* Leaves `from` and goes on in `to`; returns when somebody switches to `from` again, maybe on
 * another thread. `last`: `from` will never run again, and its stack may be used for something
 * else once `to` runs. */
void fiber_switch(struct fiber *from, struct fiber *to, bool last);

#endif
