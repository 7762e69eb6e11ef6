/* h1_feed.c -- a connection without a socket. */
#include "h1_feed.h"

#include "codec/chunked.h"

const struct h1_limits case_limits = {
    .max_head = 2048, .max_field = 512, .max_target = 256, .max_fields = 20
};

/* The input, of which text[at..end) is there and not yet taken. */
struct input {
    weir_str text;
    size_t at, end;
    enum feeding feeding;
    struct random *r;
};

/* More arrives; false at the end of the input. */
static bool more(struct input *in)
{
    if (in->end == in->text.len)
        return false;
    in->end = next_end(in->feeding, in->end, in->text.len, in->r);
    return true;
}

/* What is there, in a block of its exact size; free() its ptr. */
static weir_str present(const struct input *in)
{
    weir_str there = { in->text.ptr + in->at, in->end - in->at };

    return (weir_str){ exact_copy(there), there.len };
}

/* The next `len` bytes as the parser wants them, kept as long as the arena; they are taken. */
static const char *take_padded(struct input *in, size_t len, struct arena *arena)
{
    char *copy = arena_text(arena, len + H1_PAD);

    assert_non_null(copy);
    memcpy(copy, in->text.ptr + in->at, len);
    memset(copy + len, 'A', H1_PAD);
    in->at += len;
    return copy;
}

static int collect(struct fed *f, struct input *in, enum h1_side side, struct h1_scan *scan)
{
    struct h1_fault fault = { NULL };

    h1_scan_init(scan);
    for (;;) {
        weir_str there = present(in), rest = there;
        int rc = h1_collect(scan, side, &case_limits, &rest, &fault);

        in->at += there.len - rest.len;
        free((char *)there.ptr);
        f->reason = fault.reason;
        if (rc != 0)
            return rc;
        if (!more(in))
            return 0;
    }
}

/* 1 = a head, 0 = the input ended, < 0. */
static int read_head(struct fed *f, struct input *in, enum h1_side side, enum method method)
{
    struct h1_fault fault = { NULL };
    const char *text, *reason = NULL;
    struct h1_scan scan;
    int rc = collect(f, in, side, &scan);

    if (rc <= 0)
        return rc;
    text = take_padded(in, scan.at, &f->arena);
    head_init(&f->head, &f->arena, 0);
    if (side == H1_REQUEST)
        rc = h1_parse_request(text, &scan, &case_limits, &f->head, &fault);
    else
        rc = h1_parse_response(text, &scan, &case_limits, &f->head, &fault);
    if (rc == 0)
        rc = side == H1_REQUEST ? framing_request(&f->head, &f->framing, &fault)
                                : framing_response(&f->head, method, &f->framing, &fault);
    if (rc == 0 && side == H1_REQUEST)
        rc = head_check_connection(&f->head, &reason);
    f->reason = reason != NULL ? reason : fault.reason;
    return rc < 0 ? rc : 1;
}

static void add_body(struct fed *f, weir_str piece)
{
    weir_str all = { arena_text(&f->arena, f->body.len + piece.len + 1), f->body.len + piece.len };

    assert_non_null(all.ptr);
    if (f->body.len > 0)
        memcpy((char *)all.ptr, f->body.ptr, f->body.len);
    if (piece.len > 0)
        memcpy((char *)all.ptr + f->body.len, piece.ptr, piece.len);
    f->body = all;
}

/* `left` bytes, or all there are. */
static int read_plain(struct fed *f, struct input *in, uint64_t left, bool until_close)
{
    for (;;) {
        size_t n = in->end - in->at;

        if (n > left)
            n = (size_t)left;
        add_body(f, (weir_str){ in->text.ptr + in->at, n });
        in->at += n;
        left -= n;
        if (left == 0)
            return 0;
        if (!more(in))
            return until_close ? 0 : FED_CUT;
    }
}

static int read_trailers(struct fed *f, struct input *in, int err)
{
    struct h1_fault fault = { NULL };
    struct h1_scan scan;
    ptrdiff_t len;

    h1_scan_init(&scan);
    for (;;) {
        weir_str there = present(in);

        len = chunked_trailers(&scan, there);
        free((char *)there.ptr);
        if (len != 0)
            break;
        if (!more(in))
            return FED_CUT;
    }
    f->reason = scan.reason;
    if (len < 0)
        return err;
    if (len > 2) {
        const char *text = take_padded(in, (size_t)len, &f->arena);
        int rc = h1_parse_trailers(text, &scan, &case_limits, &f->trailers, err, &fault);

        f->reason = fault.reason;
        return rc;
    }
    in->at += 2;
    return 0;
}

static int read_chunked(struct fed *f, struct input *in, int err)
{
    struct chunked c;

    chunked_init(&c);
    for (;;) {
        weir_str there = present(in), rest = there, piece;
        int rc;

        while ((rc = chunked_next(&c, &rest, &piece)) == CHUNKED_DATA)
            add_body(f, piece);
        in->at += there.len - rest.len;
        free((char *)there.ptr);
        if (rc == CHUNKED_TRAILERS)
            return read_trailers(f, in, err);
        if (rc < 0) {
            f->reason = c.reason;
            return err;
        }
        if (!more(in))
            return FED_CUT;
    }
}

static void put_fields(struct fed *f, weir_str *out, const struct weir_head *head, bool trailers);

/* Heads up to the final one. */
static int read_heads(struct fed *f, struct input *in, enum h1_side side, enum method method)
{
    bool goes_on = true;

    for (;;) {
        int rc = read_head(f, in, side, method);

        if (rc <= 0)
            return rc == 0 ? FED_CUT : rc;
        f->goes_on = goes_on = goes_on && f->framing.persistent;
        if (side == H1_REQUEST || f->head.status >= 200 || f->head.status == 101)
            return 0;
        f->interim = arena_printf(&f->arena, WEIR_FMT "%d", WEIR_ARG(f->interim), f->head.status);
        put_fields(f, &f->interim, &f->head, false);
        f->interim = arena_printf(&f->arena, WEIR_FMT ", ", WEIR_ARG(f->interim));
    }
}

static int read_message(struct fed *f, struct input *in, enum h1_side side, enum method method)
{
    int err = side == H1_REQUEST ? WEIR_EBADBODY : WEIR_EUPBODY;
    int rc = read_heads(f, in, side, method);

    if (rc != 0)
        return rc;
    switch (f->framing.mode) {
    case BODY_NONE:
        return 0;
    case BODY_LENGTH:
        return read_plain(f, in, f->framing.length, false);
    case BODY_CHUNKED:
        return read_chunked(f, in, err);
    case BODY_CLOSE:
        return read_plain(f, in, UINT64_MAX, true);
    }
    return WEIR_EINTERNAL;
}

void feed(struct fed *f, weir_str text, enum h1_side side, enum method method, enum feeding feeding,
          struct random *r)
{
    struct input in = { .text = text, .feeding = feeding, .r = r };
    bool tunnel;

    *f = (struct fed){ .interim = { "", 0 }, .body = { "", 0 } };
    arena_init(&f->arena, NULL, 0);
    head_init(&f->head, &f->arena, 0);
    head_init(&f->trailers, &f->arena, 0);
    f->rc = read_message(f, &in, side, method);
    f->left = text.len - in.at;
    tunnel = side == H1_RESPONSE &&
             (f->head.status == 101 || (method == METHOD_CONNECT && f->head.status / 100 == 2));
    f->goes_on = f->rc == 0 && f->goes_on && !tunnel && (side == H1_REQUEST || f->left == 0);
}

void fed_done(struct fed *f)
{
    arena_done(&f->arena);
}

static void put_fields(struct fed *f, weir_str *out, const struct weir_head *head, bool trailers)
{
    struct weir_head kept;
    weir_str name, value;

    assert_int_equal(head_copy_end_to_end(&kept, head, &f->arena), 0);
    head_del_id(&kept, FIELD_HOST);
    for (size_t i = 0; weir_head_at(&kept, i, &name, &value); i++)
        *out = arena_printf(&f->arena, WEIR_FMT " %c" WEIR_FMT ": " WEIR_FMT "%c", WEIR_ARG(*out),
                            trailers ? '[' : '{', WEIR_ARG(name), WEIR_ARG(value),
                            trailers ? ']' : '}');
}

const char *fed_text(struct fed *f)
{
    const struct weir_head *h = &f->head;
    weir_str host = head_get_id(h, FIELD_HOST), out;

    if (host.ptr == NULL)
        host = LIT("-");
    if (h->status == 0)
        out = arena_printf(&f->arena, WEIR_FMT " " WEIR_FMT " " WEIR_FMT, WEIR_ARG(h->method),
                           WEIR_ARG(h->target), WEIR_ARG(host));
    else
        out = arena_printf(&f->arena, WEIR_FMT "%d", WEIR_ARG(f->interim), h->status);
    put_fields(f, &out, h, false);
    if (f->framing.stated.ptr != NULL)
        out = arena_printf(&f->arena, WEIR_FMT " (" WEIR_FMT ")", WEIR_ARG(out),
                           WEIR_ARG(f->framing.stated));
    if (f->body.len > 0)
        out = arena_printf(&f->arena, WEIR_FMT " '" WEIR_FMT "'", WEIR_ARG(out), WEIR_ARG(f->body));
    put_fields(f, &out, &f->trailers, true);
    if (f->left > 0)
        out = arena_printf(&f->arena, WEIR_FMT " +%zu", WEIR_ARG(out), f->left);
    return out.ptr;
}
