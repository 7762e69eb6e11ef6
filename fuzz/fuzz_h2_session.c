/* fuzz_h2_session.c -- what a peer sends on an HTTP/2 connection, up to its last byte, and what the
 * strands of its streams do about it, without a network and without strands: pieces are fed, each
 * strand reads what there is and answers, posts are taken, frames collected. The first byte chooses
 * the side, the second one how the rest is cut.
 *
 * Nothing may be left, read twice or past its end; streams that run and bytes that wait stay within
 * their bounds. */
#include "fuzz.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum { STREAMS = 8, PIECE = 3000 };

static const struct h1_limits limits = {
    .max_head = 16384, .max_field = 8192, .max_target = 1024, .max_fields = 50
};

/* A stream and what would be its strand. */
struct served {
    struct h2_stream *st;
    struct arena arena;
    struct weir_head head;
    bool heard, failed, answered;
};

static struct served served[STREAMS];
static struct random rnd;

static int open_stream(struct h2_stream *st, void *owner)
{
    (void)owner;
    for (size_t i = 0; i < STREAMS; i++) {
        if (served[i].st != NULL)
            continue;
        served[i] = (struct served){ .st = st };
        arena_init(&served[i].arena, NULL, 0);
        return random_below(&rnd, 16) == 0 ? (served[i].st = NULL, WEIR_ESTACKS) : 0;
    }
    ensure(!"more streams than advertised");
    return WEIR_ESTACKS;
}

static const struct h2_config config = {
    .limits = &limits,
    .header_timeout = 10 * WEIR_SEC,
    .send_timeout = 10 * WEIR_SEC,
    .max_streams = STREAMS,
    .max_requests = 1000,
    .open = open_stream,
};

/* As a strand does it. */
static void post(struct h2_stream *st, unsigned what)
{
    unsigned old = atomic_fetch_or(&st->posts, what | H2_QUEUED);

    if (old & H2_QUEUED)
        return;
    st->next_post = atomic_load(&st->conn->posted);
    atomic_store(&st->conn->posted, st);
}

static void push(struct h2_stream *st, struct h2_out *o)
{
    ensure(o != NULL);
    *st->out_end = o;
    st->queued += o->len;
    while (o->next != NULL)
        o = o->next;
    st->out_end = &o->next;
    post(st, H2_POST_OUT);
}

static void leave(struct served *s)
{
    struct h2_conn *c = s->st->conn;

    post(s->st, H2_POST_DROP);
    arena_done(&s->arena);
    s->st = NULL;
    h2_leave(c);
}

static struct h2_out *message(struct served *s, unsigned status, weir_str body)
{
    struct weir_head h;
    struct http_message m = { .head = &h, .framing = { .mode = BODY_CHUNKED } };

    head_init(&h, &s->arena, 4);
    h.status = (uint16_t)status;
    h.method = LIT("POST");
    h.target = LIT("/x");
    head_add_raw(&h, LIT("Host"), LIT("a"), FIELD_HOST);
    head_add_raw(&h, LIT("X-A"), LIT("b"), field_id_of(LIT("X-A")));
    return s->st->conn->server ? h2_print_response(&m, body) : h2_print_request(&m, body, false);
}

static void answer(struct served *s)
{
    static const char text[PIECE];
    struct h2_out *o;
    bool trailers = random_below(&rnd, 4) == 0;

    s->answered = true;
    if (random_below(&rnd, 4) == 0 && s->st->conn->server)
        push(s->st, message(s, 103, LIT("")));
    o = message(s, 200, (weir_str){ text, random_below(&rnd, PIECE) });
    o->end = !trailers;
    if (trailers)
        o->next = h2_print_trailers(&s->head);
    push(s->st, o);
    s->st->http.message_sent = true;
}

static void read_on(struct served *s)
{
    struct http_stream *http = &s->st->http;
    weir_str piece;
    size_t sum = 0;
    int rc;

    if (!s->heard) {
        if (s->st->in_first == NULL && !s->st->in_ended && s->st->error == 0)
            return;
        head_init(&s->head, &s->arena, 0);
        rc = http_read_head(http, &s->head, METHOD_POST, (struct deadline){ .at = INT64_MAX });
        s->heard = true;
        s->failed = rc < 0;
    }
    while (!s->failed && (rc = http_read_body(http, &piece, NULL)) == HTTP_PIECE) {
        sum += hash_bytes(piece.ptr, piece.len) & 1; /* each byte is there */
        ensure(piece.len <= H2_WINDOW);
    }
    (void)sum;
}

/* Each strand has its turn. */
static void turn(struct h2_conn *c)
{
    for (size_t i = 0; i < STREAMS; i++) {
        struct served *s = &served[i];

        if (s->st == NULL || random_below(&rnd, 3) == 0)
            continue;
        read_on(s);
        if (c->server && !s->answered && s->st->error == 0)
            answer(s);
        else if (s->st->error != 0 || s->st->http.body_done || random_below(&rnd, 8) == 0)
            leave(s);
    }
    h2_post_take(c);
    h2_collect(c);
    ensure(c->out_len <= ARRAY_LEN(c->out) * BUF_SIZE);
    ensure(c->running <= STREAMS);
    for (size_t i = 0; i < ARRAY_LEN(c->out); i++)
        buf_put(&c->out[i]);
    c->out_len = 0;
}

static void ask(struct h2_conn *c)
{
    for (size_t i = 0; i < STREAMS; i++) {
        struct h2_stream *st = served[i].st == NULL ? h2_open(c) : NULL;

        if (st == NULL)
            continue;
        served[i] = (struct served){ .st = st };
        arena_init(&served[i].arena, NULL, 0);
        head_init(&served[i].head, &served[i].arena, 0);
        answer(&served[i]);
    }
    h2_post_take(c);
    h2_collect(c);
}

static void feed_copy(struct h2_conn *c, const uint8_t *data, size_t n)
{
    char *copy = malloc(n);

    ensure(copy != NULL);
    memcpy(copy, data, n);
    h2_feed(c, (weir_str){ copy, n });
    free(copy);
}

struct input {
    const uint8_t *data;
    size_t size;
    sem_t done;
};

static void run(const uint8_t *data, size_t size)
{
    struct stream net = { .slot = NULL };
    struct h2_conn *c;
    size_t most;

    random_seed(&rnd, hash_bytes(data, size));
    c = data[0] & 1 ? h2_client_new(&net, &config, false) : h2_server_new(&net, &config, NULL);
    most = data[1] == 0 ? size : data[1];
    ensure(c != NULL);
    for (data += 2, size -= 2; size > 0 && c->err == 0;) {
        size_t step = 1 + random_below(&rnd, most), n = MIN(size, step);

        if (!c->server)
            ask(c);
        feed_copy(c, data, n);
        turn(c);
        data += n;
        size -= n;
    }
    for (size_t i = 0; i < STREAMS; i++) {
        if (served[i].st != NULL)
            leave(&served[i]);
    }
    turn(c);
    ensure(c->running == 0 && atomic_load(&c->open) == 0);
    h2_free(&c);
}

static void on_worker(void *arg)
{
    struct input *in = arg;

    run(in->data, in->size);
    sem_post(&in->done);
}

/* On a worker's stack, as buffers belong to workers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct input in = { .data = data, .size = size };

    if (!started)
        ensure(rt_start(&(struct rt_config){ .workers = 1 }) == 0 && atexit(rt_stop) == 0);
    started = true;
    if (size < 2)
        return 0;
    sem_init(&in.done, 0, 0);
    ensure(rt_post(0, on_worker, &in) == 0);
    while (sem_wait(&in.done) != 0)
        continue;
    sem_destroy(&in.done);
    return 0;
}
