/* h2out.c -- see h2out.h. */
#include "common/h2out.h"

#include "common/tool.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_SIZE = 64 << 10, FRAME_MAX = (16 << 10) + 9 };

static char out[WRITE_SIZE + FRAME_MAX];

/* As many frames as one write takes; their length. */
static size_t gather(struct nghttp2_session *session)
{
    size_t len = 0;

    while (len < WRITE_SIZE) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(session, &frame);

        if (n <= 0)
            break;
        memcpy(out + len, frame, (size_t)n);
        len += (size_t)n;
    }
    return len;
}

/* 0 or -errno; with -EAGAIN what the wire does not take is kept. */
static int write_or_keep(struct h2out *o, struct wire *w, const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = wire_write(w, data + at, len - at);

        if (n == -EAGAIN) {
            o->rest = must_calloc(1, len - at);
            o->rest_len = len - at;
            memcpy(o->rest, data + at, len - at);
        }
        if (n < 0)
            return (int)n;
        at += (size_t)n;
    }
    return 0;
}

int h2out_send(struct h2out *o, struct wire *w, struct nghttp2_session *session)
{
    int rc = 0;
    size_t len;

    if (o->rest) {
        char *rest = o->rest;

        o->rest = NULL;
        rc = write_or_keep(o, w, rest, o->rest_len);
        free(rest);
    }
    while (rc == 0 && (len = gather(session)) > 0)
        rc = write_or_keep(o, w, out, len);
    return rc;
}

void h2out_free(struct h2out *o)
{
    free(o->rest);
    o->rest = NULL;
}
