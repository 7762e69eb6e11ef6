/* h2.c -- see h2.h. */
#include "load/h2.h"

#include "common/h2out.h"
#include "common/tool.h"

#include <ctype.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    READ_SIZE = 256 << 10,
    WINDOW = 1 << 20,
    LINK_WINDOW = 1 << 26,
    MAX_FIELDS = 1100,
};

struct link {
    struct wire wire; /* first: its descriptor tells whether the link is open */
    nghttp2_session *session;
    uint64_t deadline; /* of its opening; 0 = it is open, or closed */
    bool ready;        /* the wire carries bytes */
    bool hup;
    bool dirty; /* in the list of those that may have something to send */
    struct h2out out;
    struct load *load;
    struct link *next_dirty;
};

/* A class's request as nghttp2 wants it. */
struct fields {
    nghttp2_nv nv[MAX_FIELDS];
    size_t count, head; /* `head`: where the body begins in class->bytes */
};

static struct fields *prepared[MAX_CLASSES];
static struct link *dirty;
static char in[READ_SIZE];

/* -- requests ---------------------------------------------------------------------------------- */

static void add(struct fields *f, const char *name, size_t name_len, const char *value, size_t len)
{
    char *lower = must_calloc(name_len + 1, 1);

    if (f->count == MAX_FIELDS)
        die(EXIT_FAILURE, "more than %d fields", MAX_FIELDS);
    for (size_t i = 0; i < name_len; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    f->nv[f->count++] = (nghttp2_nv){
        .name = (uint8_t *)lower,
        .namelen = name_len,
        .value = (uint8_t *)value,
        .valuelen = len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

/* From the text that options.c printed for HTTP/1.1, which stays where it is. */
static struct fields *prepare(const struct options *o, const struct class *c)
{
    struct fields *f = must_calloc(1, sizeof(*f));
    const char *space = strchr(c->bytes, ' '), *end = strchr(space + 1, ' ');
    const char *line = strstr(end, "\r\n") + 2, *crlf;

    add(f, ":method", 7, c->bytes, (size_t)(space - c->bytes));
    add(f, ":path", 5, space + 1, (size_t)(end - space) - 1);
    add(f, ":scheme", 7, o->tls ? "https" : "http", o->tls ? 5 : 4);
    for (; (crlf = strstr(line, "\r\n")) != line; line = crlf + 2) {
        const char *colon = strchr(line, ':'), *value = colon + 1;
        bool host = colon - line == 4 && strncasecmp(line, "host", 4) == 0;

        while (*value == ' ')
            value++;
        add(f, host ? ":authority" : line, host ? 10 : (size_t)(colon - line), value,
            (size_t)(crlf - value));
    }
    f->head = (size_t)(line + 2 - c->bytes);
    return f;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct conn *c = source->ptr;
    const struct class *class = c->request.class;
    size_t left = class->len - c->sent, n = left < len ? left : len;

    (void)session, (void)stream, (void)arg;
    memcpy(buffer, class->bytes + c->sent, n);
    c->sent += n;
    if (c->sent == class->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void mark_dirty(struct link *k)
{
    if (k->dirty)
        return;
    k->dirty = true;
    k->next_dirty = dirty;
    dirty = k;
}

void h2_start(struct load *l, struct conn *c)
{
    const struct class *class = c->request.class;
    unsigned index = (unsigned)(class - l->options->classes);
    nghttp2_data_provider body = { .source.ptr = c, .read_callback = read_body };
    struct fields *f = prepared[index];

    if (!f)
        f = prepared[index] = prepare(l->options, class);
    if (c->link->wire.fd < 0)
        h2_open(l, c->link);
    response_begin(&c->response, false);
    c->state = CONN_BUSY;
    c->sent = class->post ? f->head : class->len;
    l->active++;
    c->deadline = l->now + l->options->timeout;
    if (!c->link->session) { /* it could not be opened */
        conn_fail(l, c, FAIL_CONNECT, "no connection");
        return;
    }
    c->stream = nghttp2_submit_request(c->link->session, NULL, f->nv, f->count,
                                       class->post ? &body : NULL, c);
    if (c->stream < 0)
        conn_fail(l, c, FAIL_CLOSED, "no stream: %s", nghttp2_strerror(c->stream));
    mark_dirty(c->link);
}

void h2_cancel(struct load *l, struct conn *c)
{
    (void)l;
    if (!c->link->session)
        return;
    nghttp2_session_set_stream_user_data(c->link->session, c->stream, NULL);
    nghttp2_submit_rst_stream(c->link->session, NGHTTP2_FLAG_NONE, c->stream, NGHTTP2_CANCEL);
    mark_dirty(c->link);
}

/* -- what comes back --------------------------------------------------------------------------- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct conn *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags, (void)arg;
    if (c && name_len == 7 && memcmp(name, ":status", 7) == 0 && len == 3)
        c->response.status =
            (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0');
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    struct conn *c = nghttp2_session_get_stream_user_data(session, stream);

    (void)flags, (void)data, (void)arg;
    if (c)
        c->response.body.total += len;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct conn *c = nghttp2_session_get_stream_user_data(session, stream);
    struct link *k = arg;

    if (!c)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream, NULL);
    if (error)
        conn_fail(k->load, c, FAIL_CLOSED, "the stream ended with %s",
                  nghttp2_http2_strerror(error));
    else
        conn_finish(k->load, c);
    return 0;
}

static void opened(struct link *k)
{
    struct load *l = k->load;

    if (k->deadline == 0)
        return;
    k->deadline = 0;
    l->active--;
    if (l->tally.opened++ == 0)
        wire_describe(&k->wire, l->tally.tls, sizeof(l->tally.tls));
    for (uint64_t i = 0; i < l->options->connections; i++)
        if (l->conns[i].link == k && l->conns[i].state == CONN_CLOSED)
            l->conns[i].state = CONN_OPEN;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        opened(arg);
    return 0;
}

static nghttp2_session *new_session(struct link *k)
{
    static nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
    };
    nghttp2_session *session;

    if (!callbacks) {
        if (nghttp2_session_callbacks_new(&callbacks) < 0)
            die(EXIT_FAILURE, "out of memory");
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    }
    if (nghttp2_session_client_new(&session, callbacks, k) < 0 ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) < 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, LINK_WINDOW) < 0)
        die(EXIT_FAILURE, "out of memory");
    return session;
}

/* -- links ------------------------------------------------------------------------------------- */

struct link *h2_link(struct load *l, uint64_t index)
{
    return &l->links[index];
}

void h2_init(struct load *l)
{
    uint64_t streams = l->options->streams;

    l->links = must_calloc(l->options->connections / streams, sizeof(struct link));
    for (uint64_t i = 0; i < l->options->connections; i++)
        l->conns[i].link = &l->links[i % (l->options->connections / streams)];
    for (uint64_t i = 0; i < l->options->connections / streams; i++)
        l->links[i] = (struct link){ .wire.fd = -1, .load = l };
}

static void shut(struct link *k)
{
    nghttp2_session_del(k->session);
    k->session = NULL;
    wire_close(&k->wire);
    h2out_free(&k->out);
    k->ready = false;
}

void h2_close(struct load *l)
{
    for (uint64_t i = 0; i < l->options->connections / l->options->streams; i++)
        shut(&l->links[i]);
    free(l->links);
}

/* The link is of no more use; neither is what runs on it. */
static void broken(struct load *l, struct link *k, enum failure kind, const char *why)
{
    bool used = false;

    shut(k);
    if (k->deadline) {
        k->deadline = 0;
        l->active--;
        tally_fail(l, NULL, FAIL_CONNECT, "connecting: %s", why);
    }
    for (uint64_t i = 0; i < l->options->connections; i++) {
        struct conn *c = &l->conns[i];

        if (c->link != k)
            continue;
        used = used || c->state == CONN_BUSY;
        if (c->state == CONN_BUSY)
            conn_fail(l, c, kind, "%s", why);
        c->state = c->state == CONN_OPEN ? CONN_CLOSED : c->state;
    }
    l->tally.closed_by_peer += !used;
}

void h2_open(struct load *l, struct link *k)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = k,
    };
    int rc = wire_open(&k->wire, &l->options->address, l->options->tls);

    k->hup = k->ready = false;
    k->deadline = l->now + l->options->timeout;
    l->active++;
    if (rc < 0) {
        broken(l, k, FAIL_CONNECT, strerror(-rc));
        return;
    }
    k->session = new_session(k);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, k->wire.fd, &event) < 0)
        die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
}

static void fail_io(struct load *l, struct link *k, int error)
{
    broken(l, k, FAIL_RESET, wire_error(error));
}

static void send_all(struct load *l, struct link *k)
{
    int rc = k->ready ? h2out_send(&k->out, &k->wire, k->session) : 0;

    if (rc < 0 && rc != -EAGAIN)
        fail_io(l, k, -rc);
}

void h2_flush(struct load *l)
{
    while (dirty) {
        struct link *k = dirty;

        dirty = k->next_dirty;
        k->dirty = false;
        send_all(l, k);
    }
}

static void read_all(struct load *l, struct link *k)
{
    while (k->ready) {
        ssize_t n = wire_read(&k->wire, in, sizeof(in));

        if (n == -EAGAIN)
            return;
        l->now = clock_ns();
        if (n <= 0) {
            broken(l, k, n < 0 ? FAIL_RESET : FAIL_CLOSED, n < 0 ? wire_error((int)-n) : "closed");
            return;
        }
        if (nghttp2_session_mem_recv(k->session, (uint8_t *)in, (size_t)n) != n) {
            broken(l, k, FAIL_FRAMING, "no proper HTTP/2");
            return;
        }
        mark_dirty(k);
        if (!wire_more(&k->wire, (size_t)n, sizeof(in)) && !k->hup)
            return;
    }
}

void h2_event(struct load *l, struct link *k, uint32_t events)
{
    if (k->wire.fd < 0)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        k->hup = true;
    if (!k->ready) {
        int rc = wire_ready(&k->wire);

        if (rc == -EAGAIN)
            return;
        if (rc == 0 && l->options->tls && !wire_is_h2(&k->wire)) {
            broken(l, k, FAIL_CONNECT, "the server does not speak h2");
            return;
        }
        if (rc < 0) {
            fail_io(l, k, -rc);
            return;
        }
        k->ready = true;
    }
    mark_dirty(k);
    read_all(l, k); /* after a handshake as well, which reads ahead */
}

void h2_sweep(struct load *l)
{
    for (uint64_t i = 0; i < l->options->connections / l->options->streams; i++)
        if (l->links[i].deadline && l->links[i].deadline <= l->now)
            broken(l, &l->links[i], FAIL_TIMEOUT, "no connection in time");
}
