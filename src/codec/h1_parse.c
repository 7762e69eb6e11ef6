/* h1_parse.c -- the second pass over a head: start lines, the fields as h1_split.h finds them, and
 * what a target and Host say together. The end of every line is known from the first pass. */
#include "codec/h1_parse.h"

#include "codec/chars.h"
#include "codec/h1_split.h"
#include "codec/head_names.h"
#include "codec/uri.h"

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

/* Where the next field goes; without memory for fields, NULL, to which nothing may be added. */
static struct field *first_free(struct weir_head *h)
{
    return h->fields != NULL ? h->fields + h->count : NULL;
}

/* The lines behind the start line. `*twice` tells which known names stand there more than once. */
static int parse_fields(const char *text, const struct h1_scan *scan,
                        const struct h1_limits *limits, const struct refusals *as,
                        struct weir_head *out, uint64_t *twice, struct h1_fault *fault)
{
    size_t count = scan->lines - 1;
    struct split_fields split;
    enum split rc;

    if (count > limits->max_fields)
        return refuse(fault, as->field_count, "more fields than --max-fields");
    if (!head_reserve(out, (uint32_t)count))
        return refuse(fault, WEIR_ENOMEM, weir_error_text(WEIR_ENOMEM));
    split.fields = first_free(out);
    rc = h1_split(text, scan, 1, limits->max_field, &split);
    if (unlikely(rc != SPLIT_DONE))
        return refuse(fault, rc == SPLIT_BAD ? as->malformed : as->field_size, split.reason);
    out->count += (uint32_t)count;
    out->present |= split.present;
    *twice = split.twice;
    return 0;
}

/* `HTTP/` DIGIT `.` DIGIT in the eight bytes at `p` (RFC 9112 2.3; case counts). */
static bool is_version(const char *p)
{
    return memcmp(p, "HTTP/", 5) == 0 && is_digit(p[5]) && p[6] == '.' && is_digit(p[7]);
}

enum { VERSION_LEN = 8 };

/* The minor version of the `HTTP/1.x` at `p`, -1 for another major version, -2 for no version. */
static inline int version_at(const char *p)
{
    if (likely(memcmp(p, "HTTP/1.1", VERSION_LEN) == 0))
        return 1;
    if (!is_version(p))
        return -2;
    return p[5] == '1' ? p[7] - '0' : -1;
}

/* What is wrong with a request line behind its method, where no version is found at its end. */
static int refuse_line(const char *target, const char *cr, const struct h1_limits *limits,
                       struct h1_fault *fault)
{
    if ((size_t)(cr - target) > limits->max_target + VERSION_LEN + 1)
        return refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target");
    return refuse(fault, WEIR_EBADHEAD,
                  memchr(target, ' ', (size_t)(cr - target)) != NULL
                      ? "a malformed HTTP version"
                      : "a request line without an HTTP version"); /* HTTP/0.9 */
}

/* The length of the method at `p` and its number; 0 for none. The known ones fit into a word with
 * the blank behind them: one look finds the blank, one comparison the method. */
static size_t read_method(const char *p, enum method *id)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word, other, blanks;
    size_t len = 0;

    memcpy(&word, p, sizeof(word));
    other = word ^ ones * ' ';
    blanks = (other - ones) & ~other & ones << 7; /* the lowest bit is that of the first blank */
    *id = blanks != 0 ? method_of_word(word & (((blanks & -blanks) >> 7) - 1)) : METHOD_OTHER;
    if (likely(*id != METHOD_OTHER))
        return (size_t)__builtin_ctzll(blanks) / 8;
    while (char_is(p[len], CHAR_TOKEN))
        len++;
    return len;
}

/* method SP request-target SP HTTP-version CRLF, single blanks (RFC 9112 3). */
static int parse_request_line(const char *text, const struct h1_scan *scan,
                              const struct h1_limits *limits, struct weir_head *out,
                              weir_str *target, struct h1_fault *fault)
{
    const char *cr = text + scan->ends[0], *p, *version;
    enum method id;
    size_t len = read_method(text, &id);
    int minor;

    p = text + len;
    if (unlikely(len == 0 || *p != ' '))
        return refuse(fault, WEIR_EBADHEAD,
                      *p == '\r' ? "a request line without a target" : "a method that is no token");
    out->method = (weir_str){ text, len };
    out->method_id = (uint8_t)id;
    if (unlikely(*++p == ' '))
        return refuse(fault, WEIR_EBADHEAD, "two blanks in a row in the request line");
    version = cr - VERSION_LEN;
    minor = cr - p < VERSION_LEN + 2 ? -2 : version_at(version);
    if (unlikely(minor == -2 || version[-1] != ' '))
        return refuse_line(p, cr, limits, fault);
    *target = (weir_str){ p, (size_t)(version - 1 - p) };
    if (unlikely(target->len > limits->max_target))
        return refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target");
    if (unlikely(version[-2] == ' '))
        return refuse(fault, WEIR_EBADHEAD, "two blanks in a row in the request line");
    if (unlikely(minor < 0))
        return refuse(fault, WEIR_EVERSION, "a major version of HTTP other than 1");
    out->minor = (uint8_t)minor;
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

static int check_host(struct weir_head *out, const char *readable, bool twice,
                      struct h1_fault *fault)
{
    const struct field *host = head_first_id(out, FIELD_HOST);

    if (host == NULL)
        return out->minor == 0 ? 0 : refuse(fault, WEIR_EBADHOST, "no Host field");
    if (twice)
        return refuse(fault, WEIR_EBADHOST, "more than one Host field");
    out->authority = (weir_str){ host->value, host->value_len };
    if (host->value_len > 0 && !authority_valid_in(out->authority, readable))
        return refuse(fault, WEIR_EBADHOST, "a Host that is no host and port");
    return 0;
}

/* Takes the target apart and brings it together with Host. */
static int settle_target(struct weir_head *out, weir_str text, const char *readable, bool two_hosts,
                         struct h1_fault *fault)
{
    struct target target;

    TRY(target_parse_in(text, readable, (enum method)out->method_id, &target, fault));
    TRY(check_host(out, readable, two_hosts, fault));
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

static int too_large(const struct h1_scan *scan, enum h1_side side, const struct h1_limits *limits,
                     struct h1_fault *fault)
{
    if (side == H1_RESPONSE)
        return refuse(fault, WEIR_EUPHEADSIZE, "a response head longer than --max-head");
    if (scan->lines == 0 && scan->at > limits->max_target)
        return refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target");
    return refuse(fault, WEIR_EHEADSIZE, "a request head longer than --max-head");
}

/* The line that has not ended yet, without what may be half of its end. */
static weir_str unfinished(const struct h1_scan *scan, weir_str in)
{
    size_t start = scan->lines > 0 ? scan->ends[scan->lines - 1] + (size_t)2 : 0;
    weir_str line = { in.ptr + start, in.len - start };

    line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
    return line;
}

/* Of a head that has not ended: is it known already that a part of it is too large? Then nobody
 * waits for the rest. */
static SELDOM int check_unfinished(const struct h1_scan *scan, enum h1_side side,
                                   const struct h1_limits *limits, weir_str in,
                                   struct h1_fault *fault)
{
    weir_str line;
    const char *blank;
    size_t rest;

    if (scan->lines > H1_ENDS) /* where it begins is not remembered */
        return 0;
    line = unfinished(scan, in);
    if (scan->lines > 0 && line.len > limits->max_field)
        return refuse(fault, side == H1_REQUEST ? WEIR_EFIELDSIZE : WEIR_EUPHEADSIZE,
                      "a field line longer than --max-field");
    if (scan->lines > 0 || side == H1_RESPONSE)
        return 0;
    blank = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;
    if (blank == NULL)
        return 0;
    rest = (size_t)(line.ptr + line.len - blank) - 1; /* the target, and perhaps a version */
    return rest > limits->max_target + 1 + VERSION_LEN
               ? refuse(fault, WEIR_ETARGETSIZE, "a request target longer than --max-target")
               : 0;
}

int h1_collect(struct h1_scan *scan, enum h1_side side, const struct h1_limits *limits,
               weir_str *in, struct h1_fault *fault)
{
    int rc;

    /* RFC 9112 2.2: a server passes over one empty line before a request line. */
    if (side == H1_REQUEST && scan->at == 0 && !scan->skipped && in->len > 0 && *in->ptr == '\r') {
        if (in->len == 1)
            return 0;
        if (in->ptr[1] == '\n') {
            in->ptr += 2;
            in->len -= 2;
            scan->skipped = true;
        }
    }
    rc = h1_scan(scan, in->ptr, in->len);
    if (rc < 0)
        return refuse(fault, side == H1_REQUEST ? WEIR_EBADHEAD : WEIR_EUPHEAD, scan->reason);
    if (scan->at > limits->max_head)
        return too_large(scan, side, limits, fault);
    if (scan->lines > limits->max_fields + (size_t)1)
        return refuse(fault, side == H1_REQUEST ? WEIR_EFIELDCOUNT : WEIR_EUPHEADSIZE,
                      "more fields than --max-fields");
    return rc > 0 ? rc : check_unfinished(scan, side, limits, *in, fault);
}

int h1_parse_request(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                     struct weir_head *out, struct h1_fault *fault)
{
    uint64_t twice;
    weir_str target;

    ensure(scan->lines > 0);
    TRY(parse_request_line(text, scan, limits, out, &target, fault));
    TRY(parse_fields(text, scan, limits, &of_request, out, &twice, fault));
    return settle_target(out, target, text + scan->at + H1_PAD, twice >> FIELD_HOST & 1, fault);
}

/* HTTP-version SP 3DIGIT [SP reason] CRLF (RFC 9112 4, where the second SP is not optional: too
 * many servers leave it away together with the reason). */
static int parse_status_line(const char *text, const struct h1_scan *scan, struct weir_head *out,
                             struct h1_fault *fault)
{
    const char *p = text, *cr = text + scan->ends[0];
    int minor = cr - p < VERSION_LEN + 4 ? -2 : version_at(p);

    if (minor < 0 || p[VERSION_LEN] != ' ')
        return refuse(fault, WEIR_EUPHEAD, "a status line that does not begin with HTTP/1.x");
    out->minor = (uint8_t)minor;
    p += VERSION_LEN + 1;
    if (!is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || (p[3] != ' ' && p[3] != '\r'))
        return refuse(fault, WEIR_EUPHEAD, "a status that is not three digits");
    out->status = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
    if (out->status < 100 || out->status > 599)
        return refuse(fault, WEIR_EUPHEAD, "a status outside of 100 to 599");
    p += p[3] == ' ' ? 4 : 3;
    out->reason = (weir_str){ p, (size_t)(cr - p) };
    return 0;
}

int h1_parse_response(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                      struct weir_head *out, struct h1_fault *fault)
{
    uint64_t twice;

    ensure(scan->lines > 0);
    TRY(parse_status_line(text, scan, out, fault));
    return parse_fields(text, scan, limits, &of_response, out, &twice, fault);
}

/* RFC 9110 6.5.1. Of the names we know only ETag may come late; the others frame, route,
 * authenticate or describe the message. These are ones without a number: */
bool head_may_trail(weir_str name, enum field_id id)
{
    static const weir_str barred[] = {
        { "content-disposition", 19 },
        { "content-language", 16 },
        { "content-location", 16 },
        { "if-match", 8 },
        { "if-modified-since", 17 },
        { "if-none-match", 13 },
        { "if-range", 8 },
        { "if-unmodified-since", 19 },
        { "retry-after", 11 },
        { "warning", 7 },
        { "www-authenticate", 16 },
        { "x-real-ip", 9 },
    };
    static const weir_str forwarded = { "x-forwarded-", 12 };

    if (id != FIELD_OTHER)
        return id == FIELD_ETAG;
    for (size_t i = 0; i < ARRAY_LEN(barred); i++) {
        if (weir_str_eq_nocase(name, barred[i]))
            return false;
    }
    return name.len < forwarded.len ||
           !weir_str_eq_nocase((weir_str){ name.ptr, forwarded.len }, forwarded);
}

int h1_parse_trailers(const char *text, const struct h1_scan *scan, const struct h1_limits *limits,
                      struct weir_head *out, int err, struct h1_fault *fault)
{
    struct split_fields split;
    uint32_t kept = out->count;

    if (scan->lines > limits->max_fields)
        return refuse(fault, err, "more trailers than --max-fields");
    if (!head_reserve(out, (uint32_t)scan->lines))
        return refuse(fault, WEIR_ENOMEM, weir_error_text(WEIR_ENOMEM));
    split.fields = first_free(out);
    if (h1_split(text, scan, 0, limits->max_field, &split) != SPLIT_DONE)
        return refuse(fault, err, split.reason);
    for (size_t i = 0; i < scan->lines; i++) {
        const struct field *f = &split.fields[i];

        if (!head_may_trail((weir_str){ f->name, f->name_len }, (enum field_id)f->id))
            continue;
        out->fields[kept++] = split.fields[i];
        out->present |= (UINT64_C(1) << split.fields[i].id) & ~UINT64_C(1);
    }
    out->count = kept;
    return 0;
}
