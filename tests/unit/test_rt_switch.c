/* test_rt_switch.c -- fibers: what a switch keeps, where a fiber begins and ends, and that stacks
 * may have many lives. The sanitizers watch all of it in their builds. */
#include "cases.h"

#include <execinfo.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/sanitize.h"

enum { SIZE = 128 * 1024 };

static struct fiber home, fibers[3];

struct area {
    unsigned name; /* for valgrind */
    _Alignas(4096) char stack[SIZE];
};

static struct area *area_new(void)
{
    struct area *area = aligned_alloc(4096, sizeof *area);

    ensure(area != NULL);
    area->name = valgrind_stack(area->stack, area->stack + SIZE);
    return area;
}

static void area_free(struct area *area)
{
    valgrind_forget(area->name);
    asan_unpoison(area->stack, SIZE);
    free(area);
}

/* What is set up here is ended by `forget`. */
static struct area *make(struct fiber *f, void (*fn)(void *), void *arg)
{
    struct area *area = area_new();

    fiber_prepare(f, area->stack, area->stack + SIZE, fn, arg, tsan_fiber_new());
    return area;
}

static void forget(struct fiber *f, struct area *area)
{
    tsan_fiber_free(f->tsan);
    area_free(area);
}

/* --- a first life --- */

struct seen {
    uintptr_t frame;
    void *arg;
    int steps;
};

static void look_around(void *arg)
{
    struct seen *seen = arg;

    seen->frame = (uintptr_t)__builtin_frame_address(0);
    seen->arg = arg;
    seen->steps++;
    race_release(seen);
    fiber_switch(&fibers[0], &home, false);
    seen->steps++;
    race_release(seen);
    fiber_switch(&fibers[0], &home, true);
}

static void begins_with_its_argument_on_its_stack(void **state)
{
    struct seen seen = { .steps = 0 };

    (void)state;
    fiber_thread(&home);
    struct area *area = make(&fibers[0], look_around, &seen);
    assert_int_equal(seen.steps, 0);
    fiber_switch(&home, &fibers[0], false);
    race_acquire(&seen);
    assert_int_equal(seen.steps, 1);
    assert_ptr_equal(seen.arg, &seen);
    assert_true(seen.frame > (uintptr_t)area->stack && seen.frame < (uintptr_t)area->stack + SIZE);
    assert_int_equal(seen.frame % 16, 0);
    fiber_switch(&home, &fibers[0], false);
    race_acquire(&seen);
    assert_int_equal(seen.steps, 2);
    forget(&fibers[0], area);
}

/* --- registers --- */

enum { ROUNDS = 200 };

/* Enough values, alive over the switches, to fill all callee-saved registers, floating-point ones
 * included where there are such; each fiber has values of its own. */
static uint64_t churn(uint64_t seed, struct fiber *me, struct fiber *next)
{
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
    uint64_t g = seed * 17, h = seed * 19, i = seed * 23, j = seed * 29, k = seed * 31;
    double p = (double)seed, q = p + 1, r = p + 2, s = p + 3;
    double t = p + 4, u = p + 5, v = p + 6, w = p + 7;

    for (int round = 0; round < ROUNDS; round++) {
        a += k, b ^= a, c += b, d ^= c, e += d, f ^= e, g += f, h ^= g, i += h, j ^= i, k += j;
        p += 1, q += p, r += 2, s += r, t += 3, u += t, v += 4, w += v;
        if (next != NULL)
            fiber_switch(me, next, false);
        __asm__ volatile("" ::: "memory");
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ (uint64_t)(p + q + r + s + t + u + v + w);
}

static uint64_t results[ARRAY_LEN(fibers)];

static void churn_in_fiber(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    size_t next = (me + 1) % ARRAY_LEN(fibers);

    results[me] = churn(me + 100, &fibers[me], &fibers[next]);
    race_release(results);
    if (next == 0)
        fiber_switch(&fibers[me], &home, true);
    fiber_switch(&fibers[me], &fibers[next], true);
}

static void keeps_registers_between_fibers(void **state)
{
    struct area *areas[ARRAY_LEN(fibers)];

    (void)state;
    fiber_thread(&home);
    for (size_t i = 0; i < ARRAY_LEN(fibers); i++)
        areas[i] = make(&fibers[i], churn_in_fiber, (void *)(uintptr_t)i);
    fiber_switch(&home, &fibers[0], false); /* they go round; the last one comes back */
    race_acquire(results);
    for (size_t i = 0; i < ARRAY_LEN(fibers); i++) {
        assert_int_equal(results[i], churn(i + 100, NULL, NULL));
        forget(&fibers[i], areas[i]);
    }
}

/* --- other threads --- */

struct journey {
    struct fiber fiber;
    struct fiber *from; /* who carries it now */
    pthread_t at[3];
};

/* pthread_self is declared const, so a caller may keep its result over a switch (RUNTIME.md B4). */
static __attribute__((noinline)) pthread_t this_thread(void)
{
    pthread_t self = pthread_self();

    __asm__ volatile("" : "+r"(self)::"memory");
    return self;
}

static void travel(void *arg)
{
    struct journey *j = arg;

    for (size_t i = 0;; i++) {
        race_acquire(j);
        j->at[i] = this_thread();
        race_release(j);
        fiber_switch(&j->fiber, j->from, i + 1 == ARRAY_LEN(j->at));
    }
}

static void *carry(void *arg)
{
    struct journey *j = arg;
    struct fiber thread;

    fiber_thread(&thread);
    race_acquire(j);
    j->from = &thread;
    race_release(j);
    fiber_switch(&thread, &j->fiber, false);
    return NULL;
}

static void goes_on_in_another_thread(void **state)
{
    struct journey j = { .from = NULL };
    pthread_t threads[ARRAY_LEN(j.at)];
    struct area *area = make(&j.fiber, travel, &j);

    (void)state;
    race_release(&j);
    for (size_t i = 0; i < ARRAY_LEN(j.at); i++) {
        if (i == 1) { /* also on the thread that was there all the time */
            threads[i] = pthread_self();
            carry(&j);
            continue;
        }
        assert_int_equal(pthread_create(&threads[i], NULL, carry, &j), 0);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    race_acquire(&j);
    for (size_t i = 0; i < ARRAY_LEN(j.at); i++)
        assert_true(pthread_equal(j.at[i], threads[i]));
    forget(&j.fiber, area);
}

/* --- many lives --- */

static unsigned lives;

static __attribute__((noinline)) void deep(volatile char *above, unsigned depth)
{
    volatile char here[64];

    for (size_t i = 0; i < sizeof here; i++)
        here[i] = above[i];
    if (depth > 0)
        deep(here, depth - 1);
    else
        fiber_switch(&fibers[0], &home, true); /* the frames above are never left */
}

static void live(void *arg)
{
    volatile char top[64] = { 0 };

    race_acquire(arg);
    lives++;
    race_release(arg);
    deep(top, 20);
}

static void a_stack_has_many_lives(void **state)
{
    unsigned count = SANITIZE_THREAD ? 10000 : 100000;
    struct area *area = area_new();

    (void)state;
    fiber_thread(&home);
    lives = 0;
    for (unsigned i = 0; i < count; i++) {
        asan_unpoison(area->stack, SIZE);
        fiber_prepare(&fibers[0], area->stack, area->stack + SIZE, live, &lives, tsan_fiber_new());
        fiber_switch(&home, &fibers[0], false);
        tsan_fiber_free(fibers[0].tsan);
    }
    race_acquire(&lives);
    assert_int_equal(lives, count);
    area_free(area);
}

/* --- backtraces --- */

static void take_backtrace(void *arg)
{
    void *frames[64];

    *(int *)arg = backtrace(frames, ARRAY_LEN(frames));
    race_release(arg);
    fiber_switch(&fibers[0], &home, true);
}

static void backtraces_stop_at_the_first_frame(void **state)
{
    void *frames[1];
    int depth = 0;

    (void)state;
    backtrace(frames, 1); /* loads the unwinder, which wants more stack than we have there */
    fiber_thread(&home);
    struct area *area = make(&fibers[0], take_backtrace, &depth);
    fiber_switch(&home, &fibers[0], false);
    race_acquire(&depth);
    assert_in_range(depth, 3, 6); /* take_backtrace, fiber_enter, the first frame, what libc adds */
    forget(&fibers[0], area);
}

/* --- the watch that TSan keeps --- */

static int shared;

static void write_shared(void *arg)
{
    struct fiber **ends = arg; /* itself, and who carries it */

    shared++;
    fiber_switch(ends[0], ends[1], true);
}

static void *run_writer(void *arg)
{
    struct fiber thread, *f = arg, *ends[] = { f, &thread };

    fiber_thread(&thread);
    struct area *area = make(f, write_shared, ends);
    fiber_switch(&thread, f, false);
    forget(f, area);
    return NULL;
}

static void by_one_thread(void)
{
    run_writer(&fibers[0]);
    run_writer(&fibers[1]);
}

static void by_two_threads(void)
{
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++)
        ensure(pthread_create(&threads[i], NULL, run_writer, &fibers[i]) == 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* docs/runtime.md: what fibers do on one thread is ordered; a switch hides no race between two. */
static void tsan_orders_fibers_by_their_thread(void **state)
{
    static const struct {
        void (*write)(void);
        int status; /* TSan ends with 66 if it saw a race */
    } cases[] = {
        { by_one_thread, 0 },
        { by_two_threads, SANITIZE_THREAD ? 66 : 0 },
    };
    int status;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            close(STDERR_FILENO);
            cases[i].write();
            (SANITIZE_THREAD ? exit : _exit)(0); /* only TSan has a say at the exit */
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_its_argument_on_its_stack),
        cmocka_unit_test(keeps_registers_between_fibers),
        cmocka_unit_test(goes_on_in_another_thread),
        cmocka_unit_test(a_stack_has_many_lives),
        cmocka_unit_test(backtraces_stop_at_the_first_frame),
        cmocka_unit_test(tsan_orders_fibers_by_their_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
