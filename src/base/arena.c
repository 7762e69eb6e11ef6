/* arena.c -- the slow half of the arena: new pieces, copies, formatting. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIECE_SIZE = 8192, ALIGN = 16 };

struct arena_piece {
    struct arena_piece *next;
    _Alignas(ALIGN) char bytes[];
};

void arena_init(struct arena *a, void *mem, size_t size)
{
    static char nothing[1]; /* pointer arithmetic needs an object, even for an empty arena */

    a->at = mem != NULL ? mem : nothing;
    a->end = a->at + (mem != NULL ? size : 0);
    a->pieces = NULL;
}

void arena_done(struct arena *a)
{
    while (a->pieces != NULL) {
        struct arena_piece *piece = a->pieces;

        a->pieces = piece->next;
        free(piece);
    }
    arena_init(a, NULL, 0);
}

/* A block that would waste most of a fresh piece gets one of its own, and the current piece
 * stays. */
SELDOM void *arena_alloc_slow(struct arena *a, size_t n)
{
    bool own = n > PIECE_SIZE / 4;
    size_t size = own ? n : PIECE_SIZE;
    struct arena_piece *piece;

    if (n > SIZE_MAX / 2)
        return NULL;
    piece = malloc(sizeof(*piece) + size);
    if (piece == NULL)
        return NULL;
    piece->next = a->pieces;
    a->pieces = piece;
    if (!own) {
        a->at = piece->bytes + n;
        a->end = piece->bytes + size;
    }
    return piece->bytes;
}

weir_str arena_copy(struct arena *a, weir_str s)
{
    char *to;

    if (s.ptr == NULL)
        return (weir_str){ NULL, 0 };
    if (s.len == 0)
        return LIT("");
    to = arena_text(a, s.len);
    if (to == NULL)
        return (weir_str){ NULL, 0 };
    memcpy(to, s.ptr, s.len);
    return (weir_str){ to, s.len };
}

/* Most texts fit into what is left of the piece: they are formatted in place, once. */
weir_str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    size_t room = (size_t)(a->end - a->at);
    va_list again;
    char *to = a->at;
    int len;

    va_copy(again, ap);
    len = vsnprintf(room > 0 ? to : NULL, room, fmt, ap);
    if (len >= 0 && (size_t)len < room) {
        a->at += len + 1;
    } else if (len >= 0) {
        to = arena_text(a, (size_t)len + 1);
        if (to != NULL)
            vsnprintf(to, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    if (len < 0 || to == NULL)
        return (weir_str){ NULL, 0 };
    return (weir_str){ to, (size_t)len };
}

weir_str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    weir_str s;

    va_start(ap, fmt);
    s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
