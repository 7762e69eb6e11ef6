/* sim_kernel.c -- the kernel of the simulation: sockets that only know how much is unread, epolls
 * with edge-triggered sockets and one level-triggered eventfd each. As in Linux a change makes an
 * entry ready, and what it reports is looked up when a poller fetches it. */
#include "sim_kernel.h"

#include <errno.h>

enum { FILES = 32 };

static struct file {
    enum sim_state state;
    unsigned unread;
    bool fin, reset;
    int epoll; /* 0: in none */
    uint32_t asked;
    bool changed;
    uint64_t data;
} files[FILES];

static uint64_t eventfds[SIM_WORKERS];

void sim_kernel_begin(void)
{
    memset(files, 0, sizeof files);
    memset(eventfds, 0, sizeof eventfds);
}

static uint32_t state_of(const struct file *f)
{
    switch (f->state) {
    case SIM_NEW:
        return EPOLLOUT | EPOLLHUP; /* a socket before connect() */
    case SIM_OPEN:
        return EPOLLOUT | (f->unread > 0 ? EPOLLIN : 0) | (f->fin ? EPOLLIN | EPOLLRDHUP : 0) |
               (f->reset ? EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR : 0);
    default:
        return 0;
    }
}

static uint32_t mask_of(const struct file *f)
{
    return state_of(f) & (f->asked | EPOLLHUP | EPOLLERR);
}

/* --- what befalls sockets --- */

int sim_socket(enum sim_state state)
{
    int fd = 1;

    while (files[fd].state != SIM_FREE)
        must(++fd < FILES);
    files[fd] = (struct file){ .state = state };
    return fd;
}

int sim_find(enum sim_state state)
{
    for (int fd = 1; fd < FILES; fd++)
        if (files[fd].state == state)
            return fd;
    return 0;
}

void sim_data(int fd, unsigned bytes)
{
    files[fd].unread += bytes;
    files[fd].changed = true;
}

void sim_fin(int fd)
{
    files[fd].fin = files[fd].changed = true;
}

void sim_reset(int fd)
{
    files[fd].reset = files[fd].changed = true;
}

void sim_connected(int fd)
{
    files[fd].state = SIM_OPEN;
    files[fd].changed = true;
}

unsigned sim_unread(int fd)
{
    return files[fd].unread;
}

/* --- system calls --- */

int sim_close(int fd)
{
    step(STEP_CALL, &files[fd], __func__);
    files[fd] = (struct file){ .state = SIM_FREE };
    return 0;
}

int sim_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)addr, (void)len;
    step(STEP_CALL, &files[fd], __func__);
    files[fd].state = SIM_CONNECTING;
    return -EINPROGRESS;
}

int sim_sys_socket(int domain, int type, int protocol)
{
    (void)domain, (void)type, (void)protocol;
    return sim_socket(SIM_NEW);
}

int sim_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)fd, (void)level, (void)name, (void)value, (void)len;
    return 0;
}

/* SO_ERROR is all that is asked for. */
int sim_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    (void)level, (void)name, (void)len;
    step(STEP_CALL, &files[fd], __func__);
    *(int *)value = files[fd].reset ? ECONNREFUSED : 0;
    return 0;
}

ssize_t sim_recv(int fd, void *buf, size_t len, int flags)
{
    struct file *f = &files[fd];
    unsigned n;

    step(STEP_CALL, f, __func__);
    if (f->reset)
        return -ECONNRESET;
    if (f->unread == 0)
        return f->fin ? 0 : -EAGAIN;
    n = (unsigned)MIN(len, f->unread);
    memset(buf, 'x', n);
    if (!(flags & MSG_PEEK))
        f->unread -= n;
    return n;
}

ssize_t sim_read(int fd, void *buf, size_t len)
{
    step(STEP_CALL, &eventfds[fd - SIM_EVENTFD], __func__);
    memcpy(buf, &eventfds[fd - SIM_EVENTFD], len);
    eventfds[fd - SIM_EVENTFD] = 0;
    return (ssize_t)len;
}

ssize_t sim_write(int fd, const void *buf, size_t len)
{
    (void)buf;
    step(STEP_CALL, &eventfds[fd - SIM_EVENTFD], __func__);
    eventfds[fd - SIM_EVENTFD]++;
    return (ssize_t)len;
}

int sim_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    struct file *f = &files[fd];

    step(STEP_CALL, f, __func__);
    must(op == EPOLL_CTL_ADD ? f->epoll == 0 : op == EPOLL_CTL_MOD && f->epoll == epoll);
    must((event->events | EPOLLOUT) == (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
    f->epoll = epoll;
    f->asked = event->events;
    f->data = event->data.u64;
    f->changed = true;
    return 0;
}

static bool ready(const struct file *f, int epoll)
{
    return f->state != SIM_FREE && f->epoll == epoll && f->changed && mask_of(f) != 0;
}

static bool something(void *arg)
{
    int id = *(int *)arg;

    for (int i = 0; i < FILES; i++)
        if (ready(&files[i], SIM_EPOLL + id))
            return true;
    return eventfds[id] > 0;
}

static int fetch(int epoll, struct epoll_event *events, int max)
{
    int n = 0;

    for (int i = 0; i < FILES && n < max; i++)
        if (ready(&files[i], epoll)) {
            files[i].changed = false;
            events[n].events = mask_of(&files[i]);
            events[n++].data.u64 = files[i].data;
        }
    if (eventfds[epoll - SIM_EPOLL] > 0 && n < max) {
        events[n].events = EPOLLIN;
        events[n++].data.u64 =
            (uint64_t)EVENT_WAKE << EVENT_KIND_SHIFT | (uint64_t)(epoll - SIM_EPOLL);
    }
    return n;
}

int sim_epoll_wait(int epoll, struct epoll_event *events, int max, int64_t span)
{
    int64_t until = span == INT64_MAX ? INT64_MAX : sim_time() + span;
    int id = epoll - SIM_EPOLL, n;

    step(STEP_CALL, NULL, __func__);
    while ((n = fetch(epoll, events, max)) == 0 && sim_time() < until && !sim_over())
        sim_block(something, &id, until);
    return n;
}

int sim_harvest(unsigned i, struct epoll_event *events, int max)
{
    return fetch(SIM_EPOLL + (int)i, events, max);
}
