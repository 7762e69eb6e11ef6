/* test_rt_stack.c -- stacks: guards of both kinds, reuse, the bound, memory given back, and what an
 * overflow says. */
#include "cases.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/overflow.h"
#include "runtime/sanitize.h"
#include "runtime/stack.h"

enum { KIB = 1024, SIZE = 64 * KIB };

/* The kinds that this kernel has, each tested by its name. */
static enum stack_guard by_madvise = GUARD_MADVISE, by_mprotect = GUARD_MPROTECT;
static enum stack_guard found = GUARD_AUTO;

static void begin(void **state, size_t size, unsigned max)
{
    stacks_force_guard(*(enum stack_guard *)*state);
    assert_int_equal(stacks_init(size, max), 0);
}

static struct stack_stats stats(void)
{
    struct stack_stats s;

    stack_stats(&s);
    return s;
}

static void all_of_it_is_usable(void **state)
{
    struct stack_magazine m = { .free.count = 0 };
    struct stack *s[3];

    begin(state, SIZE, 0);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        s[i] = stack_get(&m);
        assert_non_null(s[i]);
        assert_int_equal((uintptr_t)stack_low(s[i]) % 4096, 0);
        assert_int_equal(stack_room(s[i]) + STACK_ROOM - stack_low(s[i]), SIZE);
        memset(stack_low(s[i]), (int)i, (size_t)((char *)s[i] - stack_low(s[i])));
        assert_int_equal(stack_in_guard(stack_low(s[i]) - 1), SIZE);
        assert_int_equal(stack_in_guard(s[i]->map), SIZE);
        assert_int_equal(stack_in_guard(stack_low(s[i])), 0);
        assert_int_equal(stack_in_guard(s[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_int_equal(*stack_low(s[i]), i);
        assert_int_equal(((char *)s[i])[-1], i);
    }
    assert_int_equal(stack_in_guard(&m), 0);
    assert_int_equal(stack_in_guard(NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        stack_put(&m, s[i]);
    assert_ptr_equal(stack_get(&m), s[2]); /* the newest first */
    stack_put(&m, s[2]);
    char *map = s[0]->map;
    stacks_free();
    assert_int_equal(stack_in_guard(map), 0);
}

static void sizes_are_rounded_and_have_defaults(void **state)
{
    static const struct {
        size_t asked, got;
    } cases[] = {
        { 0, (SANITIZE_ADDRESS || SANITIZE_THREAD ? 1024 : 256) * KIB },
        { 1, 16 * KIB },
        { 16 * KIB + 1, 20 * KIB },
        { 8192 * KIB, 8192 * KIB },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stack_magazine m = { .free.count = 0 };

        begin(state, cases[i].asked, 100);
        struct stack *s = stack_get(&m);
        assert_non_null(s);
        assert_int_equal(stack_in_guard(s->map), cases[i].got);
        stack_put(&m, s);
        stacks_free();
    }
}

static void the_bound_holds(void **state)
{
    struct stack_magazine m = { .free.count = 0 }, other = { .free.count = 0 };
    struct stack *s[100];

    begin(state, SIZE, ARRAY_LEN(s));
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        s[i] = stack_get(&m);
        assert_non_null(s[i]);
    }
    assert_null(stack_get(&m));
    assert_null(stack_get(&m));
    assert_int_equal(stats().mapped, ARRAY_LEN(s));
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        stack_put(&m, s[i]);
    assert_in_range(m.free.count, 1, STACK_MAGAZINE);
    assert_int_equal(m.free.count + stats().kept, ARRAY_LEN(s));
    for (size_t n = stats().kept; n > 0; n--) /* what went to the depot is for every worker */
        assert_non_null(stack_get(&other));
    assert_null(stack_get(&other));
    stacks_free();
}

static size_t resident(const char *from, const char *to)
{
    unsigned char pages[SIZE / 4096];
    size_t count = 0;

    assert_in_range(to - from, 1, SIZE);
    assert_int_equal(mincore((void *)from, (size_t)(to - from), pages), 0);
    for (const char *at = from; at < to; at += 4096)
        count += pages[(at - from) / 4096] & 1;
    return count;
}

static void what_a_peak_left_is_given_back(void **state)
{
    struct stack_magazine m = { .free.count = 0 };
    struct stack *s[1000];
    char *low[ARRAY_LEN(s)];
    size_t left = 0;

    begin(state, SIZE, 0);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        s[i] = stack_get(&m);
        assert_non_null(s[i]);
        low[i] = stack_low(s[i]);
        memset(stack_top(s[i]) - STACK_SHARE - 8192, 1, 8192);
    }
    assert_int_equal(resident(low[0], low[0] + SIZE), 3);
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        stack_put(&m, s[i]);
    stack_flush(&m);
    assert_int_equal(stats().kept, ARRAY_LEN(s));
    stacks_trim(64); /* until now they were needed */
    assert_int_equal(stats().mapped, ARRAY_LEN(s));
    stacks_trim(64);
    assert_in_range(stats().mapped, 1, ARRAY_LEN(s) / 10);
    assert_int_equal(stats().kept, stats().mapped);
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        left += resident(low[i], low[i] + SIZE);
    assert_int_equal(left, 3 * stats().mapped);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) { /* and all of them live again */
        s[i] = stack_get(&m);
        assert_non_null(s[i]);
        memset(stack_low(s[i]), 2, 4096);
        stack_room(s[i])[0] = 2;
    }
    assert_int_equal(stats().mapped, ARRAY_LEN(s));
    stacks_free();
}

/* --- several workers --- */

enum { HELD = 60 };

static void *work(void *arg)
{
    struct stack_magazine m = { .free.count = 0 };
    struct stack *held[HELD] = { NULL };
    struct random r;

    random_seed(&r, (uintptr_t)arg);
    for (int i = 0; i < (SANITIZE_THREAD ? 3000 : 20000); i++) { /* a fiber each for TSan */
        struct stack **at = &held[random_below(&r, HELD)];

        if (*at == NULL) {
            *at = stack_get(&m);
            ensure(*at != NULL);
            *(struct stack **)stack_room(*at) = *at;
        } else {
            ensure(*(struct stack **)stack_room(*at) == *at);
            stack_put(&m, *at);
            *at = NULL;
        }
        if (i % 1000 == 0)
            stacks_trim(64);
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i] != NULL)
            stack_put(&m, held[i]);
    stack_flush(&m);
    return NULL;
}

static void workers_share_the_depot(void **state)
{
    pthread_t threads[4];

    begin(state, SIZE, 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(stats().kept, stats().mapped);
    assert_in_range(stats().mapped, 1, ARRAY_LEN(threads) * (HELD + STACK_MAGAZINE));
    stacks_free();
}

/* --- overflow --- */

/* Endless recursion and a wild address are what is tested here. */
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#pragma GCC diagnostic ignored "-Warray-bounds"

static struct fiber home, fiber;

static void labels(const char **who, const char **what)
{
    *who = "proxy balancer";
    *what = "request_filter";
}

static __attribute__((noinline)) unsigned recurse_small(volatile char *above)
{
    volatile char here[200];

    here[0] = above != NULL ? above[0] : 0;
    return recurse_small(here) + (unsigned char)here[0];
}

static __attribute__((noinline)) unsigned recurse_big(volatile char *above)
{
    volatile char here[48 * KIB];

    here[0] = above != NULL ? above[0] : 0;
    return recurse_big(here) + (unsigned char)here[0];
}

static void overflow_small(void *arg)
{
    *(unsigned *)arg = recurse_small(NULL);
    fiber_switch(&fiber, &home, true);
}

static void overflow_big(void *arg)
{
    *(unsigned *)arg = recurse_big(NULL);
    fiber_switch(&fiber, &home, true);
}

static void die_by_overflow(void (*fn)(void *))
{
    struct stack_magazine m = { .free.count = 0 };
    struct stack *s = stack_get(&m);
    unsigned depth;

    ensure(s != NULL);
    fiber_thread(&home);
    fiber_prepare(&fiber, stack_low(s), stack_top(s), fn, &depth, s->tsan);
    fiber_switch(&home, &fiber, false);
}

static void die_elsewhere(void (*fn)(void *))
{
    volatile uintptr_t nowhere = 8; /* not a constant: the compiler would put a trap in its place */

    (void)fn;
    raise(SIGSEGV); /* no address at all */
    *(volatile char *)nowhere = 1;
}

/* Runs `die` in a child with the handler armed; `text` gets what it said. */
static int in_child(void (*die)(void (*)(void *)), void (*fn)(void *), char *text, size_t cap)
{
    int fd[2], status;
    size_t len = 0;
    ssize_t n;

    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *memory = overflow_new();

        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        dup2(fd[1], STDERR_FILENO);
        close(fd[0]);
        signal(SIGABRT, SIG_DFL);
        overflow_label = labels;
        if (memory != NULL) {
            overflow_arm(memory);
            die(fn);
        }
        _exit(0);
    }
    close(fd[1]);
    while ((n = read(fd[0], text + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void an_overflow_says_whose(void **state)
{
    static void (*const kinds[])(void *) = { overflow_small, overflow_big };
    char text[4096];

    begin(state, 128 * KIB, 100);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int status = in_child(die_by_overflow, kinds[i], text, sizeof text);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_non_null(strstr(text, /* ASan has a word on ucontext to say before it */
                               "weir: stack overflow in proxy balancer, phase request_filter "
                               "(stack of 128 KiB): use a larger stack_size, or move big buffers "
                               "to weir_alloc\n"));
    }
    stacks_free();
}

static void exit_42(int number)
{
    (void)number;
    _exit(42);
}

static void other_faults_go_where_they_went(void **state)
{
    struct sigaction before, cmockas, ours = { .sa_handler = exit_42 };
    char text[8192];
    int status;

    begin(state, SIZE, 100);
    sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = SIG_DFL }, &cmockas);
    status = in_child(die_elsewhere, NULL, text, sizeof text);
    sigaction(SIGSEGV, &cmockas, NULL);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (!SANITIZE_ADDRESS && !SANITIZE_THREAD)
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status), SIGSEGV);
    assert_null(strstr(text, "stack overflow in proxy"));

    sigaction(SIGSEGV, &ours, &before);
    status = in_child(die_elsewhere, NULL, text, sizeof text);
    sigaction(SIGSEGV, &before, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    stacks_free();
}

static void disarming_restores_the_signal_stack(void **state)
{
    stack_t before, armed, after;
    void *memory = overflow_new();

    (void)state;
    sigaltstack(NULL, &before);
    assert_non_null(memory);
    overflow_arm(memory);
    sigaltstack(NULL, &armed);
    assert_ptr_not_equal(armed.ss_sp, before.ss_sp);
    assert_true((armed.ss_flags & SS_DISABLE) == 0);
    overflow_disarm(memory);
    overflow_free(&memory);
    assert_null(memory);
    sigaltstack(NULL, &after);
    assert_int_equal(after.ss_flags, before.ss_flags);
    if ((before.ss_flags & SS_DISABLE) == 0) /* else the address is anything: valgrind's is */
        assert_ptr_equal(after.ss_sp, before.ss_sp);
    overflow_free(&memory);
}

/* A limit on address space lowers the bound, and does no more. */
static void less_address_space_means_fewer(void **state)
{
    struct stack_magazine m = { .free.count = 0 };
    struct rlimit before, now;

    if (SANITIZE_ADDRESS || SANITIZE_THREAD)
        return; /* they have reserved terabytes already */
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_AS, &(struct rlimit){ 1 << 30, before.rlim_max }), 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &now), 0);
    if (now.rlim_cur != 1 << 30)
        return; /* qemu-user keeps it to itself */
    begin(state, 1024 * KIB, 10000);
    assert_in_range(stats().max, 16, 1023);
    assert_non_null(stack_get(&m));
    stacks_free();
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

#define WITH(kind, test) { #test " (" #kind ")", test, NULL, NULL, &kind }
#define WITH_BOTH(test) WITH(by_madvise, test), WITH(by_mprotect, test)

/* What this kernel cannot do is tested with what it does instead. */
static int find_kinds(void **state)
{
    (void)state;
    if (stacks_init(0, 0) < 0)
        return -1;
    by_madvise = stats().guard;
    stacks_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH(all_of_it_is_usable),
        WITH_BOTH(sizes_are_rounded_and_have_defaults),
        WITH_BOTH(the_bound_holds),
        WITH_BOTH(what_a_peak_left_is_given_back),
        WITH_BOTH(workers_share_the_depot),
        WITH_BOTH(an_overflow_says_whose),
        WITH(found, an_overflow_says_whose),
        WITH(found, other_faults_go_where_they_went),
        WITH(found, disarming_restores_the_signal_stack),
        WITH(found, less_address_space_means_fewer),
    };
    return cmocka_run_group_tests(tests, find_kinds, NULL);
}
