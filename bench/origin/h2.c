/* h2.c -- see h2.h. */
#include "origin/h2.h"

#include "common/h2out.h"
#include "common/tool.h"
#include "origin/page.h"
#include "origin/serve.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 64 << 10, STREAMS = 1000, WINDOW = 1 << 20, LINK_WINDOW = 1 << 26 };

struct h2 {
    nghttp2_session *session;
    struct h2out out;
};

struct stream {
    uint64_t body, sent; /* of the answer */
    bool head_only;
};

static char in[READ_SIZE];

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *s = must_calloc(1, sizeof(*s));

    (void)arg;
    s->body = page_wanted("/", 1);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags, (void)arg;
    if (s && name_len == 5 && memcmp(name, ":path", 5) == 0)
        s->body = page_wanted((const char *)value, len);
    if (s && name_len == 7 && memcmp(name, ":method", 7) == 0)
        s->head_only = len == 4 && memcmp(value, "HEAD", 4) == 0;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    (void)session, (void)flags, (void)stream, (void)data, (void)arg;
    serve_counters.body_in += len;
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct stream *s = source->ptr;
    uint64_t left = s->body - s->sent;
    size_t n = left < len ? (size_t)left : len;

    (void)session, (void)stream, (void)arg;
    memcpy(buffer, page_filler, n); /* a frame is shorter than the filler */
    s->sent += n;
    serve_counters.body_out += n;
    if (s->sent == s->body)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define FIELD(n, v, len) \
    (nghttp2_nv) \
    { \
        .name = (uint8_t *)(n), .namelen = strlen(n), .value = (uint8_t *)(v), .valuelen = (len) \
    }

/* The request is here to its end. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    nghttp2_data_provider body = { .source.ptr = s, .read_callback = read_body };
    char length[24];

    (void)arg;
    if (!s || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    snprintf(length, sizeof(length), "%ju", (uintmax_t)s->body);
    serve_counters.requests++;
    return nghttp2_submit_response(session, frame->hd.stream_id,
                                   (nghttp2_nv[]){
                                       FIELD(":status", "200", 3),
                                       FIELD("content-length", length, strlen(length)),
                                       FIELD("content-type", "text/plain", 10),
                                   },
                                   3, s->head_only || s->body == 0 ? NULL : &body);
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    (void)error, (void)arg;
    free(nghttp2_session_get_stream_user_data(session, stream));
    return 0;
}

struct h2 *h2_new(void)
{
    static nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
    };
    struct h2 *h = must_calloc(1, sizeof(*h));

    if (!callbacks) {
        if (nghttp2_session_callbacks_new(&callbacks) < 0)
            die(EXIT_FAILURE, "out of memory");
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    }
    if (nghttp2_session_server_new(&h->session, callbacks, h) < 0 ||
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) < 0 ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, LINK_WINDOW) < 0)
        die(EXIT_FAILURE, "out of memory");
    return h;
}

void h2_free(struct h2 **h)
{
    if (!*h)
        return;
    nghttp2_session_del((*h)->session); /* it calls on_close for what is open */
    h2out_free(&(*h)->out);
    free(*h);
    *h = NULL;
}

bool h2_serve(struct h2 *h, struct wire *w)
{
    ssize_t n;
    int rc;

    while ((n = wire_read(w, in, sizeof(in))) > 0)
        if (nghttp2_session_mem_recv(h->session, (uint8_t *)in, (size_t)n) != n) {
            serve_counters.refused++;
            fprintf(stderr, "origin: refused: no proper HTTP/2\n");
            return false;
        }
    if (n != -EAGAIN)
        return false;
    rc = h2out_send(&h->out, w, h->session);
    return rc == 0 || rc == -EAGAIN;
}
