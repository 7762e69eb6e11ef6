/* h2_memory.c -- what nghttp2 allocates.
 *
 * Each session keeps a buffer of 16 KiB and a little for the frames that it packs, of which most
 * never fill the first page. malloc would put it where other things have been: it would be memory
 * all the same. Here it is a place of its own, of whole pages, and those that were never touched
 * cost nothing.
 *
 * nghttp2 1.52 frees a DATA frame twice if the queue that is to hold it cannot grow: at once, and
 * with the stream that still points to it. So the first block that it frees after a resize has
 * failed is kept until it is freed again, or until the session is gone. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/slab.h"

enum { PLACE_SIZE = 5 * 4096, PLACE_LEAST = 16 * 1024 };

struct place {
    _Alignas(64) struct slab_item item;
    _Alignas(16) char bytes[PLACE_SIZE - 16];
};
static_assert(sizeof(struct place) == PLACE_SIZE, "whole pages");

static struct slab places;

int h2_memory_start(void)
{
    return slab_start(&places, &(struct slab_type){
                                   .size = sizeof(struct place),
                                   .max = 1 << 20,
                                   .retire = slab_forgotten,
                               });
}

/* The first large block of a connection is that buffer. */
static void *get(size_t size, void *conn)
{
    struct h2_conn *c = conn;

    if (c->place == NULL && size >= PLACE_LEAST && size <= sizeof c->place->bytes)
        c->place = slab_get(&places, NULL);
    else
        return malloc(size);
    return c->place != NULL ? c->place->bytes : malloc(size);
}

static bool is_place(const struct h2_conn *c, const void *p)
{
    return c->place != NULL && p == c->place->bytes;
}

static void give(void *p, void *conn)
{
    struct h2_conn *c = conn;

    if (c->starved && p != NULL) {
        c->starved = false;
        c->doubtful = p;
        return;
    }
    if (p == c->doubtful)
        c->doubtful = NULL;
    if (!is_place(c, p)) {
        free(p);
        return;
    }
    slab_put(&places, NULL, c->place);
    c->place = NULL;
}

static void *get_zeroed(size_t n, size_t size, void *conn)
{
    (void)conn;
    return calloc(n, size);
}

static void *out_of_place(struct h2_conn *c, size_t size)
{
    void *larger = malloc(size);

    if (larger != NULL) {
        memcpy(larger, c->place->bytes, sizeof c->place->bytes);
        give(c->place->bytes, c);
    }
    return larger;
}

static void *resize(void *p, size_t size, void *conn)
{
    struct h2_conn *c = conn;
    void *resized;

    if (is_place(c, p))
        resized = size <= sizeof c->place->bytes ? p : out_of_place(c, size);
    else
        resized = p == NULL ? get(size, conn) : realloc(p, size);
    if (resized == NULL && c->doubtful == NULL)
        c->starved = true;
    return resized;
}

void h2_memory_end(struct h2_conn *c)
{
    void *p = c->doubtful;

    c->starved = false;
    if (p != NULL)
        give(p, c);
}

nghttp2_mem h2_memory_of(struct h2_conn *c)
{
    return (nghttp2_mem){
        .mem_user_data = c,
        .malloc = get,
        .free = give,
        .calloc = get_zeroed,
        .realloc = resize,
    };
}
