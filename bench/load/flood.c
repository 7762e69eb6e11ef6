/* flood.c -- HTTP/2 clients that make work and bring nothing: prebuilt frames, by prior knowledge,
 * a batch on each connection in each interval. Who is cut comes back a little later.
 *
 * What counts is how long one may go on, and whether it is told why: GOAWAY with an error. */
#include "load/load.h"

#include "common/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };
enum { FRAME_HEAD = 9, GOAWAY_READ = FRAME_HEAD + 8 };
enum { BATCH = 256, BYTES = 8192, CODES = 15 };

static const uint64_t pause_ns = 100 * NS_PER_MS; /* before one that was cut comes back */

/* On which stream: none, one that it opens, or the one that was opened last. */
enum on { ON_NONE, ON_NEW, ON_LAST };

struct shot {
    bool there;
    uint8_t type, flags, on, len;
    const char *payload;
};

#define SHOT(type, flags, on, payload) \
    { \
        true, type, flags, on, sizeof(payload) - 1, payload \
    }

/* The indices of HPACK's static table, and "bench.example" as it is. */
#define HOST \
    "\x01\x0d" \
    "bench.example"
#define GET     "\x82\x86\x84" HOST
#define GET_BIG "\x82\x86\x04\x08/b/65536" HOST
#define POST    "\x83\x86\x84" HOST

static const struct kind {
    struct shot settings, opening, each[2];
    unsigned times; /* in a batch */
    bool deaf;      /* reads nothing until it is cut */
} kinds[] = {
    [FLOOD_RESETS] = { .settings = SHOT(SETTINGS, 0, ON_NONE, ""),
                       .each = { SHOT(HEADERS, END_STREAM | END_HEADERS, ON_NEW, GET),
                                 SHOT(RST_STREAM, 0, ON_LAST, "\0\0\0\x08") },
                       .times = 50 },
    [FLOOD_PINGS] = { .settings = SHOT(SETTINGS, 0, ON_NONE, ""),
                      .each = { SHOT(PING, 0, ON_NONE, "12345678") },
                      .times = 50 },
    [FLOOD_SETTINGS] = { .settings = SHOT(SETTINGS, 0, ON_NONE, ""),
                         .each = { SHOT(SETTINGS, 0, ON_NONE, "") },
                         .times = 50 },
    [FLOOD_EMPTY] = { .settings = SHOT(SETTINGS, 0, ON_NONE, ""),
                      .opening = SHOT(HEADERS, END_HEADERS, ON_NEW, POST),
                      .each = { SHOT(DATA, 0, ON_LAST, "") },
                      .times = 50 },
    [FLOOD_CONTINUATION] = { .settings = SHOT(SETTINGS, 0, ON_NONE, ""),
                             .opening = SHOT(HEADERS, END_STREAM, ON_NEW, GET),
                             .each = { SHOT(CONTINUATION, 0, ON_LAST, "") },
                             .times = 50 },
    /* INITIAL_WINDOW_SIZE 0 */
    [FLOOD_WINDOWS] = { .settings = SHOT(SETTINGS, 0, ON_NONE, "\0\x04\0\0\0\0"),
                        .each = { SHOT(HEADERS, END_STREAM | END_HEADERS, ON_NEW, GET_BIG) },
                        .times = 1,
                        .deaf = true },
};

struct flooder {
    int fd;         /* -1 = not open */
    uint64_t begun; /* 0 = being opened */
    uint64_t again; /* when it may come back */
    uint32_t stream;
    size_t len, sent; /* of `out` */
    char out[BYTES];
    uint8_t head[GOAWAY_READ]; /* of the frame that comes in */
    unsigned have;
    uint32_t skip; /* of its payload */
};

struct deluge {
    const struct options *options;
    const struct kind *kind;
    int epoll;
    bool stdin_over;
    uint64_t now;
    struct flooder *all;
    uint64_t opened, begun, refused, goaways, hangups, open;
    uint64_t frames;
    uint64_t longest;          /* that one could go on, ns */
    uint64_t codes[CODES + 1]; /* of GOAWAY; the last: all others */
};

static uint32_t big_endian(const uint8_t *bytes, unsigned n)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void put_bytes(struct flooder *f, const void *bytes, size_t len)
{
    memcpy(f->out + f->len, bytes, len);
    f->len += len;
}

static void put(struct deluge *s, struct flooder *f, const struct shot *shot)
{
    uint32_t on = shot->on == ON_NONE ? 0 : f->stream;

    if (!shot->there)
        return;
    if (shot->on == ON_NEW)
        on = f->stream += 2;
    put_bytes(f,
              (uint8_t[FRAME_HEAD]){ 0, 0, shot->len, shot->type, shot->flags, (uint8_t)(on >> 24),
                                     (uint8_t)(on >> 16), (uint8_t)(on >> 8), (uint8_t)on },
              FRAME_HEAD);
    put_bytes(f, shot->payload, shot->len);
    s->frames++;
}

static void note_life(struct deluge *s, const struct flooder *f)
{
    if (f->begun && s->now - f->begun > s->longest)
        s->longest = s->now - f->begun;
}

/* It is over for one of them, until it comes back. */
static void end(struct deluge *s, struct flooder *f, uint64_t *counter)
{
    note_life(s, f);
    close(f->fd);
    *f = (struct flooder){ .fd = -1, .again = s->now + pause_ns };
    ++*counter;
}

static void send_out(struct deluge *s, struct flooder *f)
{
    ssize_t n = send(f->fd, f->out + f->sent, f->len - f->sent, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        end(s, f, &s->hangups);
        return;
    }
    f->sent += n > 0 ? (size_t)n : 0;
    if (f->sent == f->len)
        f->sent = f->len = 0;
}

static void begin(struct deluge *s, struct flooder *f)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct epoll_event event = { .events = s->kind->deaf ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP,
                                 .data.ptr = f };

    if (sock_result(f->fd) < 0) {
        end(s, f, &s->refused);
        return;
    }
    f->begun = s->now;
    f->stream = (uint32_t)-1;
    s->begun++;
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, f->fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
    put_bytes(f, preface, sizeof(preface) - 1);
    put(s, f, &s->kind->settings);
    put(s, f, &s->kind->opening);
    send_out(s, f);
}

/* A whole head of a frame, with the first part of a GOAWAY. True if it says why it is over. */
static bool take_head(struct deluge *s, struct flooder *f)
{
    uint32_t len = big_endian(f->head, 3), code;

    f->have = 0;
    if (f->head[3] != GOAWAY || len < GOAWAY_READ - FRAME_HEAD) {
        f->skip = len;
        return false;
    }
    f->skip = len - (GOAWAY_READ - FRAME_HEAD);
    code = big_endian(f->head + FRAME_HEAD + 4, 4);
    s->codes[code < CODES ? code : CODES]++;
    return code != 0;
}

/* True at a GOAWAY with an error. */
static bool find_goaway(struct deluge *s, struct flooder *f, const uint8_t *in, size_t len)
{
    while (len > 0) {
        unsigned need = f->have >= FRAME_HEAD ? GOAWAY_READ : FRAME_HEAD;
        size_t n = f->skip ? f->skip : need - f->have;

        n = n < len ? n : len;
        if (f->skip) {
            f->skip -= (uint32_t)n;
        } else {
            memcpy(f->head + f->have, in, n);
            f->have += (unsigned)n;
            if (f->have == GOAWAY_READ || (f->have == FRAME_HEAD && f->head[3] != GOAWAY))
                if (take_head(s, f))
                    return true;
        }
        in += n;
        len -= n;
    }
    return false;
}

static void hear(struct deluge *s, struct flooder *f)
{
    static uint8_t in[64 << 10];
    ssize_t n;

    while ((n = recv(f->fd, in, sizeof(in), 0)) > 0)
        if (find_goaway(s, f, in, (size_t)n)) {
            end(s, f, &s->goaways);
            return;
        }
    if (n == 0 || errno != EAGAIN)
        end(s, f, &s->hangups);
}

static void come(struct deluge *s, struct flooder *f)
{
    struct epoll_event event = { .events = EPOLLOUT, .data.ptr = f };

    f->fd = sock_connect(&s->options->address);
    if (f->fd < 0)
        die(EXIT_FAILURE, "connecting: %s", strerror(-f->fd));
    s->opened++;
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, f->fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

/* Its turn: a batch, what is left of the last one, or a new connection. */
static void act(struct deluge *s, struct flooder *f)
{
    const struct options *o = s->options;

    if (f->fd < 0) {
        if (s->now >= f->again && (o->requests == 0 || s->opened < o->requests))
            come(s, f);
        return;
    }
    if (f->begun == 0)
        return;
    for (unsigned i = 0; f->sent == 0 && i < s->kind->times; i++)
        for (unsigned k = 0; k < ARRAY_LEN(s->kind->each); k++)
            put(s, f, &s->kind->each[k]);
    send_out(s, f);
}

static void turn(struct deluge *s, uint64_t until)
{
    struct epoll_event batch[BATCH];
    int n = load_wait(s->epoll, batch, BATCH, s->now, until);

    s->now = clock_ns();
    for (int i = 0; i < n; i++) {
        struct flooder *f = batch[i].data.ptr;

        if (!f)
            s->stdin_over |= read(STDIN_FILENO, &(char){ 0 }, 1) <= 0;
        else if (f->fd >= 0 && f->begun == 0)
            begin(s, f);
        else if (f->fd >= 0)
            hear(s, f);
    }
}

/* Their turns are spread evenly over the interval. */
static void run(struct deluge *s)
{
    const struct options *o = s->options;
    uint64_t start = s->now, over = start + o->span;
    double distance = (double)o->every / (double)o->connections;

    for (uint64_t i = 1; !s->stdin_over && s->now < over;) {
        uint64_t due = start + (uint64_t)((double)i * distance);

        turn(s, due < over ? due : over);
        if (s->now >= due)
            act(s, &s->all[i++ % o->connections]);
    }
    for (uint64_t i = 0; i < o->connections; i++) {
        if (s->all[i].fd < 0)
            continue;
        note_life(s, &s->all[i]);
        close(s->all[i].fd);
        s->open++;
    }
}

static void print(const struct deluge *s)
{
    const char *comma = "";

    printf("{\"opened\":%ju,\"begun\":%ju,\"refused\":%ju,\"goaways\":%ju,\"hangups\":%ju,"
           "\"open\":%ju,\"frames\":%ju,\"longest_ms\":%.1f,\"codes\":{",
           (uintmax_t)s->opened, (uintmax_t)s->begun, (uintmax_t)s->refused, (uintmax_t)s->goaways,
           (uintmax_t)s->hangups, (uintmax_t)s->open, (uintmax_t)s->frames,
           (double)s->longest / NS_PER_MS);
    for (unsigned i = 0; i <= CODES; i++)
        if (s->codes[i]) {
            printf("%s\"%u\":%ju", comma, i, (uintmax_t)s->codes[i]);
            comma = ",";
        }
    puts("}}");
    fflush(stdout);
}

void load_flood(const struct options *o)
{
    struct deluge s = {
        .options = o,
        .kind = &kinds[o->flood],
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .now = clock_ns(),
        .all = must_calloc(o->connections, sizeof(struct flooder)),
    };
    struct epoll_event event = { .events = EPOLLIN };

    if (s.epoll < 0)
        die(EXIT_FAILURE, "epoll_create1: %s", strerror(errno));
    for (uint64_t i = 0; i < o->connections; i++)
        s.all[i].fd = -1;
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event); /* a file cannot be waited for */
    puts("{\"ready\":true}");
    fflush(stdout);
    run(&s);
    print(&s);
    free(s.all);
    close(s.epoll);
}
