/* test_body.c -- what a filter or editor of a body does to the heads and the framing around it. */
#include "sessions.h"

#include <weir/body.h>

static int filter(struct weir_session *s, weir_str *chunk, bool end)
{
    (void)s;
    (void)chunk;
    (void)end;
    return 0;
}

static int module_filter(struct weir_session *s, struct weir_use *me, weir_str *chunk, bool end)
{
    (void)me;
    return filter(s, chunk, end);
}

static int copy(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    (void)s;
    (void)in;
    (void)out;
    return 0;
}

/* ---- may it change? -------------------------------------------------------------------------- */

enum who { NOBODY, FILTER, PROMISES, EDITOR, MODULE, MODULE_OFF, MODULE_PASSES };

/* Puts it into both directions. */
static void put(struct request *r, enum who who, struct uses *uses)
{
    static const struct weir_module module = { .name = "module",
                                               .request_body_filter = module_filter,
                                               .response_body_filter = module_filter };

    *uses = (struct uses){ .count = 1, .use = { { .module = &module } } };
    uses->use[0].off = who == MODULE_OFF;
    uses->use[0].passes = who == MODULE_PASSES;
    if (who == FILTER || who == PROMISES)
        r->proxy.request_body_filter = r->proxy.response_body_filter = filter;
    if (who == PROMISES) {
        weir_body_unchanged(&r->s, WEIR_REQUEST_BODY);
        weir_body_unchanged(&r->s, WEIR_RESPONSE_BODY);
    }
    if (who == EDITOR) {
        int64_t answered = r->s.answered;

        r->s.answered = 0;
        weir_edit_body(&r->s, copy);
        r->s.answered = 1;
        weir_edit_body(&r->s, copy);
        r->s.answered = answered;
    }
    if (who >= MODULE)
        r->s.uses = uses;
}

static void who_may_change_it(void **state)
{
    static const struct {
        enum who who;
        bool want;
    } cases[] = {
        { NOBODY, false }, { FILTER, true },      { PROMISES, false },      { EDITOR, true },
        { MODULE, true },  { MODULE_OFF, false }, { MODULE_PASSES, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        struct uses uses;

        request_made(&r, "POST", "Content-Length: 5\r\n");
        put(&r, cases[i].who, &uses);
        assert_int_equal(body_may_grow_up(&r.s), cases[i].want);
        assert_int_equal(body_may_grow_down(&r.s), cases[i].want);
        r.down.framing.mode = BODY_NONE; /* nothing comes, so nothing is made of it */
        assert_false(body_may_grow_up(&r.s));
        request_done(&r);
    }
}

/* ---- framing --------------------------------------------------------------------------------- */

static void framing_anew(void **state)
{
    static const struct {
        enum body_mode was;
        size_t piece;
        bool all;
        enum body_mode want;
    } cases[] = {
        { BODY_NONE, 0, true, BODY_NONE }, /* HEAD, 304: the body is not ours to make */
        { BODY_NONE, 7, false, BODY_NONE },
        { BODY_LENGTH, 7, true, BODY_LENGTH },
        { BODY_LENGTH, 0, true, BODY_LENGTH },
        { BODY_LENGTH, 7, false, BODY_CHUNKED }, /* whatever was stated: it may become another */
        { BODY_CHUNKED, 7, true, BODY_LENGTH },
        { BODY_CHUNKED, 0, false, BODY_CHUNKED },
        { BODY_CLOSE, 7, true, BODY_LENGTH },
        { BODY_CLOSE, 7, false, BODY_CHUNKED }, /* an end that can be told from a cut */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct framing was = { .mode = cases[i].was, .length = 99 };
        struct framing got =
            body_reframe(was, (weir_str){ "abcdefg", cases[i].piece }, cases[i].all);

        assert_int_equal(got.mode, cases[i].want);
        if (got.mode == BODY_LENGTH)
            assert_int_equal(got.length, cases[i].piece);
    }
}

/* ---- heads ----------------------------------------------------------------------------------- */

#define DIGESTS \
    "Content-MD5: a\r\nDigest: b\r\nContent-Digest: c\r\nRepr-Digest: d\r\ncontent-digest: e\r\n"

static void digests_go(void **state)
{
    struct request r;
    struct uses uses;

    (void)state;
    request_made(&r, "PUT", "Content-Length: 5\r\n" DIGESTS "X: y\r\n");
    put(&r, FILTER, &uses);
    assert_int_equal(head_copy_end_to_end(&r.s.up_req, &r.s.req, &r.s.arena), 0);
    weir_set(&r.s.up_req, "Repr-Digest", "ours"); /* a phase has set it: it knows */
    body_adapt_request(&r.s);
    assert_int_equal(r.s.up_req.count, 3);
    assert_str(weir_get(&r.s.up_req, "Repr-Digest"), "ours");
    assert_str(weir_get(&r.s.up_req, "X"), "y");
    request_done(&r);
}

static void heads_of_responses(void **state)
{
    static const struct {
        const char *fields, *etag, *ranges;
        enum who who;
    } cases[] = {
        { "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n", "\"a\"", "bytes", NOBODY },
        { "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n", "\"a\"", "bytes", PROMISES },
        { "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n", "\"a\"", "bytes", MODULE_PASSES },
        { "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n", "W/\"a\"", NULL, FILTER },
        { "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n", "W/\"a\"", NULL, EDITOR },
        { "ETag: \"a\"\r\n", "W/\"a\"", NULL, MODULE },
        { "ETag: W/\"a\"\r\n", "W/\"a\"", NULL, FILTER },
        { "ETag: \"\"\r\n", "W/\"\"", NULL, FILTER },
        { "ETag: a\r\n", "a", NULL, FILTER }, /* what is no tag stays none */
        { "", NULL, NULL, FILTER },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        struct uses uses;
        char head[512];

        request_made(&r, "GET", "");
        snprintf(head, sizeof head, "200 OK\r\n" DIGESTS "%s", cases[i].fields);
        request_answered(&r, head);
        put(&r, cases[i].who, &uses);
        body_adapt_response(&r.s);
        assert_str(weir_get(&r.s.res, "ETag"), cases[i].etag);
        assert_str(weir_get(&r.s.res, "Accept-Ranges"), cases[i].ranges);
        assert_int_equal(weir_has(&r.s.res, "Digest"), !body_may_grow_down(&r.s));
        request_done(&r);
    }
}

static void fields_that_a_phase_has_set(void **state)
{
    struct request r;
    struct uses uses;

    (void)state;
    request_made(&r, "GET", "");
    request_answered(&r, "200 OK\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\nDigest: x\r\n");
    put(&r, EDITOR, &uses);
    weir_set(&r.s.res, "ETag", "\"mine\"");
    weir_set(&r.s.res, "Accept-Ranges", "none");
    weir_set(&r.s.res, "Digest", "mine");
    body_adapt_response(&r.s);
    assert_str(weir_get(&r.s.res, "ETag"), "\"mine\"");
    assert_str(weir_get(&r.s.res, "Accept-Ranges"), "none");
    assert_str(weir_get(&r.s.res, "Digest"), "mine");
    request_done(&r);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* A filter is to see whole bodies, so no part is asked for. */
static void ranges_of_requests(void **state)
{
    static const struct {
        enum who who;
        bool whole, want;
    } cases[] = {
        { NOBODY, false, true },     { NOBODY, true, false }, /* one that came was to be edited */
        { FILTER, false, false },    { PROMISES, false, true },       { MODULE, false, false },
        { MODULE_OFF, false, true },
        { MODULE_PASSES, false, false }, /* that was said of an earlier try */
    };
    const struct addr to = { .kind = ADDR_V4, .ip = { 127, 0, 0, 1 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        struct uses uses;

        request_made(&r, "GET", "Range: bytes=0-9\r\nIf-Range: \"a\"\r\nIf-Match: \"a\"\r\n");
        put(&r, cases[i].who, &uses);
        r.s.peer.internal.address = &to;
        r.s.whole = cases[i].whole;
        assert_int_equal(fields_for_upstream(&r.s), 0);
        assert_int_equal(weir_has(&r.s.up_req, "Range"), cases[i].want);
        assert_int_equal(weir_has(&r.s.up_req, "If-Range"), cases[i].want);
        assert_true(weir_has(&r.s.up_req, "If-Match"));
        request_done(&r);
    }
}

/* A part that came all the same, and is to be edited: once more without Range, but for who asked
 * for none, or cannot be asked again. */
static void parts_of_responses(void **state)
{
    static const struct {
        const char *method, *range;
        bool whole;
        uint64_t received;
        int want;
    } cases[] = {
        { "GET", "Range: bytes=0-9\r\n", false, 0, WEIR_RETRY },
        { "GET", "Range: bytes=0-9\r\n", true, 0, WEIR_EUPHEAD }, /* it was */
        { "GET", "Range: bytes=0-9\r\n", false, 1, WEIR_EUPHEAD },
        { "GET", "", false, 0, WEIR_EUPHEAD },
        { "POST", "Range: bytes=0-9\r\n", false, 0, WEIR_EUPHEAD },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request r;
        struct uses uses;

        request_made(&r, cases[i].method, cases[i].range);
        assert_int_equal(head_copy_end_to_end(&r.s.up_req, &r.s.req, &r.s.arena), 0);
        request_answered(&r, "206 Partial Content\r\nContent-Range: bytes 0-9/20\r\n"
                             "Content-Length: 10\r\n");
        put(&r, EDITOR, &uses);
        r.s.whole = cases[i].whole;
        r.s.received = cases[i].received;
        assert_int_equal(fields_for_client(&r.s), cases[i].want);
        request_done(&r);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_change_it),
        cmocka_unit_test(framing_anew),
        cmocka_unit_test(digests_go),
        cmocka_unit_test(heads_of_responses),
        cmocka_unit_test(fields_that_a_phase_has_set),
        cmocka_unit_test(ranges_of_requests),
        cmocka_unit_test(parts_of_responses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
