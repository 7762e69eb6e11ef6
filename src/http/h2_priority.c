/* h2_priority.c -- PRIORITY_UPDATE frames (RFC 9218 7.1).
 *
 * Of one for a stream that is not open yet nghttp2 (1.52) makes a stream, which stays in its list
 * of idle ones also when it is opened, and when it is freed. So that is not used: what comes before
 * its stream is kept here, for as many streams as may be open. */
#include <stdlib.h>

#include "codec/chars.h"
#include "http/h2_parts.h"

enum {
    ID_LEN = 4,
    FRAME_MAX = 64, /* of a longer one the beginning counts */
    URGENCY_LOWEST = 7
};

struct h2_early {
    int32_t id;
    struct h2_priority priority;
};

struct h2_priorities {
    uint8_t frame[FRAME_MAX]; /* the one that is being received */
    unsigned have;
    unsigned n;
    struct h2_early early[]; /* of streams that are not open yet */
};

/* ---- the field ------------------------------------------------------------------------------- */

/* The next member of a dictionary (RFC 8941 3.2) from the front of `*in`, without what follows its
 * value. Commas in strings part nothing. */
static weir_str next_member(weir_str *in)
{
    size_t n = 0, end = SIZE_MAX;
    bool quoted = false;
    weir_str member;

    for (; n < in->len && (quoted || in->ptr[n] != ','); n++) {
        if (in->ptr[n] == '"')
            quoted = !quoted;
        else if (quoted && in->ptr[n] == '\\')
            n++;
        else if (!quoted && in->ptr[n] == ';')
            end = MIN(end, n);
    }
    n = MIN(n, in->len);
    member = trim((weir_str){ in->ptr, MIN(n, end) });
    n += n < in->len; /* the comma */
    *in = (weir_str){ in->ptr + n, in->len - n };
    return member;
}

struct h2_priority h2_priority_parse(weir_str field)
{
    struct h2_priority p = { .urgency = 3 };

    while (field.len > 0) {
        weir_str m = next_member(&field);

        if (m.len == 3 && m.ptr[0] == 'u' && m.ptr[1] == '=' && m.ptr[2] >= '0' &&
            m.ptr[2] <= '0' + URGENCY_LOWEST)
            p.urgency = (uint8_t)(m.ptr[2] - '0');
        else if (weir_eq(m, "i") || weir_eq(m, "i=?1"))
            p.incremental = true;
        else if (weir_eq(m, "i=?0"))
            p.incremental = false;
    }
    return p;
}

/* ---- the frame ------------------------------------------------------------------------------- */

void h2_priority_begin(struct h2_conn *c)
{
    if (c->priorities == NULL)
        c->priorities =
            calloc(1, sizeof *c->priorities + c->config->max_streams * sizeof(struct h2_early));
    if (c->priorities != NULL)
        c->priorities->have = 0;
}

static int on_chunk(nghttp2_session *session, const nghttp2_frame_hd *hd, const uint8_t *data,
                    size_t len, void *conn)
{
    struct h2_conn *c = conn;
    struct h2_priorities *p = c->priorities;

    (void)session;
    (void)hd;
    if (p != NULL) {
        len = MIN(len, sizeof p->frame - p->have);
        memcpy(p->frame + p->have, data, len);
        p->have += (unsigned)len;
    }
    return 0;
}

static int unpack(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd, void *conn)
{
    (void)session;
    (void)hd;
    (void)conn;
    *payload = NULL; /* it is in c->priorities */
    return 0;
}

void h2_priority_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(cb, on_chunk);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, unpack);
}

/* ---- what it changes ------------------------------------------------------------------------- */

/* It wins over the field of the request (RFC 9218 7), which nghttp2 looks at later. */
static void change(struct h2_conn *c, int32_t id, struct h2_priority p)
{
    nghttp2_extpri extpri = { .urgency = p.urgency, .inc = p.incremental };

    h2_needed(c, nghttp2_session_change_extpri_stream_priority(c->session, id, &extpri, 1));
}

static unsigned count_open(const struct h2_conn *c)
{
    unsigned n = 0;

    for (const struct link *l = c->streams.next; l != &c->streams; l = l->next)
        n += !container_of(l, struct h2_stream, link)->closed;
    return n;
}

static void keep(struct h2_conn *c, int32_t id, struct h2_priority priority)
{
    struct h2_priorities *p = c->priorities;
    unsigned i = 0;

    while (i < p->n && p->early[i].id != id)
        i++;
    if (i == p->n && p->n + count_open(c) >= c->config->max_streams) {
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE for more streams than may be");
        return;
    }
    p->early[i] = (struct h2_early){ id, priority };
    p->n += i == p->n;
}

void h2_priority_open(struct h2_conn *c, int32_t id)
{
    struct h2_priorities *p = c->priorities;
    unsigned left = 0;

    for (unsigned i = 0; p != NULL && i < p->n; i++) {
        if (p->early[i].id == id)
            change(c, id, p->early[i].priority);
        else if (p->early[i].id > id) /* others will never be opened */
            p->early[left++] = p->early[i];
    }
    if (p != NULL)
        p->n = left;
}

void h2_priority_update(struct h2_conn *c, const nghttp2_frame_hd *hd)
{
    struct h2_priorities *p = c->priorities;
    weir_str field;
    int32_t id;

    if (!c->server)
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, "a PRIORITY_UPDATE frame of a server");
    else if (hd->stream_id != 0)
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, "a PRIORITY_UPDATE frame on a stream");
    else if (hd->length < ID_LEN)
        h2_conn_wrong(c, NGHTTP2_FRAME_SIZE_ERROR, "a PRIORITY_UPDATE frame that is too short");
    if (c->err != 0 || p == NULL)
        return;
    id = h2_frames_id(p->frame);
    field = (weir_str){ (const char *)p->frame + ID_LEN, p->have - ID_LEN };
    if (id % 2 == 0)
        h2_conn_wrong(c, NGHTTP2_PROTOCOL_ERROR, "a PRIORITY_UPDATE frame for no request");
    else if (nghttp2_session_find_stream(c->session, id) != NULL)
        change(c, id, h2_priority_parse(field));
    else if (id > nghttp2_session_get_last_proc_stream_id(c->session))
        keep(c, id, h2_priority_parse(field));
}

void h2_priority_end(struct h2_conn *c)
{
    free(c->priorities);
    c->priorities = NULL;
}
