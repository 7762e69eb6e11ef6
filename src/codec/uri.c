/* uri.c -- the four forms of a request target, and what may stand in an authority. */
#include "codec/uri.h"

#include <arpa/inet.h>

#include "codec/chars.h"
#include "codec/h1_split.h"

static int refuse(struct h1_fault *fault, const char *reason)
{
    fault->reason = reason;
    return WEIR_EBADTARGET;
}

static const char *why_illegal(char c)
{
    return c == '#'   ? "a fragment in the request target"
           : c == '%' ? "a percent sign without two hex digits in the request target"
           : c == ' ' ? "a blank in the request target"
                      : "a byte in the request target that RFC 3986 does not allow";
}

/* Legal bytes and whole escapes only? Some bytes are legal in a query alone. */
static int check_bytes(weir_str text, const char *readable, struct h1_fault *fault)
{
    const char *p = text.ptr, *end = p + text.len;
    bool query = false;

    for (;;) {
        p += h1_span(SET_TARGET, p, end, readable);
        if (likely(p == end))
            return 0;
        if (*p == '%' && end - p >= 3 && char_is(p[1], CHAR_HEX) && char_is(p[2], CHAR_HEX))
            p += 3;
        else if (!char_is(*p, CHAR_QUERY))
            return refuse(fault, why_illegal(*p));
        else if (query || (query = memchr(text.ptr, '?', (size_t)(p - text.ptr)) != NULL))
            p++;
        else
            return refuse(fault, why_illegal(*p));
    }
}

/* scheme "://" authority path-abempty ["?" query], for the two schemes a proxy serves. */
static SELDOM int parse_absolute(weir_str text, const char *readable, struct target *out,
                                 struct h1_fault *fault)
{
    const char *p = text.ptr, *end = p + text.len;
    size_t scheme = 0;

    if (text.len > 7 && weir_str_eq_nocase((weir_str){ p, 7 }, LIT("http://")))
        scheme = 4;
    else if (text.len > 8 && weir_str_eq_nocase((weir_str){ p, 8 }, LIT("https://")))
        scheme = 5;
    if (scheme == 0)
        return refuse(fault, "a request target that begins neither with / nor with http:// or "
                             "https:// and a host");
    out->form = TARGET_ABSOLUTE;
    out->scheme = (weir_str){ p, scheme };
    p += scheme + 3;
    out->authority.ptr = p;
    while (p < end && *p != '/' && *p != '?')
        p++;
    out->authority.len = (size_t)(p - out->authority.ptr);
    out->path = (weir_str){ p, (size_t)(end - p) };
    if (memchr(out->authority.ptr, '@', out->authority.len) != NULL)
        return refuse(fault, "a user name in the request target"); /* RFC 9110 4.2.4 */
    if (!authority_valid(out->authority))
        return refuse(fault, "a malformed host or port in the request target");
    return check_bytes(out->path, readable, fault);
}

static SELDOM int parse_authority(weir_str text, struct target *out, struct h1_fault *fault)
{
    out->form = TARGET_AUTHORITY;
    out->authority = text;
    if (!authority_valid(text) || !is_digit(text.ptr[text.len - 1]) ||
        memchr(text.ptr, ':', text.len) == NULL)
        return refuse(fault, "CONNECT needs host:port as its target");
    return 0;
}

int target_parse_in(weir_str text, const char *readable, enum method method, struct target *out,
                    struct h1_fault *fault)
{
    *out = (struct target){ .form = TARGET_ORIGIN, .path = text };
    if (method == METHOD_CONNECT)
        return parse_authority(text, out, fault);
    if (text.len > 0 && *text.ptr == '/')
        return check_bytes(text, readable, fault);
    if (weir_str_eq(text, LIT("*"))) {
        out->form = TARGET_ASTERISK;
        return method == METHOD_OPTIONS ? 0 : refuse(fault, "the target * without OPTIONS");
    }
    return parse_absolute(text, readable, out, fault);
}

int target_parse(weir_str text, enum method method, struct target *out, struct h1_fault *fault)
{
    return target_parse_in(text, text.ptr + text.len, method, out, fault);
}

/* Behind the host: nothing, ":" or ":" and a number up to 65535. */
static bool is_port(weir_str text)
{
    unsigned port = 0;

    if (text.len == 0)
        return true;
    if (*text.ptr != ':' || text.len > 6)
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        port = port * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return port <= 65535;
}

/* "[" IPv6address "]"; no zone, and none of the future forms of RFC 3986. */
static SELDOM bool is_ipv6(weir_str text)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (text.len < 4 || text.len - 2 >= sizeof(z))
        return false;
    memcpy(z, text.ptr + 1, text.len - 2);
    z[text.len - 2] = '\0';
    return strlen(z) == text.len - 2 && inet_pton(AF_INET6, z, &addr) == 1;
}

bool authority_valid_in(weir_str text, const char *readable)
{
    size_t host;

    if (text.len > 0 && *text.ptr == '[') {
        const char *close = memchr(text.ptr, ']', text.len);

        if (close == NULL)
            return false;
        host = (size_t)(close + 1 - text.ptr);
        if (!is_ipv6((weir_str){ text.ptr, host }))
            return false;
    } else {
        host = h1_span(SET_HOST, text.ptr, text.ptr + text.len, readable);
    }
    return host > 0 && is_port((weir_str){ text.ptr + host, text.len - host });
}

bool authority_valid(weir_str text)
{
    return authority_valid_in(text, text.ptr + text.len);
}
