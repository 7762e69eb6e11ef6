/* h2_write.c -- heads and bodies to a stream, by the strand that serves it. */
#include <stdlib.h>

#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum {
    COPY_MAX = 4096,        /* a piece up to this size is copied, and its writer goes on */
    QUEUED_MAX = 16 * 1024, /* so many copied bytes may wait to be sent */
};

/* What is written, as one or two pieces for the connection. */
static int make_out(struct h2_stream *st, const struct http_message *m, weir_str piece, bool end,
                    bool lend, struct h2_out **out)
{
    const struct weir_head *trailers = end ? st->http.send_trailers : NULL;
    weir_str copy = lend ? (weir_str){ NULL, 0 } : piece;
    struct h2_out *o;

    if (m != NULL) {
        o = st->conn->server ? h2_print_response(m, copy)
                             : h2_print_request(m, copy, st->conn->https);
    } else {
        o = malloc(sizeof *o + copy.len);
        if (o != NULL) {
            *o = (struct h2_out){ .kind = H2_OUT_DATA, .len = copy.len };
            o->data = (char *)(o + 1);
            if (copy.len > 0)
                memcpy(o + 1, copy.ptr, copy.len);
        }
    }
    if (o == NULL)
        return WEIR_ENOMEM;
    if (lend) {
        o->borrowed = true;
        o->data = piece.ptr;
        o->len = piece.len;
    }
    o->end = end && trailers == NULL;
    if (trailers != NULL) {
        o->next = h2_print_trailers(trailers);
        if (o->next == NULL) {
            h2_out_free(o);
            return WEIR_ENOMEM;
        }
    }
    *out = o;
    return 0;
}

/* What the peer has taken meanwhile, as only the connection knows. While that waits for the socket
 * it does not answer; it has the same deadline and the same rate for that. */
static int ask_taken(struct h2_stream *st, const struct pace *pace, struct h2_taken *taken)
{
    spin_lock(&st->lock);
    st->judged = false;
    spin_unlock(&st->lock);
    h2_post(st, H2_POST_LATE);
    for (;;) {
        bool judged;
        int err;

        spin_lock(&st->lock);
        *taken = st->taken;
        judged = st->judged;
        err = st->error;
        spin_unlock(&st->lock);
        if (judged)
            return 0;
        if (err < 0)
            return err;
        TRY(event_wait(&st->out_event, pace->limit));
    }
}

/* The peer has taken too long, seen from `since`; but is it the one that the stream waits for? 0:
 * it is given more time. */
static int excuse(struct h2_stream *st, struct pace *pace, int64_t since, int err)
{
    struct h2_taken taken;
    weir_dur waited;

    if (rt_now() >= pace->limit.at || (err != pace->gap_err && err != pace->rate_err))
        return err;
    TRY(ask_taken(st, pace, &taken));
    waited = MAX(rt_now() - since, 0);
    if (taken.own + taken.others == 0)
        return err;
    pace->bytes += taken.own;
    if (pace->min_rate > 0)
        waited -= MIN(waited, pace_earned(taken.others, pace->min_rate));
    pace->waited += waited;
    return 0;
}

/* Waits until what was lent is taken, or what is queued has become less. */
static int await_room(struct h2_stream *st, struct pace *pace)
{
    for (;;) {
        int64_t since = rt_now();
        struct deadline until = pace_next(pace, since);
        bool wait;
        int rc;

        spin_lock(&st->lock);
        rc = st->error;
        wait = st->lent || st->queued > QUEUED_MAX;
        spin_unlock(&st->lock);
        if (!wait)
            return 0;
        if (rc < 0)
            return rc;
        rc = until.at > since ? event_wait(&st->out_event, until) : until.err;
        if (rc == 0)
            pace->waited += MAX(rt_now() - since, 0);
        else
            TRY(excuse(st, pace, since, rc));
    }
}

/* The writer leaves: nobody may look at its piece any more. Who reads is told the cause. */
static void withdraw(struct h2_stream *st, int err)
{
    spin_lock(&st->lock);
    st->withdrawn = true;
    if (st->error == 0)
        st->error = err;
    spin_unlock(&st->lock);
    event_set(&st->in_event);
    h2_post(st, H2_POST_RESET);
}

static int push_out(struct h2_stream *st, struct h2_out *o, bool lend)
{
    int rc;

    spin_lock(&st->lock);
    rc = st->error;
    if (rc == 0) {
        *st->out_end = o;
        st->lent = lend || o->kind == H2_OUT_INTERIM; /* they count no bytes, but may be many */
        if (!lend)
            st->queued += o->len;
        while (o->next != NULL)
            o = o->next;
        st->out_end = &o->next;
    }
    spin_unlock(&st->lock);
    if (rc < 0)
        h2_out_free(o);
    else
        h2_post(st, H2_POST_OUT);
    return rc;
}

int h2_write(struct http_stream *http, const struct http_message *m, weir_str piece, bool end,
             struct pace *pace)
{
    struct h2_stream *st = h2_of(http);
    bool interim = m != NULL && m->head->status != 0 && m->head->status < 200 && !m->tunnel;
    bool bodyless = m != NULL && m->framing.mode == BODY_NONE && !m->tunnel;
    bool lend = piece.len > COPY_MAX;
    uint64_t before = pace->bytes;
    struct h2_out *o;
    int rc;

    TRY(co_check());
    if (interim || bodyless)
        lend = false;
    if (interim)
        end = false;
    else if (bodyless)
        end = true;
    if (m == NULL && piece.len == 0 && !end)
        return 0;
    TRY(make_out(st, m, interim || bodyless ? LIT("") : piece, end, lend, &o));
    TRY(push_out(st, o, lend));
    if (m != NULL && !interim)
        http->head_sent = true;
    rc = await_room(st, pace);
    if (rc < 0) {
        withdraw(st, rc);
        return rc;
    }
    pace->bytes = before + piece.len; /* what was taken of it amid the wait is in that */
    if (end)
        http->message_sent = true;
    return 0;
}
