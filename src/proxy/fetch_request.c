/* fetch_request.c -- the requests of weir_fetch, from a URL on, and the guard against loops. */
#include "proxy/fetch.h"

#include "codec/chars.h"
#include "codec/uri.h"
#include "proxy/session.h"

enum { LOOP_MAX = 8 };

/* host[":" port], which target_parse has checked. */
static void split_authority(struct weir_session *s, struct fetch *f, weir_str authority)
{
    weir_str host = authority;
    unsigned port = 0;
    size_t at = authority.len;

    while (at > 0 && is_digit(authority.ptr[at - 1]))
        at--;
    if (at > 0 && authority.ptr[at - 1] == ':') {
        host.len = at - 1;
        for (size_t i = at; i < authority.len; i++)
            port = port * 10 + (unsigned)(authority.ptr[i] - '0');
    }
    if (host.len > 1 && host.ptr[0] == '[')
        host = (weir_str){ host.ptr + 1, host.len - 2 };
    f->host = arena_printf(&s->arena, WEIR_FMT, WEIR_ARG(host)); /* ends with a NUL */
    f->port = port != 0 ? (uint16_t)port : f->tls ? 443 : 80;
}

static void parse_url(struct weir_session *s, struct fetch *f, weir_str url)
{
    struct h1_fault fault = { .reason = NULL };
    struct target t;
    weir_str path;
    bool v6;

    if (target_parse(url, METHOD_GET, &t, &fault) < 0 || t.form != TARGET_ABSOLUTE) {
        f->wrong = "not a URL of http: or https:";
        return;
    }
    f->tls = weir_eq_nocase(t.scheme, "https");
    split_authority(s, f, t.authority);
    if (f->host.ptr == NULL) {
        f->req.failed = WEIR_ENOMEM;
        return;
    }
    v6 = memchr(f->host.ptr, ':', f->host.len) != NULL;
    f->name = arena_printf(&s->arena, v6 ? "[" WEIR_FMT "]:%u" : WEIR_FMT ":%u", WEIR_ARG(f->host),
                           f->port)
                  .ptr;
    path = t.path;
    if (path.len == 0 || path.ptr[0] != '/')
        path = arena_printf(&s->arena, "/" WEIR_FMT, WEIR_ARG(t.path));
    f->req.target = path;
    f->req.authority = t.authority;
    head_set_id(&f->req, FIELD_HOST, t.authority);
    if (path.ptr == NULL || f->name == NULL)
        f->req.failed = WEIR_ENOMEM;
}

struct weir_head *weir_new_request(struct weir_session *s, const char *method, const char *url)
{
    struct fetch *f = weir_alloc(s, sizeof *f);

    if (f == NULL) {
        head_init(&s->res, &s->arena, 0);
        return &s->res; /* never NULL; the phase fails anyway */
    }
    *f = (struct fetch){ .next = s->fetches };
    s->fetches = f;
    head_init(&f->req, &s->arena, 0);
    f->req.minor = 1;
    f->req.method = arena_copy(&s->arena, weir_str_from(method));
    f->req.method_id = method_of(f->req.method);
    if (!is_token(f->req.method) || f->req.method_id == METHOD_CONNECT)
        f->wrong = "not a method";
    else
        parse_url(s, f, arena_copy(&s->arena, weir_str_from(url)));
    return &f->req;
}

struct weir_head *weir_new_get(struct weir_session *s, const char *url)
{
    return weir_new_request(s, "GET", url);
}

struct fetch *fetch_of(const struct weir_session *s, const struct weir_head *head)
{
    struct fetch *f = head != NULL ? s->fetches : NULL; /* NULL is the answer of many */

    while (f != NULL && head != &f->req && head != f->answer)
        f = f->next;
    return f;
}

/* How many of the proxies that have passed this on, ourselves included, are of our kind. */
static unsigned weirs_before(const struct weir_session *s)
{
    unsigned n = 0;

    for (struct field *l = head_first_id(&s->req, FIELD_VIA); l != NULL;
         l = head_next_id(&s->req, l)) {
        weir_str list = { l->value, l->value_len }, one;

        while (take_element(&list, &one))
            n += one.len > 5 && weir_eq(((weir_str){ one.ptr + one.len - 5, 5 }), " weir");
    }
    return n;
}

/* A Via that was copied from there would count twice. */
static void set_via(struct fetch *f, unsigned before)
{
    head_del_id(&f->req, FIELD_VIA);
    for (unsigned i = 0; i <= before; i++)
        head_add_id(&f->req, FIELD_VIA, LIT("1.1 weir"));
}

const char *fetch_unfit(const struct weir_session *s, struct fetch *f)
{
    unsigned before = weirs_before(s);

    if (f == NULL || f->done)
        return "the head is none of weir_new_get, or was fetched before";
    if (f->wrong != NULL)
        return f->wrong;
    if (before >= LOOP_MAX)
        return "a loop: too many proxies have asked one another";
    set_via(f, before);
    if (!head_has_id(&f->req, FIELD_HOST)) /* RFC 9112 3.2 */
        head_set_id(&f->req, FIELD_HOST, f->req.authority);
    return f->req.failed != 0 ? weir_error_text(f->req.failed) : NULL;
}
