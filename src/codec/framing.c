/* framing.c -- one decision from Content-Length, Transfer-Encoding and the version.
 *
 * Nearly all request smuggling lives here: two readers that find the end of a message at different
 * bytes. So there is one accepted spelling of each, and everything else is refused. */
#include "codec/framing.h"

#include "codec/chars.h"

/* What the fields say, the same for requests and responses. */
enum verdict {
    SAYS_NOTHING,
    SAYS_LENGTH,
    SAYS_CHUNKED,
    SAYS_UNKNOWN_CODING, /* well-formed, and chunked is last */
    SAYS_NONSENSE,
};

bool parse_length(weir_str digits, uint64_t *out)
{
    uint64_t n = 0;

    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.ptr[i]))
            return false;
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(digits.ptr[i] - '0'), &n))
            return false;
    }
    *out = n;
    return n <= INT64_MAX;
}

static enum verdict nonsense(struct h1_fault *fault, const char *reason)
{
    fault->reason = reason;
    return SAYS_NONSENSE;
}

static enum verdict read_length(const struct weir_head *h, uint64_t *length, struct h1_fault *fault)
{
    if (head_count_id(h, FIELD_CONTENT_LENGTH) > 1)
        return nonsense(fault, "more than one Content-Length");
    if (!parse_length(head_get_id(h, FIELD_CONTENT_LENGTH), length))
        return nonsense(fault, "a Content-Length that is not one number below 2^63");
    return SAYS_LENGTH;
}

/* All Transfer-Encoding lines together are one list (RFC 9110 5.3). Splitting at commas is enough:
 * only the list that is the single word "chunked" is accepted, so what a quoted string may hide
 * decides no more than which status refuses it. (Apart: most messages have none.) */
static __attribute__((noinline)) enum verdict read_codings(const struct weir_head *h,
                                                           struct h1_fault *fault)
{
    unsigned codings = 0, chunked = 0;
    bool chunked_last = false;

    for (const struct field *f = head_first_id(h, FIELD_TRANSFER_ENCODING); f != NULL;
         f = head_next_id(h, f)) {
        weir_str list = { f->value, f->value_len }, coding;

        while (take_element(&list, &coding)) {
            if (coding.len == 0)
                return nonsense(fault, "an empty element in Transfer-Encoding");
            chunked_last = weir_str_eq_nocase(coding, LIT("chunked"));
            chunked += chunked_last;
            codings++;
        }
    }
    if (chunked > 1)
        return nonsense(fault, "chunked more than once in Transfer-Encoding");
    if (!chunked_last)
        return nonsense(fault, "a Transfer-Encoding whose last coding is not chunked");
    return codings == 1 ? SAYS_CHUNKED : SAYS_UNKNOWN_CODING;
}

static enum verdict read_fields(const struct weir_head *h, uint64_t *length, struct h1_fault *fault)
{
    bool has_length = head_has_id(h, FIELD_CONTENT_LENGTH);

    if (!head_has_id(h, FIELD_TRANSFER_ENCODING))
        return has_length ? read_length(h, length, fault) : SAYS_NOTHING;
    if (has_length)
        return nonsense(fault, "Content-Length and Transfer-Encoding together");
    if (h->minor == 0) /* RFC 9112 6.1: faulty, as the sender did not know what it does */
        return nonsense(fault, "Transfer-Encoding in HTTP/1.0");
    return read_codings(h, fault);
}

/* RFC 9112 9.3. */
static bool is_persistent(const struct weir_head *h)
{
    if (!head_has_id(h, FIELD_CONNECTION))
        return h->minor > 0;
    if (head_lists_token(h, FIELD_CONNECTION, LIT("close")))
        return false;
    return h->minor > 0 || head_lists_token(h, FIELD_CONNECTION, LIT("keep-alive"));
}

/* A body as the fields say. `unknown`, `wrong`: what a coding that we do not know is called, and
 * nonsense. */
static int frame_body(enum verdict says, uint64_t length, int unknown, int wrong,
                      struct framing *out, struct h1_fault *fault)
{
    switch (says) {
    case SAYS_NOTHING:
        return 0;
    case SAYS_LENGTH:
        out->mode = BODY_LENGTH;
        out->length = length;
        return 0;
    case SAYS_CHUNKED:
        out->mode = BODY_CHUNKED;
        return 0;
    case SAYS_UNKNOWN_CODING:
        fault->reason = "a transfer coding other than chunked";
        return unknown;
    case SAYS_NONSENSE:
        break;
    }
    return wrong;
}

int framing_request(const struct weir_head *req, struct framing *out, struct h1_fault *fault)
{
    uint64_t length = 0;
    enum verdict says = read_fields(req, &length, fault);

    *out = (struct framing){ .persistent = is_persistent(req) };
    if (req->method_id == METHOD_CONNECT && (says == SAYS_CHUNKED || length > 0)) {
        fault->reason = "a body of CONNECT"; /* RFC 9110 9.3.6: what follows is the tunnel's */
        return WEIR_EBADLENGTH;
    }
    return frame_body(says, length, WEIR_ECODING, WEIR_EBADLENGTH, out, fault);
}

/* A length as a number is written, whatever zeros stand before it. */
static weir_str without_zeros(weir_str digits)
{
    for (; digits.len > 1 && *digits.ptr == '0'; digits.len--)
        digits.ptr++;
    return digits;
}

/* A response that ends with its head. Its fields frame nothing, but they may tell that the server
 * thinks otherwise. */
static void frame_bodiless(const struct weir_head *res, enum method method, bool tunnel,
                           struct framing *out)
{
    struct h1_fault ignored;
    uint64_t length = 0;
    enum verdict says = read_fields(res, &length, &ignored);
    bool describes = method == METHOD_HEAD || res->status == 304; /* of a body that is not sent */

    out->mode = BODY_NONE;
    if (says == SAYS_LENGTH && describes && !tunnel)
        out->stated = without_zeros(head_get_id(res, FIELD_CONTENT_LENGTH));
    if (says == SAYS_NONSENSE || says == SAYS_UNKNOWN_CODING ||
        (!describes && (says == SAYS_CHUNKED || length > 0)))
        out->persistent = false;
}

int framing_response(const struct weir_head *res, enum method method, struct framing *out,
                     struct h1_fault *fault)
{
    bool tunnel = method == METHOD_CONNECT && res->status / 100 == 2;
    uint64_t length = 0;
    enum verdict says;

    *out = (struct framing){ .persistent = is_persistent(res) };
    if (tunnel || method == METHOD_HEAD || res->status / 100 == 1 || res->status == 204 ||
        res->status == 304) {
        frame_bodiless(res, method, tunnel, out);
        return 0;
    }
    says = read_fields(res, &length, fault);
    if (says == SAYS_NOTHING) {
        out->mode = BODY_CLOSE;
        out->persistent = false;
        return 0;
    }
    return frame_body(says, length, WEIR_EUPLENGTH, WEIR_EUPLENGTH, out, fault);
}
