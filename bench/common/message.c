/* message.c -- see message.h. */
#include "common/message.h"

#include "common/tool.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t len;
};

static bool text_is(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

static struct text trim(struct text t)
{
    while (t.len > 0 && (t.at[0] == ' ' || t.at[0] == '\t'))
        t.at++, t.len--;
    while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

size_t head_length(const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);

    return end ? (size_t)(end - data) + 4 : 0;
}

static const char *read_length(struct framing *f, struct text value)
{
    uint64_t length = 0;

    if (value.len == 0 || value.len > 18)
        return "a Content-Length that is no number of at most 18 digits";
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return "a Content-Length that is no number of at most 18 digits";
        length = length * 10 + (uint64_t)(value.at[i] - '0');
    }
    if (f->has_length && f->length != length)
        return "two Content-Lengths that differ";
    f->has_length = true;
    f->length = length;
    return NULL;
}

static const char *read_coding(struct framing *f, struct text value)
{
    if (!text_is(value, "chunked"))
        return "a Transfer-Encoding other than chunked";
    if (f->chunked)
        return "Transfer-Encoding twice";
    f->chunked = true;
    return NULL;
}

static const char *read_connection(struct framing *f, struct text list)
{
    while (list.len > 0) {
        const char *comma = memchr(list.at, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.at) : list.len;
        struct text item = trim((struct text){ list.at, len });

        f->close = f->close || text_is(item, "close");
        f->keep_alive = f->keep_alive || text_is(item, "keep-alive");
        list.at += comma ? len + 1 : len;
        list.len -= comma ? len + 1 : len;
    }
    return NULL;
}

static const char *read_expect(struct framing *f, struct text value)
{
    f->wants_100 = text_is(value, "100-continue");
    return f->wants_100 ? NULL : "an expectation other than 100-continue";
}

static const struct {
    const char *name;
    const char *(*read)(struct framing *f, struct text value);
} known[] = {
    { "content-length", read_length },
    { "transfer-encoding", read_coding },
    { "connection", read_connection },
    { "expect", read_expect },
};

static const char *read_field(struct framing *f, struct text line)
{
    const char *colon = memchr(line.at, ':', line.len);
    struct text name, value;

    if (!colon || colon == line.at)
        return "a field line without a name";
    name = (struct text){ line.at, (size_t)(colon - line.at) };
    value = trim((struct text){ colon + 1, line.len - name.len - 1 });
    if (memchr(name.at, ' ', name.len) || memchr(name.at, '\t', name.len))
        return "a blank in a field name";
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (text_is(name, known[i].name))
            return known[i].read(f, value);
    return NULL;
}

const char *framing_read(struct framing *f, const char *fields, const char *end)
{
    *f = (struct framing){ 0 };
    while (fields < end) {
        const char *lf = memchr(fields, '\n', (size_t)(end - fields));
        struct text line;
        const char *wrong;

        if (!lf || lf == fields || lf[-1] != '\r')
            return "a line that does not end in CR LF";
        line = (struct text){ fields, (size_t)(lf - fields) - 1 };
        fields = lf + 1;
        if (line.len == 0)
            break;
        if (memchr(line.at, '\r', line.len))
            return "a bare CR";
        wrong = read_field(f, line);
        if (wrong)
            return wrong;
    }
    if (fields != end)
        return "an empty line before the end of the head";
    return f->chunked && f->has_length ? "Content-Length beside Transfer-Encoding" : NULL;
}

/* Where in the chunked coding we are (RFC 9112 section 7.1). */
enum {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_LINE,
    TRAILER_LINE_LF,
    TRAILER_END_LF,
};

void body_begin(struct body *b, const struct framing *f)
{
    assert(!(f->chunked && f->has_length));
    *b = (struct body){
        .chunked = f->chunked,
        .left = f->has_length ? f->length : 0,
        .done = !f->chunked && (!f->has_length || f->length == 0),
    };
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of the line with a chunk's size. */
static bool chunk_size_byte(struct body *b, char c)
{
    int digit = hex_digit(c);

    if (digit >= 0 && b->digits < 15) {
        b->left = b->left << 4 | (uint64_t)digit;
        b->digits++;
        return true;
    }
    if (b->digits == 0 || (c != '\r' && c != ';'))
        return false;
    b->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    return true;
}

/* The end of that line: data follows, or, after the last chunk, the trailer. */
static void chunk_begin(struct body *b)
{
    b->state = b->left > 0 ? CHUNK_DATA : TRAILER_START;
    b->digits = 0;
}

/* A byte of the framing, that is of anything but chunk data. False if it must not stand there. */
static bool framing_byte(struct body *b, char c)
{
    switch (b->state) {
    case CHUNK_SIZE:
        return chunk_size_byte(b, c);
    case CHUNK_EXTENSION:
        if (c == '\r')
            b->state = CHUNK_SIZE_LF;
        return c != '\n';
    case CHUNK_SIZE_LF:
        chunk_begin(b);
        return c == '\n';
    case CHUNK_DATA_CR:
        b->state = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        b->state = CHUNK_SIZE;
        return c == '\n';
    case TRAILER_START:
        b->state = c == '\r' ? TRAILER_END_LF : TRAILER_LINE;
        return c != '\n';
    case TRAILER_LINE:
        if (c == '\r')
            b->state = TRAILER_LINE_LF;
        return c != '\n';
    case TRAILER_LINE_LF:
        b->state = TRAILER_START;
        return c == '\n';
    default:
        assert(b->state == TRAILER_END_LF);
        b->done = true;
        return c == '\n';
    }
}

static size_t take_data(struct body *b, size_t len)
{
    size_t n = len < b->left ? len : (size_t)b->left;

    b->left -= n;
    b->total += n;
    return n;
}

ssize_t body_feed(struct body *b, const char *data, size_t len)
{
    size_t at = 0;

    if (!b->chunked) {
        at = take_data(b, len);
        b->done = b->left == 0;
        return (ssize_t)at;
    }
    while (at < len && !b->done) {
        if (b->state == CHUNK_DATA) {
            at += take_data(b, len - at);
            if (b->left == 0)
                b->state = CHUNK_DATA_CR;
        } else if (!framing_byte(b, data[at++])) {
            return -1;
        }
    }
    return (ssize_t)at;
}
