/* h2_print.c -- heads become field blocks of HTTP/2 (RFC 9113 8.2, 8.3), ready for nghttp2 to
 * encode.
 *
 * A block is one piece of memory: the array that nghttp2 wants, then all text that it points to,
 * names in lower case. It lives until the fields have left, and so needs nothing of the request's
 * arena. */
#include <stdlib.h>

#include "base/digits.h"
#include "http/h2_message.h"

#define BIT(id) (UINT64_C(1) << FIELD_##id)

/* They frame a message or belong to one hop: HTTP/2 has none of them (RFC 9113 8.2.2). */
static const uint64_t never = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                              BIT(TRANSFER_ENCODING) | BIT(UPGRADE) | BIT(TE) | BIT(TRAILER) |
                              BIT(HTTP2_SETTINGS) | BIT(CONTENT_LENGTH);

void h2_out_free(struct h2_out *list)
{
    while (list != NULL) {
        struct h2_out *next = list->next;

        free(list);
        list = next;
    }
}

/* A block under construction: nghttp2_nv first, then text. */
struct print {
    struct h2_out *out;
    char *text;
};

enum { EXTRA_FIELDS = 6, EXTRA_TEXT = 128 }; /* beside the head's own */

static bool print_begin(struct print *p, const struct weir_head *h, size_t copied)
{
    size_t fields = h->count + EXTRA_FIELDS;
    size_t text = EXTRA_TEXT + copied;

    for (uint32_t i = 0; i < h->count; i++)
        text += (size_t)h->fields[i].name_len + h->fields[i].value_len;
    p->out = malloc(sizeof *p->out + fields * sizeof(nghttp2_nv) + text);
    if (p->out == NULL)
        return false;
    *p->out = (struct h2_out){ .nv = (nghttp2_nv *)(p->out + 1) };
    p->text = (char *)(p->out->nv + fields);
    return true;
}

static uint8_t *print_text(struct print *p, weir_str s)
{
    char *at = p->text;

    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    p->text += s.len;
    return (uint8_t *)at;
}

static uint8_t *print_lower(struct print *p, const char *name, size_t len)
{
    char *at = p->text;

    for (size_t i = 0; i < len; i++)
        at[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    p->text += len;
    return (uint8_t *)at;
}

/* A name that is a literal, a value that is copied. */
static void print_field(struct print *p, const char *name, weir_str value)
{
    p->out->nv[p->out->nvlen++] = (nghttp2_nv){
        .name = (uint8_t *)name,
        .namelen = strlen(name),
        .value = print_text(p, value),
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

/* RFC 7541 7.1.3: what must not be guessed by whoever can make both sides speak stays out of the
 * table; so does what came like that (6.2.3). */
static uint8_t flags_of(const struct field *f)
{
    uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;

    return f->id == FIELD_AUTHORIZATION || f->secret ? flags | NGHTTP2_NV_FLAG_NO_INDEX : flags;
}

static void print_fields(struct print *p, const struct weir_head *h, uint64_t skip)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];

        if (skip >> f->id & 1)
            continue;
        p->out->nv[p->out->nvlen++] = (nghttp2_nv){
            .name = print_lower(p, f->name, f->name_len),
            .namelen = f->name_len,
            .value = print_text(p, (weir_str){ f->value, f->value_len }),
            .valuelen = f->value_len,
            .flags = flags_of(f),
        };
    }
}

static void print_number(struct print *p, const char *name, uint64_t n)
{
    char text[DIGITS_MAX], *end = text + sizeof text, *first = digits_before(end, n, 1);

    print_field(p, name, (weir_str){ first, (size_t)(end - first) });
}

struct h2_out *h2_print_response(const struct http_message *m, weir_str copy)
{
    const struct weir_head *h = m->head;
    struct print p;

    if (!print_begin(&p, h, m->length_as.len + m->date.len + copy.len))
        return NULL;
    print_number(&p, ":status", m->tunnel ? 200 : h->status); /* RFC 8441 5: in the place of 101 */
    print_fields(&p, h, never);
    if (m->framing.mode == BODY_LENGTH)
        print_number(&p, "content-length", m->framing.length);
    else if (m->length_as.ptr != NULL)
        print_field(&p, "content-length", m->length_as);
    if (m->date.ptr != NULL && !head_has_id(h, FIELD_DATE))
        print_field(&p, "date", m->date);
    p.out->kind = h->status < 200 && !m->tunnel ? H2_OUT_INTERIM : H2_OUT_HEAD;
    p.out->data = (char *)print_text(&p, copy);
    p.out->len = copy.len;
    return p.out;
}

/* RFC 9113 8.3.1: Host goes as :authority. */
struct h2_out *h2_print_request(const struct http_message *m, weir_str copy, bool https)
{
    const struct weir_head *h = m->head;
    weir_str host = head_get_id(h, FIELD_HOST);
    struct print p;

    if (!print_begin(&p, h, h->method.len + h->target.len + copy.len))
        return NULL;
    print_field(&p, ":method", h->method);
    if (h->method_id != METHOD_CONNECT) {
        print_field(&p, ":scheme", https ? LIT("https") : LIT("http"));
        print_field(&p, ":path", h->target);
    }
    if (host.ptr != NULL)
        print_field(&p, ":authority", host);
    print_fields(&p, h, never | BIT(HOST));
    if (m->framing.mode == BODY_LENGTH)
        print_number(&p, "content-length", m->framing.length);
    if (m->te_trailers)
        print_field(&p, "te", LIT("trailers"));
    p.out->kind = H2_OUT_HEAD;
    p.out->data = (char *)print_text(&p, copy);
    p.out->len = copy.len;
    return p.out;
}

struct h2_out *h2_print_trailers(const struct weir_head *trailers)
{
    struct print p;

    if (!print_begin(&p, trailers, 0))
        return NULL;
    print_fields(&p, trailers, never);
    p.out->kind = H2_OUT_TRAILERS;
    p.out->end = true;
    return p.out;
}
