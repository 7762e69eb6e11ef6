/* relay.c -- a blind TCP relay: the floor under every proxy that is measured here.
 *
 * One thread, epoll, edge-triggered, each descriptor registered once, one upstream connection per
 * client, 64 KiB reads into one shared buffer. It looks at no byte, so what it costs is what the
 * kernel asks for moving a request and its response through a process. Memory for a connection
 * pair is allocated beyond its struct only while a peer does not take what was read for it. */
#include "common/sock.h"
#include "common/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 << 10, BATCH = 256 };

/* What one side said that the other has not taken yet. */
struct rest {
    uint32_t at, len;
    char bytes[];
};

/* One direction's source and the other's sink. */
struct side {
    int fd;
    bool hup;          /* the peer has sent its FIN, or worse: read until it shows */
    bool eof;          /* it was read; passed on by shutdown() */
    struct rest *rest; /* read from the other side, waiting to be written here */
};

struct pair {
    struct side side[2];
    bool dead;
    struct pair *next_dead;
};

static int epoll;
static struct address upstream;
static struct pair *dead; /* freed after the batch: it may name them again */
static char buffer[READ_SIZE];

/* The low bit of epoll's pointer tells the side. */
static void watch(struct pair *pair, unsigned which)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = (uintptr_t)pair | which,
    };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, pair->side[which].fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

static void pair_close(struct pair *pair)
{
    if (pair->dead)
        return;
    for (unsigned i = 0; i < 2; i++) {
        close(pair->side[i].fd);
        free(pair->side[i].rest);
        pair->side[i].rest = NULL;
    }
    pair->dead = true;
    pair->next_dead = dead;
    dead = pair;
}

static void bury(void)
{
    while (dead) {
        struct pair *pair = dead;

        dead = pair->next_dead;
        free(pair);
    }
}

/* Writes what it can; keeps the rest. False if the peer is gone. */
static bool pass(struct side *to, const char *data, size_t len)
{
    ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    if (n < 0)
        n = 0;
    if ((size_t)n == len)
        return true;
    to->rest = must_calloc(1, sizeof(*to->rest) + len - (size_t)n);
    to->rest->len = (uint32_t)(len - (size_t)n);
    memcpy(to->rest->bytes, data + n, to->rest->len);
    return true;
}

/* Tries again with what was kept. False if the peer is gone. */
static bool flush(struct side *to)
{
    struct rest *rest = to->rest;

    while (rest->at < rest->len) {
        ssize_t n = send(to->fd, rest->bytes + rest->at, rest->len - rest->at, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        rest->at += (uint32_t)n;
    }
    free(rest);
    to->rest = NULL;
    return true;
}

/* Reads one side and writes the other, until there is no more to read or no more room.
 * A short read is taken for an empty socket unless a FIN was announced: the FIN would give no
 * further event. False if the pair is to be closed. */
static bool move(struct side *from, struct side *to)
{
    while (!to->rest && !from->eof) {
        ssize_t n = recv(from->fd, buffer, sizeof(buffer), 0);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0) {
            from->eof = true;
            shutdown(to->fd, SHUT_WR);
            return !to->eof;
        }
        if (!pass(to, buffer, (size_t)n))
            return false;
        if ((size_t)n < sizeof(buffer) && !from->hup)
            break;
    }
    return true;
}

static void on_event(struct pair *pair, unsigned which, uint32_t events)
{
    struct side *self = &pair->side[which], *other = &pair->side[!which];
    bool alive = true;

    if (pair->dead)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        self->hup = true;
    if ((events & EPOLLOUT) && self->rest)
        alive = flush(self) && (self->rest || move(other, self));
    if (alive && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        alive = move(self, other);
    if (!alive)
        pair_close(pair);
}

static void on_accept(int listener)
{
    for (;;) {
        int client = sock_accept(listener), server;
        struct pair *pair;

        if (client == -EAGAIN)
            return;
        if (client == -ECONNABORTED || client == -EINTR)
            continue;
        if (client < 0)
            die(EXIT_FAILURE, "accept: %s", strerror(-client));
        server = sock_connect(&upstream);
        if (server < 0) {
            fprintf(stderr, "relay: connect: %s\n", strerror(-server));
            close(client);
            continue;
        }
        pair = must_calloc(1, sizeof(*pair));
        pair->side[0].fd = client;
        pair->side[1].fd = server;
        watch(pair, 0);
        watch(pair, 1);
    }
}

static void serve(int listener)
{
    struct epoll_event batch[BATCH], event = { .events = EPOLLIN | EPOLLET };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
    for (;;) {
        int n = epoll_wait(epoll, batch, BATCH, -1);

        if (n < 0 && errno != EINTR)
            die(EXIT_FAILURE, "epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            uint64_t data = batch[i].data.u64;

            if (data == 0)
                on_accept(listener);
            else
                on_event((struct pair *)(uintptr_t)(data & ~1ull), data & 1, batch[i].events);
        }
        bury();
    }
}

static void parse(const char *text, struct address *out)
{
    const char *wrong = address_parse(text, out);

    if (wrong)
        die(EXIT_USAGE, "%s: %s", text, wrong);
}

int main(int argc, char **argv)
{
    struct address listen_at;
    char name[ADDRESS_TEXT];
    int listener;

    if (argc != 3)
        die(EXIT_USAGE, "usage: relay LISTEN UPSTREAM");
    parse(argv[1], &listen_at);
    parse(argv[2], &upstream);
    raise_file_limit(0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    listener = sock_listen(&listen_at);
    if (listener < 0)
        die(EXIT_FAILURE, "%s: %s", argv[1], strerror(-listener));
    sock_name(listener, name);
    fprintf(stderr, "listening on %s (tcp)\n", name);
    serve(listener);
}
