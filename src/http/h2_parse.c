/* h2_parse.c -- field blocks of HTTP/2 become heads (RFC 9113 8.2, 8.3).
 *
 * While a block is decoded, its fields are copied one after the other into one piece of memory. The
 * strand of the stream makes a head of it in the request's arena: so the work is done where the
 * request runs, and a block that nobody will read costs a copy. nghttp2 has looked at the names,
 * the pseudo-fields and their order; what makes a request ambiguous further up is checked here. */
#include <stdlib.h>

#include "codec/chars.h"
#include "codec/uri.h"
#include "http/h2_message.h"
#include "runtime/buf.h"

#define BIT(id) (UINT64_C(1) << FIELD_##id)

enum { BLOCK_FIRST = 1024 };

void h2_in_free(struct h2_in *list)
{
    while (list != NULL) {
        struct h2_in *next = list->next;
        char *buf = (char *)list;

        if (list->pooled)
            buf_put(&buf);
        else
            free(list);
        list = next;
    }
}

static bool grow(struct h2_in **block, size_t need)
{
    struct h2_in *old = *block, *bigger;
    size_t cap = old == NULL ? BLOCK_FIRST : old->cap;

    while (cap < need)
        cap *= 2;
    bigger = realloc(old, sizeof *bigger + cap);
    if (bigger == NULL)
        return false;
    if (old == NULL)
        *bigger = (struct h2_in){ .next = NULL };
    bigger->cap = (uint32_t)cap;
    *block = bigger;
    return true;
}

/* Past a limit the fields are dropped, and the block says so: the stream is answered, not reset. */
bool h2_block_add(struct h2_in **block, const struct h1_limits *limits, weir_str name,
                  weir_str value, bool secret)
{
    const struct h2_field_size size = { name.len & INT32_MAX, secret, (uint32_t)value.len };
    size_t used = *block != NULL ? (*block)->used : 0;
    size_t need = used + sizeof size + name.len + value.len;
    struct h2_in *b;

    if ((*block == NULL || need > (*block)->cap) && !grow(block, need))
        return false;
    b = *block;
    if (b->too_large || b->too_many)
        return true;
    b->fields++;
    b->too_large = need + (size_t)b->fields * (H2_FIELD_COST - sizeof size) > limits->max_head;
    if (b->too_large)
        return true;
    memcpy(b->bytes + used, &size, sizeof size);
    memcpy(b->bytes + used + sizeof size, name.ptr, name.len);
    if (value.len > 0)
        memcpy(b->bytes + used + sizeof size + name.len, value.ptr, value.len);
    b->used = (uint32_t)need;
    return true;
}

/* The next field of a block from `*at`. */
static bool next_field(const char **at, const char *end, weir_str *name, weir_str *value,
                       bool *secret)
{
    struct h2_field_size size;

    if (*at == end)
        return false;
    memcpy(&size, *at, sizeof size);
    *secret = size.secret;
    *name = (weir_str){ *at + sizeof size, size.name };
    *value = (weir_str){ name->ptr + size.name, size.value };
    *at = value->ptr + size.value;
    return true;
}

struct pseudo {
    weir_str method, scheme, authority, path, status, protocol;
};

static void keep_pseudo(struct pseudo *p, weir_str name, weir_str value)
{
    const struct {
        const char *name;
        weir_str *place;
    } all[] = {
        { ":method", &p->method }, { ":scheme", &p->scheme },     { ":authority", &p->authority },
        { ":path", &p->path },     { ":protocol", &p->protocol }, { ":status", &p->status },
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (weir_eq(name, all[i].name))
            *all[i].place = value;
    }
}

static int refuse(const char **fault, int err, const char *reason)
{
    *fault = reason;
    return err;
}

static void add(struct weir_head *out, weir_str name, weir_str value, enum field_id id, bool secret)
{
    uint32_t at = out->count;

    head_add_raw(out, name, value, id);
    if (out->count > at)
        out->fields[at].secret = secret;
}

/* RFC 9113 8.2.3: crumbs are joined before the request goes anywhere else. They are counted first
 * (`size`, separators included), as they may be hundreds. */
static int join_crumbs(const char *at, const char *end, size_t size, struct weir_head *out)
{
    char *text = arena_alloc(out->arena, size);
    weir_str name, crumb, cookie = { text, 0 };
    bool secret, any = false;

    if (text == NULL)
        return WEIR_ENOMEM;
    while (next_field(&at, end, &name, &crumb, &secret)) {
        if (field_id_of(name) != FIELD_COOKIE)
            continue;
        any |= secret;
        if (cookie.len > 0) {
            memcpy(text + cookie.len, "; ", 2);
            cookie.len += 2;
        }
        if (crumb.len > 0)
            memcpy(text + cookie.len, crumb.ptr, crumb.len);
        cookie.len += crumb.len;
    }
    add(out, LIT("cookie"), cookie, FIELD_COOKIE, any);
    return out->failed;
}

/* All fields into `out`, in the order in which they came; pseudo-fields into `p`. */
static int read_fields(const struct h2_in *block, const struct h1_limits *limits,
                       struct weir_head *out, struct pseudo *p, const char **fault)
{
    weir_str text = arena_copy(out->arena, (weir_str){ block->bytes, block->used });
    const char *at = text.ptr, *end = text.ptr + text.len;
    weir_str name, value;
    size_t cookie = 0; /* bytes of all crumbs */
    bool secret;

    if (text.ptr == NULL || !head_reserve(out, block->fields))
        return WEIR_ENOMEM;
    while (next_field(&at, end, &name, &value, &secret)) {
        enum field_id id;

        if (name.len > 0 && name.ptr[0] == ':') {
            keep_pseudo(p, name, value);
            continue;
        }
        if (name.len > FIELD_NAME_MAX || name.len + value.len + 2 > limits->max_field)
            return refuse(fault, WEIR_EFIELDSIZE, NULL);
        if (!is_token(name) || !is_field_value(value)) /* what goes to HTTP/1 must not split */
            return refuse(fault, WEIR_EBADHEAD, "a field with bytes that it must not have");
        id = field_id_of(name);
        if (id == FIELD_COOKIE)
            cookie += value.len + 2;
        else
            add(out, name, value, id, secret);
    }
    if (cookie > 0 && strlen("cookie") + cookie > limits->max_field)
        return refuse(fault, WEIR_EFIELDSIZE, NULL);
    return cookie > 0 ? join_crumbs(text.ptr, end, cookie, out) : out->failed;
}

static int frame_body(const struct weir_head *h, struct framing *framing, const char **fault)
{
    *framing = (struct framing){ .mode = BODY_CHUNKED, .persistent = true };
    if (!head_has_id(h, FIELD_CONTENT_LENGTH))
        return 0;
    if (head_count_id(h, FIELD_CONTENT_LENGTH) > 1 ||
        !parse_length(head_get_id(h, FIELD_CONTENT_LENGTH), &framing->length))
        return refuse(fault, WEIR_EBADLENGTH, "a malformed or repeated Content-Length");
    framing->mode = BODY_LENGTH;
    return 0;
}

/* RFC 9113 8.3.1: Host and :authority name one host, or the next hop may believe either. */
static int settle_host(struct weir_head *out, const struct pseudo *p, const char **fault)
{
    const struct field *host = head_first_id(out, FIELD_HOST);
    weir_str given = host != NULL ? (weir_str){ host->value, host->value_len } : p->authority;

    if (host != NULL && head_next_id(out, host) != NULL)
        return refuse(fault, WEIR_EBADHOST, "more than one Host field");
    if (given.ptr == NULL)
        return refuse(fault, WEIR_EBADHOST, "neither :authority nor Host");
    if (p->authority.ptr != NULL && !weir_str_eq_nocase(given, p->authority))
        return refuse(fault, WEIR_EBADHOST, "Host is not :authority");
    if (!authority_valid(given))
        return refuse(fault, WEIR_EBADHOST, "an authority that is no host and port");
    out->authority = given;
    if (host == NULL)
        head_set_id(out, FIELD_HOST, given);
    return out->failed;
}

static int settle_target(struct weir_head *out, const struct pseudo *p, const char **fault)
{
    struct h1_fault why = { NULL };
    struct target target;
    int rc;

    if (out->method_id == METHOD_CONNECT) {
        out->target = p->authority;
        return 0;
    }
    if (!weir_eq(p->scheme, "http") && !weir_eq(p->scheme, "https"))
        return refuse(fault, WEIR_EBADTARGET, "a :scheme that is neither http nor https");
    if (p->path.len == 0)
        return refuse(fault, WEIR_EBADTARGET, "no :path");
    rc = target_parse(p->path, (enum method)out->method_id, &target, &why);
    if (rc < 0)
        return refuse(fault, rc, why.reason);
    if (target.form != TARGET_ORIGIN && target.form != TARGET_ASTERISK)
        return refuse(fault, WEIR_EBADTARGET, "a :path that is no path");
    out->target = target.path;
    return 0;
}

/* RFC 8441 4: an extended CONNECT becomes what HTTP/1.1 says in its place. Only the protocol whose
 * handshake we can make is taken; what others mean by it is not known. */
static int settle_protocol(struct weir_head *out, const struct pseudo *p, const char **fault)
{
    if (p->protocol.ptr == NULL)
        return 0;
    if (out->method_id != METHOD_CONNECT)
        return refuse(fault, WEIR_EBADHEAD, ":protocol without CONNECT");
    if (!weir_eq_nocase(p->protocol, "websocket"))
        return WEIR_ECONNECTTO;
    out->method = LIT("GET");
    out->method_id = METHOD_GET;
    head_set_id(out, FIELD_CONNECTION, LIT("Upgrade"));
    head_set_id(out, FIELD_UPGRADE, LIT("websocket"));
    return out->failed;
}

int h2_parse_request(const struct h2_in *block, const struct h1_limits *limits,
                     struct weir_head *out, struct framing *framing, const char **fault)
{
    struct pseudo p = { .method = { NULL, 0 } };

    out->minor = 1;
    if (block->too_large)
        return WEIR_EHEADSIZE;
    TRY(read_fields(block, limits, out, &p, fault));
    out->method = p.method;
    out->method_id = method_of(p.method);
    if (!is_token(p.method))
        return refuse(fault, WEIR_EBADHEAD, "a method that is no token");
    if (out->count > limits->max_fields)
        return WEIR_EFIELDCOUNT;
    if (p.path.len > limits->max_target)
        return WEIR_ETARGETSIZE;
    TRY(settle_protocol(out, &p, fault));
    TRY(settle_host(out, &p, fault));
    TRY(settle_target(out, &p, fault));
    return frame_body(out, framing, fault);
}

/* RFC 9113 8.3.2. Nothing here can be ambiguous but a length. */
static int frame_response(const struct weir_head *h, enum method method, struct framing *framing,
                          const char **fault)
{
    int rc = frame_body(h, framing, fault);

    if (h->status < 200 || h->status == 204 || h->status == 304 || method == METHOD_HEAD) {
        if (rc == 0 && framing->mode == BODY_LENGTH && h->status >= 200 && h->status != 204)
            framing->stated = head_get_id(h, FIELD_CONTENT_LENGTH);
        framing->mode = BODY_NONE;
    }
    return rc;
}

int h2_parse_response(const struct h2_in *block, const struct h1_limits *limits, enum method method,
                      struct weir_head *out, struct framing *framing, const char **fault)
{
    struct pseudo p = { .method = { NULL, 0 } };
    uint64_t status;
    int rc;

    out->minor = 1;
    if (block->too_large || block->fields > limits->max_fields)
        return WEIR_EUPHEADSIZE;
    rc = read_fields(block, limits, out, &p, fault);
    if (rc < 0)
        return rc == WEIR_ENOMEM ? rc : rc == WEIR_EFIELDSIZE ? WEIR_EUPHEADSIZE : WEIR_EUPHEAD;
    if (p.status.len != 3 || !parse_length(p.status, &status) || status < 100 || status > 599)
        return refuse(fault, WEIR_EUPHEAD, "a :status outside of 100 to 599");
    out->status = (uint16_t)status;
    rc = frame_response(out, method, framing, fault);
    return rc == 0 ? 0 : WEIR_EUPLENGTH;
}

int h2_parse_trailers(const struct h2_in *block, const struct h1_limits *limits,
                      struct weir_head *out, int err, const char **fault)
{
    struct pseudo p = { .method = { NULL, 0 } };
    struct weir_head all;

    head_init(&all, out->arena, 0);
    if (block->too_large || block->fields > limits->max_fields)
        return refuse(fault, err, "the trailer section is too large");
    if (read_fields(block, limits, &all, &p, fault) < 0)
        return err;
    for (uint32_t i = 0; i < all.count; i++) {
        const struct field *f = &all.fields[i];
        weir_str name = { f->name, f->name_len };

        if (head_may_trail(name, (enum field_id)f->id))
            add(out, name, (weir_str){ f->value, f->value_len }, (enum field_id)f->id, f->secret);
    }
    return out->failed;
}
