/* compress.c -- who gets a response compressed, by what (RFC 9110 8.4, 12.5.3), and the editor that
 * does it. */
#include <stdlib.h>

#include "codec/chars.h"
#include "proxy/compress_coder.h"
#include "proxy/editor.h"
#include "proxy/module.h"
#include "runtime/buf.h"

enum { MIN_LENGTH = 256 };

static const struct {
    weir_str name;
    weir_str alias; /* RFC 9110 8.4.1.3 */
    unsigned level;
} codings[] = {
    [WEIR_CODING_NONE] = { LIT("identity"), { NULL, 0 }, 0 },
    [WEIR_GZIP] = { LIT("gzip"), LIT("x-gzip"), 6 },
    [WEIR_BR] = { LIT("br"), { NULL, 0 }, 4 },
    [WEIR_ZSTD] = { LIT("zstd"), { NULL, 0 }, 3 },
};

static const char *const usual_types[] = {
    "text/",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/ld+json",
    "application/problem+json",
    "application/manifest+json",
    "application/geo+json",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    NULL,
};

static const struct weir_compression_config usual;

/* What one response is put through. */
struct work {
    enum weir_coding coding;
    bool unpack;
};

/* ---- what the client takes ------------------------------------------------------------------- */

enum { UNSAID = -1, WEIGHT_MAX = 1000 };

/* Weights in thousandths, by enum weir_coding. */
struct wishes {
    int weight[ARRAY_LEN(codings)];
    int others; /* `*` */
    bool said;  /* there is an Accept-Encoding */
};

static weir_str without_blanks(weir_str s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = (weir_str){ s.ptr + 1, s.len - 1 };
    return s;
}

/* RFC 9110 12.4.2: 0 or 1, with up to three digits behind a point; a negative one is malformed. */
static int qvalue(weir_str q)
{
    static const int place[] = { WEIGHT_MAX, 0, 100, 10, 1 };
    int n = 0;

    if (q.len == 0 || q.len > ARRAY_LEN(place) || (q.len > 1 && q.ptr[1] != '.'))
        return -1;
    for (size_t i = 0; i < q.len; i++) {
        if (i != 1 && !is_digit(q.ptr[i]))
            return -1;
        n += i != 1 ? (q.ptr[i] - '0') * place[i] : 0;
    }
    return n <= WEIGHT_MAX ? n : -1;
}

/* What stands behind a coding: nothing, or `;q=`. 0 for what is malformed: it asks for nothing. */
static int weight_of(weir_str parameters)
{
    weir_str q = without_blanks(parameters);

    if (q.len == 0)
        return WEIGHT_MAX;
    if (q.ptr[0] != ';')
        return 0;
    q = without_blanks((weir_str){ q.ptr + 1, q.len - 1 });
    if (q.len < 2 || (q.ptr[0] | 0x20) != 'q' || q.ptr[1] != '=')
        return 0;
    return MAX(qvalue((weir_str){ q.ptr + 2, q.len - 2 }), 0);
}

static enum weir_coding coding_of(weir_str name)
{
    for (unsigned i = 1; i < ARRAY_LEN(codings); i++)
        if (weir_eq_nocase(name, codings[i].name) ||
            (codings[i].alias.ptr != NULL && weir_eq_nocase(name, codings[i].alias)))
            return (enum weir_coding)i;
    return WEIR_CODING_NONE;
}

static void note_wish(struct wishes *w, weir_str element)
{
    weir_str name = element;
    int weight;

    name.len = 0;
    while (name.len < element.len && element.ptr[name.len] != ';' &&
           !is_blank(element.ptr[name.len]))
        name.len++;
    weight = weight_of((weir_str){ element.ptr + name.len, element.len - name.len });
    if (weir_eq(name, "*"))
        w->others = weight;
    else if (coding_of(name) != WEIR_CODING_NONE || weir_eq_nocase(name, "identity"))
        w->weight[coding_of(name)] = weight;
}

static struct wishes wishes_of(const struct weir_head *req)
{
    struct wishes w = { .others = 0, .said = head_has_id(req, FIELD_ACCEPT_ENCODING) };
    weir_str list, one;

    for (size_t i = 0; i < ARRAY_LEN(w.weight); i++)
        w.weight[i] = UNSAID;
    for (struct field *f = head_first_id(req, FIELD_ACCEPT_ENCODING); f != NULL;
         f = head_next_id(req, f)) {
        list = (weir_str){ f->value, f->value_len };
        while (take_element(&list, &one))
            note_wish(&w, one);
    }
    for (size_t i = 1; i < ARRAY_LEN(w.weight); i++)
        if (w.weight[i] == UNSAID)
            w.weight[i] = w.others;
    if (w.weight[WEIR_CODING_NONE] == UNSAID) /* always acceptable, but never asked for */
        w.weight[WEIR_CODING_NONE] = 0;
    return w;
}

static enum weir_coding choose(const struct wishes *w, const struct weir_compression_config *c)
{
    static const enum weir_coding order[] = { WEIR_ZSTD, WEIR_BR, WEIR_GZIP };
    const enum weir_coding *prefer = c->prefer[0] != WEIR_CODING_NONE ? c->prefer : order;
    enum weir_coding best = WEIR_CODING_NONE;
    int weight = MAX(w->weight[WEIR_CODING_NONE] - 1, 0); /* a tie goes to the smaller */

    for (unsigned i = 0; i < WEIR_CODINGS && prefer[i] != WEIR_CODING_NONE; i++) {
        if (w->weight[prefer[i]] > weight) {
            best = prefer[i];
            weight = w->weight[best];
        }
    }
    return best;
}

/* ---- what the response is -------------------------------------------------------------------- */

static bool type_fits(weir_str type, const char *const *types)
{
    size_t n = 0;

    while (n < type.len && type.ptr[n] != ';' && !is_blank(type.ptr[n]))
        n++;
    for (; *types != NULL; types++) {
        weir_str want = weir_str_from(*types);
        bool all = want.len > 0 && want.ptr[want.len - 1] == '/';

        if ((all ? n > want.len : n == want.len) &&
            weir_eq_nocase(((weir_str){ type.ptr, want.len }), want))
            return true;
    }
    return false;
}

static bool whole(const struct weir_head *res)
{
    return res->status != 206 && res->status != 204 && res->status != 304 && res->status != 101 &&
           !head_has_id(res, FIELD_CONTENT_RANGE);
}

static bool long_enough(const struct weir_session *s, uint64_t least)
{
    const struct framing *f = &s->up_http->framing;
    uint64_t length = f->length;

    if (f->mode == BODY_NONE && f->stated.ptr != NULL && parse_length(f->stated, &length))
        return length >= least;
    return f->mode != BODY_LENGTH || length >= least;
}

static void vary(struct weir_session *s, struct weir_head *res)
{
    weir_str others;

    if (head_lists_token(res, FIELD_VARY, LIT("*")) ||
        head_lists_token(res, FIELD_VARY, LIT("Accept-Encoding")))
        return;
    others = head_join_id(res, FIELD_VARY, &s->arena);
    weir_set(res, "Vary",
             weir_printf(s, WEIR_FMT "%sAccept-Encoding", WEIR_ARG(others),
                         others.len > 0 ? ", " : ""));
}

static void weaken(struct weir_session *s, struct weir_head *res)
{
    weir_str etag = head_get_id(res, FIELD_ETAG);

    if (weir_starts(etag, "\""))
        weir_set(res, "ETag", weir_printf(s, "W/" WEIR_FMT, WEIR_ARG(etag)));
}

/* A client asks about what we once made of it, by the weak tag that it had from us; a strong one in
 * the answer would not be about that (RFC 9111 4.3.4). */
static void confirm(struct weir_session *s, struct weir_head *res)
{
    if (!body_client_has_weak(s, head_get_id(res, FIELD_ETAG)))
        return;
    weaken(s, res);
    vary(s, res);
}

/* ---- the editor ------------------------------------------------------------------------------ */

static int feed(struct coder *coder, weir_str piece, enum coder_how how, char *buf,
                struct weir_body *out)
{
    size_t room;
    int rc;

    do {
        room = BUF_SIZE;
        rc = coder_run(coder, &piece, how, buf, &room);
        if (rc < 0)
            return rc;
        TRY(weir_body_write(out, (weir_str){ buf, room }));
    } while (rc == 1 || piece.len > 0);
    return 0;
}

static int pass(struct coder *coder, char *buf, struct weir_body *in, struct weir_body *out)
{
    weir_str piece;
    int rc;

    for (;;) {
        rc = body_read_now(in, &piece);
        if (rc == BODY_LATER) { /* what has come may be waited for */
            TRY(feed(coder, LIT(""), CODER_FLUSH, buf, out));
            rc = weir_read(in, &piece);
        }
        if (rc < 0)
            return rc;
        if (rc == 0)
            return feed(coder, LIT(""), CODER_END, buf, out);
        TRY(feed(coder, piece, CODER_GO, buf, out));
    }
}

static unsigned level_of(const struct weir_compression_config *c, enum weir_coding coding)
{
    unsigned asked = coding == WEIR_GZIP ? c->gzip_level
                     : coding == WEIR_BR ? c->br_level
                                         : c->zstd_level;

    return asked != 0 ? asked : codings[coding].level;
}

static const struct weir_compression_config *config_of(const struct weir_use *use)
{
    return use->config != NULL ? use->config : &usual;
}

static int edit(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    struct weir_use *use = weir_used(s, &weir_compression);
    struct work *work = use->ctx;
    struct coder *coder =
        coder_new(work->coding, work->unpack, level_of(config_of(use), work->coding));
    char *buf = buf_get();
    int rc = WEIR_ENOMEM;

    if (coder != NULL && buf != NULL)
        rc = pass(coder, buf, in, out);
    buf_put(&buf);
    coder_free(&coder);
    if (rc == WEIR_EUPBODY && work->unpack)
        return session_fail(s, rc, "what came compressed cannot be unpacked");
    return rc;
}

/* ---- the phase ------------------------------------------------------------------------------- */

/* It came compressed: for who does not say that he takes that, it is unpacked. */
static void unpack(struct weir_session *s, struct work *work, struct weir_head *res)
{
    weir_str name = head_get_id(res, FIELD_CONTENT_ENCODING);
    struct wishes w = wishes_of(&s->req);

    work->coding = coding_of(name);
    if (work->coding == WEIR_CODING_NONE || head_count_id(res, FIELD_CONTENT_ENCODING) > 1)
        return;
    vary(s, res);
    if (w.weight[work->coding] > 0)
        return;
    work->unpack = true;
    head_del_id(res, FIELD_CONTENT_ENCODING);
    weaken(s, res);
    weir_edit_body(s, edit);
}

static void pack(struct weir_session *s, struct work *work, struct weir_head *res,
                 const struct weir_compression_config *c)
{
    const char *const *types = c->types != NULL ? c->types : usual_types;
    uint64_t least = c->min_length != 0 ? c->min_length : MIN_LENGTH;
    struct wishes w;

    if (!type_fits(head_get_id(res, FIELD_CONTENT_TYPE), types) || !long_enough(s, least))
        return;
    vary(s, res);
    w = wishes_of(&s->req);
    work->coding = choose(&w, c);
    if (work->coding == WEIR_CODING_NONE)
        return;
    head_set_id(res, FIELD_CONTENT_ENCODING, codings[work->coding].name);
    weaken(s, res);
    weir_edit_body(s, edit);
}

static int response_filter(struct weir_session *s, struct weir_use *me, struct weir_head *res)
{
    const struct weir_compression_config *c = config_of(me);

    if (res->status == 304)
        confirm(s, res);
    if (!whole(res) || head_lists_token(res, FIELD_CACHE_CONTROL, LIT("no-transform")))
        return WEIR_OK;
    if (head_has_id(res, FIELD_CONTENT_ENCODING) &&
        !weir_eq_nocase(head_get_id(res, FIELD_CONTENT_ENCODING), "identity")) {
        if (c->decompress)
            unpack(s, me->ctx, res);
    } else if (!c->only_decompress) {
        pack(s, me->ctx, res, c);
    }
    return WEIR_OK;
}

static const char *check(const void *config)
{
    const struct weir_compression_config *c = config;

    if (c == NULL)
        return NULL;
    if (c->gzip_level > 9 || c->br_level > 11 || c->zstd_level > 19)
        return "a level of weir_compression is out of its range";
    for (unsigned i = 0; i < WEIR_CODINGS; i++)
        if ((unsigned)c->prefer[i] >= ARRAY_LEN(codings))
            return "weir_compression prefers a coding that there is not";
    return NULL;
}

const struct weir_module weir_compression = {
    .name = "compression",
    .ctx_size = sizeof(struct work),
    .check = check,
    .response_filter = response_filter,
};
