/* events.c -- signals are blocked in all threads and read from a descriptor, so that nothing of
 * ours ever runs in a handler. */
#include "server/events.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const struct {
    int number;
    enum event event;
} watched[] = {
    { SIGTERM, EVENT_STOP },
    { SIGINT, EVENT_END },
    { SIGUSR1, EVENT_REOPEN },
};

int events_init(struct events *e)
{
    *e = (struct events){ .signals = -1 };
    e->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return e->wake >= 0 ? 0 : WEIR_EINTERNAL;
}

int events_take_signals(struct events *e)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaddset(&set, watched[i].number);
    e->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (e->signals < 0)
        return WEIR_EINTERNAL;
    pthread_sigmask(SIG_BLOCK, &set, &e->old_mask);
    sigaction(SIGPIPE, &ignore, &e->old_pipe);
    return 0;
}

void events_done(struct events *e)
{
    if (e->signals >= 0) {
        struct signalfd_siginfo late;

        /* a second signal that came while we ended would kill us once it is unblocked */
        while (read(e->signals, &late, sizeof late) > 0)
            ;
        close(e->signals);
        sigaction(SIGPIPE, &e->old_pipe, NULL);
        pthread_sigmask(SIG_SETMASK, &e->old_mask, NULL);
    }
    if (e->wake >= 0)
        close(e->wake);
    e->wake = e->signals = -1;
}

void events_wake(struct events *e)
{
    eventfd_write(e->wake, 1);
}

void events_stop(struct events *e)
{
    atomic_store(&e->stop, true);
    events_wake(e);
}

static unsigned read_signals(const struct events *e)
{
    struct signalfd_siginfo info;
    unsigned happened = 0;

    while (e->signals >= 0 && read(e->signals, &info, sizeof(info)) == sizeof(info)) {
        for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
            if (info.ssi_signo == (uint32_t)watched[i].number)
                happened |= watched[i].event;
        }
    }
    return happened;
}

unsigned events_wait(struct events *e, int ms)
{
    struct pollfd fds[] = {
        { .fd = e->wake, .events = POLLIN },
        { .fd = e->signals, .events = POLLIN }, /* poll passes over a negative one */
    };
    eventfd_t count;
    unsigned happened = 0;

    if (poll(fds, ARRAY_LEN(fds), ms) < 0)
        return 0; /* a signal that the program kept for itself */
    if (eventfd_read(e->wake, &count) == 0)
        happened |= EVENT_WOKEN;
    if (!e->stop_seen && atomic_load(&e->stop)) {
        e->stop_seen = true;
        happened |= EVENT_STOP;
    }
    return happened | read_signals(e);
}
