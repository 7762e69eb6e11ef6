/* hold.c -- open connections that do nothing: what a proxy's memory is measured with. */
#include "load/load.h"

#include "common/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* stdin's end is noticed where stdin can be waited for; a file or /dev/null cannot. */
static void watch_stdin(struct load *l)
{
    struct epoll_event event = { .events = EPOLLIN };

    epoll_ctl(l->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
}

static bool all_sent(const struct load *l)
{
    for (uint64_t i = 0; i < l->options->connections; i++) {
        const struct conn *c = &l->conns[i];

        if (c->state == CONN_OPENING || (c->state == CONN_BUSY && c->sent < c->request.class->len))
            return false;
    }
    return true;
}

/* One request on each connection, whose answers are not waited for. */
static void send_one_each(struct load *l)
{
    l->options->timeout = UINT64_MAX / 2; /* they may wait for as long as they are held */
    demand_begin(&l->demand, l->options, l->options->connections, 0, l->now);
    load_dispatch(l);
    while (!all_sent(l))
        load_turn(l, UINT64_MAX);
}

void load_hold(struct load *l)
{
    uint64_t end;

    l->tally.begin = l->tally.last = clock_ns();
    load_connect(l);
    if (l->options->hold == HOLD_SERVED)
        load_phase(l, l->options->connections, 0);
    if (l->options->hold == HOLD_WAITING)
        send_one_each(l);
    watch_stdin(l);
    puts("{\"ready\":true}");
    fflush(stdout);
    end = clock_ns() + l->options->span;
    while (!l->stdin_over && l->now < end)
        load_turn(l, end);
}
