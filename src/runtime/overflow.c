/* overflow.c -- the handler for faults, on a stack of its own: the other one has just ended. */
#include "runtime/overflow.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/spin.h"
#include "runtime/stack.h"

enum { ALT_SIZE = 64 * 1024 }; /* sanitizers and wide vector registers need more than SIGSTKSZ */

void (*overflow_label)(const char **who, const char **what);

static const int faults[] = { SIGSEGV, SIGBUS };
static struct sigaction before[ARRAY_LEN(faults)];
static struct spin install_lock;
static bool installed;

/* A line built without libc, which is not for signal handlers. What does not fit is cut. */
struct line {
    size_t len;
    char text[512];
};

static void add(struct line *l, const char *text)
{
    for (; *text != '\0' && l->len < sizeof l->text; text++)
        l->text[l->len++] = *text;
}

static void add_number(struct line *l, size_t n)
{
    char digits[24];
    char *at = digits + sizeof digits;

    *--at = '\0';
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    add(l, at);
}

static _Noreturn void report(size_t size)
{
    struct line l = { .len = 0 };
    const char *who = NULL, *what = NULL;

    if (overflow_label != NULL)
        overflow_label(&who, &what);
    add(&l, "weir: stack overflow in ");
    add(&l, who != NULL ? who : "a coroutine");
    add(&l, ", phase ");
    add(&l, what != NULL ? what : "unknown");
    add(&l, " (stack of ");
    add_number(&l, size / 1024);
    add(&l, " KiB): use a larger stack_size, or move big buffers to weir_alloc\n");
    ssize_t written = write(STDERR_FILENO, l.text, l.len);
    (void)written; /* nobody is left to be told */
    abort();
}

/* Not ours: to who handled it before. By default the faulting instruction runs again and kills us
 * with the core dump that is expected. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[number == SIGSEGV ? 0 : 1];

    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(number, info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
        old->sa_handler(number);
    else
        sigaction(number, old, NULL);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    size_t size = info->si_code > 0 ? stack_in_guard(info->si_addr) : 0; /* else sent by kill */

    if (size > 0)
        report(size);
    pass_on(number, info, context);
}

static void install(void)
{
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };

    spin_lock(&install_lock);
    if (!installed) {
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < ARRAY_LEN(faults); i++)
            sigaction(faults[i], &action, &before[i]);
        installed = true;
    }
    spin_unlock(&install_lock);
}

/* In front of the signal stack: the one to restore. */
struct armed {
    stack_t before;
    _Alignas(64) char stack[ALT_SIZE];
};

void *overflow_new(void)
{
    void *a = mmap(NULL, sizeof(struct armed), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);

    return a != MAP_FAILED ? a : NULL;
}

void overflow_free(void **memory)
{
    if (*memory != NULL)
        munmap(*memory, sizeof(struct armed));
    *memory = NULL;
}

void overflow_arm(void *memory)
{
    struct armed *a = memory;
    const stack_t stack = { .ss_sp = a->stack, .ss_size = sizeof a->stack };

    ensure(sigaltstack(&stack, &a->before) == 0);
    install();
}

void overflow_disarm(void *memory)
{
    const struct armed *a = memory;

    sigaltstack(&a->before, NULL);
}
