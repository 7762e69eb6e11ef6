/* head_hop.c -- what Connection says, and the fields that end at this hop (RFC 9110 7.6.1).
 *
 * Connection may only take away what is meant for one hop. If a client could nominate Host,
 * Authorization or X-Forwarded-For, it could strip at the next proxy what an earlier one added. So
 * all names we know are protected but the few that belong to a hop; unknown names may be
 * nominated. */
#include "codec/chars.h"
#include "codec/head.h"

#define BIT(id) (UINT64_C(1) << FIELD_##id)

enum { NOMINATED_MAX = 9 };

/* They never go on. */
static const uint64_t hop_by_hop = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                   BIT(TE) | BIT(TRAILER) | BIT(TRANSFER_ENCODING) |
                                   BIT(UPGRADE) | BIT(HTTP2_SETTINGS) | BIT(CONTENT_LENGTH);

/* Connection may name these. */
static const uint64_t nominable = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                  BIT(TE) | BIT(TRAILER) | BIT(UPGRADE) | BIT(HTTP2_SETTINGS);

static bool is_protected(weir_str name)
{
    static const weir_str prefix = { "x-forwarded-", 12 };
    enum field_id id = field_id_of(name);

    if (id != FIELD_OTHER)
        return !(nominable >> id & 1);
    return (name.len > prefix.len &&
            weir_str_eq_nocase((weir_str){ name.ptr, prefix.len }, prefix)) ||
           weir_str_eq_nocase(name, LIT("x-real-ip"));
}

/* `close` and `keep-alive` are options without a field that could go on. */
static bool is_plain_option(weir_str option)
{
    return weir_str_eq_nocase(option, LIT("close")) ||
           weir_str_eq_nocase(option, LIT("keep-alive"));
}

int head_check_connection(const struct weir_head *h, const char **reason)
{
    unsigned options = 0;

    for (const struct field *f = head_first_id(h, FIELD_CONNECTION); f != NULL;
         f = head_next_id(h, f)) {
        weir_str list = { f->value, f->value_len }, option;

        while (take_element(&list, &option)) {
            if (++options > NOMINATED_MAX) {
                *reason = "more than 9 options in Connection";
                return WEIR_EBADCONN;
            }
            if (option.len == 0)
                continue; /* RFC 9110 5.6.1.2: some empty elements are to be passed over */
            if (!is_token(option)) {
                *reason = "an option in Connection that is no token";
                return WEIR_EBADCONN;
            }
            if (is_protected(option)) {
                *reason = "Connection names a field that is meant for the whole way";
                return WEIR_EBADCONN;
            }
        }
    }
    return 0;
}

/* May an option of that name be a field that goes no further, of those without a number? */
static bool may_nominate(weir_str name)
{
    return field_id_of(name) == FIELD_OTHER && name.len > 0 && !is_plain_option(name) &&
           !is_protected(name);
}

/* The unknown names that Connection nominates: how many. More than the limit are not there in a
 * head that passed head_check_connection; in another one they are counted, and not told. */
static size_t nominated(const struct weir_head *h, weir_str names[NOMINATED_MAX])
{
    size_t n = 0;

    for (const struct field *f = head_first_id(h, FIELD_CONNECTION); f != NULL;
         f = head_next_id(h, f)) {
        weir_str list = { f->value, f->value_len }, option;

        while (n <= NOMINATED_MAX && take_element(&list, &option)) {
            if (may_nominate(option) && n++ < NOMINATED_MAX)
                names[n - 1] = option;
        }
    }
    return n;
}

static SELDOM bool is_among(const struct weir_head *h, const struct field *f, const weir_str *names,
                            size_t n)
{
    weir_str name = { f->name, f->name_len };

    if (n > NOMINATED_MAX)
        return may_nominate(name) && head_lists_token(h, FIELD_CONNECTION, name);
    for (size_t i = 0; i < n; i++) {
        if (weir_str_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

int head_copy_end_to_end(struct weir_head *dst, const struct weir_head *src, struct arena *arena)
{
    weir_str names[NOMINATED_MAX];
    size_t n = nominated(src, names);
    struct field *to;

    *dst = *src;
    dst->arena = arena;
    dst->cap = src->count + 8; /* what a proxy adds, without a second array */
    dst->present = src->present & ~hop_by_hop;
    dst->fields = to = arena_alloc(arena, dst->cap * sizeof(*dst->fields));
    if (to == NULL) {
        dst->count = dst->cap = 0;
        dst->present = 0;
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < src->count; i++) {
        const struct field *f = &src->fields[i];
        bool stays = hop_by_hop >> f->id & 1 || (n > 0 && is_among(src, f, names, n));

        *to = *f; /* the next one overwrites one that stays here */
        to += !stays;
        dst->count -= stays;
    }
    return 0;
}

bool head_lists_token(const struct weir_head *h, enum field_id id, weir_str token)
{
    for (const struct field *f = head_first_id(h, id); f != NULL; f = head_next_id(h, f)) {
        weir_str list = { f->value, f->value_len }, element;

        while (take_element(&list, &element)) {
            if (weir_str_eq_nocase(element, token))
                return true;
        }
    }
    return false;
}

weir_str head_join_id(const struct weir_head *h, enum field_id id, struct arena *arena)
{
    size_t len = 0;
    char *text, *at;

    for (const struct field *f = head_first_id(h, id); f != NULL; f = head_next_id(h, f))
        len += f->value_len + 2;
    text = at = arena_text(arena, len + 1);
    if (text == NULL)
        return (weir_str){ NULL, 0 };
    for (const struct field *f = head_first_id(h, id); f != NULL; f = head_next_id(h, f)) {
        if (f->value_len == 0)
            continue;
        if (at > text)
            at = mempcpy(at, ", ", 2);
        at = mempcpy(at, f->value, f->value_len);
    }
    return (weir_str){ text, (size_t)(at - text) };
}

/* protocol-name ["/" protocol-version], both tokens. */
static bool is_protocol(weir_str text)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    size_t name = slash != NULL ? (size_t)(slash - text.ptr) : text.len;

    return is_token((weir_str){ text.ptr, name }) &&
           (slash == NULL || is_token((weir_str){ slash + 1, text.len - name - 1 }));
}

/* How many protocols does Upgrade list? 0 too if one is malformed, or is not listed by `offer`
 * (NULL: any may be). */
static unsigned protocols(const struct weir_head *h, const struct weir_head *offer)
{
    unsigned n = 0;

    for (const struct field *f = head_first_id(h, FIELD_UPGRADE); f != NULL;
         f = head_next_id(h, f)) {
        weir_str list = { f->value, f->value_len }, protocol;

        while (take_element(&list, &protocol)) {
            if (protocol.len == 0)
                continue;
            if (!is_protocol(protocol) ||
                (offer != NULL && !head_lists_token(offer, FIELD_UPGRADE, protocol)))
                return 0;
            n++;
        }
    }
    return n;
}

bool head_asks_upgrade(const struct weir_head *req)
{
    return req->minor > 0 && head_has_id(req, FIELD_UPGRADE) &&
           head_lists_token(req, FIELD_CONNECTION, LIT("upgrade")) && protocols(req, NULL) > 0;
}

bool head_upgrade_agrees(const struct weir_head *req, const struct weir_head *res)
{
    return head_lists_token(res, FIELD_CONNECTION, LIT("upgrade")) && protocols(res, req) > 0;
}
