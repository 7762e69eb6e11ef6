/* run.c -- the loop of the load generator. */
#include "load/load.h"

#include "common/tool.h"
#include "load/h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    BATCH = 256,
    MAX_OPENING = 256,   /* connections being opened at the same time by load_connect */
    MAX_FAILURES = 1000, /* beyond that a run proves nothing more */
};

static const uint64_t sweep_every = 100 * NS_PER_MS;

void load_init(struct load *l, struct options *options)
{
    *l = (struct load){
        .options = options,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .conns = must_calloc(options->connections, sizeof(struct conn)),
        .now = clock_ns(),
    };
    if (l->epoll < 0)
        die(EXIT_FAILURE, "epoll_create1: %s", strerror(errno));
    l->free_end = &l->free;
    for (uint64_t i = 0; i < options->connections; i++) {
        l->conns[i].wire = (struct wire){ .fd = -1, .resume = options->resume };
        l->conns[i].deadline = UINT64_MAX;
        free_put(l, &l->conns[i]);
    }
    if (options->h2)
        h2_init(l);
}

void load_close(struct load *l)
{
    for (uint64_t i = 0; i < l->options->connections; i++) {
        response_end(&l->conns[i].response);
        wire_close(&l->conns[i].wire);
        wire_forget(&l->conns[i].wire);
    }
    if (l->links)
        h2_close(l);
    free(l->conns);
    close(l->epoll);
}

static void sweep(struct load *l)
{
    for (uint64_t i = 0; i < l->options->connections; i++)
        if (l->conns[i].deadline <= l->now)
            conn_expired(l, &l->conns[i]);
    if (l->links)
        h2_sweep(l);
    l->sweep = l->now + sweep_every;
}

int load_wait(int epoll, struct epoll_event *batch, int size, uint64_t now, uint64_t until)
{
    uint64_t left = until > now ? until - now : 0;
    struct timespec wait = { .tv_sec = (time_t)(left / NS_PER_SEC),
                             .tv_nsec = (long)(left % NS_PER_SEC) };
    int n = epoll_pwait2(epoll, batch, size, &wait, NULL);

    if (n < 0 && errno != EINTR)
        die(EXIT_FAILURE, "epoll_wait: %s", strerror(errno));
    return n;
}

void load_turn(struct load *l, uint64_t until)
{
    struct epoll_event batch[BATCH];
    int n;

    if (l->links)
        h2_flush(l);
    n = load_wait(l->epoll, batch, BATCH, l->now, until < l->sweep ? until : l->sweep);
    l->now = clock_ns();
    for (int i = 0; i < n; i++) {
        if (batch[i].data.ptr && l->links)
            h2_event(l, batch[i].data.ptr, batch[i].events);
        else if (batch[i].data.ptr)
            conn_event(l, batch[i].data.ptr, batch[i].events);
        else if (read(STDIN_FILENO, &(char){ 0 }, 1) <= 0)
            l->stdin_over = true;
    }
    if (l->now >= l->sweep)
        sweep(l);
}

void load_connect(struct load *l)
{
    uint64_t count = l->options->connections / l->options->streams;

    for (uint64_t i = 0; i < count; i++) {
        if (l->links)
            h2_open(l, h2_link(l, i));
        else
            conn_open(l, free_take(l));
        while (l->active >= MAX_OPENING)
            load_turn(l, UINT64_MAX);
        if (l->tally.failures >= MAX_FAILURES)
            break;
    }
    while (l->active > 0)
        load_turn(l, UINT64_MAX);
}

void load_dispatch(struct load *l)
{
    struct request request;

    while (l->free && demand_take(&l->demand, l->now, l->active, &request))
        conn_start(l, free_take(l), request);
}

/* Gives up a phase that cannot come to a good end. */
static void give_up_if_hopeless(struct load *l)
{
    struct demand *d = &l->demand;
    bool late = d->end && d->end < UINT64_MAX && l->now > d->end + l->options->timeout;

    if (late || l->tally.failures >= MAX_FAILURES)
        for (uint64_t missed = demand_stop(d, l->now); missed > 0; missed--)
            tally_fail(l, NULL, FAIL_UNSENT, "no connection was free for a request that was due");
}

void load_phase(struct load *l, uint64_t requests, uint64_t span)
{
    l->now = clock_ns();
    demand_begin(&l->demand, l->options, requests, span, l->now);
    while (l->active > 0 || !demand_over(&l->demand, l->now)) {
        load_dispatch(l);
        if (l->active > 0 || !demand_over(&l->demand, l->now))
            load_turn(l, demand_next(&l->demand, l->now));
        give_up_if_hopeless(l);
    }
}
