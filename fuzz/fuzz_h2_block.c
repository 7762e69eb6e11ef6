/* fuzz_h2_block.c -- field blocks become heads. The input is lines, "name: value"; the first byte
 * tells whether it is a request, a response or trailers. What is accepted must be such that the
 * parser of HTTP/1 reads the same from what we would print upstream. */
#include "heads.h"

#include <string.h>

#include "http/h2_message.h"

static const struct h1_limits small = {
    .max_head = 16384, .max_field = 2048, .max_target = 512, .max_fields = 40
};

static struct h2_in *make_block(weir_str text)
{
    struct h2_in *block = NULL;

    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        const char *colon = len > 1 ? memchr(text.ptr + 1, ':', len - 1) : NULL;
        size_t name = colon != NULL ? (size_t)(colon - text.ptr) : len;
        size_t skip = MIN(name + 1, len);

        ensure(h2_block_add(&block, &small, (weir_str){ text.ptr, name },
                            (weir_str){ text.ptr + skip, len - skip }, skip % 2));
        len += end != NULL;
        text = (weir_str){ text.ptr + len, text.len - len };
    }
    ensure(block == NULL || block->used <= block->cap);
    return block;
}

static void check_fields(const struct weir_head *h)
{
    weir_str name, value;

    for (uint32_t i = 0; weir_head_at(h, i, &name, &value); i++) {
        ensure(name.len > 0 && name.ptr[0] != ':');
        ensure(memchr(value.ptr, '\r', value.len) == NULL);
        ensure(memchr(value.ptr, '\n', value.len) == NULL);
        ensure(memchr(value.ptr, '\0', value.len) == NULL);
    }
}

/* As HTTP/1 it is one request, and the same. */
static void check_as_h1(struct weir_head *h, const struct framing *framing)
{
    struct h1_extra extra = { .framing = *framing };
    struct weir_head again;
    struct h1_scan scan;
    struct h1_fault fault = { NULL };
    weir_str text;

    if (h->method_id == METHOD_CONNECT)
        return;
    text = print_checked(h, &extra);
    h1_scan_init(&scan);
    ensure(h1_scan(&scan, text.ptr, text.len) == 1 && scan.at == text.len);
    head_init(&again, h->arena, 0);
    ensure(h1_parse_request(text.ptr, &scan, &printed_limits, &again, &fault) == 0);
    ensure(weir_str_eq(again.target, h->target) && weir_str_eq(again.method, h->method));
    ensure(weir_str_eq_nocase(again.authority, h->authority));
    free((char *)text.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct framing framing = { .mode = BODY_NONE };
    const char *fault = NULL;
    struct weir_head head;
    struct arena arena;
    struct h2_in *block;
    uint8_t kind;
    int rc;

    if (size == 0)
        return 0;
    kind = data[0] % 3;
    block = make_block((weir_str){ (const char *)data + 1, size - 1 });
    if (block == NULL)
        return 0;
    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    if (kind == 0)
        rc = h2_parse_request(block, &small, &head, &framing, &fault);
    else if (kind == 1)
        rc = h2_parse_response(block, &small, METHOD_GET, &head, &framing, &fault);
    else
        rc = h2_parse_trailers(block, &small, &head, WEIR_EBADBODY, &fault);
    ensure(rc <= 0);
    if (rc == 0) {
        check_fields(&head);
        if (kind == 0)
            check_as_h1(&head, &framing);
    }
    h2_in_free(block);
    arena_done(&arena);
    return 0;
}
