/* conn.c -- the life of a connection: opened, a request sent, its response read, and again.
 *
 * Registered with epoll once, edge-triggered. Reading stops at a short read unless the peer's end
 * was announced, as a proxy of good manners would do it. */
#include "load/load.h"

#include "common/tool.h"
#include "load/h2.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { READ_SIZE = 256 << 10 };

static char buffer[READ_SIZE]; /* bodies are counted, not kept: one is enough for all */

void free_put(struct load *l, struct conn *c)
{
    assert(!c->listed);
    c->listed = true;
    c->next = NULL;
    *l->free_end = c;
    l->free_end = &c->next;
}

struct conn *free_take(struct load *l)
{
    struct conn *c = l->free;

    if (!c)
        return NULL;
    l->free = c->next;
    if (!l->free)
        l->free_end = &l->free;
    c->listed = false;
    return c;
}

static void shut(struct conn *c)
{
    wire_close(&c->wire);
    response_end(&c->response);
    c->state = CONN_CLOSED;
}

/* Its work is done; it stays open. */
static void release(struct load *l, struct conn *c)
{
    l->active--;
    c->request.class = NULL;
    c->deadline = UINT64_MAX;
    free_put(l, c);
}

static void shut_and_release(struct load *l, struct conn *c)
{
    shut(c);
    release(l, c);
}

void conn_fail(struct load *l, struct conn *c, enum failure kind, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tally_fail(l, c->request.class, kind, "%s", text);
    shut_and_release(l, c);
}

static void fail_io(struct load *l, struct conn *c, const char *doing, int error)
{
    conn_fail(l, c, FAIL_RESET, "%s: %s", doing, wire_error(error));
}

static void send_more(struct load *l, struct conn *c)
{
    const struct class *class = c->request.class;

    while (c->sent < class->len) {
        ssize_t n = wire_write(&c->wire, class->bytes + c->sent, class->len - c->sent);

        if (n == -EAGAIN)
            return;
        if (n < 0) {
            fail_io(l, c, "sending a request", (int)-n);
            return;
        }
        c->sent += (size_t)n;
    }
}

static void send_request(struct load *l, struct conn *c)
{
    c->state = CONN_BUSY;
    c->sent = 0;
    response_begin(&c->response, false);
    send_more(l, c);
}

/* The carrier may have to negotiate; then more events come. */
static void go_on_opening(struct load *l, struct conn *c)
{
    int rc = wire_ready(&c->wire);

    if (rc == -EAGAIN)
        return;
    if (rc < 0) {
        conn_fail(l, c, FAIL_CONNECT, "connecting: %s", wire_error(-rc));
        return;
    }
    if (l->tally.opened++ == 0)
        wire_describe(&c->wire, l->tally.tls, sizeof(l->tally.tls));
    if (wire_resumed(&c->wire))
        l->tally.resumed++;
    c->state = CONN_OPEN;
    if (c->request.class)
        send_request(l, c);
    else
        release(l, c);
}

void conn_open(struct load *l, struct conn *c)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = c,
    };
    int rc = wire_open(&c->wire, &l->options->address, l->options->tls);

    assert(!c->listed && c->state == CONN_CLOSED);
    l->active++;
    c->hup = false;
    c->state = CONN_OPENING;
    c->deadline = l->now + l->options->timeout;
    if (rc < 0)
        conn_fail(l, c, FAIL_CONNECT, "connecting: %s", strerror(-rc));
    else if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->wire.fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

void conn_start(struct load *l, struct conn *c, struct request request)
{
    c->request = request;
    if (l->now > request.start && l->now - request.start > l->tally.late)
        l->tally.late = l->now - request.start;
    if (l->links) {
        h2_start(l, c);
        return;
    }
    if (c->state == CONN_CLOSED) {
        conn_open(l, c);
        return;
    }
    assert(c->state == CONN_OPEN);
    l->active++;
    c->deadline = l->now + l->options->timeout;
    send_request(l, c);
}

void conn_finish(struct load *l, struct conn *c)
{
    struct class *class = c->request.class;
    const struct response *r = &c->response;

    if (c->sent < class->len) {
        conn_fail(l, c, FAIL_FRAMING, "status %u before the request was sent", r->status);
        return;
    }
    if (r->status / 100 != 2) {
        conn_fail(l, c, FAIL_STATUS, "status %u", r->status);
        return;
    }
    if (class->length >= 0 && r->body.total != (uint64_t) class->length) {
        conn_fail(l, c, FAIL_LENGTH, "a body of %ju bytes, not %jd", (uintmax_t)r->body.total,
                  (intmax_t) class->length);
        return;
    }
    hist_add(&class->hist, l->now - c->request.start);
    l->tally.done++;
    l->tally.body_in += r->body.total;
    l->tally.last = l->now;
    if (r->close || l->options->close) {
        c->state = CONN_ENDING; /* the peer has to close now: we wait to see it */
        c->deadline = l->now + l->options->timeout;
        return;
    }
    c->state = CONN_OPEN;
    release(l, c);
    load_dispatch(l);
}

static void on_bytes(struct load *l, struct conn *c, size_t len)
{
    ssize_t n;

    if (c->state == CONN_OPEN) {
        /* It is listed as free and stays there, closed: the next request opens it again. */
        tally_fail(l, NULL, FAIL_FRAMING, "%zu bytes that nobody asked for", len);
        shut(c);
        return;
    }
    if (c->state == CONN_ENDING) {
        conn_fail(l, c, FAIL_FRAMING, "%zu bytes behind the last response", len);
        return;
    }
    n = response_feed(&c->response, buffer, len);
    if (n < 0) {
        conn_fail(l, c, FAIL_FRAMING, "%s", c->response.wrong);
        return;
    }
    if (!response_done(&c->response))
        return;
    if ((size_t)n < len)
        conn_fail(l, c, FAIL_FRAMING, "%zu bytes behind a response", len - (size_t)n);
    else
        conn_finish(l, c);
}

/* The peer has closed, or the connection is broken (`error`). */
static void on_end(struct load *l, struct conn *c, int error)
{
    switch (c->state) {
    case CONN_OPEN:
        l->tally.closed_by_peer++;
        shut(c);
        break;
    case CONN_ENDING:
        if (error)
            fail_io(l, c, "waiting for the close", error);
        else
            shut_and_release(l, c);
        break;
    default:
        if (error)
            fail_io(l, c, "reading a response", error);
        else
            conn_fail(l, c, FAIL_CLOSED, "closed %s",
                      c->response.in_body ? "within a body" : "without a response");
    }
}

static void read_all(struct load *l, struct conn *c)
{
    while (c->state != CONN_CLOSED && c->state != CONN_OPENING) {
        ssize_t n = wire_read(&c->wire, buffer, sizeof(buffer));

        if (n == -EAGAIN)
            return;
        l->now = clock_ns();
        if (n <= 0) {
            on_end(l, c, (int)-n);
            return;
        }
        on_bytes(l, c, (size_t)n);
        if (!wire_more(&c->wire, (size_t)n, sizeof(buffer)) && !c->hup)
            return;
    }
}

void conn_event(struct load *l, struct conn *c, uint32_t events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->hup = true;
    if (c->state == CONN_OPENING) {
        go_on_opening(l, c);
        events |= EPOLLIN; /* a handshake reads ahead: no event may come for what it has taken */
    } else if (c->state == CONN_BUSY && (events & EPOLLOUT))
        send_more(l, c);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        read_all(l, c);
}

void conn_expired(struct load *l, struct conn *c)
{
    static const char *const doing[] = {
        [CONN_OPENING] = "no connection",
        [CONN_BUSY] = "no response",
        [CONN_ENDING] = "not closed, as announced,",
    };

    if (l->links)
        h2_cancel(l, c);
    conn_fail(l, c, FAIL_TIMEOUT, "%s within %ju ms", doing[c->state],
              (uintmax_t)(l->options->timeout / NS_PER_MS));
}
