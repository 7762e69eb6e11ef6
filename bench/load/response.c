/* response.c -- see response.h. */
#include "load/response.h"

#include "common/tool.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEAD = 64 << 10 };

void response_begin(struct response *r, bool to_head)
{
    response_end(r);
    *r = (struct response){ .to_head = to_head };
}

void response_end(struct response *r)
{
    free(r->kept);
    r->kept = NULL;
    r->kept_len = 0;
}

/* HTTP/1.x SP 3DIGIT SP [reason] CR LF (RFC 9112 section 4). Behind the line, or NULL. */
static const char *read_status_line(struct response *r, const char *head, const char *end)
{
    const char *crlf = memmem(head, (size_t)(end - head), "\r\n", 2);

    if (crlf - head < 13 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ' || head[12] != ' ')
        return NULL;
    if (head[7] != '0' && head[7] != '1')
        return NULL;
    for (int i = 9; i < 12; i++)
        if (!isdigit((unsigned char)head[i]))
            return NULL;
    r->status = (uint16_t)((head[9] - '0') * 100 + (head[10] - '0') * 10 + head[11] - '0');
    return r->status >= 100 ? crlf + 2 : NULL;
}

/* A whole head. NULL, or what is wrong with it. */
static const char *read_head(struct response *r, const char *head, size_t len)
{
    const char *fields = read_status_line(r, head, head + len);
    const char *wrong;
    bool old = head[7] == '0', no_body;

    if (!fields)
        return "a malformed status line";
    wrong = framing_read(&r->framing, fields, head + len);
    if (wrong)
        return wrong;
    if (r->status < 200)
        return r->status == 101 ? "101 without having asked" : NULL;
    r->close = r->framing.close || (old && !r->framing.keep_alive);
    no_body = r->to_head || r->status == 204 || r->status == 304;
    if (!no_body && !r->framing.has_length && !r->framing.chunked)
        return "a body that only the end of the connection would end";
    body_begin(&r->body, no_body ? &(struct framing){ 0 } : &r->framing);
    r->in_body = true;
    return NULL;
}

static ssize_t fail(struct response *r, const char *wrong)
{
    r->wrong = wrong;
    return -1;
}

/* Adds to a head that is not complete yet. */
static ssize_t keep(struct response *r, const char *data, size_t len)
{
    char *all;

    if (r->kept_len + len > MAX_HEAD)
        return fail(r, "a head beyond 64 KiB");
    all = realloc(r->kept, r->kept_len + len);
    if (!all)
        die(EXIT_FAILURE, "out of memory");
    memcpy(all + r->kept_len, data, len);
    r->kept = all;
    r->kept_len += (uint32_t)len;
    return (ssize_t)len;
}

/* A head, of which `r->kept` may hold the front. The bytes taken, or -1. */
static ssize_t feed_head(struct response *r, const char *data, size_t len)
{
    uint32_t before = r->kept_len;
    const char *wrong;
    size_t head;

    if (before == 0) {
        head = head_length(data, len);
        if (head == 0)
            return keep(r, data, len);
        wrong = read_head(r, data, head);
    } else {
        if (keep(r, data, len) < 0)
            return -1;
        head = head_length(r->kept, r->kept_len);
        if (head == 0)
            return (ssize_t)len;
        wrong = read_head(r, r->kept, head);
        response_end(r);
    }
    return wrong ? fail(r, wrong) : (ssize_t)(head - before);
}

ssize_t response_feed(struct response *r, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && !response_done(r)) {
        ssize_t n = r->in_body ? body_feed(&r->body, data + at, len - at)
                               : feed_head(r, data + at, len - at);

        if (n < 0)
            return r->wrong ? -1 : fail(r, "a broken chunked body");
        at += (size_t)n;
    }
    return (ssize_t)at;
}
