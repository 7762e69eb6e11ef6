/* fiber.c -- switching, dressed for the sanitizers; the bare switch is in switch_*.
 *
 * A fiber is told in three steps: asan_leave before the switch, asan_arrive by whoever goes on
 * after it, and tsan_switch right before, so that hardly an instruction is booked to the wrong
 * one. These functions are UNCHECKED: an entry noted in one fiber and left in another would
 * unbalance TSan's shadow stacks. */
#include "runtime/fiber.h"

#include <pthread.h>

#include "runtime/sanitize.h"
#include "runtime/switch.h"

/* ASan wants to know where the thread's own stack is when we go back to it. */
static void thread_bounds(struct fiber *f)
{
    pthread_attr_t attr;
    void *low;

    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    if (pthread_attr_getstack(&attr, &low, &f->size) == 0)
        f->low = low;
    pthread_attr_destroy(&attr);
}

void fiber_thread(struct fiber *f)
{
    *f = (struct fiber){ .tsan = tsan_fiber_current() };
    if (SANITIZE_ADDRESS)
        thread_bounds(f);
}

void fiber_prepare(struct fiber *f, void *low, void *top, void (*fn)(void *), void *arg, void *tsan)
{
    struct fiber_start *start = (struct fiber_start *)((uintptr_t)top & ~(uintptr_t)15) - 1;

    race_acquire(low); /* the stack's last user: see fiber_switch */
    *start = (struct fiber_start){ .fn = fn, .arg = arg, .low = low };
    *f = (struct fiber){
        .sp = switch_prepare(start),
        .low = low,
        .size = (size_t)((char *)top - (char *)low),
        .tsan = tsan,
    };
    race_release(low);
}

/* Where every fiber begins, called by the first frame that switch_prepare made. */
UNCHECKED _Noreturn void fiber_enter(struct fiber_start *start)
{
    asan_arrive(NULL);
    race_acquire(start->low);
    start->fn(start->arg);
    ensure(!"a fiber ends by a switch, never by returning");
    __builtin_unreachable();
}

UNCHECKED void fiber_switch(struct fiber *from, struct fiber *to, bool last)
{
    if (unlikely(last))
        race_release(from->low);
    asan_leave(last ? NULL : &from->fake, to->low, to->size);
    tsan_switch(to->tsan);
    switch_stacks(&from->sp, to->sp);
    asan_arrive(from->fake);
}
