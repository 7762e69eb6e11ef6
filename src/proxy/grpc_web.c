/* grpc_web.c -- gRPC-Web for clients (browsers), gRPC for upstreams (PROTOCOL-WEB of gRPC).
 *
 * Browsers can neither send `TE: trailers` nor read trailers, and old ones no binary bodies. So
 * what differs is the media type, the place of the trailers (a last frame of the body), and, in the
 * text form, base64 around all of it, in pieces that may each be padded. A response that is not
 * gRPC (an error page) passes as it is. */
#include <string.h>

#include "codec/base64.h"
#include "codec/chars.h"
#include "proxy/module.h"

enum { FRAME_HEAD = 5, TRAILERS_FRAME = 0x80 };

struct grpc_web {
    bool text_up, text_down;
    struct base64 coded; /* what came of the request */
    struct buffer {
        char *ptr;
        size_t cap;
    } up, down; /* the piece that is being used */
};

/* The type itself, without parameters, or with a suffix for the messages ("+proto"). */
static bool is_type(weir_str value, const char *type, weir_str *suffix)
{
    size_t len = strlen(type);

    if (value.len < len || !weir_eq_nocase(((weir_str){ value.ptr, len }), type))
        return false;
    *suffix = (weir_str){ value.ptr + len, value.len - len };
    return suffix->len == 0 || suffix->ptr[0] == '+' || suffix->ptr[0] == ';' ||
           suffix->ptr[0] == ' ';
}

static bool accepts(const struct weir_head *h, const char *type)
{
    weir_str list = weir_head_get(h, LIT("Accept")), one, suffix;

    while (take_element(&list, &one))
        if (is_type(one, type, &suffix))
            return true;
    return false;
}

/* Is it for us? */
static int begin(struct weir_session *s, struct weir_use *me)
{
    weir_str type = head_get_id(&s->req, FIELD_CONTENT_TYPE), suffix;
    struct grpc_web *g = me->ctx;

    g->text_up = is_type(type, "application/grpc-web-text", &suffix);
    g->text_down = accepts(&s->req, "application/grpc-web-text") ||
                   (g->text_up && !accepts(&s->req, "application/grpc-web"));
    me->off = s->req.method_id != METHOD_POST ||
              (!g->text_up && !is_type(type, "application/grpc-web", &suffix));
    return 0;
}

static int request(struct weir_session *s, struct weir_use *me, struct weir_head *req)
{
    weir_str type = head_get_id(&s->req, FIELD_CONTENT_TYPE);
    weir_str suffix = { NULL, 0 }; /* of a type that a filter has changed since */
    struct grpc_web *g = me->ctx;

    if (!is_type(type, "application/grpc-web-text", &suffix))
        is_type(type, "application/grpc-web", &suffix);
    head_set_id(req, FIELD_CONTENT_TYPE,
                arena_printf(&s->arena, "application/grpc" WEIR_FMT, WEIR_ARG(suffix)));
    weir_head_del(req, LIT("Accept"));
    s->te_trailers = true;
    g->coded = (struct base64){ .have = 0 }; /* each try begins at the start of the body */
    return 0;
}

/* Room for `need` bytes; what was there may be lost. Grows by doubling, so that all of a long body
 * takes no more than twice its largest piece. */
static bool make_room(struct weir_session *s, struct buffer *b, size_t need)
{
    size_t cap = MAX(b->cap * 2, need);

    if (need <= b->cap)
        return true;
    b->ptr = arena_text(&s->arena, cap);
    b->cap = b->ptr != NULL ? cap : 0;
    return b->ptr != NULL;
}

static int request_body(struct weir_session *s, struct weir_use *me, weir_str *piece, bool end)
{
    struct grpc_web *g = me->ctx;
    ssize_t n;

    if (!g->text_up)
        return 0;
    if (!make_room(s, &g->up, piece->len / 4 * 3 + 3))
        return WEIR_ENOMEM;
    n = base64_decode(&g->coded, g->up.ptr, *piece);
    if (n < 0 || (end && !base64_complete(&g->coded)))
        return session_fail(s, WEIR_EBADBODY, "not base64");
    *piece = (weir_str){ g->up.ptr, (size_t)n };
    return 0;
}

static int response(struct weir_session *s, struct weir_use *me, struct weir_head *res)
{
    const struct grpc_web *g = me->ctx;
    weir_str suffix;

    me->passes = !is_type(head_get_id(res, FIELD_CONTENT_TYPE), "application/grpc", &suffix);
    if (!me->passes)
        head_set_id(res, FIELD_CONTENT_TYPE,
                    arena_printf(&s->arena, "application/grpc-web%s" WEIR_FMT,
                                 g->text_down ? "-text" : "", WEIR_ARG(suffix)));
    return 0;
}

static size_t trailers_len(const struct weir_head *h)
{
    size_t len = FRAME_HEAD;

    for (uint32_t i = 0; i < h->count; i++)
        len += h->fields[i].name_len + strlen(": \r\n") + h->fields[i].value_len;
    return len;
}

/* Length-prefixed, flagged, and as the head of HTTP/1 with names in lower case. */
static void print_trailers(char *at, const struct weir_head *h, size_t len)
{
    const uint32_t size = (uint32_t)(len - FRAME_HEAD);

    *at++ = (char)TRAILERS_FRAME;
    for (unsigned shift = 32; shift > 0; shift -= 8)
        *at++ = (char)(size >> (shift - 8));
    for (uint32_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];

        for (uint32_t k = 0; k < f->name_len; k++)
            *at++ = (char)(f->name[k] >= 'A' && f->name[k] <= 'Z' ? f->name[k] | 0x20 : f->name[k]);
        at = mempcpy(at, ": ", 2);
        at = mempcpy(at, f->value, f->value_len);
        at = mempcpy(at, "\r\n", 2);
    }
}

/* The trailers behind the last piece. */
static int append_trailers(struct weir_session *s, weir_str *piece,
                           const struct weir_head *trailers)
{
    size_t len = trailers_len(trailers);
    char *all = arena_text(&s->arena, piece->len + len);

    if (all == NULL)
        return WEIR_ENOMEM;
    if (piece->len > 0)
        memcpy(all, piece->ptr, piece->len);
    print_trailers(all + piece->len, trailers, len);
    *piece = (weir_str){ all, piece->len + len };
    return 0;
}

static int response_body(struct weir_session *s, struct weir_use *me, weir_str *piece, bool end)
{
    struct http_stream *up = s->up_http;
    struct grpc_web *g = me->ctx;

    if (end && up->trailers != NULL) {
        TRY(append_trailers(s, piece, up->trailers));
        up->trailers = NULL;
    }
    if (!g->text_down || piece->len == 0)
        return 0;
    if (!make_room(s, &g->down, BASE64_LEN(piece->len)))
        return WEIR_ENOMEM;
    *piece = (weir_str){ g->down.ptr, base64_encode(g->down.ptr, *piece) };
    return 0;
}

const struct weir_module weir_grpc_web = {
    .name = "grpc_web",
    .ctx_size = sizeof(struct grpc_web),
    .early_request_filter = begin,
    .upstream_request_filter = request,
    .request_body_filter = request_body,
    .response_filter = response,
    .response_body_filter = response_body,
};
