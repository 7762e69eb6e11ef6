/* h2_admit.c -- which requests of a client run, which wait, and which are refused.
 *
 * As many as were advertised may run, counting also streams that were reset and whose strand is not
 * yet through with it: an origin never has more of this connection's requests than that
 * (CVE-2023-44487). As many again may wait for one of them to end: to the client a stream is over
 * with its last frame, while its strand still has a line to log. Beyond that they are refused. */
#include "http/h2_parts.h"

static int refuse(struct h2_conn *c, int32_t id)
{
    h2_spend(c, H2_COST_RESET, "too many streams that had to be refused");
    h2_send_reset(c, id, NGHTTP2_REFUSED_STREAM);
    return 0;
}

int h2_admit_new(struct h2_conn *c, int32_t id)
{
    struct h2_stream *st;

    if (c->running + c->begun >= 2 * c->config->max_streams)
        return refuse(c, id);
    st = h2_stream_new(c);
    if (st == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->begun++;
    st->id = id;
    h2_stream_list(st);
    nghttp2_session_set_stream_user_data(c->session, id, st);
    return 0;
}

void h2_admit_ready(struct h2_conn *c, struct h2_stream *st)
{
    c->requests++;
    *c->born_end = st;
    c->born_end = &st->next_post;
}

static void start(struct h2_conn *c, struct h2_stream *st)
{
    st->started = true;
    c->begun--;
    c->running++;
    atomic_fetch_add_explicit(&c->users, 1, memory_order_relaxed);
    if (c->config->open(st, c->owner) == 0)
        return;
    c->running--;
    atomic_fetch_sub_explicit(&c->users, 1, memory_order_relaxed);
    st->dropped = true;
    h2_credit_rest(st);
    h2_stream_reset(st, NGHTTP2_REFUSED_STREAM);
    event_set(&c->wake); /* there is something to send */
}

/* Nobody waits for what has ended: those that still wait are freed with it. */
void h2_admit_start(struct h2_conn *c)
{
    struct h2_stream *st = c->born, *next;

    if (c->eof || c->err != 0)
        return;
    c->born = NULL;
    c->born_end = &c->born;
    for (; st != NULL; st = next) {
        next = st->next_post;
        st->next_post = NULL;
        if (!st->closed && c->running >= c->config->max_streams) {
            *c->born_end = st;
            c->born_end = &st->next_post;
            continue;
        }
        if (st->closed) {
            h2_credit_rest(st);
            event_set(&c->wake);
            h2_stream_free(st);
        } else {
            start(c, st);
        }
    }
}
