/* h2_frames.c -- looks at the frame headers that pass, for what nghttp2 does not tell.
 *
 * It forgets a stream as soon as that is closed, and ignores what still comes for it. But a peer
 * that sends DATA or HEADERS on a stream which it has ended or reset itself breaks the rules (RFC
 * 9113 5.1); only what comes behind a reset of ours may be on its way still. So the ids that we
 * have reset are remembered, the last ones in a ring. PRIORITY frames are of no use here, but two
 * kinds of them are errors all the same. And CONTINUATION frames are counted: nghttp2 counts how
 * often it is given a piece of one. */
#include "http/h2_parts.h"

enum { FRAME_HEAD = 9, PRIORITY_LEN = 5 };
static_assert(sizeof(((struct h2_frames *)0)->kept) == FRAME_HEAD + PRIORITY_LEN,
              "a PRIORITY frame is kept");

void h2_frames_reset(struct h2_conn *c, int32_t id)
{
    struct h2_frames *f = &c->frames;
    int32_t *place = &f->reset[f->resets++ % ARRAY_LEN(f->reset)];

    f->forgotten = MAX(f->forgotten, *place);
    *place = id;
}

/* May frames for this closed stream have been sent before our reset was seen? */
static bool was_reset_by_us(const struct h2_frames *f, int32_t id)
{
    if (id <= f->forgotten)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(f->reset); i++) {
        if (f->reset[i] == id)
            return true;
    }
    return false;
}

static bool is_late(const struct h2_conn *c, int32_t id)
{
    return id % 2 == 1 && id <= nghttp2_session_get_last_proc_stream_id(c->session) &&
           nghttp2_session_find_stream(c->session, id) == NULL && !was_reset_by_us(&c->frames, id);
}

/* The stream that a PRIORITY frame names, and the one it depends on. */
static const char *priority_fault(const uint8_t *frame)
{
    if (h2_frames_id(frame + 5) == 0)
        return "a PRIORITY frame for stream 0";
    if (h2_frames_id(frame + FRAME_HEAD) == h2_frames_id(frame + 5))
        return "a stream that depends on itself";
    return NULL;
}

/* Takes bytes until a frame header is complete, PRIORITY with its payload; false at their end. */
static bool next_frame(struct h2_frames *f, const uint8_t **at, const uint8_t *end)
{
    while (*at < end) {
        size_t n = MIN(f->skip, (size_t)(end - *at)), len;

        if (n > 0) {
            f->skip -= n;
            *at += n;
            continue;
        }
        f->kept[f->have++] = *(*at)++;
        if (f->have < FRAME_HEAD)
            continue;
        len = (size_t)f->kept[0] << 16 | (size_t)f->kept[1] << 8 | f->kept[2];
        if (f->kept[3] == NGHTTP2_PRIORITY && len == PRIORITY_LEN && f->have < sizeof f->kept)
            continue;
        f->skip = f->have == FRAME_HEAD ? len : 0;
        f->have = 0;
        return true;
    }
    return false;
}

bool h2_frames_in_block(const struct h2_frames *f)
{
    return f->open_block || (f->skip > 0 && f->in_headers);
}

/* Of a frame header that is complete. */
static enum h2_frame note_kind(struct h2_frames *f)
{
    uint8_t type = f->kept[3];

    f->in_headers = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
    f->open_block = f->in_headers && !(f->kept[4] & NGHTTP2_FLAG_END_HEADERS);
    f->continued = type == NGHTTP2_CONTINUATION ? f->continued + 1 : 0;
    switch (type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        return H2_FRAME_STREAM;
    case NGHTTP2_PRIORITY:
        return H2_FRAME_PRIORITY;
    case NGHTTP2_CONTINUATION:
        return H2_FRAME_CONTINUATION;
    default:
        return H2_FRAME_OTHER;
    }
}

/* The next frame header in `*bytes`, which moves behind it. Where it began is in `*start`, at the
 * earliest 0: then its first bytes were in an earlier piece. */
enum h2_frame h2_frames_next(struct h2_frames *f, weir_str *bytes, const char **start)
{
    const uint8_t *at = (const uint8_t *)bytes->ptr, *first = at, *end = at + bytes->len;
    bool found = next_frame(f, &at, end);
    size_t head = f->kept[3] == NGHTTP2_PRIORITY && f->skip == 0 ? sizeof f->kept : FRAME_HEAD;

    bytes->ptr = (const char *)at;
    bytes->len = (size_t)(end - at);
    if (!found)
        return H2_FRAME_NONE;
    *start = (const char *)((size_t)(at - first) > head ? at - head : first);
    return note_kind(f);
}

const char *h2_frames_fault(const struct h2_conn *c, enum h2_frame kind, uint32_t *code)
{
    const uint8_t *frame = c->frames.kept;

    if (kind == H2_FRAME_PRIORITY) {
        *code = NGHTTP2_PROTOCOL_ERROR;
        return priority_fault(frame);
    }
    if (kind == H2_FRAME_CONTINUATION) {
        *code = NGHTTP2_ENHANCE_YOUR_CALM;
        return c->frames.continued > H2_CONTINUATIONS ? "too many CONTINUATION frames" : NULL;
    }
    *code = NGHTTP2_STREAM_CLOSED;
    return is_late(c, h2_frames_id(frame + 5)) ? "a frame for a closed stream" : NULL;
}
