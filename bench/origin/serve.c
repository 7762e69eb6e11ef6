/* serve.c -- see serve.h.
 *
 * A connection reads into one shared buffer and is dealt with there. Only a request head that came
 * in pieces, or bytes that came behind a request still being answered, are kept aside. */
#include "origin/serve.h"

#include "common/message.h"
#include "common/sock.h"
#include "common/tool.h"
#include "common/wire.h"
#include "origin/h2.h"
#include "origin/page.h"
#include "origin/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

enum { READ_SIZE = 64 << 10, MAX_KEPT = 128 << 10, BATCH = 256 };

enum state { SET_UP, READ_HEAD, READ_BODY, WAIT, ANSWER };

struct conn {
    struct link link; /* in `delayed` while in WAIT, in `idle` while a head is expected */
    struct wire wire;
    struct h2 *h2; /* NULL = HTTP/1.1 */
    uint8_t state;
    bool hup;       /* a FIN was announced: read until it shows */
    bool eof;       /* it was read: answer what was asked, then close */
    bool last;      /* no request after this one */
    bool head_only; /* HEAD: no body in the answer */
    bool wait;      /* its answer is delayed */
    bool dead;
    struct body body; /* the request's */
    const struct page *page;
    uint64_t sent; /* of the answer */
    char *kept;    /* bytes read and not dealt with yet */
    size_t kept_len;
    struct conn *next_dead;
};

struct serve_counters serve_counters;

static struct serve_config config;
static int epoll;
static struct queue delayed, idle;
static struct conn *dead; /* freed after the batch: it may name them again */
static uint64_t now;
static char buffer[READ_SIZE];

static void conn_close(struct conn *c)
{
    if (c->dead)
        return;
    queue_remove(&c->link);
    h2_free(&c->h2);
    wire_close(&c->wire);
    free(c->kept);
    c->dead = true;
    c->next_dead = dead;
    dead = c;
    serve_counters.open--;
}

static void bury(void)
{
    while (dead) {
        struct conn *c = dead;

        dead = c->next_dead;
        free(c);
    }
}

/* Sends what is left of the answer. False if the connection is to be closed: it is all sent and
 * was the last, or the peer is gone. */
static bool send_answer(struct conn *c)
{
    const struct page *p = c->page;
    uint64_t front = c->head_only ? p->head_len : p->front_len;
    uint64_t total = c->head_only ? p->head_len : p->front_len + p->left;

    while (c->sent < total) {
        uint64_t at = c->sent < front ? c->sent : front;
        uint64_t filler = total - (c->sent < front ? front : c->sent);
        struct iovec parts[] = {
            { p->front + at, front - at },
            { page_filler, filler < PAGE_FILLER ? filler : PAGE_FILLER },
        };
        ssize_t n = wire_write_two(&c->wire, parts);

        if (n < 0)
            return n == -EAGAIN;
        c->sent += (uint64_t)n;
    }
    serve_counters.body_out += total - p->head_len;
    c->state = READ_HEAD;
    queue_put(&idle, &c->link, now);
    return !c->last;
}

static bool begin_answer(struct conn *c)
{
    c->state = ANSWER;
    c->sent = 0;
    return send_answer(c);
}

/* A request was read to its end. */
static bool answer(struct conn *c)
{
    serve_counters.requests++;
    serve_counters.body_in += c->body.total;
    if (!c->wait)
        return begin_answer(c);
    c->state = WAIT;
    queue_put(&delayed, &c->link, now);
    return true;
}

static bool refuse(struct conn *c, const char *why)
{
    serve_counters.refused++;
    fprintf(stderr, "origin: refused: %s\n", why);
    c->page = page_refusal();
    c->last = true;
    c->head_only = false;
    return begin_answer(c);
}

static bool is_delayed(const char *path, const char *end)
{
    const char *prefix = config.delayed ? config.delayed : "";
    size_t len = strlen(prefix);

    return config.delay && (size_t)(end - path) >= len && memcmp(path, prefix, len) == 0;
}

/* METHOD SP path SP HTTP/1.x CR LF fields; `end` is behind the empty line. */
static bool read_head(struct conn *c, const char *head, const char *end)
{
    const char *crlf = memmem(head, (size_t)(end - head), "\r\n", 2);
    const char *path = memchr(head, ' ', (size_t)(crlf - head));
    const char *space = path ? memchr(path + 1, ' ', (size_t)(crlf - path) - 1) : NULL;
    struct framing framing;
    const char *wrong;
    bool old;

    if (!space || crlf - space != 9 || memcmp(space, " HTTP/1.", 8) != 0)
        return refuse(c, "a malformed request line");
    wrong = framing_read(&framing, crlf + 2, end);
    if (wrong)
        return refuse(c, wrong);
    old = crlf[-1] == '0';
    c->last = framing.close || (old && !framing.keep_alive);
    c->head_only = path - head == 4 && memcmp(head, "HEAD", 4) == 0;
    c->wait = is_delayed(path + 1, space);
    c->page = page_get(page_wanted(path + 1, (size_t)(space - path) - 1));
    c->state = READ_BODY;
    queue_remove(&c->link);
    body_begin(&c->body, &framing);
    if (framing.wants_100 && !old && !c->body.done)
        (void)!wire_write(&c->wire, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return c->body.done ? answer(c) : true;
}

/* Deals with bytes in place for as long as it can; `*at` is moved behind them. False: close. */
static bool take(struct conn *c, const char **at, const char *end)
{
    bool alive = true;

    while (alive && *at < end && (c->state == READ_HEAD || c->state == READ_BODY)) {
        if (c->state == READ_HEAD) {
            size_t len = head_length(*at, (size_t)(end - *at));

            if (len == 0)
                return true;
            *at += len;
            alive = read_head(c, *at - len, *at);
        } else {
            ssize_t n = body_feed(&c->body, *at, (size_t)(end - *at));

            if (n < 0)
                return refuse(c, "a broken chunked body");
            *at += n;
            alive = c->body.done ? answer(c) : true;
        }
    }
    return alive;
}

/* Puts bytes behind those kept, or in their place. */
static bool keep(struct conn *c, const char *data, size_t len)
{
    char *all;

    if (c->kept_len + len > MAX_KEPT)
        return refuse(c, "a head, or bytes behind a request, beyond 128 KiB");
    all = realloc(c->kept, c->kept_len + len);
    if (!all)
        die(EXIT_FAILURE, "out of memory");
    memcpy(all + c->kept_len, data, len);
    c->kept = all;
    c->kept_len += len;
    return true;
}

/* What was kept, again, now that there is more of it or the answer before it is sent. */
static bool take_kept(struct conn *c)
{
    char *all = c->kept;
    const char *at = all, *end = all + c->kept_len;
    bool alive;

    c->kept = NULL;
    c->kept_len = 0;
    alive = take(c, &at, end);
    if (alive && at < end)
        alive = keep(c, at, (size_t)(end - at));
    free(all);
    return alive;
}

static bool on_bytes(struct conn *c, const char *data, size_t len)
{
    const char *at = data, *end = data + len;

    if (c->kept)
        return keep(c, data, len) && take_kept(c);
    return take(c, &at, end) && (at == end || keep(c, at, (size_t)(end - at)));
}

static bool read_all(struct conn *c)
{
    for (;;) {
        ssize_t n = wire_read(&c->wire, buffer, sizeof(buffer));

        if (n < 0)
            return n == -EAGAIN;
        if (n == 0) {
            c->eof = true;
            return c->state == WAIT || c->state == ANSWER;
        }
        if (!on_bytes(c, buffer, (size_t)n))
            return false;
        if (!wire_more(&c->wire, (size_t)n, sizeof(buffer)) && !c->hup)
            return true;
    }
}

/* After (more of) an answer: deals with what came behind the request. False: close. */
static bool go_on(struct conn *c, bool alive)
{
    if (alive && c->state == READ_HEAD && c->kept)
        alive = take_kept(c);
    return alive && !(c->eof && (c->state == READ_HEAD || c->state == READ_BODY));
}

/* A handshake goes on. False: it failed. */
static bool set_up(struct conn *c)
{
    int rc = wire_ready(&c->wire);

    if (rc == -EAGAIN)
        return true;
    if (rc < 0) {
        fprintf(stderr, "origin: handshake: %s\n", wire_error(-rc));
        return false;
    }
    serve_counters.resumed += wire_resumed(&c->wire);
    c->state = READ_HEAD;
    if (config.h2)
        c->h2 = h2_new();
    return true;
}

static void on_event(struct conn *c, uint32_t events)
{
    bool alive = true;

    if (c->dead)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->hup = true;
    if (c->state == SET_UP) {
        alive = set_up(c);
        events = EPOLLIN; /* a handshake reads ahead: no event may come for what it has taken */
    } else if ((events & EPOLLOUT) && c->state == ANSWER)
        alive = go_on(c, send_answer(c));
    if (alive && c->h2)
        alive = h2_serve(c->h2, &c->wire);
    else if (alive && c->state != SET_UP && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        alive = read_all(c);
    if (!alive)
        conn_close(c);
}

static void on_accept(int listener)
{
    for (;;) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
        struct conn *c;
        int fd = sock_accept(listener);

        if (fd == -EAGAIN)
            return;
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0)
            die(EXIT_FAILURE, "accept: %s", strerror(-fd));
        c = must_calloc(1, sizeof(*c));
        wire_accept(&c->wire, fd, config.tls);
        c->state = config.tls ? SET_UP : READ_HEAD;
        if (config.h2 && !config.tls)
            c->h2 = h2_new();
        event.data.ptr = c;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
        if (!config.h2)
            queue_put(&idle, &c->link, now);
        serve_counters.accepted++;
        serve_counters.open++;
    }
}

/* Sends the answers and closes the connections that are due. How long until the next, or NULL. */
static const struct timespec *expire(struct timespec *out)
{
    struct link *first;
    uint64_t next = UINT64_MAX;

    while ((first = queue_first(&delayed)) && first->due <= now) {
        struct conn *c = (struct conn *)first;

        queue_remove(first);
        if (!go_on(c, begin_answer(c)))
            conn_close(c);
    }
    if (first)
        next = first->due;
    while ((first = queue_first(&idle)) && first->due <= now) {
        serve_counters.closed_idle++;
        conn_close((struct conn *)first);
    }
    if (first && first->due < next)
        next = first->due;
    if (next == UINT64_MAX)
        return NULL;
    *out = (struct timespec){ .tv_sec = (time_t)((next - now) / NS_PER_SEC),
                              .tv_nsec = (long)((next - now) % NS_PER_SEC) };
    return out;
}

static void watch(int fd, void *name)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = name };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

void serve(const struct serve_config *given, int listener, int quit, bool (*on_quit)(int quit))
{
    static char listener_name, quit_name; /* their addresses tell them from connections */
    struct epoll_event batch[BATCH];
    struct timespec wait;
    bool running = true;

    config = *given;
    page_default(config.body);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    queue_init(&delayed, config.delay);
    queue_init(&idle, config.idle_close);
    watch(listener, &listener_name);
    watch(quit, &quit_name);
    while (running) {
        int n;

        now = clock_ns();
        n = epoll_pwait2(epoll, batch, BATCH, expire(&wait), NULL);
        if (n < 0 && errno != EINTR)
            die(EXIT_FAILURE, "epoll_wait: %s", strerror(errno));
        now = clock_ns();
        for (int i = 0; i < n; i++) {
            if (batch[i].data.ptr == &listener_name)
                on_accept(listener);
            else if (batch[i].data.ptr == &quit_name)
                running = on_quit(quit);
            else
                on_event(batch[i].data.ptr, batch[i].events);
        }
        bury();
    }
}
