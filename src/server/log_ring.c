/* log_ring.c -- positions only grow; a position's place in the ring is its rest modulo the size. */
#include "server/log_ring.h"

#include <stdlib.h>

int ring_init(struct log_ring *r, size_t cap)
{
    ensure(cap > 0 && (cap & (cap - 1)) == 0);
    *r = (struct log_ring){ .cap = cap, .bytes = malloc(cap) };
    if (r->bytes == NULL)
        return WEIR_ENOMEM;
    pthread_mutex_init(&r->lock, NULL);
    return 0;
}

void ring_done(struct log_ring *r)
{
    if (r->bytes == NULL)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r->bytes);
    *r = (struct log_ring){ 0 };
}

static char *place(const struct log_ring *r, uint64_t position)
{
    return r->bytes + (position & (r->cap - 1));
}

static void copy_in(struct log_ring *r, weir_str line)
{
    size_t to_end = r->cap - (r->head & (r->cap - 1));
    size_t first = MIN(line.len, to_end);

    memcpy(place(r, r->head), line.ptr, first);
    memcpy(r->bytes, line.ptr + first, line.len - first);
    r->head += line.len;
}

enum ring_news ring_put(struct log_ring *r, weir_str line)
{
    enum ring_news news = RING_SAME;
    uint64_t used;

    pthread_mutex_lock(&r->lock);
    used = r->head - r->tail;
    if (line.len > r->cap - used) {
        r->lost++;
    } else {
        copy_in(r, line);
        if (used == 0)
            news = RING_FIRST;
        else if (used < r->cap / 2 && used + line.len >= r->cap / 2)
            news = RING_HALF;
    }
    pthread_mutex_unlock(&r->lock);
    return news;
}

int ring_peek(struct log_ring *r, struct iovec out[2])
{
    size_t used, to_end;

    pthread_mutex_lock(&r->lock);
    used = r->head - r->tail;
    pthread_mutex_unlock(&r->lock);
    if (used == 0)
        return 0;
    to_end = r->cap - (r->tail & (r->cap - 1)); /* the tail is the reader's own */
    out[0] = (struct iovec){ place(r, r->tail), MIN(used, to_end) };
    out[1] = (struct iovec){ r->bytes, used - out[0].iov_len };
    return out[1].iov_len > 0 ? 2 : 1;
}

void ring_drop(struct log_ring *r, size_t n)
{
    pthread_mutex_lock(&r->lock);
    ensure(n <= r->head - r->tail);
    r->tail += n;
    pthread_mutex_unlock(&r->lock);
}

uint64_t ring_lost(struct log_ring *r)
{
    uint64_t lost;

    pthread_mutex_lock(&r->lock);
    lost = r->lost;
    r->lost = 0;
    pthread_mutex_unlock(&r->lock);
    return lost;
}
