/* path.c -- one form for every spelling of a path, so that what is matched is what goes upstream.
 *
 * `/%6cogin`, `//login` and `/x/../login` all reach `/login` at some origin. A filter that guards a
 * path has to see what the origin will see; so the path is rewritten before it is compared, and
 * spellings on which readers disagree are refused. */
#include "codec/chars.h"
#include "codec/uri.h"

/* What is left of a target in front of its query. */
static weir_str path_of(weir_str target)
{
    const char *query = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;

    return (weir_str){ target.ptr, query != NULL ? (size_t)(query - target.ptr) : target.len };
}

/* Escapes of a path in one spelling: written to `to`, which has room for `path`. Returns the
 * length, or 0 for one that is refused; *escaped_dot tells whether one stood for a dot. */
static size_t unescape(weir_str path, char *to, bool *escaped_dot)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < path.len; i++) {
        unsigned c;

        if (path.ptr[i] == '\\')
            return 0;
        if (path.ptr[i] != '%') {
            to[n++] = path.ptr[i];
            continue;
        }
        if (path.len - i < 3 || !char_is(path.ptr[i + 1], CHAR_HEX) ||
            !char_is(path.ptr[i + 2], CHAR_HEX))
            return 0;
        c = hex_value(path.ptr[i + 1]) << 4 | hex_value(path.ptr[i + 2]);
        i += 2;
        if (c == '/' || c == '\\' || c == '\0')
            return 0;
        if (char_is((char)c, CHAR_UNRESERVED)) {
            *escaped_dot |= c == '.';
            to[n++] = (char)c;
        } else {
            to[n++] = '%';
            to[n++] = hex[c >> 4];
            to[n++] = hex[c & 15];
        }
    }
    return n;
}

enum segment { SEGMENT_PLAIN, SEGMENT_EMPTY, SEGMENT_DOT, SEGMENT_DOTDOT, SEGMENT_ODD };

/* A parameter behind dots (`..;x`) is removed by some origins before they look for dot segments. Of
 * a text that was unescaped. */
static enum segment segment_of(const char *p, size_t len)
{
    size_t dots = 0;

    while (dots < len && p[dots] == '.')
        dots++;
    if (dots == len)
        return len <= 2 ? (enum segment)(SEGMENT_EMPTY + len) : SEGMENT_PLAIN;
    if (dots == 0 || dots > 2)
        return SEGMENT_PLAIN;
    return p[dots] == ';' || (len - dots >= 3 && memcmp(p + dots, "%3B", 3) == 0) ? SEGMENT_ODD
                                                                                 : SEGMENT_PLAIN;
}

/* Removes dot segments and empty ones in place (RFC 3986 5.2.4, with slashes merged). `p[0]` is a
 * slash. Returns the length, or 0 if the path is refused. */
static size_t flatten(char *p, size_t len, bool escaped_dot)
{
    size_t to = 1, at = 1;

    while (at < len) {
        char *slash = memchr(p + at, '/', len - at);
        size_t end = slash != NULL ? (size_t)(slash - p) : len;
        enum segment kind = segment_of(p + at, end - at);

        if (kind == SEGMENT_ODD ||
            (escaped_dot && (kind == SEGMENT_DOT || kind == SEGMENT_DOTDOT)))
            return 0;
        if (kind == SEGMENT_DOTDOT) {
            if (to == 1)
                return 0;
            for (to--; p[to - 1] != '/'; to--)
                ;
        } else if (kind == SEGMENT_PLAIN) {
            memmove(p + to, p + at, end - at);
            to += end - at;
            if (end < len)
                p[to++] = '/';
        }
        at = end + 1;
    }
    return to;
}

/* Nothing to do for nearly all paths: no escape, no backslash, and no slash with a slash or a dot
 * behind it. */
static bool looks_canonical(weir_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (c == '%' || c == '\\')
            return false;
        if (c == '/' && i + 1 < path.len && (path.ptr[i + 1] == '/' || path.ptr[i + 1] == '.'))
            return false;
    }
    return true;
}

int path_canonical(weir_str target, struct arena *arena, weir_str *out, bool *same)
{
    weir_str path = path_of(target);
    bool escaped_dot = false;
    size_t len;
    char *to;

    if (path.len == 0 || *path.ptr != '/')
        return WEIR_EBADTARGET;
    *out = path;
    *same = true;
    if (likely(looks_canonical(path)))
        return 0;
    to = arena_text(arena, path.len);
    if (to == NULL)
        return WEIR_ENOMEM;
    len = unescape(path, to, &escaped_dot);
    if (len > 0)
        len = flatten(to, len, escaped_dot);
    if (len == 0)
        return WEIR_EBADTARGET;
    *same = weir_str_eq((weir_str){ to, len }, path);
    if (!*same)
        *out = (weir_str){ to, len };
    return 0;
}

/* The next byte of a canonical path, decoded. */
static char take_byte(weir_str *path)
{
    size_t n = 1;
    char c = *path->ptr;

    if (c == '%') {
        c = (char)(hex_value(path->ptr[1]) << 4 | hex_value(path->ptr[2]));
        n = 3;
    }
    path->ptr += n;
    path->len -= n;
    return c;
}

/* Parameters belong to a segment and do not change which one it is: `/admin;x` is `/admin`. */
static void skip_parameters(weir_str *path)
{
    if (path->len == 0 || *path->ptr != ';')
        return;
    while (path->len > 0 && *path->ptr != '/') {
        path->ptr++;
        path->len--;
    }
}

bool path_under(weir_str path, weir_str prefix)
{
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    for (size_t i = 0; i < prefix.len; i++) {
        if (prefix.ptr[i] == '/')
            skip_parameters(&path);
        if (path.len == 0 || take_byte(&path) != prefix.ptr[i])
            return false;
    }
    skip_parameters(&path);
    return path.len == 0 || *path.ptr == '/';
}

/* Puts the canonical path in front of the query the target had. */
static int rewrite_target(struct weir_head *h, weir_str path)
{
    weir_str old = path_of(h->target);
    weir_str query = { h->target.ptr + old.len, h->target.len - old.len };
    char *to = arena_text(h->arena, path.len + query.len);

    if (to == NULL)
        return WEIR_ENOMEM;
    memcpy(to, path.ptr, path.len);
    memcpy(to + path.len, query.ptr, query.len);
    h->target = (weir_str){ to, path.len + query.len };
    return 0;
}

/* Makes the path at first use, and again when the target has changed. A target without a path (`*`,
 * of CONNECT) has none, and is under nothing. */
static weir_str canonical_path(struct weir_head *h)
{
    bool same = true;
    int rc;

    if (h->target.ptr == NULL || h->path_of == h->target.ptr)
        return h->path;
    h->path = (weir_str){ NULL, 0 };
    if (h->target.len > 0 && *h->target.ptr == '/') {
        rc = path_canonical(h->target, h->arena, &h->path, &same);
        if (rc == 0 && !same)
            rc = rewrite_target(h, h->path);
        if (rc < 0)
            h->path = (weir_str){ NULL, 0 };
        if (rc < 0 && h->failed == 0)
            h->failed = rc;
    }
    h->path_of = h->target.ptr;
    return h->path;
}

bool weir_path_under(const struct weir_head *h, const char *prefix)
{
    weir_str path;

    if (h == NULL || prefix == NULL)
        return false;
    /* To a filter nothing changes: the target is what it would have been had it asked before. */
    path = canonical_path((struct weir_head *)(uintptr_t)h);
    return path.ptr != NULL && path_under(path, weir_str_from(prefix));
}
