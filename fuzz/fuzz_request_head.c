/* fuzz_request_head.c -- a request head that is accepted says the same once more after it was
 * printed, and no byte of it can open a second request. */
#include "heads.h"

#include "codec/uri.h"

/* What may be the answer to a complete head. */
static bool is_refusal(int rc)
{
    return rc == WEIR_EBADHEAD || rc == WEIR_EBADTARGET || rc == WEIR_EVERSION ||
           rc == WEIR_ETARGETSIZE || rc == WEIR_EFIELDSIZE || rc == WEIR_EFIELDCOUNT ||
           rc == WEIR_EBADHOST;
}

/* The head goes up: without hop-by-hop fields, with Host first, framed by `framing`. */
static void forward(const struct weir_head *head, const struct framing *framing,
                    struct arena *arena)
{
    struct h1_extra extra = { .framing = *framing, .no_length = true };
    struct weir_head up, again, up_again;
    struct h1_fault fault = { NULL };
    struct framing framing_again;
    struct h1_scan scan;
    weir_str text, text_again;

    ensure(head_copy_end_to_end(&up, head, arena) == 0);
    if (!head_has_id(&up, FIELD_HOST)) /* HTTP/1.0: the proxy fills it in */
        head_add_id(&up, FIELD_HOST, LIT("origin"));
    text = print_checked(&up, &extra);
    ensure(scan_checked(text, &scan) == 1 && scan.at == text.len);
    head_init(&again, arena, 0);
    ensure(parse_checked(text.ptr, &scan, H1_REQUEST, &printed_limits, &again, &fault) == 0);
    ensure(weir_str_eq(again.method, head->method) && weir_str_eq(again.target, head->target));
    ensure(again.minor == 1);
    ensure(framing_request(&again, &framing_again, &fault) == 0);
    ensure(framing_again.mode == framing->mode && framing_again.length == framing->length);
    /* Printed a second time, nothing changes any more. */
    ensure(head_copy_end_to_end(&up_again, &again, arena) == 0);
    text_again = print_checked(&up_again, &extra);
    ensure(weir_str_eq(text, text_again));
    free((char *)text.ptr);
    free((char *)text_again.ptr);
}

static void check_head(const char *text, const struct h1_scan *scan)
{
    char *copy = padded_copy((weir_str){ text, scan->at });
    struct h1_fault fault = { NULL };
    struct weir_head head;
    struct framing framing;
    struct arena arena;
    const char *reason = NULL;
    int rc;

    arena_init(&arena, NULL, 0);
    head_init(&head, &arena, 0);
    rc = parse_checked(copy, scan, H1_REQUEST, &fuzz_limits, &head, &fault);
    ensure(rc == 0 || (is_refusal(rc) && fault.reason != NULL));
    if (rc == 0) {
        ensure(head.minor == 0 || head_count_id(&head, FIELD_HOST) == 1);
        ensure(is_token(head.method) && head.target.len > 0);
        rc = framing_request(&head, &framing, &fault);
        ensure(rc == 0 || ((rc == WEIR_EBADLENGTH || rc == WEIR_ECODING) && fault.reason != NULL));
    }
    if (rc == 0)
        rc = head_check_connection(&head, &reason);
    if (rc == 0) {
        forward(&head, &framing, &arena);
        (void)weir_path_under(&head, "/a"); /* brings the target to its plain spelling */
        ensure(head.failed == 0 || head.failed == WEIR_EBADTARGET);
        if (head.failed == 0)
            forward(&head, &framing, &arena);
    }
    arena_done(&arena);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str text = { (const char *)data, size };
    struct h1_scan scan;

    if (scan_checked(text, &scan) == 1)
        check_head(text.ptr, &scan);
    return 0;
}
