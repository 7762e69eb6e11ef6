/* log_record.c -- a field is written as a whole or not at all: each writer remembers where it began
 * and goes back there if the buffer ends. Two bytes are kept for the closing brace and newline. */
#include "base/log_record.h"

#include "base/digits.h"

enum { CLOSING = 2 };

static void put(struct log_record *r, const char *bytes, size_t n)
{
    if (r->full || n > r->cap - CLOSING - r->len) {
        r->full = true;
        return;
    }
    memcpy(r->buf + r->len, bytes, n);
    r->len += n;
}

static size_t put_name(struct log_record *r, const char *name)
{
    size_t before = r->len;

    if (before > 1)
        put(r, ",", 1);
    put(r, "\"", 1);
    put(r, name, strlen(name));
    put(r, "\":", 2);
    return before;
}

static void end_field(struct log_record *r, size_t before)
{
    if (r->full)
        r->len = before;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_escaped(struct log_record *r, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

    if (c == '"' || c == '\\')
        put(r, (char[]){ '\\', (char)c }, 2);
    else
        put(r, escape, sizeof(escape));
}

static void put_value(struct log_record *r, weir_str value)
{
    size_t i = 0;

    while (i < value.len) {
        size_t run = i;

        while (i < value.len && is_plain((unsigned char)value.ptr[i]))
            i++;
        put(r, value.ptr + run, i - run);
        if (i < value.len)
            put_escaped(r, (unsigned char)value.ptr[i++]);
    }
}

void log_begin(struct log_record *r, char *buf, size_t cap)
{
    ensure(cap > CLOSING);
    *r = (struct log_record){ .buf = buf, .cap = cap };
    put(r, "{", 1);
}

void log_str(struct log_record *r, const char *name, weir_str value)
{
    bool cut = value.len > LOG_VALUE_MAX;
    size_t before;

    if (value.ptr == NULL || r->full)
        return;
    before = put_name(r, name);
    put(r, "\"", 1);
    put_value(r, (weir_str){ value.ptr, cut ? LOG_VALUE_MAX : value.len });
    put(r, "...", cut ? 3 : 0);
    put(r, "\"", 1);
    end_field(r, before);
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

void log_int(struct log_record *r, const char *name, int64_t value)
{
    char text[24], *end = text + sizeof(text), *at = digits_before(end, magnitude(value), 1);
    size_t before;

    if (r->full)
        return;
    if (value < 0)
        *--at = '-';
    before = put_name(r, name);
    put(r, at, (size_t)(end - at));
    end_field(r, before);
}

void log_usec(struct log_record *r, const char *name, weir_dur value)
{
    uint64_t usec = magnitude(value) / 1000;
    char text[32], *end = text + sizeof(text), *at = digits_before(end, usec % 1000000, 6);
    size_t before;

    if (r->full)
        return;
    *--at = '.';
    at = digits_before(at, usec / 1000000, 1);
    if (value < 0 && usec > 0)
        *--at = '-';
    before = put_name(r, name);
    put(r, at, (size_t)(end - at));
    end_field(r, before);
}

void log_bool(struct log_record *r, const char *name, bool value)
{
    size_t before;

    if (r->full)
        return;
    before = put_name(r, name);
    put(r, value ? "true" : "false", value ? 4 : 5);
    end_field(r, before);
}

weir_str log_end(struct log_record *r)
{
    r->buf[r->len++] = '}';
    r->buf[r->len++] = '\n';
    return (weir_str){ r->buf, r->len };
}
