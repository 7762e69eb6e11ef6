/* h2_memory.c -- what nghttp2 allocates.
 *
 * Each session keeps a buffer of 16 KiB and a little for the frames that it packs, of which most
 * never fill the first page. malloc would put it where other things have been: it would be memory
 * all the same. Here it is a place of its own, of whole pages, and those that were never touched
 * cost nothing. */
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

static void *resize(void *p, size_t size, void *conn)
{
    struct h2_conn *c = conn;
    void *larger;

    if (p == NULL)
        return get(size, conn);
    if (!is_place(c, p))
        return realloc(p, size);
    if (size <= sizeof c->place->bytes)
        return p;
    larger = malloc(size);
    if (larger == NULL)
        return NULL;
    memcpy(larger, p, sizeof c->place->bytes);
    give(p, conn);
    return larger;
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
