/* replay.c -- what came of a request's body, kept for another try.
 *
 * The piece that came last still lies where it was read, until the next is read. So it is kept by
 * reference, and copied only when there is a next one: a body that comes in one piece is never
 * copied. */
#include "proxy/replay.h"

#include <stdlib.h>

#include "proxy/session.h"
#include "proxy/spill.h"
#include "runtime/buf.h"

enum { CAP_FIRST = 4096 };

static uint64_t total(const struct replay *r)
{
    return r->kept + r->filed + r->last.len;
}

bool replay_ended(const struct weir_session *s)
{
    return s->down->body_done && (s->replay == NULL || s->replay->at == total(s->replay));
}

bool replay_possible(const struct weir_session *s)
{
    return !s->body_lost || s->received == 0;
}

void replay_rewind(struct weir_session *s)
{
    if (s->replay == NULL)
        return;
    s->replay->at = 0;
    s->replay->lent = false;
}

static void drop(struct replay *r)
{
    free(r->bytes);
    buf_put(&r->piece);
    spill_close(&r->file);
    r->bytes = NULL;
    r->last = (weir_str){ NULL, 0 };
    r->kept = r->cap = 0;
    r->filed = r->at = 0;
}

void replay_stop(struct weir_session *s)
{
    struct replay *r = s->replay;

    s->body_lost = true;
    if (r != NULL && r->at == total(r) && !r->lent && !r->buffered)
        drop(r);
}

void replay_done(struct weir_session *s)
{
    if (s->replay != NULL)
        drop(s->replay);
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* A body that says that it is too long is not kept at all. */
static bool too_long(const struct weir_session *s)
{
    const struct framing *f = &s->down->framing;

    return f->mode == BODY_LENGTH && f->length > s->replay_max + s->replay_file;
}

bool replay_passes(const struct weir_session *s)
{
    bool at_end = s->replay == NULL || s->replay->at == total(s->replay);

    return at_end && (s->body_lost || too_long(s) || s->replay_max + s->replay_file == 0);
}

static struct replay *begin(struct weir_session *s)
{
    struct replay *r;

    if (s->replay != NULL)
        return s->replay;
    if (too_long(s) || s->replay_max + s->replay_file == 0)
        return NULL;
    r = arena_alloc(&s->arena, sizeof *r);
    if (r != NULL)
        *r = (struct replay){ .file = -1 };
    s->replay = r;
    return r;
}

/* As much as the body says that it will need, or twice what there was. */
static bool grow(struct weir_session *s, struct replay *r, size_t need)
{
    const struct framing *f = &s->down->framing;
    size_t least = MAX(need, CAP_FIRST), cap = MAX(r->cap * 2, least);
    size_t most = MAX(cap, 16 * CAP_FIRST);
    char *bytes;

    if (f->mode == BODY_LENGTH && f->length >= need)
        cap = (size_t)MIN(f->length, most);
    bytes = realloc(r->bytes, MIN(cap, s->replay_max));
    if (bytes == NULL)
        return false;
    r->bytes = bytes;
    r->cap = MIN(cap, s->replay_max);
    return true;
}

/* In memory as far as there is room, the rest in the file. false: it is not kept. */
static bool store(struct weir_session *s, struct replay *r, weir_str piece)
{
    size_t room = r->filed > 0 ? 0 : s->replay_max - r->kept;
    size_t n = MIN(piece.len, room);

    if (r->kept + n > r->cap && !grow(s, r, r->kept + n))
        return false;
    if (n > 0)
        memcpy(r->bytes + r->kept, piece.ptr, n);
    r->kept += n;
    piece.ptr += n;
    piece.len -= n;
    if (piece.len == 0)
        return true;
    if (piece.len > s->replay_file - r->filed || !spill_write(&r->file, piece, r->filed))
        return false;
    r->filed += piece.len;
    return true;
}

static void lose(struct weir_session *s, struct replay *r)
{
    s->body_lost = true;
    drop(r);
}

/* What came last would be gone with the next read: to where it stays. */
static void settle(struct weir_session *s, struct replay *r)
{
    weir_str last = r->last;

    if (last.len == 0)
        return;
    r->last = (weir_str){ NULL, 0 };
    if (s->body_lost || !store(s, r, last))
        lose(s, r);
    else
        r->at = total(r);
}

static bool fits(const struct weir_session *s, const struct replay *r, size_t len)
{
    uint64_t most = s->replay_max + s->replay_file;

    return len <= most && total(r) <= most - len;
}

static void keep(struct weir_session *s, weir_str piece)
{
    struct replay *r = begin(s);

    if (r == NULL) {
        s->body_lost = true;
    } else if (!fits(s, r, piece.len)) {
        lose(s, r);
    } else {
        r->last = piece;
        r->at = total(r);
    }
}

bool replay_settle(struct weir_session *s)
{
    if (s->replay != NULL) {
        settle(s, s->replay);
        s->replay->buffered = true;
    }
    return !s->body_lost;
}

/* ---- what came before ------------------------------------------------------------------------ */

static int read_file(struct weir_session *s, struct replay *r, weir_str *piece)
{
    uint64_t at = r->at - r->kept;
    size_t n = (size_t)MIN(r->filed - at, (uint64_t)BUF_SIZE);

    if (r->piece == NULL)
        r->piece = buf_get();
    if (r->piece == NULL)
        return WEIR_ENOMEM;
    if (!spill_read(r->file, r->piece, n, at))
        return session_fail(s, WEIR_EINTERNAL,
                            "the temporary file of the request body cannot be read");
    *piece = (weir_str){ r->piece, n };
    return 0;
}

static int read_again(struct weir_session *s, struct replay *r, weir_str *piece)
{
    if (r->at < r->kept)
        *piece = (weir_str){ r->bytes + r->at, r->kept - (size_t)r->at };
    else if (r->at < r->kept + r->filed)
        TRY(read_file(s, r, piece));
    else
        *piece = r->last;
    r->at += piece->len;
    r->lent = true;
    return HTTP_PIECE;
}

int replay_read(struct weir_session *s, weir_str *piece, struct pace *pace)
{
    struct replay *r = s->replay;
    int rc;

    if (r != NULL && r->at < total(r))
        return read_again(s, r, piece);
    if (r != NULL) {
        r->lent = false;
        settle(s, r);
    }
    rc = http_read_body(s->down, piece, pace);
    if (rc < 0 || piece->len == 0)
        return rc;
    s->received += piece->len;
    if (s->received > s->max_body)
        return WEIR_EBODYSIZE;
    if (!s->body_lost)
        keep(s, *piece);
    return rc;
}
