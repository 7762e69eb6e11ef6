/* test_h2_memory.c -- what nghttp2 allocates, what it frees twice, and what becomes of a connection
 * if there is none for it. */
#include "heads.h"
#include "workers.h"

/* Which of its requests for memory are refused; they are counted from 0. */
static struct {
    unsigned asked, first, last;
} memory;

static bool refused(void)
{
    unsigned n = memory.asked++;

    return n >= memory.first && n <= memory.last;
}

static void refuse(unsigned first, unsigned last)
{
    memory.asked = 0;
    memory.first = first;
    memory.last = last;
}

static void refuse_nothing(void)
{
    refuse(UINT_MAX, UINT_MAX);
}

#define malloc(size)       (refused() ? NULL : malloc(size))
#define calloc(n, size)    (refused() ? NULL : calloc(n, size))
#define realloc(old, size) (refused() ? NULL : realloc(old, size))
#include "http/h2_memory.c"
#undef malloc
#undef calloc
#undef realloc

/* ---- blocks ---------------------------------------------------------------------------------- */

static struct h2_conn conn;

/* With a block that its caller can read and free again after the first free, in the order of
 * nghttp2's calls; a sanitizer tells of any that was freed. */
static void a_queue_that_cannot_grow(void **state)
{
    nghttp2_mem mem = h2_memory_of(&conn);
    char *queue, *item;

    (void)state;
    refuse(2, 2);
    queue = mem.realloc(NULL, 32, &conn);
    item = mem.malloc(152, &conn);
    memset(item, 1, 152);
    assert_null(mem.realloc(queue, 64, &conn));
    mem.free(item, &conn);
    assert_int_equal(item[151], 1);
    mem.free(item, &conn);
    mem.free(queue, &conn);
    h2_memory_end(&conn);
}

/* A block that it frees once is given back with the session, the others at once. */
static void freed_once(void **state)
{
    nghttp2_mem mem = h2_memory_of(&conn);

    (void)state;
    for (int i = 0; i < 3; i++) {
        char *first, *second;

        refuse(2, 3);
        first = mem.malloc(152, &conn);
        second = mem.malloc(152, &conn);
        assert_null(mem.realloc(NULL, 32, &conn));
        mem.free(NULL, &conn);
        mem.free(first, &conn);
        assert_null(mem.realloc(NULL, 32, &conn));
        mem.free(second, &conn);
        h2_memory_end(&conn);
    }
    h2_memory_end(&conn);
}

/* ---- connections ----------------------------------------------------------------------------- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" /* SETTINGS */
#define PING    "\0\0\10\6\0\0\0\0\00012345678"
#define GET(id) \
    "\0\0\6\1\5\0\0\0" id "\x82\x86\x84" \
    "A\1a" /* http, /, :authority a */
#define POST(id) \
    "\0\0\6\1\4\0\0\0" id "\x83\x86\x84" \
    "A\1a"
#define DATA_HEAD "\0\x40\0\0\0\0\0\0" /* of 16 KiB */

enum { STREAMS = 5, PIECE = 16384 };

/* The strands that serve its streams, all in one; those it is not told to open are refused. */
static struct {
    unsigned may_open, open;
    struct h2_stream *streams[STREAMS];
} front;

static int open_stream(struct h2_stream *st, void *owner)
{
    (void)owner;
    if (front.open == front.may_open)
        return WEIR_ESTACKS;
    front.streams[front.open++] = st;
    return 0;
}

static struct h2_config config = {
    .limits = &usual_limits,
    .header_timeout = PATIENCE * WEIR_SEC,
    .send_timeout = PATIENCE * WEIR_SEC,
    .max_requests = UINT64_MAX,
    .open = open_stream,
};

static void end_streams(void)
{
    while (front.open > 0)
        h2_stream_end(front.streams[--front.open]);
}

static void pinged(struct h2_conn *c)
{
    h2_feed(c, LIT(PING));
}

static void refused_at_its_turn(struct h2_conn *c)
{
    front.may_open = 0;
    h2_feed(c, LIT(GET("\1")));
}

/* One may run, one may wait, and the client has not heard of it yet. */
static void refused_at_once(struct h2_conn *c)
{
    config.max_streams = 1;
    h2_feed(c, LIT(GET("\1") GET("\3") GET("\5")));
}

static void not_answered(struct h2_conn *c)
{
    h2_feed(c, LIT(GET("\1")));
    end_streams();
}

struct part {
    struct h2_stream *st;
    unsigned status; /* 0: more of the body */
    weir_str piece;
    bool end;
};

static int write_part(void *arg)
{
    struct part *p = arg;
    struct pace pace = no_hurry();
    char page[1024];
    struct arena arena;
    struct weir_head res;
    struct http_message m = { .head = &res, .framing = { .mode = BODY_LENGTH, .length = 8 } };
    int rc;

    arena_init(&arena, page, sizeof page);
    head_init(&res, &arena, 0);
    res.status = p->status;
    rc = http_write(h2_stream_http(p->st), p->status > 0 ? &m : NULL, p->piece, p->end, &pace);
    ensure(rc == 0 || p->st->error == rc);
    arena_done(&arena);
    return 0;
}

/* It is not done before the frame of an interim head has left. */
static void write_and_gather(struct h2_conn *c, struct part p)
{
    struct scope sc;
    struct task write;

    scope_open(&sc);
    ensure(task_start(&sc, &write, write_part, &p) == 0);
    co_yield ();
    h2_gather(c);
    task_join(&write);
    ensure(scope_close(&sc, 0) == 0);
}

/* Each waits for more of its body when the next one begins; then all of them have more. */
static void answered(struct h2_conn *c)
{
    h2_feed(c, LIT(GET("\1") GET("\3") GET("\5") GET("\7") GET("\x9")));
    for (unsigned i = 0; i < front.open; i++) {
        write_and_gather(c, (struct part){ .st = front.streams[i], .status = 103 });
        write_and_gather(
            c, (struct part){ .st = front.streams[i], .status = 200, .piece = LIT("some") });
    }
    for (unsigned i = 0; i < front.open; i++)
        write_part(&(struct part){ .st = front.streams[i], .piece = LIT("more"), .end = true });
    end_streams();
}

/* More than half of a stream's window. */
static void read_by_it(struct h2_conn *c)
{
    static char data[9 + PIECE] = DATA_HEAD "\1";
    char page[4096];
    struct arena arena;
    struct weir_head req;
    weir_str piece;

    h2_feed(c, LIT(POST("\1")));
    for (int i = 0; i < 3; i++)
        h2_feed(c, (weir_str){ data, sizeof data });
    if (front.open == 0)
        return;
    arena_init(&arena, page, sizeof page);
    head_init(&req, &arena, 0);
    ensure(http_read_head(h2_stream_http(front.streams[0]), &req, METHOD_OTHER, NEVER) == 1);
    while (http_read_body(h2_stream_http(front.streams[0]), &piece, NULL) == HTTP_PIECE)
        continue;
    arena_done(&arena);
}

static const struct {
    const char *name;
    void (*fn)(struct h2_conn *c);
} scenes[] = {
    { "pinged", pinged },
    { "refused at its turn", refused_at_its_turn },
    { "refused at once", refused_at_once },
    { "not answered", not_answered },
    { "answered", answered },
    { "read", read_by_it },
};

struct outcome {
    unsigned asked; /* for memory */
    int err;
    bool ended;
    size_t len;
    char frames[1024];
};

static struct outcome play(void (*fn)(struct h2_conn *), unsigned first, unsigned last)
{
    struct stream net = { .slot = NULL };
    struct h2_conn *c;
    struct outcome o;

    front.may_open = config.max_streams = STREAMS;
    c = h2_server_new(&net, &config, NULL);
    ensure(c != NULL);
    h2_feed(c, LIT(PREFACE));
    h2_gather(c);
    c->out_len = 0;
    refuse(first, last);
    fn(c);
    h2_gather(c);
    o = (struct outcome){
        .asked = memory.asked,
        .err = c->err,
        .ended = h2_end_reached(c),
        .len = c->out_len,
    };
    ensure(o.len <= sizeof o.frames);
    if (o.len > 0)
        memcpy(o.frames, c->out[0], o.len);
    refuse_nothing();
    end_streams();
    h2_gather(c);
    h2_free(&c);
    return o;
}

static bool has_reset(const struct outcome *o)
{
    const uint8_t *f = (const uint8_t *)o->frames;
    size_t at = 0;

    while (at < o->len && f[at + 3] != NGHTTP2_RST_STREAM)
        at += 9 + ((size_t)f[at] << 16 | (size_t)f[at + 1] << 8 | f[at + 2]);
    return at < o->len;
}

/* Nobody waits for ever: the client has heard all of it, or that there is no more of it, or the
 * connection ends. */
static bool is_fair(const struct outcome *o, const struct outcome *whole)
{
    if (o->err != 0)
        return o->ended;
    return has_reset(o) || (o->len == whole->len && memcmp(o->frames, whole->frames, o->len) == 0);
}

static unsigned unfair;

/* Refuses each request for memory, alone and with all that follow. */
static void refuse_each(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
        struct outcome whole = play(scenes[i].fn, UINT_MAX, UINT_MAX);

        ensure(whole.err == 0 && !whole.ended && whole.len > 0 && whole.asked > 0);
        for (unsigned n = 0; n < 2 * whole.asked; n++) {
            struct outcome o = play(scenes[i].fn, n / 2, n % 2 == 0 ? n / 2 : UINT_MAX);

            if (is_fair(&o, &whole))
                continue;
            unfair++;
            print_error("%s, without the memory that is asked for as number %u%s: error %d\n",
                        scenes[i].name, n / 2, n % 2 == 0 ? "" : ", and later", o.err);
        }
    }
}

static void nobody_waits_for_memory(void **state)
{
    (void)state;
    refuse_nothing();
    on_workers(1, refuse_each, NULL);
    assert_int_equal(unfair, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_that_cannot_grow),
        cmocka_unit_test(freed_once),
        cmocka_unit_test(nobody_waits_for_memory),
    };

    return cmocka_run_group_tests_name("h2_memory", tests, NULL, NULL);
}
