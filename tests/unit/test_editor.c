/* test_editor.c -- chains of body editors between two ends of a table: what comes out, whatever
 * pieces the body comes in, and how errors at either end, or of an editor, end the chain. */
#include "proxy/editor.h"
#include "runtime/buf.h"
#include "workers.h"

enum { LONGEST = 200000 };

/* One run: a body in pieces, and where it goes wrong. */
static struct {
    weir_str body;
    size_t at, piece;              /* bytes taken; of each piece */
    bool hesitant;                 /* each second read finds nothing yet */
    unsigned reads, takes;         /* of either; that were not BODY_LATER */
    unsigned fail_take, fail_give; /* the n-th fails; 0: none does */
    unsigned gives;
    bool ended; /* the output has */
    size_t len;
    char out[2 * LONGEST];
} io;

static int take(struct weir_session *s, weir_str *piece, bool wait)
{
    size_t n = MIN(io.body.len - io.at, io.piece);

    (void)s;
    if (!wait && io.hesitant && ++io.reads % 2 == 1)
        return BODY_LATER;
    if (++io.takes == io.fail_take)
        return WEIR_EUPCUT;
    *piece = (weir_str){ io.body.ptr + io.at, n };
    io.at += n;
    return n > 0 ? 1 : 0;
}

static int give(struct weir_session *s, weir_str piece, bool end)
{
    (void)s;
    ensure(!io.ended && io.len + piece.len <= sizeof io.out);
    if (++io.gives == io.fail_give)
        return WEIR_ECLIENTGONE;
    if (piece.len > 0)
        memcpy(io.out + io.len, piece.ptr, piece.len);
    io.len += piece.len;
    io.ended = end;
    return 0;
}

static const struct editor_ends ends = { .take = take, .give = give };

/* ---- editors --------------------------------------------------------------------------------- */

static int copy(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    (void)s;
    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    return rc;
}

static int sign(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    int rc = copy(s, in, out);

    if (rc == 0)
        weir_write(out, "[signed]");
    return rc;
}

/* Writes byte by byte what it reads: gathered again. */
static int crumble(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    (void)s;
    while ((rc = weir_read(in, &chunk)) > 0)
        for (size_t i = 0; i < chunk.len; i++)
            weir_write(out, ((weir_str){ chunk.ptr + i, 1 }));
    return rc;
}

static int first_piece(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;

    (void)s;
    if (weir_read(in, &chunk) > 0)
        weir_write(out, ((weir_str){ chunk.ptr, 1 }));
    return 0;
}

static int nothing(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    (void)s;
    (void)in;
    (void)out;
    return 0;
}

static int careless(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    copy(s, in, out);
    return 0;
}

static int refuse(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;

    (void)out;
    weir_read(in, &chunk);
    return weir_fail(s, 502, "not that");
}

static int nap(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0) {
        if (weir_flush(out) < 0 || weir_sleep(s, 1) < 0)
            return WEIR_ECANCELED;
        weir_write(out, chunk);
    }
    return rc;
}

/* ---- one chain ------------------------------------------------------------------------------- */

struct run {
    weir_body_editor *const *editors; /* ends with NULL */
    int rc;
    const char *why;
    bool read_all;
};

static void run_chain(void *arg)
{
    static const struct weir_proxy proxy = { .name = "test" };
    static const struct service service = { .proxy = &proxy };
    struct weir_session *s = calloc(1, sizeof *s);
    struct run *r = arg;

    ensure(s != NULL);
    arena_init(&s->arena, NULL, 0);
    s->service = &service;
    s->limit = NEVER;
    s->answered = 1; /* so it is the response's */
    scope_open(&s->scope);
    for (unsigned i = 0; r->editors[i] != NULL; i++)
        weir_edit_body(s, r->editors[i]);
    r->rc = editors_run(s, s->edit_down, &ends);
    r->read_all = editors_read_all(s->edit_down);
    ensure(scope_close(&s->scope, 0) == 0);
    arena_done(&s->arena);
    free(s);
}

/* A body of `len` bytes in pieces of `piece` through `editors`. */
static struct run through(size_t len, size_t piece, bool hesitant, unsigned fail_take,
                          unsigned fail_give, weir_body_editor *const *editors)
{
    static char body[LONGEST];
    struct run r = { .editors = editors };

    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 26);
    memset(&io, 0, offsetof(typeof(io), out));
    io.body = (weir_str){ body, len };
    io.piece = piece;
    io.hesitant = hesitant;
    io.fail_take = fail_take;
    io.fail_give = fail_give;
    workers_run(0, run_chain, &r);
    workers_join();
    return r;
}

#define EDITORS(...) \
    (weir_body_editor *const[]) \
    { \
        __VA_ARGS__, NULL \
    }

/* The output is the body with `times` signatures behind it. */
static bool is_signed(unsigned times)
{
    static const char mark[] = "[signed]";
    size_t len = sizeof mark - 1;

    if (io.len != io.body.len + times * len || memcmp(io.out, io.body.ptr, io.body.len) != 0)
        return false;
    for (unsigned i = 0; i < times; i++)
        if (memcmp(io.out + io.body.len + i * len, mark, len) != 0)
            return false;
    return io.ended;
}

/* ---- the cases ------------------------------------------------------------------------------- */

static const size_t lengths[] = { 0, 1, 2047, 2048, 2049, BUF_SIZE, BUF_SIZE + 1, LONGEST };
static const size_t pieces[] = { 1000, 2047, 2048, BUF_SIZE - 1, BUF_SIZE, BUF_SIZE + 1, LONGEST };

static void every_byte_in_order(void **state)
{
    const struct {
        weir_body_editor *const *editors;
        unsigned signatures;
    } chains[] = {
        { EDITORS(copy), 0 },
        { EDITORS(sign), 1 },
        { EDITORS(crumble), 0 },
        { EDITORS(sign, copy), 1 },
        { EDITORS(sign, crumble, sign), 2 },
        { EDITORS(nap, sign), 1 },
        { EDITORS(sign, nap), 1 },
        { EDITORS(sign, sign, sign, sign), 4 },
        { EDITORS(crumble, crumble, sign, crumble), 1 },
    };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chains); c++)
        for (size_t l = 0; l < ARRAY_LEN(lengths); l++)
            for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
                struct run r =
                    through(lengths[l], pieces[p], (l + p) % 2 == 1, 0, 0, chains[c].editors);

                if (r.rc != 0 || !r.read_all || !is_signed(chains[c].signatures)) {
                    print_error("chain %zu, %zu bytes in pieces of %zu: %d\n", c, lengths[l],
                                pieces[p], r.rc);
                    fail();
                }
            }
}

/* Short pieces leave together; what must not wait leaves before. */
static void gathering(void **state)
{
    (void)state;
    through(10000, 100, false, 0, 0, EDITORS(copy));
    assert_int_equal(io.gives, 1);
    through(10000, 100, true, 0, 0, EDITORS(copy));
    assert_int_equal(io.gives, 51); /* before each wait but the first, and at the end */
    through(10000, 5000, false, 0, 0, EDITORS(copy));
    assert_int_equal(io.gives, 3);
}

static void the_rest_is_not_read(void **state)
{
    struct run r = through(LONGEST, 1000, false, 0, 0, EDITORS(first_piece));

    (void)state;
    assert_int_equal(r.rc, 0);
    assert_false(r.read_all);
    assert_int_equal(io.takes, 1);
    assert_true(io.ended && io.len == 1);
    r = through(LONGEST, 1000, false, 0, 0, EDITORS(copy, first_piece));
    assert_int_equal(r.rc, 0);
    assert_true(io.ended && io.len == 1);
    r = through(LONGEST, 1000, false, 0, 0, EDITORS(nothing, sign));
    assert_int_equal(r.rc, 0);
    assert_true(io.ended && io.len == 8 && io.takes == 0);
}

/* An input that breaks off fails the chain, also if editors do not look; its output has no end. */
static void errors_of_the_input(void **state)
{
    weir_body_editor *const *const chains[] = {
        EDITORS(copy),
        EDITORS(careless),
        EDITORS(careless, careless),
        EDITORS(sign, crumble, sign),
        EDITORS(nap, careless),
    };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chains); c++)
        for (unsigned n = 1; n < 12; n++) {
            struct run r = through(10000, 1000, n % 2 == 0, n, 0, chains[c]);

            assert_int_equal(r.rc, WEIR_EUPCUT);
            assert_false(io.ended);
        }
}

static void errors_of_the_output(void **state)
{
    weir_body_editor *const *const chains[] = {
        EDITORS(copy),
        EDITORS(careless),
        EDITORS(careless, careless),
        EDITORS(copy, nap, copy),
    };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chains); c++)
        for (unsigned n = 1; n <= 3; n++) {
            struct run r = through(30000, 10000, false, 0, n, chains[c]);

            assert_int_equal(r.rc, WEIR_ECLIENTGONE);
            assert_false(io.ended);
        }
}

static void errors_of_editors(void **state)
{
    weir_body_editor *const *const chains[] = {
        EDITORS(refuse),           EDITORS(refuse, copy),
        EDITORS(copy, refuse),     EDITORS(sign, refuse, sign),
        EDITORS(refuse, careless), EDITORS(refuse, refuse),
    };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chains); c++) {
        struct run r = through(LONGEST, 1000, c % 2 == 0, 0, 0, chains[c]);

        assert_int_equal(r.rc, WEIR_EFILTER);
        assert_false(io.ended);
    }
}

/* ---- registering ----------------------------------------------------------------------------- */

static void too_many(void **state)
{
    struct weir_session *s = calloc(1, sizeof *s);

    (void)state;
    assert_non_null(s);
    arena_init(&s->arena, NULL, 0);
    for (unsigned i = 0; i < EDITORS_MAX; i++) {
        weir_edit_body(s, copy);
        s->answered = 1;
        weir_edit_body(s, copy);
        s->answered = 0;
    }
    assert_int_equal(s->err, 0); /* so many in each direction */
    weir_edit_body(s, copy);
    assert_int_equal(s->err, WEIR_EINVALID);
    arena_done(&s->arena);
    free(s);
}

/* Those of a try are gone in the next one, those of the request stay, in both cases all of them. */
static void the_next_try(void **state)
{
    struct weir_session *s = calloc(1, sizeof *s);

    (void)state;
    assert_non_null(s);
    arena_init(&s->arena, NULL, 0);
    weir_edit_body(s, copy); /* for the request */
    editors_next_try(s);
    for (s->tries = 1; s->tries < 10; s->tries++) {
        for (unsigned i = 1; i < EDITORS_MAX; i++)
            weir_edit_body(s, copy);
        assert_int_equal(s->err, 0);
        s->answered = 1;
        weir_edit_body(s, copy);
        s->answered = 0;
        assert_non_null(s->edit_down);
        editors_next_try(s);
        assert_null(s->edit_down);
        assert_non_null(s->edit_up);
    }
    arena_done(&s->arena);
    free(s);
}

static int start(void **state)
{
    (void)state;
    workers_start(1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    workers_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_in_order),
        cmocka_unit_test(gathering),
        cmocka_unit_test(the_rest_is_not_read),
        cmocka_unit_test(errors_of_the_input),
        cmocka_unit_test(errors_of_the_output),
        cmocka_unit_test(errors_of_editors),
        cmocka_unit_test(too_many),
        cmocka_unit_test(the_next_try),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
