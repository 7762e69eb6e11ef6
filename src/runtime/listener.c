/* listener.c -- listening sockets: level-triggered and exclusive, in the epoll of every worker, so
 * that a full table of descriptors does not lose an edge (RUNTIME.md S11). */
#include "runtime/worker.h"

#include <stdlib.h>

#include "runtime/sys.h"

enum { LISTENERS = 256 };

struct listener_slot {
    int fd;
    uint32_t index;
    void (*ready)(int fd, void *owner);
    void *owner;
    struct spin lock; /* guards `listening` and the registrations */
    bool listening;
    _Atomic unsigned left; /* workers that have not let go yet, while it closes */
    struct post posts[];   /* to each worker, for that */
};

static _Atomic(struct listener_slot *) table[LISTENERS];

static int register_all(struct listener_slot *l)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLEXCLUSIVE,
        .data.u64 = (uint64_t)EVENT_LISTENER << EVENT_KIND_SHIFT | l->index,
    };

    for (unsigned i = 0; i < rt.count; i++)
        if (sys_epoll_ctl(rt.workers[i]->epoll, EPOLL_CTL_ADD, l->fd, &ev) < 0)
            return WEIR_ENOMEM;
    return 0;
}

static void unregister_all(struct listener_slot *l)
{
    struct epoll_event none = { 0 };

    for (unsigned i = 0; i < rt.count; i++)
        sys_epoll_ctl(rt.workers[i]->epoll, EPOLL_CTL_DEL, l->fd, &none);
}

struct listener_slot *listener_new(int fd, void (*ready)(int fd, void *owner), void *owner)
{
    struct listener_slot *l = malloc(sizeof *l + rt.count * sizeof l->posts[0]), *none;

    if (l == NULL)
        return NULL;
    *l = (struct listener_slot){ .fd = fd, .ready = ready, .owner = owner, .index = LISTENERS };
    for (uint32_t i = 0; i < LISTENERS && l->index == LISTENERS; i++) {
        none = NULL;
        if (atomic_compare_exchange_strong(&table[i], &none, l))
            l->index = i;
    }
    if (l->index == LISTENERS || listener_resume(l) < 0) {
        if (l->index < LISTENERS)
            atomic_store(&table[l->index], NULL);
        free(l);
        return NULL;
    }
    return l;
}

int listener_pause(struct listener_slot *l)
{
    spin_lock(&l->lock);
    if (l->listening)
        unregister_all(l);
    l->listening = false;
    spin_unlock(&l->lock);
    return 0;
}

int listener_resume(struct listener_slot *l)
{
    int rc = 0;

    spin_lock(&l->lock);
    if (!l->listening) {
        rc = register_all(l);
        if (rc < 0)
            unregister_all(l);
        l->listening = rc == 0;
    }
    spin_unlock(&l->lock);
    return rc;
}

/* Runs on each worker after all events that it had fetched before: from here on it does not look at
 * the listener. */
static void let_go(void *arg)
{
    struct listener_slot *l = arg;

    if (atomic_fetch_sub(&l->left, 1) == 1) {
        sys_close(l->fd);
        free(l);
    }
}

void listener_close(struct listener_slot **listener)
{
    struct listener_slot *l = *listener;

    *listener = NULL;
    listener_pause(l);
    atomic_store(&table[l->index], NULL);
    atomic_store(&l->left, rt.count);
    for (unsigned i = 0; i < rt.count; i++)
        worker_post(rt.workers[i], &l->posts[i], let_go, l);
}

void listener_event(uint32_t index)
{
    struct listener_slot *l = atomic_load_explicit(&table[index], memory_order_acquire);

    if (l != NULL)
        l->ready(l->fd, l->owner);
}
