/* h1_parse.c -- the second pass over a head. Every line is known to end with CRLF, so loops over
 * bytes need no bound: CR is neither a token nor a digit, and stops them. */
#include "codec/h1_parse.h"

#include "codec/chars.h"
#include "codec/uri.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* What the parts of a head are refused with: requests and responses differ. */
struct refusals {
    int malformed, field_size, field_count;
};

static const struct refusals of_request = { WEIR_EBADHEAD, WEIR_EFIELDSIZE, WEIR_EFIELDCOUNT };
static const struct refusals of_response = { WEIR_EUPHEAD, WEIR_EUPHEADSIZE, WEIR_EUPHEADSIZE };

static int refuse(struct h1_fault *fault, int err, const char *reason)
{
    fault->reason = reason;
    return err;
}

/* `skip_name` passes over a name, or over its beginning: letters, digits and "-", of which nearly
 * all names consist, 16 bytes at a time. `find_cr` is the CR at or behind `p`; there is one before
 * `end`. */
#if defined(__x86_64__)

static inline __m128i up_to(__m128i bytes, char first, int count)
{
    __m128i from = _mm_sub_epi8(bytes, _mm_set1_epi8(first));

    return _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8((char)(count - 1))), from);
}

static inline const char *skip_name(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i letters = up_to(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 26);
        __m128i dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
        __m128i good = _mm_or_si128(_mm_or_si128(letters, dashes), up_to(bytes, '0', 10));
        unsigned bad = (unsigned)_mm_movemask_epi8(good) ^ 0xffff;

        if (likely(bad != 0))
            return p + __builtin_ctz(bad);
    }
    return p;
}

static inline const char *find_cr(const char *p, const char *end)
{
    const __m128i cr = _mm_set1_epi8('\r');

    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, cr));

        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    while (*p != '\r')
        p++;
    return p;
}
#else

static inline const char *skip_name(const char *p, const char *end)
{
    (void)end;
    return p;
}

static inline const char *find_cr(const char *p, const char *end)
{
    return memchr(p, '\r', (size_t)(end - p));
}

#endif

/* Why is `c` not the colon behind a field name that began at `name`? */
static const char *why_no_colon(const char *name, const char *at)
{
    if (at == name)
        return is_blank(*at) ? "a folded field line" /* obs-fold, RFC 9112 5.2 */
               : *at == ':'  ? "a field without a name"
                             : "a field name that is no token";
    if (is_blank(*at))
        return "a blank before the colon of a field"; /* it smuggles, RFC 9112 5.1 */
    return *at == '\r' ? "a field line without a colon" : "a field name that is no token";
}

/* One field line at `*at`, which is moved behind it. */
static inline int parse_field(const char **at, const char *end, size_t max_field,
                              const struct refusals *as, struct field *out, struct h1_fault *fault)
{
    const char *name = *at, *colon = skip_name(name, end), *value, *cr, *value_end;

    while (char_is(*colon, CHAR_TOKEN))
        colon++;
    if (unlikely(*colon != ':' || colon == name))
        return refuse(fault, as->malformed, why_no_colon(name, colon));
    value = colon + 1;
    cr = value_end = find_cr(value, end);
    if (unlikely((size_t)(cr - name) > max_field || colon - name > FIELD_NAME_MAX))
        return refuse(fault, as->field_size, "a field line longer than --max-field");
    if (likely(*value == ' ')) /* nearly always one blank before, and none behind */
        value++;
    if (unlikely(is_blank(*value) || is_blank(value_end[-1]))) {
        while (is_blank(*value))
            value++;
        while (value_end > value && is_blank(value_end[-1]))
            value_end--;
    }
    *out = (struct field){
        .name = name,
        .name_len = (uint16_t)(colon - name),
        .value = value,
        .value_len = (uint32_t)(value_end - value),
        .id = (uint8_t)field_id_of((weir_str){ name, (size_t)(colon - name) }),
    };
    *at = cr + 2;
    return 0;
}

/* `count` field lines at `at`, up to the empty line that ends the head. */
static int parse_fields(const char *at, const char *end, size_t count,
                        const struct h1_limits *limits, const struct refusals *as,
                        struct weir_head *out, struct h1_fault *fault)
{
    if (count > limits->max_fields)
        return refuse(fault, as->field_count, "more fields than --max-fields");
    if (!head_reserve(out, (uint32_t)count))
        return refuse(fault, WEIR_ENOMEM, weir_error_text(WEIR_ENOMEM));
    for (size_t i = 0; i < count; i++) {
        struct field *f = &out->fields[out->count];

        TRY(parse_field(&at, end, limits->max_field, as, f, fault));
        out->present |= (UINT64_C(1) << f->id) & ~UINT64_C(1);
        out->count++;
    }
    return 0;
}

/* `HTTP/` DIGIT `.` DIGIT in the eight bytes at `p` (RFC 9112 2.3; case counts). */
static bool is_version(const char *p)
{
    return memcmp(p, "HTTP/", 5) == 0 && is_digit(p[5]) && p[6] == '.' && is_digit(p[7]);
}

enum { VERSION_LEN = 8 };

static const char *why_no_version(const char *target, const char *cr)
{
    return memchr(target, ' ', (size_t)(cr - target)) != NULL
               ? "a malformed HTTP version"
               : "a request line without an HTTP version"; /* HTTP/0.9 */
}

/* method SP request-target SP HTTP-version CRLF, single blanks (RFC 9112 3). */
static int parse_request_line(const char **at, const char *end, const struct h1_limits *limits,
                              struct weir_head *out, weir_str *target, struct h1_fault *fault)
{
    const char *method = *at, *p = method, *cr, *version;

    while (char_is(*p, CHAR_TOKEN))
        p++;
    if (p == method || *p != ' ')
        return refuse(fault, WEIR_EBADHEAD,
                      *p == '\r' ? "a request line without a target" : "a method that is no token");
    out->method = (weir_str){ method, (size_t)(p - method) };
    out->method_id = (uint8_t)method_of(out->method);
    if (*++p == ' ')
        return refuse(fault, WEIR_EBADHEAD, "two blanks in a row in the request line");
    cr = find_cr(p, end);
    version = cr - VERSION_LEN;
    if (cr - p < VERSION_LEN + 2 || version[-1] != ' ' || !is_version(version)) {
        if ((size_t)(cr - p) > limits->max_target + VERSION_LEN + 1)
            return refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target");
        return refuse(fault, WEIR_EBADHEAD, why_no_version(p, cr));
    }
    *target = (weir_str){ p, (size_t)(version - 1 - p) };
    if (target->len > limits->max_target)
        return refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target");
    if (version[-2] == ' ')
        return refuse(fault, WEIR_EBADHEAD, "two blanks in a row in the request line");
    if (version[5] != '1')
        return refuse(fault, WEIR_EVERSION, "a major version of HTTP other than 1");
    out->minor = (uint8_t)(version[7] - '0');
    *at = cr + 2;
    return 0;
}

/* The path of an absolute-form as origin-form: `http://h?q` has none, and gets "/". */
static int set_absolute_path(struct weir_head *out, weir_str path)
{
    char *text;

    if (path.len == 0) {
        out->target = out->method_id == METHOD_OPTIONS ? LIT("*") : LIT("/");
    } else if (*path.ptr == '/') {
        out->target = path;
    } else {
        text = arena_text(out->arena, path.len + 1);
        if (text == NULL)
            return WEIR_ENOMEM;
        text[0] = '/';
        memcpy(text + 1, path.ptr, path.len);
        out->target = (weir_str){ text, path.len + 1 };
    }
    return 0;
}

static int check_host(struct weir_head *out, struct h1_fault *fault)
{
    const struct field *host = head_first_id(out, FIELD_HOST);

    if (host == NULL)
        return out->minor == 0 ? 0 : refuse(fault, WEIR_EBADHOST, "no Host field");
    if (head_next_id(out, host) != NULL)
        return refuse(fault, WEIR_EBADHOST, "more than one Host field");
    out->authority = (weir_str){ host->value, host->value_len };
    if (host->value_len > 0 && !authority_valid(out->authority))
        return refuse(fault, WEIR_EBADHOST, "a Host that is no host and port");
    return 0;
}

/* Takes the target apart and brings it together with Host. */
static int settle_target(struct weir_head *out, weir_str text, struct h1_fault *fault)
{
    struct target target;

    TRY(target_parse(text, (enum method)out->method_id, &target, fault));
    TRY(check_host(out, fault));
    out->target = target.path;
    if (likely(target.form == TARGET_ORIGIN || target.form == TARGET_ASTERISK))
        return 0;
    out->authority = target.authority; /* RFC 9112 3.2.2: Host is ignored, and replaced */
    head_set_id(out, FIELD_HOST, target.authority);
    if (target.form == TARGET_AUTHORITY)
        out->target = target.authority;
    else if (set_absolute_path(out, target.path) < 0)
        return refuse(fault, WEIR_ENOMEM, weir_error_text(WEIR_ENOMEM));
    return out->failed;
}

int h1_parse_request(weir_str text, size_t lines, const struct h1_limits *limits,
                     struct weir_head *out, struct h1_fault *fault)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    weir_str target;

    ensure(lines > 0);
    TRY(parse_request_line(&at, end, limits, out, &target, fault));
    TRY(parse_fields(at, end, lines - 1, limits, &of_request, out, fault));
    return settle_target(out, target, fault);
}

/* HTTP-version SP 3DIGIT [SP reason] CRLF (RFC 9112 4, where the second SP is not optional: too
 * many servers leave it away together with the reason). */
static int parse_status_line(const char **at, const char *end, struct weir_head *out,
                             struct h1_fault *fault)
{
    const char *p = *at, *cr = find_cr(p, end);

    if (cr - p < VERSION_LEN + 4 || !is_version(p) || p[5] != '1' || p[VERSION_LEN] != ' ')
        return refuse(fault, WEIR_EUPHEAD, "a status line that does not begin with HTTP/1.x");
    out->minor = (uint8_t)(p[7] - '0');
    p += VERSION_LEN + 1;
    if (!is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || (p[3] != ' ' && p[3] != '\r'))
        return refuse(fault, WEIR_EUPHEAD, "a status that is not three digits");
    out->status = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
    if (out->status < 100 || out->status > 599)
        return refuse(fault, WEIR_EUPHEAD, "a status outside of 100 to 599");
    p += p[3] == ' ' ? 4 : 3;
    out->reason = (weir_str){ p, (size_t)(cr - p) };
    *at = cr + 2;
    return 0;
}

int h1_parse_response(weir_str text, size_t lines, const struct h1_limits *limits,
                      struct weir_head *out, struct h1_fault *fault)
{
    const char *at = text.ptr, *end = text.ptr + text.len;

    ensure(lines > 0);
    TRY(parse_status_line(&at, end, out, fault));
    return parse_fields(at, end, lines - 1, limits, &of_response, out, fault);
}

/* RFC 9110 6.5.1. Of the names we know only ETag may come late; the others frame, route,
 * authenticate or describe the message. These are ones without a number: */
static bool may_be_trailer(const struct field *f)
{
    static const weir_str barred[] = {
        { "content-disposition", 19 }, { "content-language", 16 },   { "content-location", 16 },
        { "if-match", 8 },             { "if-modified-since", 17 },  { "if-none-match", 13 },
        { "if-range", 8 },             { "if-unmodified-since", 19 }, { "retry-after", 11 },
        { "warning", 7 },              { "www-authenticate", 16 },   { "x-real-ip", 9 },
    };
    static const weir_str forwarded = { "x-forwarded-", 12 };
    weir_str name = { f->name, f->name_len };

    if (f->id != FIELD_OTHER)
        return f->id == FIELD_ETAG;
    for (size_t i = 0; i < ARRAY_LEN(barred); i++) {
        if (weir_str_eq_nocase(name, barred[i]))
            return false;
    }
    return name.len < forwarded.len ||
           !weir_str_eq_nocase((weir_str){ name.ptr, forwarded.len }, forwarded);
}

int h1_parse_trailers(weir_str text, const struct h1_limits *limits, struct weir_head *out, int err,
                      struct h1_fault *fault)
{
    const struct refusals as = { err, err, err };
    const char *at = text.ptr, *end = text.ptr + text.len;

    for (unsigned seen = 0; *at != '\r'; seen++) {
        struct field f = { 0 };

        if (seen == limits->max_fields)
            return refuse(fault, err, "more trailers than --max-fields");
        TRY(parse_field(&at, end, limits->max_field, &as, &f, fault));
        if (may_be_trailer(&f))
            head_add_raw(out, (weir_str){ f.name, f.name_len }, (weir_str){ f.value, f.value_len },
                         (enum field_id)f.id);
    }
    return out->failed;
}
