/* switch.h -- the machine's part of fiber.c: switch_x86_64.S, switch_aarch64.S or
 * switch_portable.c. */
#ifndef RUNTIME_SWITCH_H
#define RUNTIME_SWITCH_H

#include "base/base.h"

/* What a fresh fiber begins with; it lies at the top of its stack. */
struct fiber_start {
    _Alignas(16) void (*fn)(void *);
    void *arg;
    void *low; /* of its stack */
};

/* Lays the first frame below `start`, which is the top of the stack, and returns its stack pointer:
 * the first switch to it calls fiber_enter(start). */
void *switch_prepare(struct fiber_start *start);

/* Stores the stack pointer to `*from`, continues at `to`. */
void switch_stacks(void **from, void *to);

_Noreturn void fiber_enter(struct fiber_start *start);

#endif
