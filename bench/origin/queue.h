/* queue.h -- things that fall due in the order in which they were put in, because all of them
 * wait equally long: a timer queue that costs nothing. Intrusive, doubly linked. */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
    struct link *prev, *next; /* both NULL while in no queue */
    uint64_t due;
};

struct queue {
    struct link head;
    uint64_t wait; /* in nanoseconds; 0: nothing in it ever falls due */
};

static inline void queue_init(struct queue *q, uint64_t wait)
{
    q->head.prev = q->head.next = &q->head;
    q->wait = wait;
}

static inline void queue_remove(struct link *l)
{
    if (!l->next)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = NULL;
}

/* Puts `l` last, due after the queue's wait from now on, wherever it was before. */
static inline void queue_put(struct queue *q, struct link *l, uint64_t now)
{
    queue_remove(l);
    l->due = now + q->wait;
    l->prev = q->head.prev;
    l->next = &q->head;
    q->head.prev->next = l;
    q->head.prev = l;
}

/* The one that falls due next, or NULL. */
static inline struct link *queue_first(const struct queue *q)
{
    return q->wait == 0 || q->head.next == &q->head ? NULL : q->head.next;
}

#endif
