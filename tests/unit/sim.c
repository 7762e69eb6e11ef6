/* sim.c -- actors, the scheduler that chooses among them, and the kernel they live in. */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "sim_kernel.h"

enum { ACTORS = 12, TRACE = 48, STEPS = 300000 };

struct actor {
    const char *name;
    void (*fn)(void *);
    void *arg;
    struct worker *worker; /* what worker_self() is */
    struct stack *stack;
    struct fiber base; /* its own stack; a worker's is worker->fiber */
    struct fiber at;   /* where it stopped, maybe on a coroutine's stack */
    struct fiber *on;  /* whose stack that is */
    bool ended, waiting;
    bool (*holds)(void *); /* waiting: for this, */
    void *holds_arg;
    int64_t until; /* or for this time */
    enum step_op op;
    const volatile void *next; /* what it is about to do */
};

static struct {
    const char *name;
    uint64_t seed;
    struct fiber main;
    struct actor actors[ACTORS], *current, *last;
    unsigned count, stick, steps;
    bool over;
    int64_t now;
    void (*on_quiet)(void);
    struct worker *workers[SIM_WORKERS];
    struct stack_magazine stacks;
    struct random random, dice;
    struct {
        const char *actor, *function;
        enum step_op op;
        const volatile void *at;
    } trace[TRACE];
} sim;

/* --- reports --- */

static void report(int signal_number)
{
    static const char *const ops[] = { "load", "store", "rmw", "switch", "call", "spin" };

    fprintf(stderr, "\n%s, seed %llu; the last steps:\n", sim.name, (unsigned long long)sim.seed);
    for (unsigned i = sim.steps > TRACE ? sim.steps - TRACE : 0; i < sim.steps; i++)
        fprintf(stderr, "  %-10s %-6s %p in %s\n", sim.trace[i % TRACE].actor,
                ops[sim.trace[i % TRACE].op], (const void *)sim.trace[i % TRACE].at,
                sim.trace[i % TRACE].function);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void install_report(void)
{
    static char stack[64 * 1024];
    const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction act = { .sa_handler = report, .sa_flags = SA_ONSTACK };

    sigaltstack(&alternate, NULL);
    sigaction(SIGABRT, &act, NULL);
    sigaction(SIGSEGV, &act, NULL);
}

/* --- actors --- */

static void leave(struct actor *a)
{
    a->at.low = a->on->low;
    a->at.size = a->on->size;
    a->at.tsan = a->on->tsan;
    fiber_switch(&a->at, &sim.main, a->ended);
}

void step(enum step_op op, const volatile void *at, const char *function)
{
    struct actor *a = sim.current;
    unsigned i = sim.steps % TRACE;

    if (a == NULL)
        return; /* a test prepares or looks */
    sim.trace[i].actor = a->name;
    sim.trace[i].function = function;
    sim.trace[i].op = a->op = op;
    sim.trace[i].at = a->next = at;
    must(++sim.steps < STEPS); /* else it goes round in circles */
    leave(a);
}

void sim_fiber_switch(struct fiber *from, struct fiber *to, bool last)
{
    step(STEP_SWITCH, to, __func__);
    for (unsigned i = 0; i < sim.count; i++)
        must(sim.actors[i].on != to); /* a stack that has not been left yet */
    sim.current->on = to;
    fiber_switch(from, to, last);
}

static void actor_main(void *arg)
{
    struct actor *a = arg;

    a->fn(a->arg);
    a->ended = true;
    leave(a);
}

static struct actor *add(const char *name, void (*fn)(void *), void *arg, struct worker *w)
{
    struct actor *a = &sim.actors[sim.count++];

    must(sim.count <= ACTORS);
    *a = (struct actor){ .name = name, .fn = fn, .arg = arg, .worker = w };
    a->stack = stack_get(&sim.stacks);
    must(a->stack != NULL);
    fiber_prepare(&a->base, stack_low(a->stack), stack_top(a->stack), actor_main, a,
                  a->stack->tsan);
    a->at = a->base;
    a->on = &a->base;
    if (w != NULL) {
        w->fiber = a->base;
        a->on = &w->fiber;
    }
    return a;
}

struct actor *sim_actor(const char *name, void (*fn)(void *), void *arg)
{
    return add(name, fn, arg, NULL);
}

struct actor *sim_worker(unsigned i)
{
    return &sim.actors[i];
}

bool sim_ended(const struct actor *a)
{
    return a->ended;
}

static bool can_go_on(struct actor *a)
{
    if (a->ended)
        return false;
    return !a->waiting || sim.over || a->until <= sim.now ||
           (a->holds != NULL && a->holds(a->holds_arg));
}

static void go_on(struct actor *a)
{
    sim.current = sim.last = a;
    a->waiting = false;
    sim_set_self(a->worker);
    fiber_switch(&sim.main, &a->at, false);
    sim_set_self(NULL);
    sim.current = NULL;
}

/* The current actor waits; sim_over() ends that too. */
void sim_block(bool (*holds)(void *), void *arg, int64_t until)
{
    struct actor *a = sim.current;

    a->holds = holds;
    a->holds_arg = arg;
    a->until = until;
    a->waiting = true;
    a->op = STEP_CALL;
    a->next = NULL;
    leave(a);
}

bool sim_over(void)
{
    return sim.over;
}

void sim_await(bool (*holds)(void *), void *arg)
{
    while (!holds(arg) && !sim.over)
        sim_block(holds, arg, INT64_MAX);
}

/* --- time --- */

int64_t sim_time(void)
{
    return sim.now;
}

int64_t sim_clock_now(void)
{
    return sim.now;
}

void sim_pass(int64_t ns)
{
    sim.now += ns;
}

/* Time passes until somebody has waited long enough. */
static bool time_passes(void)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < sim.count; i++)
        if (!sim.actors[i].ended && sim.actors[i].waiting)
            next = MIN(next, sim.actors[i].until);
    if (next == INT64_MAX)
        return false;
    sim.now = MAX(sim.now, next);
    return true;
}

/* --- who goes on --- */

/* Some seeds change the actor with every step, others seldom: short and long delays. */
static struct actor *choose(void)
{
    struct actor *able[ACTORS];
    unsigned n = 0;

    if (sim.last != NULL && can_go_on(sim.last) && random_below(&sim.random, 64) < sim.stick)
        return sim.last;
    for (unsigned i = 0; i < sim.count; i++)
        if (can_go_on(&sim.actors[i]))
            able[n++] = &sim.actors[i];
    return n > 0 ? able[random_below(&sim.random, n)] : NULL;
}

void sim_on_quiet(void (*fn)(void))
{
    sim.on_quiet = fn;
}

static void is_quiet(void)
{
    if (sim.on_quiet != NULL)
        sim.on_quiet();
}

void sim_explore(uint64_t seed, unsigned ticks)
{
    static const unsigned sticks[] = { 0, 32, 48, 58, 62 };
    struct actor *a;

    random_seed(&sim.random, seed);
    sim.stick = sticks[random_below(&sim.random, ARRAY_LEN(sticks))];
    while ((a = choose()) != NULL || (is_quiet(), time_passes())) {
        if (ticks > 0 && random_below(&sim.random, 64) == 0) {
            sim.now += WEIR_MS;
            ticks--;
        }
        if (a != NULL)
            go_on(a);
    }
}

void sim_to(struct actor *a, enum step_op op, const volatile void *at)
{
    do {
        must(can_go_on(a)); /* it ends or waits before it gets there */
        go_on(a);
    } while (a->op != op || a->next != at);
}

bool sim_steps(struct actor *a, unsigned n)
{
    for (; n > 0 && can_go_on(a); n--) {
        go_on(a);
        if (a->op == STEP_SPIN) /* it waits for another actor */
            return false;
    }
    return n == 0;
}

void sim_finish(struct actor *a)
{
    while (can_go_on(a)) {
        go_on(a);
        if (a->op == STEP_SPIN)
            return;
    }
}

void sim_settle(void)
{
    bool some = true;

    while (some) {
        some = false;
        for (unsigned i = 0; i < sim.count; i++)
            if (can_go_on(&sim.actors[i])) {
                sim_finish(&sim.actors[i]);
                some = true;
            }
    }
}

uint64_t sim_random(uint64_t n)
{
    return random_below(&sim.dice, n);
}

/* Short delays as often as long ones. */
void sim_dawdle(unsigned steps)
{
    for (uint64_t n = 1 + (sim_random(steps) >> sim_random(8)); n > 0; n--)
        step(STEP_CALL, NULL, __func__);
}

/* --- a runtime --- */

static void worker_loop(void *arg)
{
    while (!sim.over)
        sim_turn(arg);
}

/* All objects as new, in the memory of earlier runs; initialising them is no step of anybody. */
/* All actors are one thread. */
void sim_barrier(void)
{
    step(STEP_CALL, NULL, __func__);
}

static void renew_slab(struct slab *s, const struct slab_type *type)
{
    if (s->chunks == NULL) {
        must(slab_start(s, type) == 0);
        slab_put(s, NULL, slab_get(s, NULL));
    }
    s->depot = NULL;
    s->cold = 0; /* all are warm */
    s->colds = 0;
    for (uint32_t i = s->made; i-- > 0;) {
        struct slab_item *item = slab_at(s, i);

        memset(item, 0, type->size);
        item->index = i;
        if (type->init != NULL)
            type->init(item, 0);
        item->next = s->depot;
        s->depot = item;
    }
}

static struct worker *worker_new(unsigned id)
{
    static const char *const names[] = { "worker 0", "worker 1", "worker 2" };
    struct worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);

    must(w != NULL);
    *w = (struct worker){ .id = id, .trim_at = TIMER_NONE, .now = sim.now };
    w->inbox_end = &w->inbox;
    w->epoll = SIM_EPOLL + (int)id;
    w->wake_fd = SIM_EVENTFD + (int)id;
    wheel_init(&w->wheel, sim.now);
    add(names[id], worker_loop, w, w);
    return w;
}

void sim_begin(const char *name, unsigned workers, bool steal, bool barriers)
{
    static bool begun;

    if (!begun) {
        install_report();
        must(stacks_init(0, 256) == 0);
        begun = true;
    }
    sim.name = name;
    sim.count = sim.steps = 0;
    sim.seed = 0;
    sim.over = false;
    sim.last = NULL;
    sim.on_quiet = NULL;
    sim.now = WEIR_SEC;
    fiber_thread(&sim.main);
    sim_kernel_begin();
    rt = (struct runtime){
        .count = workers,
        .no_steal = !steal,
        .barriers = barriers,
        .workers = sim.workers,
        .cos = rt.cos,
        .strands = rt.strands,
        .slots = rt.slots,
    };
    rt.starved_end = &rt.starved;
    rt.late_end = &rt.late;
    renew_slab(&rt.cos, &co_type);
    renew_slab(&rt.strands, &strand_type);
    renew_slab(&rt.slots, &slot_type);
    for (unsigned i = 0; i < workers; i++)
        sim.workers[i] = worker_new(i);
}

void sim_strand(unsigned i, void (*fn)(void *), void *arg)
{
    sim_set_self(sim.workers[i]);
    must(strand_start(fn, arg) == 0);
    sim_set_self(NULL);
}

/* Nothing may be left: a strand that still lives waits for what never comes. */
static void look_for_leftovers(void)
{
    for (uint32_t i = 0; i < rt.strands.made; i++)
        must(!(((struct strand *)slab_at(&rt.strands, i))->generation & 1));
    for (uint32_t i = 0; i < rt.cos.made; i++)
        must(((struct co *)slab_at(&rt.cos, i))->stack == NULL);
    for (uint32_t i = 0; i < rt.slots.made; i++)
        must(((struct slot *)slab_at(&rt.slots, i))->fd == -1);
    for (unsigned i = 0; i < rt.count; i++)
        must(sim.workers[i]->queue.count == 0 && !sim.workers[i]->has_post);
}

void sim_end(void)
{
    for (unsigned i = 0; i < sim.count; i++)
        must(sim.actors[i].ended || sim.actors[i].worker != NULL);
    look_for_leftovers();
    sim.over = true;
    sim_settle();
    for (unsigned i = 0; i < sim.count; i++) {
        must(sim.actors[i].ended);
        stack_put(&sim.stacks, sim.actors[i].stack);
    }
    for (unsigned i = 0; i < rt.count; i++) {
        stack_flush(&sim.workers[i]->stacks);
        free(sim.workers[i]);
    }
    stack_flush(&sim.stacks);
}

void sim_seeds(const char *name, unsigned workers, bool steal, void (*fn)(uint64_t), unsigned n)
{
    unsigned long long first = 1, count = n;
    const char *asked = getenv("SIM_SEEDS");

    if (asked != NULL)
        must(sscanf(asked, "%llu %llu", &first, &count) == 2);
    for (unsigned long long seed = first; seed < first + count; seed++) {
        sim_begin(name, workers, steal, seed & 1);
        sim.seed = seed;
        random_seed(&sim.dice, ~seed);
        fn(seed);
        sim_end();
    }
}
