/* page.c -- see page.h. */
#include "origin/page.h"

#include "common/fields.h"
#include "common/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 64, FRONT_BODY = 64 << 10 };

char page_filler[PAGE_FILLER];

static unsigned more_fields;
static struct page pages[PAGES];
static unsigned page_count, last;

static uint64_t default_body;

void page_default(uint64_t body)
{
    default_body = body;
}

uint64_t page_wanted(const char *path, size_t len)
{
    uint64_t size = 0;

    if (len < 4 || memcmp(path, "/b/", 3) != 0)
        return default_body;
    for (size_t i = 3; i < len && path[i] >= '0' && path[i] <= '9' && size < 1ull << 40; i++)
        size = size * 10 + (uint64_t)(path[i] - '0');
    return size;
}

void page_setup(unsigned fields)
{
    more_fields = fields;
    for (size_t i = 0; i < sizeof(page_filler); i++)
        page_filler[i] = (char)('a' + i % 26);
}

static void print(struct page *p, const char *status, uint64_t body, const char *last_field)
{
    size_t beside = body < FRONT_BODY ? (size_t)body : FRONT_BODY;
    FILE *out = open_memstream(&p->front, &p->front_len);

    if (!out)
        die(EXIT_FAILURE, "open_memstream: %s", strerror(errno));
    fprintf(out, "HTTP/1.1 %s\r\nContent-Length: %ju\r\nContent-Type: text/plain\r\n", status,
            (uintmax_t)body);
    fields_write(out, FIELDS_RESPONSE, more_fields);
    fprintf(out, "%s\r\n", last_field);
    fwrite(page_filler, 1, beside, out);
    if (fclose(out) != 0)
        die(EXIT_FAILURE, "out of memory");
    p->body = body;
    p->head_len = p->front_len - beside;
    p->left = body - beside;
}

const struct page *page_get(uint64_t body)
{
    for (unsigned i = 0; i < page_count; i++, last = (last + 1) % page_count)
        if (pages[last].body == body)
            return &pages[last];
    if (page_count == PAGES)
        die(EXIT_FAILURE, "asked for more than %d different sizes", PAGES);
    last = page_count++;
    print(&pages[last], "200 OK", body, "");
    return &pages[last];
}

const struct page *page_refusal(void)
{
    static struct page refusal;

    if (!refusal.front)
        print(&refusal, "400 Bad Request", 0, "Connection: close\r\n");
    return &refusal;
}
