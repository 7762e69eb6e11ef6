/* co.h -- coroutines and strands: code that waits by calling a function.
 *
 * A strand is the unit of scheduling: one request, or one connection's set-up. Its coroutines take
 * turns, so what belongs to a strand needs no lock. It may resume on another worker after every
 * call that blocks. A coroutine ends only by returning; it is never destroyed. */
#ifndef RUNTIME_CO_H
#define RUNTIME_CO_H

#include "runtime/deadline.h"

struct co;
struct strand;

/* A strand by name: it may have ended meanwhile. 0 names none. */
typedef uint64_t strand_ref;

/* Starts a strand whose first coroutine runs fn(arg), queued on this worker (from other threads: on
 * worker 0). 0, WEIR_ESTACKS at the bound, WEIR_ENOMEM. Never blocks. */
must_use int strand_start(void (*fn)(void *), void *arg);

/* Memory above the calling coroutine's stack, REQUEST_ROOM bytes, which it may use as it likes
 * while it runs (a request keeps its session and the first piece of its arena here). The front of
 * it shares a page with the top of the stack: REQUEST_FRONT bytes. Only the first coroutine of a
 * strand has it. */
enum { REQUEST_FRONT = 2304, REQUEST_ROOM = 4096 + REQUEST_FRONT };
void *co_room(void);

/* Is this a coroutine? */
bool co_inside(void);

/* The strand this runs on. */
strand_ref strand_self(void);

/* Cancels all that runs on the strand, if it still lives: its blocking calls return WEIR_ECANCELED
 * and its root scope reports `cause`. From any thread; never blocks; only the first cause
 * counts. */
void strand_cancel(strand_ref ref, int cause);

/* The same for every strand that lives; returns their number. */
unsigned strand_cancel_all(int cause);

/* What this coroutine was cancelled for: the first cause of its scopes, innermost first;
 * WEIR_ECANCELED if there is none. */
int strand_cause(void);

/* What has ended this coroutine's work for good: as strand_cause, but of the library's scopes only.
 * 0: it is not cancelled, or masked, or by a scope of its program alone. */
int strand_ended(void);

/* What the strand does when a slot it watches (slot_watch) hangs up: fn(arg) runs on the worker's
 * stack while none of the strand's coroutines runs, must not block, and returns 0 or a cause to
 * cancel the strand with. */
void strand_on_notice(int (*fn)(void *), void *arg);

/* Blocks until the deadline, and returns deadline.err then; or WEIR_ECANCELED. */
int co_sleep(struct deadline until);

/* Lets the other coroutines and strands of this worker run first. */
void co_yield (void);

/* An I/O call that moved so many bytes needed no wait. After 64 such calls, or 1 MiB, of the strand
 * since it last was its turn, the next one yields before. */
void co_spend(size_t bytes);

/* What an I/O call begins with: 0 or WEIR_ECANCELED, as co_check. `may_park`: it may yield. */
int co_begin_call(bool may_park);

/* Cancelled and not masked? 0 or WEIR_ECANCELED. */
int co_check(void);

/* Between mask and unmask blocking calls ignore cancelling (cleanups, error answers, logging).
 * Nests. */
void co_mask(void);
void co_unmask(void);

/* What this coroutine is doing, for the report of a stack overflow: two static strings. */
void co_label(const char *who, const char *what);

/* Scopes: coroutines started into a scope are over before the scope ends. All belong to the strand
 * that opened it.
 *
 *     struct scope sc;
 *     struct task  send;
 *     scope_open(&sc);
 *     TRY(task_start(&sc, &send, send_body, s));
 *     rc = ...;                     // a failing task cancels this coroutine too: WEIR_ECANCELED
 *     return scope_close(&sc, rc);  // cancels what still runs, joins it, returns the first cause
 *
 * The memory of scope and tasks is the caller's and outlives scope_close. */
struct scope {
    struct scope *parent;
    struct co *owner;   /* the coroutine that opened it; cancelled with it */
    struct task *tasks; /* running or over, newest first */
    unsigned running;
    int cause; /* the first error of a task or canceller; 0: none */
    bool canceled;
    bool program;      /* opened by user code, which may well outlive its cancelling */
    int64_t until;     /* of scope_limit; 0: none */
    struct co *joiner; /* who waits in scope_wait */
    uint64_t joiner_number;
};

struct task {
    struct task *next, **at; /* in its scope's list */
    struct co *co;
    struct scope *scope;
    int (*fn)(void *);
    void *arg;
    struct co *joiner; /* who waits for its end */
    uint64_t joiner_number;
    int rc; /* its result, once done */
    bool done;
    void (*over)(struct task *); /* frees it once it is done; then nobody else may hold it */
};

void scope_open(struct scope *sc);

/* Starts fn(arg) as a coroutine of this strand; it begins when the caller next blocks. A negative
 * result cancels the scope with it as cause. 0, WEIR_ESTACKS, WEIR_ENOMEM, or WEIR_ECANCELED if the
 * scope is cancelled already. */
must_use int task_start(struct scope *sc, struct task *t, int (*fn)(void *), void *arg);

/* The same for a task that belongs to nobody: over(t) is called when it is done, and frees it. */
must_use int task_start_free(struct scope *sc, struct task *t, int (*fn)(void *), void *arg,
                             void (*over)(struct task *));

/* Blocks until the task is over (not cancellable), or, task_wait, until the deadline. */
int task_join(struct task *t);
int task_wait(struct task *t, struct deadline until);

/* Cancels one task, and lets it run to its end: task_join after it returns soon. */
void task_cancel(struct task *t);

/* Cancels all tasks and the owner's blocking calls within this scope. */
void scope_cancel(struct scope *sc, int cause);

/* Blocks until no task of the scope runs: 0, the deadline's error, or WEIR_ECANCELED. */
int scope_wait(struct scope *sc, struct deadline until);

/* The earlier of `until` and what the scopes around this coroutine were limited to (scope.until),
 * with the error `err` then. Those of a task's opener count too. */
struct deadline scope_limit(struct deadline until, int err);

/* Cancels what still runs, joins it, closes the scope. Returns the scope's first cause, else
 * `rc`. */
int scope_close(struct scope *sc, int rc);

#endif
