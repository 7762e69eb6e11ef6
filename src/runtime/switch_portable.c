/* switch_portable.c -- the bare switch (switch.h) by ucontext, for machines without assembler of
 * ours. A stack pointer is a context here, which lies on the stack that it describes. Two system
 * calls a switch (the signal mask) make it some 100 times slower. */
#include <ucontext.h>

#include "runtime/switch.h"

/* makecontext passes ints. */
static void first(unsigned high, unsigned low)
{
    fiber_enter((struct fiber_start *)((uintptr_t)high << 32 | low));
}

void *switch_prepare(struct fiber_start *start)
{
    ucontext_t *context = (ucontext_t *)(((uintptr_t)start - sizeof *context) & ~(uintptr_t)63);

    getcontext(context);
    context->uc_stack.ss_sp = start->low;
    context->uc_stack.ss_size = (size_t)((char *)context - (char *)start->low);
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))first, 2, (unsigned)((uintptr_t)start >> 32),
                (unsigned)(uintptr_t)start);
    return context;
}

void switch_stacks(void **from, void *to)
{
    ucontext_t here;

    *from = &here;
    swapcontext(&here, to);
}
