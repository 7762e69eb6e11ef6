/* public.c -- <weir/runtime.h> on top of coroutines, scopes, locks: what is left to do here is to
 * turn timeouts into deadlines, and to say no outside of coroutines. */
#include "runtime/public.h"

#include <stdlib.h>

#include "base/clock.h"
#include "runtime/blocking.h"
#include "runtime/channel.h"
#include "runtime/co.h"
#include "runtime/lock.h"
#include "runtime/sem.h"
#include "runtime/spawn.h"

/* The memory of the public types is typed here only: to those who include the header it is words.
 */
#define INSIDE(type, inside, outside) \
    static_assert(sizeof(type) <= sizeof(struct outside), #outside " has room"); \
    static_assert(_Alignof(type) <= _Alignof(struct outside), #outside " is aligned"); \
    static type *inside(struct outside *p) \
    { \
        return (type *)(void *)p; \
    }

INSIDE(struct scope, scope_in, weir_scope)
INSIDE(struct co_mutex, mutex_in, weir_mutex)
INSIDE(struct co_sem, sem_in, weir_semaphore)

struct deadline public_until(weir_dur timeout, int err)
{
    if (timeout <= 0)
        return (struct deadline){ .at = 0, .err = err };
    return scope_limit(deadline_in(clock_now(), timeout, err), WEIR_ETIMEOUT);
}

/* --- coroutines --- */

int weir_spawn(void (*fn)(void *), void *arg)
{
    return fn != NULL ? spawn(SPAWN_FREE, fn, arg) : WEIR_EINVALID;
}

int weir_sleep_for(weir_dur span)
{
    if (!co_inside())
        return WEIR_EINVALID;
    return co_sleep(public_until(span, 0));
}

void weir_yield(void)
{
    if (co_inside())
        co_yield ();
}

int weir_canceled(void)
{
    return co_inside() ? co_check() : 0;
}

int weir_blocking(int (*fn)(void *), void *arg)
{
    if (fn == NULL)
        return WEIR_EINVALID;
    return co_inside() ? blocking_run(fn, arg) : fn(arg);
}

/* --- scopes --- */

void weir_scope_open(struct weir_scope *sc)
{
    needs(sc != NULL && co_inside(), "a scope, in a coroutine");
    scope_open(scope_in(sc));
    scope_in(sc)->program = true;
}

void weir_scope_limit(struct weir_scope *sc, weir_dur span)
{
    needs(sc != NULL && co_inside(), "a scope, in a coroutine");
    scope_in(sc)->until = span == WEIR_FOREVER ? 0 : deadline_in(clock_now(), span, 0).at;
}

static void free_task(struct task *t)
{
    free(t);
}

int weir_scope_spawn(struct weir_scope *sc, int (*fn)(void *), void *arg)
{
    struct task *t = fn != NULL ? malloc(sizeof *t) : NULL;
    int rc = fn != NULL ? WEIR_ENOMEM : WEIR_EINVALID;

    needs(sc != NULL && co_inside(), "a scope, in a coroutine");
    if (t != NULL)
        rc = task_start_free(scope_in(sc), t, fn, arg, free_task);
    if (rc < 0) {
        free(t);
        scope_cancel(scope_in(sc), rc);
    }
    return rc;
}

int weir_scope_wait(struct weir_scope *sc, weir_dur timeout)
{
    needs(sc != NULL && co_inside(), "a scope, in a coroutine");
    return scope_wait(scope_in(sc), public_until(timeout, WEIR_ETIMEOUT));
}

int weir_scope_end(struct weir_scope *sc, int rc)
{
    needs(sc != NULL && co_inside(), "a scope, in a coroutine");
    return scope_close(scope_in(sc), rc);
}

/* --- mutex, semaphore, channel --- */

void weir_mutex_lock(struct weir_mutex *m)
{
    needs(m != NULL && co_inside(), "a mutex, in a coroutine");
    co_lock(mutex_in(m));
}

void weir_mutex_unlock(struct weir_mutex *m)
{
    needs(m != NULL, "a mutex");
    co_unlock(mutex_in(m));
}

void weir_semaphore_init(struct weir_semaphore *s, uint64_t permits)
{
    needs(s != NULL, "a semaphore");
    co_sem_init(sem_in(s), permits);
}

int weir_semaphore_take(struct weir_semaphore *s, weir_dur timeout)
{
    if (s == NULL || !co_inside())
        return WEIR_EINVALID;
    return co_sem_take(sem_in(s), public_until(timeout, WEIR_ETIMEOUT));
}

void weir_semaphore_give(struct weir_semaphore *s, uint64_t permits)
{
    needs(s != NULL, "a semaphore");
    co_sem_give(sem_in(s), permits);
}

struct weir_channel *weir_channel_new(size_t capacity, size_t item_size)
{
    if (capacity == 0 || capacity > (size_t)1 << 24 || item_size == 0 || item_size > CHANNEL_ITEM)
        return NULL;
    return (struct weir_channel *)channel_new(capacity, item_size);
}

static struct channel *channel_in(struct weir_channel *ch)
{
    return (struct channel *)ch;
}

void weir_channel_free(struct weir_channel **ch)
{
    struct channel *inside;

    if (ch == NULL)
        return;
    inside = channel_in(*ch);
    *ch = NULL;
    channel_free(&inside);
}

int weir_channel_send(struct weir_channel *ch, const void *item, weir_dur timeout)
{
    if (ch == NULL || item == NULL)
        return WEIR_EINVALID;
    if (co_inside())
        return channel_send(channel_in(ch), item, public_until(timeout, WEIR_ETIMEOUT));
    if (timeout > 0)
        return WEIR_EINVALID;
    return channel_try_send(channel_in(ch), item);
}

int weir_channel_receive(struct weir_channel *ch, void *item, weir_dur timeout)
{
    if (ch == NULL || item == NULL)
        return WEIR_EINVALID;
    if (co_inside())
        return channel_receive(channel_in(ch), item, public_until(timeout, WEIR_ETIMEOUT));
    if (timeout > 0)
        return WEIR_EINVALID;
    return channel_try_receive(channel_in(ch), item);
}

void weir_channel_close(struct weir_channel *ch)
{
    if (ch != NULL)
        channel_close(channel_in(ch));
}
