/* demo_client.c -- the load: requests leave when they are due, whether or not those before them are
 * answered (an open loop), on connections that are kept.
 *
 * Each way has a few connections that take turns; when all are waiting, further ones are opened. A
 * connection is closed after some requests, as those of people are, so that there are handshakes
 * all the time. Everything but the right page with a 200 is a failure. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "demo.h"

#define INTERVAL (WEIR_SEC / DEMO_RATE)
#define PATIENCE (5 * WEIR_SEC)

enum {
    PER_WAY = DEMO_CONNS / DEMO_WAYS,
    USUAL = 4, /* connections of a way that take turns */
    REQUESTS_EACH = 100,
    BUF = 2048,
};

enum phase { CLOSED, IDLE, SENDING, RECEIVING };

struct conn {
    enum phase phase;
    int fd;
    struct demo_tls *tls; /* NULL: plain */
    enum demo_way way;
    short wants; /* POLLIN, POLLOUT */
    unsigned requests;
    uint64_t number; /* of the request on its way */
    int64_t due;     /* when it should have left, and when it did */
    int64_t sent;
    char buf[BUF];
    size_t at, len; /* sending: written, in all; receiving: read */
};

struct demo_client {
    struct sockaddr_in to[DEMO_WAYS];
    struct demo_tls_client *tls;
    struct conn conns[DEMO_CONNS]; /* PER_WAY of each way */
    unsigned turn[DEMO_WAYS];
    uint64_t number; /* of the next request */
    int64_t next;    /* when it is due; 0: not begun; INT64_MAX: no more */
    struct demo_tally tally;
    unsigned reasons;
    struct demo_latencies latencies;
};

static bool parse_address(const char *text, struct sockaddr_in *out)
{
    const char *colon = strrchr(text, ':');
    char host[DEMO_ADDR];

    if (colon == NULL)
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    *out = (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

struct demo_client *demo_client_new(const char *const addr[DEMO_WAYS], const char *cert)
{
    struct demo_client *c = calloc(1, sizeof(*c));
    bool good;

    if (c == NULL)
        return NULL;
    for (unsigned i = 0; i < DEMO_CONNS; i++) {
        c->conns[i].fd = -1;
        c->conns[i].way = i / PER_WAY;
    }
    c->tls = demo_tls_client_new(cert);
    good = c->tls != NULL;
    for (unsigned w = 0; w < DEMO_WAYS && good; w++)
        good = parse_address(addr[w], &c->to[w]);
    if (!good)
        demo_client_free(&c);
    return c;
}

static void hang_up(struct conn *k)
{
    demo_tls_close(&k->tls);
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    k->phase = CLOSED;
}

void demo_client_free(struct demo_client **c)
{
    if (*c == NULL)
        return;
    for (unsigned i = 0; i < DEMO_CONNS; i++)
        hang_up(&(*c)->conns[i]);
    demo_tls_client_free(&(*c)->tls);
    free(*c);
    *c = NULL;
}

/* ---- how a request ends ---------------------------------------------------------------------- */

static void answered(struct demo_client *c, struct conn *k, bool persistent, int64_t now)
{
    c->tally.answered[k->way]++;
    c->tally.resumed += k->tls != NULL && k->requests == 1 && demo_tls_resumed(k->tls);
    demo_latencies_add(&c->latencies, now - k->due);
    k->phase = IDLE;
    k->wants = POLLIN;
    if (!persistent || k->requests >= REQUESTS_EACH)
        hang_up(k);
}

__attribute__((format(printf, 3, 4))) static void failed(struct demo_client *c, struct conn *k,
                                                         const char *fmt, ...)
{
    char why[DEMO_REASON - 60];
    va_list ap;

    c->tally.failed++;
    if (c->reasons < DEMO_REASONS) {
        va_start(ap, fmt);
        vsnprintf(why, sizeof(why), fmt, ap);
        va_end(ap);
        snprintf(c->tally.reasons[c->reasons++], DEMO_REASON, "request %llu (%s): %s",
                 (unsigned long long)k->number, k->way == DEMO_TLS ? "TLS" : "plain", why);
    }
    hang_up(k);
}

/* ---- one connection -------------------------------------------------------------------------- */

static bool call(struct demo_client *c, struct conn *k)
{
    const struct sockaddr *to = (const struct sockaddr *)&c->to[k->way];

    k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (k->fd < 0 || (connect(k->fd, to, sizeof(c->to[0])) < 0 && errno != EINPROGRESS))
        return false;
    if (k->way == DEMO_TLS && (k->tls = demo_tls_open(c->tls, k->fd)) == NULL)
        return false;
    c->tally.connects[k->way]++;
    k->requests = 0;
    return true;
}

/* As demo_tls_read and demo_tls_write, whatever the way. */
static int transfer(struct conn *k, bool out, void *buf, size_t len)
{
    ssize_t n;

    if (k->tls != NULL)
        return out ? demo_tls_write(k->tls, buf, len) : demo_tls_read(k->tls, buf, len);
    n = out ? send(k->fd, buf, len, MSG_NOSIGNAL) : recv(k->fd, buf, len, 0);
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EINTR)
        return out ? DEMO_WANT_WRITE : DEMO_WANT_READ;
    return DEMO_BROKEN;
}

/* Is the answer whole? 1: and right, 0: not yet; else it has failed. */
static int check(struct demo_client *c, struct conn *k, bool *persistent)
{
    char want[48], *end = memmem(k->buf, k->len, "\r\n\r\n", 4), *length, *body;
    size_t size;
    int status;

    k->buf[k->len] = '\0';
    if (end == NULL && k->len < BUF - 1)
        return 0;
    length = strcasestr(k->buf, "\r\nContent-Length:");
    if (end == NULL || length == NULL || length > end ||
        sscanf(k->buf, "HTTP/1.1 %d", &status) != 1) {
        failed(c, k, "an answer that is none: %.60s", k->buf);
        return -1;
    }
    body = end + 4;
    size = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    if ((size_t)(k->buf + k->len - body) < size && k->len < BUF - 1)
        return 0;
    snprintf(want, sizeof(want), "here: /page/%llu\n", (unsigned long long)k->number);
    if (status != 200 || body + size != k->buf + k->len || size < strlen(want) ||
        strcmp(body + size - strlen(want), want) != 0) {
        failed(c, k, "status %d: %.*s", status, (int)strcspn(body, "\n"), body);
        return -1;
    }
    *persistent = strcasestr(k->buf, "\r\nConnection: close\r\n") == NULL;
    return 1;
}

static void receive(struct demo_client *c, struct conn *k, int64_t now)
{
    bool persistent = false;
    int n = 1;

    while (k->phase == RECEIVING && n > 0) {
        n = transfer(k, false, k->buf + k->len, BUF - 1 - k->len);
        if (n > 0)
            k->len += (size_t)n;
        if (n > 0 && check(c, k, &persistent) == 1)
            answered(c, k, persistent, now);
    }
    if (n == 0)
        failed(c, k, "the connection ended before the answer");
    else if (n == DEMO_BROKEN)
        failed(c, k, "the connection broke before the answer");
    else if (k->phase == RECEIVING)
        k->wants = n == DEMO_WANT_WRITE ? POLLOUT : POLLIN;
}

static void proceed(struct demo_client *c, struct conn *k, int64_t now)
{
    while (k->phase == SENDING) {
        int n = transfer(k, true, k->buf + k->at, k->len - k->at);

        if (n == DEMO_WANT_READ || n == DEMO_WANT_WRITE) {
            k->wants = n == DEMO_WANT_READ ? POLLIN : POLLOUT;
            return;
        }
        if (n <= 0) {
            failed(c, k, "the connection broke while the request was sent");
            return;
        }
        k->at += (size_t)n;
        if (k->at == k->len) {
            k->phase = RECEIVING;
            k->len = 0;
        }
    }
    if (k->phase == RECEIVING)
        receive(c, k, now);
}

/* Between requests there is nothing to read but what TLS says to itself, or the end. */
static void listen_idle(struct conn *k)
{
    char byte;

    if (transfer(k, false, &byte, 1) != DEMO_WANT_READ)
        hang_up(k);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Whose turn it is among the usual ones; if all those are busy, any. NULL: none is free. */
static struct conn *choose(struct demo_client *c, enum demo_way way)
{
    struct conn *of = &c->conns[way * PER_WAY];

    for (unsigned i = 0; i < USUAL; i++) {
        struct conn *k = &of[c->turn[way]++ % USUAL];

        if (k->phase == IDLE || k->phase == CLOSED)
            return k;
    }
    for (unsigned i = USUAL; i < PER_WAY; i++) {
        if (of[i].phase == IDLE || of[i].phase == CLOSED)
            return &of[i];
    }
    return NULL;
}

static bool send_next(struct demo_client *c, int64_t now)
{
    enum demo_way way = c->number % DEMO_WAYS;
    struct conn *k;

    k = choose(c, way);
    if (k == NULL)
        return false;
    k->number = c->number++;
    k->due = c->next;
    k->sent = now;
    if (k->phase == CLOSED && !call(c, k)) {
        failed(c, k, "no connection to the balancer: %s", strerror(errno));
        return true;
    }
    k->phase = SENDING;
    k->requests++;
    k->at = 0;
    k->len = (size_t)snprintf(k->buf, BUF,
                              "GET /page/%llu HTTP/1.1\r\nHost: weir.demo\r\n"
                              "User-Agent: weir-demo\r\n\r\n",
                              (unsigned long long)k->number);
    proceed(c, k, now);
    return true;
}

int64_t demo_client_step(struct demo_client *c, int64_t now)
{
    if (c->next == 0)
        c->next = now;
    for (unsigned i = 0; i < DEMO_CONNS; i++) {
        struct conn *k = &c->conns[i];

        if (k->phase >= SENDING && now - k->sent > PATIENCE)
            failed(c, k, "no answer within %d s", (int)(PATIENCE / WEIR_SEC));
    }
    while (c->next <= now && send_next(c, now))
        c->next += INTERVAL;
    return c->next > now ? c->next : now + WEIR_MS;
}

unsigned demo_client_pending(const struct demo_client *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < DEMO_CONNS; i++)
        n += c->conns[i].phase >= SENDING;
    return n;
}

void demo_client_stop(struct demo_client *c)
{
    c->next = INT64_MAX;
}

unsigned demo_client_watch(const struct demo_client *c, struct pollfd *fds)
{
    unsigned n = 0;

    for (unsigned i = 0; i < DEMO_CONNS; i++) {
        if (c->conns[i].fd >= 0)
            fds[n++] = (struct pollfd){ .fd = c->conns[i].fd, .events = c->conns[i].wants };
    }
    return n;
}

void demo_client_handle(struct demo_client *c, const struct pollfd *fds, unsigned n, int64_t now)
{
    for (unsigned i = 0, f = 0; i < DEMO_CONNS && f < n; i++) {
        struct conn *k = &c->conns[i];

        if (k->fd < 0 || k->fd != fds[f].fd)
            continue;
        if (fds[f++].revents == 0)
            continue;
        if (k->phase == IDLE)
            listen_idle(k);
        else
            proceed(c, k, now);
    }
}

void demo_client_tally(const struct demo_client *c, struct demo_tally *out)
{
    *out = c->tally;
    out->median = demo_latencies_share(&c->latencies, 0.5);
    out->most = demo_latencies_share(&c->latencies, 0.99);
    out->slowest = c->latencies.slowest;
}
