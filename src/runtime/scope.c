/* scope.c -- scopes and their tasks: structured cancelling (RUNTIME.md R7, S3).
 *
 * Everything here runs on the strand that all of it belongs to, so there is no lock and no atomic:
 * cancelling and parking never race. A coroutine is cancelled if it was cancelled by itself or if
 * any scope around it was; scopes chain from the innermost outward. */
#include "runtime/worker.h"

/* Wakes a parked coroutine so that it looks at its cancelling; one that runs or is masked finds out
 * by itself. */
static void rouse(struct co *c)
{
    uint64_t word = atomic_load_explicit(&c->wait, memory_order_acquire);

    if (c->mask == 0 && WAIT_STATE(word) == WAIT_WAITING)
        co_wake(c, WAIT_NUMBER(word), WAKE_CANCEL);
}

/* `c` and all that was started in scopes it opened within `outer`. */
static void rouse_tree(struct co *c, const struct scope *outer)
{
    rouse(c);
    for (struct scope *sc = c->scope; sc != NULL && sc != outer; sc = sc->parent)
        for (struct task *t = sc->tasks; t != NULL; t = t->next)
            if (!t->done)
                rouse_tree(t->co, sc);
}

void scope_open(struct scope *sc)
{
    struct co *c = co_self();

    *sc = (struct scope){ .parent = c->scope, .owner = c };
    c->scope = sc;
}

static void cancel(struct scope *sc, int cause)
{
    if (sc->cause == 0)
        sc->cause = cause;
    if (sc->canceled)
        return;
    sc->canceled = true;
    sc->owner->strand->cancels = true;
    rouse_tree(sc->owner, sc->parent);
}

void scope_cancel(struct scope *sc, int cause)
{
    cancel(sc, cause);
}

static void unlist(struct task *t)
{
    *t->at = t->next;
    if (t->next != NULL)
        t->next->at = t->at;
}

/* The bottom of a task. Its failure cancels the scope; what comes after a cancelling, also of a
 * scope around it, is not a cause. */
static void task_main(void *arg)
{
    struct task *t = arg;
    struct scope *sc = t->scope;

    t->rc = t->fn(t->arg);
    t->done = true;
    sc->running--;
    if (t->rc < 0 && !(t->rc == WEIR_ECANCELED && co_canceled(t->co)))
        cancel(sc, t->rc);
    if (t->joiner != NULL)
        co_wake(t->joiner, t->joiner_number, WAKE_OTHER);
    if (t->over != NULL) {
        unlist(t);
        t->over(t);
    }
    if (sc->running == 0 && sc->joiner != NULL)
        co_wake(sc->joiner, sc->joiner_number, WAKE_OTHER);
}

static int start(struct scope *sc, struct task *t)
{
    struct worker *w = worker_self();
    struct strand *st = w->running;
    struct co *c;
    int err;

    ensure(sc->owner->strand == st);
    if (sc->canceled)
        return WEIR_ECANCELED;
    c = co_make(w, st, task_main, t, &err);
    if (c == NULL)
        return err;
    c->task = t;
    c->scope = sc;
    t->co = c;
    t->next = sc->tasks;
    t->at = &sc->tasks;
    if (t->next != NULL)
        t->next->at = &t->next;
    sc->tasks = t;
    sc->running++;
    st->live++;
    strand_add(st, c);
    return 0;
}

int task_start(struct scope *sc, struct task *t, int (*fn)(void *), void *arg)
{
    *t = (struct task){ .scope = sc, .fn = fn, .arg = arg };
    return start(sc, t);
}

int task_start_free(struct scope *sc, struct task *t, int (*fn)(void *), void *arg,
                    void (*over)(struct task *))
{
    *t = (struct task){ .scope = sc, .fn = fn, .arg = arg, .over = over };
    return start(sc, t);
}

int task_wait(struct task *t, struct deadline until)
{
    struct co *c = co_self();
    int rc = 0;

    while (!t->done && rc == 0) {
        if (co_canceled(c))
            return WEIR_ECANCELED;
        if (rt_now() >= until.at)
            return until.err;
        t->joiner = c;
        t->joiner_number = co_park_begin(c);
        if (until.at != INT64_MAX)
            lazy_set(&c->timer, until.at, rt_worker_id());
        co_park(c);
        lazy_clear(&c->timer);
        t->joiner = NULL;
    }
    return rc;
}

int task_join(struct task *t)
{
    co_mask();
    task_wait(t, NEVER);
    co_unmask();
    return t->rc;
}

void task_cancel(struct task *t)
{
    if (t->done)
        return;
    t->co->canceled = true;
    t->co->strand->cancels = true;
    rouse_tree(t->co, t->scope);
}

int scope_wait(struct scope *sc, struct deadline until)
{
    struct co *c = co_self();

    ensure(c == sc->owner);
    while (sc->running > 0) {
        if (co_canceled(c))
            return WEIR_ECANCELED;
        if (rt_now() >= until.at)
            return until.err;
        sc->joiner = c;
        sc->joiner_number = co_park_begin(c);
        if (until.at != INT64_MAX)
            lazy_set(&c->timer, until.at, rt_worker_id());
        co_park(c);
        lazy_clear(&c->timer);
        sc->joiner = NULL;
    }
    return co_canceled(c) ? WEIR_ECANCELED : 0;
}

struct deadline scope_limit(struct deadline until, int err)
{
    for (const struct scope *sc = co_self()->scope; sc != NULL; sc = sc->parent)
        if (sc->until != 0 && sc->until < until.at)
            until = (struct deadline){ .at = sc->until, .err = err };
    return until;
}

/* What the scope was cancelled for: by itself, or with a scope around it. */
static int cause_of(const struct scope *sc)
{
    for (; sc != NULL; sc = sc->parent)
        if (sc->cause != 0)
            return sc->cause;
    return 0;
}

/* Cancels what still runs, and joins it. */
static SELDOM void close_running(struct scope *sc)
{
    sc->owner->strand->cancels = true;
    for (struct task *t = sc->tasks; t != NULL; t = t->next)
        if (!t->done)
            rouse_tree(t->co, sc);
    co_mask();
    scope_wait(sc, NEVER);
    co_unmask();
}

int scope_close(struct scope *sc, int rc)
{
    struct co *c = co_self();
    int cause = sc->cause;

    ensure(c->scope == sc);
    if (cause == 0 && rc == WEIR_ECANCELED)
        cause = cause_of(sc->parent);
    sc->canceled = true;
    if (unlikely(sc->running > 0))
        close_running(sc);
    c->scope = sc->parent;
    return cause != 0 ? cause : rc;
}

int strand_cause(void)
{
    int cause = cause_of(co_self()->scope);

    return cause != 0 ? cause : WEIR_ECANCELED;
}

int strand_ended(void)
{
    if (co_check() == 0)
        return 0;
    for (const struct scope *sc = co_self()->scope; sc != NULL; sc = sc->parent)
        if (!sc->program && sc->cause != 0)
            return sc->cause;
    return 0;
}
