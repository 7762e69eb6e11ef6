/* fuzz_response_head.c -- a response head that is accepted says the same once more after it was
 * printed, whatever the request was. */
#include "heads.h"

static void forward(const struct weir_head *head, const struct framing *framing,
                    enum method method, struct arena *arena)
{
    struct h1_extra extra = {
        .framing = *framing,
        .no_length = true,
        .length_as = framing->stated,
        .connection = framing->persistent ? (weir_str){ NULL, 0 } : LIT("close"),
        .date = LIT("Sun, 06 Nov 1994 08:49:37 GMT"),
    };
    struct h1_fault fault = { NULL };
    struct framing framing_again;
    struct weir_head down, again, down_again;
    struct h1_scan scan;
    weir_str text;

    ensure(head_copy_end_to_end(&down, head, arena) == 0);
    text = print_checked(&down, &extra);
    ensure(scan_checked(text, &scan) == 1 && scan.at == text.len);
    head_init(&again, arena, 0);
    ensure(parse_checked(text.ptr, &scan, H1_RESPONSE, &printed_limits, &again, &fault) == 0);
    ensure(again.status == head->status);
    ensure(head->reason.len == 0 || weir_str_eq(again.reason, head->reason));
    ensure(framing_response(&again, method, &framing_again, &fault) == 0);
    ensure(framing_again.mode == framing->mode && framing_again.length == framing->length);
    ensure(framing_again.persistent == (framing->persistent && framing->mode != BODY_CLOSE));
    ensure(weir_str_eq(framing_again.stated, framing->stated));
    ensure(head_copy_end_to_end(&down_again, &again, arena) == 0);
    if (!head_has_id(&down, FIELD_DATE))
        head_add_id(&down, FIELD_DATE, extra.date);
    ensure_same_fields(&down, &down_again);
    free((char *)text.ptr);
}

static void check_head(const char *text, const struct h1_scan *scan, enum method method)
{
    char *copy = padded_copy((weir_str){ text, scan->at });
    struct h1_fault fault = { NULL };
    struct framing framing;
    struct weir_head head;
    struct arena arena;
    int rc;

    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    rc = parse_checked(copy, scan, H1_RESPONSE, &fuzz_limits, &head, &fault);
    ensure(rc == 0 || rc == WEIR_EUPHEAD || rc == WEIR_EUPHEADSIZE);
    ensure(rc == 0 || fault.reason != NULL);
    if (rc == 0) {
        ensure(head.status >= 100 && head.status <= 599);
        rc = framing_response(&head, method, &framing, &fault);
        ensure(rc == 0 || (rc == WEIR_EUPLENGTH && fault.reason != NULL));
        ensure(rc < 0 || method != METHOD_HEAD || framing.mode == BODY_NONE);
    }
    if (rc == 0)
        forward(&head, &framing, method, &arena);
    arena_done(&arena);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum method methods[] = { METHOD_GET, METHOD_HEAD, METHOD_CONNECT };
    weir_str text = { (const char *)data, size };
    struct h1_scan scan;

    if (scan_checked(text, &scan) == 1) {
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
            check_head(text.ptr, &scan, methods[i]);
    }
    return 0;
}
