/* forwarded.c -- parameters with tokens or quoted strings as values; and a number that counts down.
 */
#include "codec/forwarded.h"

#include "codec/chars.h"

/* Every byte may need a backslash; a name, "=", two quotes, two brackets and ";" come on top. */
static size_t bound_of(weir_str value)
{
    return value.ptr != NULL ? 2 * value.len + 16 : 0;
}

static char *put(char *at, const char *text)
{
    return mempcpy(at, text, strlen(text));
}

static char *put_quoted(char *at, weir_str value)
{
    *at++ = '"';
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"' || value.ptr[i] == '\\')
            *at++ = '\\';
        *at++ = value.ptr[i];
    }
    *at++ = '"';
    return at;
}

/* `name=value`, behind a ";" if something stands at `start` already. */
static char *put_pair(char *start, char *at, const char *name, weir_str value)
{
    if (value.ptr == NULL || value.len == 0 || !is_field_value(value))
        return at;
    if (at > start)
        *at++ = ';';
    at = put(at, name);
    return is_token(value) ? mempcpy(at, value.ptr, value.len) : put_quoted(at, value);
}

/* RFC 7239 6: an IPv6 address is always enclosed in brackets. */
static char *put_node(char *start, char *at, const char *name, weir_str node)
{
    bool v6 = node.len > 0 && node.ptr[0] != '[' && memchr(node.ptr, ':', node.len) != NULL;

    if (!v6 || !is_field_value(node))
        return put_pair(start, at, name, node);
    if (at > start)
        *at++ = ';';
    at = put(at, name);
    at = put(at, "\"[");
    at = mempcpy(at, node.ptr, node.len);
    return put(at, "]\"");
}

weir_str forwarded_print(const struct forwarded *f, struct arena *arena)
{
    char *text = arena_text(arena, bound_of(f->from) + bound_of(f->by) + bound_of(f->host) +
                                       bound_of(f->proto) + 1);
    char *at = text;

    if (text == NULL)
        return (weir_str){ NULL, 0 };
    at = put_node(text, at, "for=", f->from);
    at = put_node(text, at, "by=", f->by);
    at = put_pair(text, at, "host=", f->host);
    at = put_pair(text, at, "proto=", f->proto);
    return (weir_str){ text, (size_t)(at - text) };
}

bool forwarded_goes_on(weir_str value)
{
    bool quoted = false;

    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"')
            quoted = !quoted;
        else if (value.ptr[i] == '\\' && quoted)
            i++;
    }
    return value.len > 0 && !quoted;
}

enum forwards max_forwards(const struct weir_head *req, unsigned *left)
{
    weir_str value = head_get_id(req, FIELD_MAX_FORWARDS);
    unsigned n = 0;

    *left = 0;
    if (value.ptr == NULL || (req->method_id != METHOD_TRACE && req->method_id != METHOD_OPTIONS))
        return FORWARDS_ON;
    if (value.len == 0 || head_count_id(req, FIELD_MAX_FORWARDS) > 1)
        return FORWARDS_WRONG;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.ptr[i]))
            return FORWARDS_WRONG;
        n = MIN(n * 10 + (unsigned)(value.ptr[i] - '0'), FORWARDS_MAX + 1u);
    }
    if (n == 0)
        return FORWARDS_END;
    *left = n - 1;
    return FORWARDS_LESS;
}
