/* attack.c -- clients that are as slow as they can be: a head or a body that comes byte by byte and
 * never ends, or an answer that is hardly read. Each has a connection, none comes back.
 *
 * What counts is when the server cuts them. A reader may not learn that it was cut, because the
 * end comes behind bytes that it does not take: then only the server's descriptors tell. */
#include "load/load.h"

#include "common/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What a reader asks for is more than a proxy and its send buffer hold, and not so much more that
 * moving it would be an attack of its own. */
enum { BATCH = 256, SMALL_BUFFER = 2048, SIP = 16, STATUSES = 1000 };

struct attacker {
    int fd;         /* -1 = not open any more */
    uint64_t begun; /* when its first bytes were sent; 0 = not yet */
};

struct siege {
    const struct options *options;
    const char *opening; /* what each says first */
    int epoll;
    bool stdin_over;
    uint64_t now;
    struct attacker *all;
    uint64_t open, begun, refused, cut;
    uint64_t last_cut, first_cut;
    uint64_t sips; /* bytes sent or sips taken, after the first bytes */
    struct hist cuts;
    uint32_t statuses[STATUSES];
};

static const char *const openings[] = {
    [ATTACK_HEADS] = "GET / HTTP/1.1\r\nHost: bench.example\r\nX-Slow: ",
    [ATTACK_BODIES] = "POST / HTTP/1.1\r\nHost: bench.example\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n",
    [ATTACK_READERS] = "GET /b/524288 HTTP/1.1\r\nHost: bench.example\r\n\r\n",
};

static void watch(struct siege *s, struct attacker *a, int how, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = a };

    if (epoll_ctl(s->epoll, how, a->fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

/* It is over for one of them. */
static void end(struct siege *s, struct attacker *a)
{
    uint64_t lasted = s->now - a->begun;

    close(a->fd);
    a->fd = -1;
    s->open--;
    if (a->begun == 0) {
        s->refused++;
        return;
    }
    if (s->cut++ == 0 || lasted < s->first_cut)
        s->first_cut = lasted;
    if (lasted > s->last_cut)
        s->last_cut = lasted;
    hist_add(&s->cuts, lasted);
}

static void begin(struct siege *s, struct attacker *a)
{
    size_t len = strlen(s->opening);

    if (sock_result(a->fd) < 0 || send(a->fd, s->opening, len, MSG_NOSIGNAL) != (ssize_t)len) {
        end(s, a);
        return;
    }
    a->begun = s->now;
    s->begun++;
    watch(s, a, EPOLL_CTL_MOD,
          s->options->attack == ATTACK_READERS ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP);
}

/* Whatever the server says to a slow sender; the status is noted. */
static void hear(struct siege *s, struct attacker *a)
{
    char said[4096];
    unsigned status;
    ssize_t n = recv(a->fd, said, sizeof(said) - 1, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        end(s, a);
        return;
    }
    said[n] = '\0';
    if (sscanf(said, "HTTP/1.%*1d %3u ", &status) == 1 && status < STATUSES)
        s->statuses[status]++;
}

static void on_event(struct siege *s, struct attacker *a, uint32_t events)
{
    if (a->fd < 0)
        return;
    if (a->begun == 0)
        begin(s, a);
    else if (s->options->attack != ATTACK_READERS)
        hear(s, a);
    else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        end(s, a);
}

/* One more byte to the server, or a few from it. */
static void sip(struct siege *s, struct attacker *a)
{
    char few[SIP];
    ssize_t n = s->options->attack == ATTACK_READERS ? recv(a->fd, few, sizeof(few), 0)
                                                     : send(a->fd, "a", 1, MSG_NOSIGNAL);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        end(s, a);
    else
        s->sips++;
}

static void turn(struct siege *s, uint64_t until)
{
    struct epoll_event batch[BATCH];
    int n = load_wait(s->epoll, batch, BATCH, s->now, until);

    s->now = clock_ns();
    for (int i = 0; i < n; i++) {
        if (batch[i].data.ptr)
            on_event(s, batch[i].data.ptr, batch[i].events);
        else if (read(STDIN_FILENO, &(char){ 0 }, 1) <= 0)
            s->stdin_over = true;
    }
}

static void open_all(struct siege *s)
{
    const struct options *o = s->options;
    int buffer = o->attack == ATTACK_READERS ? SMALL_BUFFER : 0;

    for (uint64_t i = 0; i < o->connections; i++) {
        struct attacker *a = &s->all[i];

        a->fd = sock_connect_small(&o->address, buffer);
        if (a->fd < 0)
            die(EXIT_FAILURE, "connecting: %s", strerror(-a->fd));
        s->open++;
        watch(s, a, EPOLL_CTL_ADD, EPOLLOUT);
    }
    while (s->begun + s->refused < o->connections)
        turn(s, s->now + NS_PER_SEC);
}

/* Their turns are spread evenly over the interval, so the next is always the next in the row. */
static void besiege(struct siege *s)
{
    const struct options *o = s->options;
    uint64_t start = s->now, over = start + o->span;
    double distance = (double)o->every / (double)o->connections;

    for (uint64_t i = 1; s->open > 0 && !s->stdin_over && s->now < over;) {
        uint64_t due = start + (uint64_t)((double)i * distance);
        struct attacker *a = &s->all[i % o->connections];

        turn(s, due < over ? due : over);
        if (s->now < due)
            continue;
        if (a->fd >= 0)
            sip(s, a);
        i++;
    }
}

static void print(const struct siege *s)
{
    const char *comma = "";

    printf("{\"attackers\":%ju,\"begun\":%ju,\"refused\":%ju,\"cut\":%ju,\"open\":%ju,\"sips\":%ju,"
           "\"statuses\":{",
           (uintmax_t)s->options->connections, (uintmax_t)s->begun, (uintmax_t)s->refused,
           (uintmax_t)s->cut, (uintmax_t)s->open, (uintmax_t)s->sips);
    for (unsigned i = 0; i < STATUSES; i++)
        if (s->statuses[i]) {
            printf("%s\"%u\":%u", comma, i, s->statuses[i]);
            comma = ",";
        }
    printf("},\"first_cut_ms\":%.1f,\"p50_cut_ms\":%.1f,\"last_cut_ms\":%.1f}\n",
           (double)s->first_cut / NS_PER_MS, (double)hist_at(&s->cuts, 0.5) / NS_PER_MS,
           (double)s->last_cut / NS_PER_MS);
    fflush(stdout);
}

void load_attack(const struct options *o)
{
    struct siege s = {
        .options = o,
        .opening = openings[o->attack],
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .now = clock_ns(),
        .all = must_calloc(o->connections, sizeof(struct attacker)),
    };
    struct epoll_event event = { .events = EPOLLIN };

    if (s.epoll < 0)
        die(EXIT_FAILURE, "epoll_create1: %s", strerror(errno));
    open_all(&s);
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event); /* a file cannot be waited for */
    puts("{\"ready\":true}");
    fflush(stdout);
    besiege(&s);
    print(&s);
    for (uint64_t i = 0; i < o->connections; i++)
        if (s.all[i].fd >= 0)
            close(s.all[i].fd);
    free(s.all);
    close(s.epoll);
}
