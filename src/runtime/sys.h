/* sys.h -- system calls as functions that return -errno. Nothing else in the project looks at
 * errno: its address may be cached by the compiler across a call that resumes on another thread
 * (RUNTIME.md B4). Each retries EINTR where that is right. This is also where calls are counted
 * (WEIR_COUNT). */
#ifndef RUNTIME_SYS_H
#define RUNTIME_SYS_H

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

ssize_t sys_recv(int fd, void *buf, size_t len, int flags);
ssize_t sys_send(int fd, const void *buf, size_t len, int flags); /* MSG_NOSIGNAL is added */
ssize_t sys_writev(int fd, const struct iovec *iov, int n, int flags); /* sendmsg; the same */
ssize_t sys_read(int fd, void *buf, size_t len);
ssize_t sys_write(int fd, const void *buf, size_t len);
int sys_socket(int domain, int type, int protocol); /* CLOEXEC and NONBLOCK are added */
int sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
int sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int sys_listen(int fd, int backlog);
int sys_accept(int fd, struct sockaddr_storage *addr, socklen_t *len); /* CLOEXEC, NONBLOCK */
int sys_close(int fd);
int sys_shutdown(int fd, int how);
int sys_outq(int fd); /* bytes of a socket that were written and the peer has not taken yet */
int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int sys_epoll_create(void); /* CLOEXEC */
int sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
/* Sleeps for at most `span` ns, INT64_MAX: until there is an event. 0 also when interrupted. */
int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int64_t span);
int sys_eventfd(void); /* CLOEXEC, NONBLOCK, from 0 */
int sys_pipe(int fd[2], int size); /* CLOEXEC, NONBLOCK; for `size` bytes where that is allowed */
ssize_t sys_splice(int from, int to, size_t len); /* never blocks on the pipe */

/* What one of these returned becomes errno: for a library that we were called by, and that looks at
 * it as soon as we return. The calls themselves may leave errno as it was. */
void sys_tell(ssize_t error);

/* A thread that is started before `*before` is set again gets no signals, which are the program's,
 * but for those of its own faults: a fault that is blocked kills the process without a word. */
void sys_signals_block(sigset_t *before);
void sys_signals_set(const sigset_t *before);

/* After sys_barriers has said yes once: all threads of this process have passed a full barrier when
 * it returns. */
bool sys_barriers(void);
void sys_barrier(void);

#define SYS_CALLS(X) \
    X(recv) \
    X(send) X(writev) X(read) X(write) X(socket) X(connect) X(bind) X(listen) X(accept) X(close) \
        X(shutdown) X(outq) X(setsockopt) X(getsockopt) X(epoll_create) X(epoll_ctl) X(epoll_wait) \
            X(eventfd) X(pipe) X(splice)

enum sys_call {
#define X(name) CALL_##name,
    SYS_CALLS(X)
#undef X
        CALL_COUNT
};

/* How often each was called since the start, by all threads; zeros in a build without WEIR_COUNT. A
 * retried call counts each time. */
struct sys_counts {
    uint64_t calls[CALL_COUNT];
};
void sys_counts(struct sys_counts *out);

extern const char *const sys_names[CALL_COUNT];

#endif
