/* channel.c -- a ring, and two lines of permits: for its free cells and for its items. One lock for
 * all of it, so a permit for a cell and the item in it come and go in one step, and closing falls
 * before or after it. An item stays in the ring until its receiver takes it: nothing has to be put
 * back for one who was cancelled. */
#include "runtime/channel.h"

#include <stdlib.h>

struct channel {
    struct spin spin;
    struct permits cells, items;
    size_t size, capacity;
    size_t head, tail; /* where the next one is taken, is put */
    char *ring;
};

struct channel *channel_new(size_t capacity, size_t size)
{
    struct channel *ch = malloc(sizeof *ch + capacity * size);

    ensure(capacity > 0 && capacity <= (size_t)1 << 24 && size > 0 && size <= CHANNEL_ITEM);
    if (ch == NULL)
        return NULL;
    *ch = (struct channel){ .cells = { .free = capacity }, .size = size, .capacity = capacity };
    ch->ring = (char *)(ch + 1);
    return ch;
}

void channel_free(struct channel **ch)
{
    if (*ch != NULL)
        ensure((*ch)->cells.first == NULL && (*ch)->items.first == NULL);
    free(*ch);
    *ch = NULL;
}

/* The caller has a permit for a cell, for an item. */
static void put(struct channel *ch, const void *item)
{
    memcpy(ch->ring + ch->tail * ch->size, item, ch->size);
    ch->tail = ch->tail + 1 < ch->capacity ? ch->tail + 1 : 0;
    permits_give(&ch->items);
}

static void take(struct channel *ch, void *item)
{
    memcpy(item, ch->ring + ch->head * ch->size, ch->size);
    ch->head = ch->head + 1 < ch->capacity ? ch->head + 1 : 0;
    permits_give(&ch->cells);
}

/* A sender who was given a cell, and finds the channel closed, does not use it. */
int channel_send(struct channel *ch, const void *item, struct deadline until)
{
    int rc;

    spin_lock(&ch->spin);
    rc = ch->cells.closed ? WEIR_ECLOSED : permits_take(&ch->cells, &ch->spin, until);
    if (rc == 0 && ch->cells.closed)
        rc = WEIR_ECLOSED;
    if (rc == 0)
        put(ch, item);
    spin_unlock(&ch->spin);
    return rc;
}

int channel_receive(struct channel *ch, void *item, struct deadline until)
{
    int rc;

    spin_lock(&ch->spin);
    rc = permits_take(&ch->items, &ch->spin, until);
    if (rc == 0)
        take(ch, item);
    spin_unlock(&ch->spin);
    return rc;
}

int channel_try_send(struct channel *ch, const void *item)
{
    int rc = 0;

    spin_lock(&ch->spin);
    if (ch->cells.closed)
        rc = WEIR_ECLOSED;
    else if (!permits_try(&ch->cells))
        rc = WEIR_ETIMEOUT;
    else
        put(ch, item);
    spin_unlock(&ch->spin);
    return rc;
}

int channel_try_receive(struct channel *ch, void *item)
{
    int rc = 0;

    spin_lock(&ch->spin);
    if (permits_try(&ch->items))
        take(ch, item);
    else
        rc = ch->items.closed ? WEIR_ECLOSED : WEIR_ETIMEOUT;
    spin_unlock(&ch->spin);
    return rc;
}

void channel_close(struct channel *ch)
{
    spin_lock(&ch->spin);
    permits_close(&ch->cells);
    permits_close(&ch->items);
    spin_unlock(&ch->spin);
}
