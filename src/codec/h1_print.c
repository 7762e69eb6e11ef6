/* h1_print.c -- start line, fields, extras, empty line.
 *
 * A field that came from an HTTP/1 peer still stands in its text as `Name: value` CRLF, usually
 * next to its neighbour. Such runs are copied in one piece; after the filters of an ordinary
 * request that is one or two copies for the whole head. */
#include "codec/h1_print.h"

#include "base/digits.h"
#include "codec/chars.h"

#define BIT(id) (UINT64_C(1) << FIELD_##id)

/* Written by the connection alone. */
static const uint64_t ours = BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING) | BIT(CONNECTION) |
                             BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) | BIT(UPGRADE) | BIT(TE) |
                             BIT(TRAILER) | BIT(HTTP2_SETTINGS);

/* clang-format off */
static const weir_str reasons[600] = {
#define R(status, text) [status] = { text, sizeof(text) - 1 }
    R(100, "Continue"), R(101, "Switching Protocols"), R(102, "Processing"), R(103, "Early Hints"),
    R(200, "OK"), R(201, "Created"), R(202, "Accepted"), R(203, "Non-Authoritative Information"),
    R(204, "No Content"), R(205, "Reset Content"), R(206, "Partial Content"),
    R(207, "Multi-Status"), R(208, "Already Reported"), R(226, "IM Used"),
    R(300, "Multiple Choices"), R(301, "Moved Permanently"), R(302, "Found"), R(303, "See Other"),
    R(304, "Not Modified"), R(305, "Use Proxy"), R(307, "Temporary Redirect"),
    R(308, "Permanent Redirect"),
    R(400, "Bad Request"), R(401, "Unauthorized"), R(402, "Payment Required"), R(403, "Forbidden"),
    R(404, "Not Found"), R(405, "Method Not Allowed"), R(406, "Not Acceptable"),
    R(407, "Proxy Authentication Required"), R(408, "Request Timeout"), R(409, "Conflict"),
    R(410, "Gone"), R(411, "Length Required"), R(412, "Precondition Failed"),
    R(413, "Content Too Large"), R(414, "URI Too Long"), R(415, "Unsupported Media Type"),
    R(416, "Range Not Satisfiable"), R(417, "Expectation Failed"), R(421, "Misdirected Request"),
    R(422, "Unprocessable Content"), R(423, "Locked"), R(424, "Failed Dependency"),
    R(425, "Too Early"), R(426, "Upgrade Required"), R(428, "Precondition Required"),
    R(429, "Too Many Requests"), R(431, "Request Header Fields Too Large"),
    R(451, "Unavailable For Legal Reasons"),
    R(500, "Internal Server Error"), R(501, "Not Implemented"), R(502, "Bad Gateway"),
    R(503, "Service Unavailable"), R(504, "Gateway Timeout"),
    R(505, "HTTP Version Not Supported"), R(506, "Variant Also Negotiates"),
    R(507, "Insufficient Storage"), R(508, "Loop Detected"),
    R(511, "Network Authentication Required"),
#undef R
};
/* clang-format on */

weir_str status_reason(int status)
{
    if (status < 0 || status >= (int)ARRAY_LEN(reasons) || reasons[status].ptr == NULL)
        return LIT("");
    return reasons[status];
}

/* The first and the last `k` bytes of `n`, which are all of them if `n` is at most twice `k`. */
static inline __attribute__((always_inline)) void copy_ends(char *at, const char *from, size_t n,
                                                            size_t k)
{
    memcpy(at, from, k);
    memcpy(at + n - k, from + n - k, k);
}

/* Names and values are short, and there are many: they are copied by two moves that may overlap,
 * where the usual way has to find out first how to begin and how to end. */
static inline char *put(char *at, weir_str s)
{
    if (unlikely(s.len > 32))
        return mempcpy(at, s.ptr, s.len);
    if (s.len >= 16)
        copy_ends(at, s.ptr, s.len, 16);
    else if (s.len >= 8)
        copy_ends(at, s.ptr, s.len, 8);
    else if (s.len >= 4)
        copy_ends(at, s.ptr, s.len, 4);
    else if (s.len >= 2)
        copy_ends(at, s.ptr, s.len, 2);
    else if (s.len == 1)
        *at = *s.ptr;
    return at + s.len;
}

/* The same for a literal. */
#define PUT(at, text) ((char *)mempcpy(at, text, sizeof(text) - 1))

static char *put_field(char *at, weir_str name, weir_str value)
{
    at = put(at, name);
    at = PUT(at, ": ");
    at = put(at, value);
    return PUT(at, "\r\n");
}

static char *put_known(char *at, enum field_id id, weir_str value)
{
    return value.ptr != NULL ? put_field(at, field_name_of(id), value) : at;
}

static char *put_number(char *at, uint64_t n)
{
    char text[DIGITS_MAX], *end = text + sizeof(text), *first = digits_before(end, n, 1);

    return put(at, (weir_str){ first, (size_t)(end - first) });
}

/* A status has three digits. */
static char *put_status(char *at, unsigned status)
{
    at[0] = (char)('0' + status / 100);
    at[1] = (char)('0' + status / 10 % 10);
    at[2] = (char)('0' + status % 10);
    return at + 3;
}

/* Does the field stand as `Name: value` in its text? */
static inline bool is_in_one_piece(const struct field *f)
{
    const char *behind = f->name + f->name_len;

    return f->value == behind + 2 && memcmp(behind, ": ", 2) == 0;
}

static inline const char *end_of(const struct field *f)
{
    return f->value + f->value_len;
}

/* Does `next` follow `f` in the same text, with a CRLF between? */
static inline bool is_followed_by(const struct field *f, const struct field *next)
{
    const char *end = end_of(f);

    return next->name == end + 2 && memcmp(end, "\r\n", 2) == 0 && is_in_one_piece(next);
}

/* All fields but those whose bit is in `skip`. */
static char *put_fields(char *at, const struct weir_head *h, uint64_t skip)
{
    const struct field *f = h->fields, *end = h->count > 0 ? f + h->count : f;

    while (f < end) {
        const struct field *last = f;

        if (skip >> f->id & 1) {
            f++;
            continue;
        }
        if (!is_in_one_piece(f)) {
            at = put_field(at, (weir_str){ f->name, f->name_len },
                           (weir_str){ f->value, f->value_len });
            f++;
            continue;
        }
        while (last + 1 < end && !(skip >> last[1].id & 1) && is_followed_by(last, last + 1))
            last++;
        at = put(at, (weir_str){ f->name, (size_t)(end_of(last) - f->name) });
        at = PUT(at, "\r\n");
        f = last + 1;
    }
    return at;
}

/* A repeated Host cannot have come from a parser; all there are go first. */
static char *put_host(char *at, const struct weir_head *h)
{
    for (const struct field *f = head_first_id(h, FIELD_HOST); f != NULL; f = head_next_id(h, f))
        at = put_field(at, (weir_str){ f->name, f->name_len },
                       (weir_str){ f->value, f->value_len });
    return at;
}

static char *put_framing(char *at, const struct h1_extra *extra)
{
    switch (extra->framing.mode) {
    case BODY_LENGTH:
        at = PUT(at, "Content-Length: ");
        at = put_number(at, extra->framing.length);
        return PUT(at, "\r\n");
    case BODY_CHUNKED:
        return PUT(at, "Transfer-Encoding: chunked\r\n");
    case BODY_NONE:
        if (extra->length_as.ptr != NULL)
            return put_known(at, FIELD_CONTENT_LENGTH, extra->length_as);
        return extra->no_length ? at : PUT(at, "Content-Length: 0\r\n");
    case BODY_CLOSE:
        break;
    }
    return at;
}

static char *put_extra(char *at, const struct weir_head *h, const struct h1_extra *extra)
{
    if (!head_has_id(h, FIELD_DATE))
        at = put_known(at, FIELD_DATE, extra->date);
    at = put_known(at, FIELD_UPGRADE, extra->upgrade);
    at = put_known(at, FIELD_CONNECTION, extra->connection);
    at = put_framing(at, extra);
    return PUT(at, "\r\n");
}

size_t h1_print_bound(const struct weir_head *h, const struct h1_extra *extra)
{
    /* start line without its slices, names and punctuation of all extras, the empty line */
    enum { FIXED = 256 };
    size_t n = FIXED + h->method.len + h->target.len + h->reason.len + extra->length_as.len +
               extra->connection.len + extra->upgrade.len + extra->date.len;

    for (uint32_t i = 0; i < h->count; i++)
        n += (size_t)h->fields[i].name_len + h->fields[i].value_len + 4;
    return n;
}

size_t h1_print_request(char *out, const struct weir_head *h, const struct h1_extra *extra)
{
    bool host_is_first = h->count > 0 && h->fields[0].id == FIELD_HOST;
    char *at = put(out, h->method);

    *at++ = ' ';
    at = put(at, h->target);
    at = PUT(at, " HTTP/1.1\r\n");
    if (!host_is_first)
        at = put_host(at, h);
    at = put_fields(at, h, host_is_first ? ours : ours | BIT(HOST));
    return (size_t)(put_extra(at, h, extra) - out);
}

size_t h1_print_response(char *out, const struct weir_head *h, const struct h1_extra *extra)
{
    weir_str reason = h->reason.len > 0 ? h->reason : status_reason(h->status);
    char *at = PUT(out, "HTTP/1.1 ");

    at = put_status(at, h->status);
    *at++ = ' '; /* also without a reason: RFC 9112 4 */
    at = put(at, reason);
    at = PUT(at, "\r\n");
    at = put_fields(at, h, ours);
    return (size_t)(put_extra(at, h, extra) - out);
}

size_t h1_print_trailers(char *out, const struct weir_head *h)
{
    char *at = put_fields(out, h, ours);

    return (size_t)(PUT(at, "\r\n") - out);
}
