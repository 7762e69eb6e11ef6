/* public.c -- streams and listeners of <weir/runtime.h>.
 *
 * A listener may have several sockets and any number of coroutines that accept, but a slot has one
 * waiter. So its sockets are idle slots: whose event comes goes into a channel, and who accepts
 * takes it from there. It is then his alone: he puts it back into the channel while there may be
 * more to accept, and arms it again when there is not. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/runtime.h>

#include "base/log.h"
#include "net/connect.h"
#include "net/linger.h"
#include "net/listen.h"
#include "net/names.h"
#include "runtime/channel.h"
#include "runtime/public.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"

enum { SOCKETS = 16, BACKLOG = 4096, WHY = 512 };

#define NO_DESCRIPTOR_WAIT (100 * WEIR_MS)

struct weir_stream {
    struct stream st;
    bool ended; /* the peer's end was read */
    weir_str peer;
    char text[ADDR_TEXT];
};

struct socket {
    struct weir_listener *listener;
    unsigned index;
    struct slot *slot;
    struct slot_ref name;
    char *path; /* of a Unix socket: removed at the end */
};

struct weir_listener {
    struct channel *ready; /* indices of sockets that are nobody's and have something to accept */
    unsigned count;
    bool tcp;
    _Atomic unsigned placed;
    _Atomic bool starved;
    struct socket sockets[SOCKETS];
};

/* --- streams --- */

/* Held from its birth to its end: never idle. */
static const struct slot_class held_class = { .name = "stream" };

static struct pace pace_of(weir_dur timeout)
{
    return (struct pace){ .limit = public_until(timeout, WEIR_ETIMEOUT),
                          .gap = WEIR_FOREVER,
                          .gap_err = WEIR_ETIMEOUT };
}

weir_str weir_stream_peer(const struct weir_stream *st)
{
    return st != NULL ? st->peer : (weir_str){ NULL, 0 };
}

ptrdiff_t weir_stream_read(struct weir_stream *st, void *buf, size_t len, weir_dur timeout)
{
    struct pace pace;
    ssize_t n;

    if (st == NULL || buf == NULL || !co_inside() || len == 0)
        return WEIR_EINVALID;
    pace = pace_of(timeout);
    n = stream_read(&st->st, buf, len, &pace);
    if (n == 0)
        st->ended = true;
    return n;
}

int weir_stream_write(struct weir_stream *st, const void *data, size_t len, weir_dur timeout)
{
    struct iovec iov = { (void *)data, len };
    struct pace pace;

    if (st == NULL || (data == NULL && len > 0) || !co_inside())
        return WEIR_EINVALID;
    pace = pace_of(timeout);
    return stream_write(&st->st, &iov, 1, &pace);
}

int weir_stream_finish(struct weir_stream *st)
{
    struct pace pace = { .gap = WEIR_FOREVER };

    if (st == NULL)
        return WEIR_EINVALID;
    return stream_finish(&st->st, &pace);
}

static struct weir_stream *take_stream(struct weir_stream **stream)
{
    struct weir_stream *st = stream != NULL ? *stream : NULL;

    if (st != NULL)
        *stream = NULL;
    return st;
}

void weir_stream_close(struct weir_stream **stream)
{
    struct weir_stream *st = take_stream(stream);

    if (st == NULL)
        return;
    if (st->ended || !st->st.drains) /* a Unix socket breaks nothing by closing */
        stream_close(&st->st, false);
    else
        linger_close(&st->st);
    free(st);
}

void weir_stream_reset(struct weir_stream **stream)
{
    struct weir_stream *st = take_stream(stream);

    if (st != NULL)
        stream_close(&st->st, true);
    free(st);
}

/* --- connecting --- */

static int connect_to(const struct addr *to, struct deadline until, struct weir_stream *st)
{
    TRY(net_connect(to, NULL, &held_class, NULL, until, &st->st));
    st->peer = addr_print(to, st->text);
    return 0;
}

/* Another address may do where this one does not. */
static int connect_any(const struct addr *to, int n, struct deadline until, struct weir_stream *st)
{
    int rc = WEIR_EDNS;

    for (int i = 0; i < n; i++) {
        rc = connect_to(&to[i], until, st);
        if (rc != WEIR_EREFUSED && rc != WEIR_ECONNECT)
            break;
    }
    return rc;
}

static int connect_text(const char *text, struct deadline until, struct weir_stream *st)
{
    struct addr found[NAMES_ADDRESSES];
    struct addr_spec spec;
    const char *why;
    char host[256];
    int n;

    if (addr_parse(text, &spec) != NULL || spec.form == SPEC_ALL || spec.host.len >= sizeof host)
        return WEIR_EINVALID;
    if (spec.form == SPEC_ADDR)
        return connect_to(&spec.addr, until, st);
    memcpy(host, spec.host.ptr, spec.host.len);
    host[spec.host.len] = '\0';
    n = names_find(host, spec.addr.port, found, until, &why);
    if (n < 0)
        return n;
    n = connect_any(found, n, until, st);
    if (n < 0)
        names_forget(host);
    return n;
}

int weir_connect(const char *addr, weir_dur timeout, struct weir_stream **stream)
{
    struct weir_stream *st;
    int rc;

    if (stream == NULL)
        return WEIR_EINVALID;
    *stream = NULL;
    if (addr == NULL || !co_inside())
        return WEIR_EINVALID;
    st = calloc(1, sizeof *st);
    if (st == NULL)
        return WEIR_ENOMEM;
    rc = connect_text(addr, public_until(timeout, WEIR_ECONNTIME), st);
    if (rc == 0)
        *stream = st;
    else
        free(st);
    return rc;
}

/* --- listening --- */

/* The socket has something to accept, and is nobody's. There is always room: it is in the channel
 * once. */
static void put_back(struct weir_listener *l, unsigned index)
{
    ensure(channel_try_send(l->ready, &index) == 0);
}

/* By the winner of an idle socket. */
static void ready(struct slot *slot, void *owner)
{
    const struct socket *s = owner;

    (void)slot;
    put_back(s->listener, s->index);
}

static const struct slot_class listener_class = { .name = "listener", .ready = ready };

static void say_listening(const struct addr *at)
{
    char text[ADDR_TEXT], line[ADDR_TEXT + 64];
    int n;

    addr_print(at, text);
    n = snprintf(line, sizeof line, "listening on %s (stream)\n", text);
    log_line(LOG_SAY, (weir_str){ line, (size_t)n });
}

static int add_socket(void *arg, int fd, const struct addr *at)
{
    struct weir_listener *l = arg;
    struct socket *s = &l->sockets[l->count];

    ensure(l->count < SOCKETS);
    *s = (struct socket){ .listener = l, .index = l->count };
    s->slot = slot_new(fd, &listener_class, s);
    if (s->slot == NULL)
        return WEIR_ENOMEM;
    l->tcp = at->kind != ADDR_UNIX;
    if (!l->tcp)
        s->path = strdup(at->path);
    if ((!l->tcp && s->path == NULL) || slot_register(s->slot, UINT_MAX) < 0) {
        slot_close(&s->slot);
        free(s->path);
        return WEIR_ENOMEM;
    }
    s->name = slot_name(s->slot);
    l->count++;
    say_listening(at);
    if (!slot_arm(s->slot, INT64_MAX))
        put_back(l, s->index);
    return 0;
}

/* One by one they become ours: idle, or from the channel. An event that has won one is about to put
 * it there. */
static void take_back(struct weir_listener *l)
{
    unsigned index;

    for (unsigned left = l->count; left > 0;) {
        unsigned before = left;

        for (unsigned i = 0; i < l->count; i++)
            if (l->sockets[i].slot != NULL && slot_take(l->sockets[i].name)) {
                slot_close(&l->sockets[i].slot);
                left--;
            }
        while (channel_try_receive(l->ready, &index) == 0) {
            slot_close(&l->sockets[index].slot);
            left--;
        }
        if (left == before)
            co_yield ();
    }
}

void weir_listener_close(struct weir_listener **listener)
{
    struct weir_listener *l = listener != NULL ? *listener : NULL;

    if (l == NULL)
        return;
    *listener = NULL;
    take_back(l);
    for (unsigned i = 0; i < l->count; i++) {
        if (l->sockets[i].path != NULL)
            unlink(l->sockets[i].path);
        free(l->sockets[i].path);
    }
    channel_free(&l->ready);
    free(l);
}

int weir_listen(const char *addr, struct weir_listener **listener)
{
    struct weir_listener *l;
    char why[WHY];
    int rc;

    if (listener == NULL)
        return WEIR_EINVALID;
    *listener = NULL;
    if (addr == NULL || !co_inside())
        return WEIR_EINVALID;
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return WEIR_ENOMEM;
    l->ready = channel_new(SOCKETS, sizeof(unsigned));
    if (l->ready == NULL) {
        free(l);
        return WEIR_ENOMEM;
    }
    rc = listen_text(addr, BACKLOG, add_socket, l, why, sizeof why);
    if (rc == 0) {
        *listener = l;
        return 0;
    }
    weir_listener_close(&l);
    log_message("error", "%s", why);
    return rc == WEIR_ENOMEM ? rc : WEIR_ELISTEN;
}

/* --- accepting --- */

/* Any worker may have it; its strand goes where its events are seen. */
static int make_stream(struct weir_listener *l, int fd, const struct addr *peer,
                       struct weir_stream **out)
{
    struct weir_stream *st = calloc(1, sizeof *st);
    struct slot *slot;

    if (st == NULL) {
        sys_close(fd);
        return WEIR_ENOMEM;
    }
    slot = slot_new(fd, &held_class, NULL);
    if (slot == NULL || slot_register(slot, l->placed++ % rt_workers()) < 0) {
        if (slot != NULL)
            slot_close(&slot);
        free(st);
        return WEIR_ENOMEM;
    }
    st->st = (struct stream){ .slot = slot, .reset_err = WEIR_ECLIENTGONE, .drains = l->tcp };
    st->peer = addr_print(peer, st->text);
    *out = st;
    return 0;
}

/* No descriptor, or no memory in the kernel. The socket stays ready, so nothing is lost by waiting;
 * in the channel it would be tried without end. */
static int starve(struct weir_listener *l, int err, struct deadline until)
{
    struct deadline soon = deadline_in(rt_now(), NO_DESCRIPTOR_WAIT, 0);

    if (!atomic_exchange(&l->starved, true))
        log_message("error", "weir_accept: %s; trying again every 100 ms", strerrordesc_np(-err));
    return co_sleep(deadline_min(until, soon));
}

/* One try with a socket that is ours. 1: there is a stream; 0: nothing yet, look again. */
static int try_accept(struct weir_listener *l, unsigned index, struct deadline until,
                      struct weir_stream **client)
{
    struct slot *slot = l->sockets[index].slot;
    uint64_t word = slot_load(slot, DIR_IN);
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct addr peer;
    int fd = sys_accept(slot_fd(slot), &ss, &len), rc = 0;

    if (fd == -EAGAIN) {
        slot_drained(slot, DIR_IN, word, true);
        if (!slot_arm(slot, INT64_MAX))
            put_back(l, index);
        return 0;
    }
    if (fd < 0 && !listen_only_this_one(fd))
        rc = starve(l, fd, until);
    put_back(l, index);
    if (fd < 0)
        return rc;
    atomic_store(&l->starved, false);
    addr_from_sockaddr(&peer, &ss, len);
    TRY(make_stream(l, fd, &peer, client));
    return 1;
}

int weir_accept(struct weir_listener *l, weir_dur timeout, struct weir_stream **client)
{
    struct deadline until;
    unsigned index;
    int rc;

    if (client == NULL)
        return WEIR_EINVALID;
    *client = NULL;
    if (l == NULL || !co_inside())
        return WEIR_EINVALID;
    until = public_until(timeout, WEIR_ETIMEOUT);
    do {
        TRY(channel_receive(l->ready, &index, until));
        rc = try_accept(l, index, until, client);
    } while (rc == 0);
    return rc < 0 ? rc : 0;
}
