/* sys.c -- see sys.h. */
#include "runtime/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/inject.h"
#include "runtime/sanitize.h"

const char *const sys_names[CALL_COUNT] = {
#define X(name) [CALL_##name] = #name,
    SYS_CALLS(X)
#undef X
};

static _Atomic uint64_t counts[CALL_COUNT];

#ifdef WEIR_COUNT
static void count(enum sys_call call)
{
    atomic_fetch_add_explicit(&counts[call], 1, memory_order_relaxed);
}
#else
static void count(enum sys_call call)
{
    (void)call;
}
#endif

void sys_counts(struct sys_counts *out)
{
    for (size_t i = 0; i < CALL_COUNT; i++)
        out->calls[i] = atomic_load_explicit(&counts[i], memory_order_relaxed);
}

/* What each call may fail with, in a build that injects faults; nothing that would be a lie, such
 * as EAGAIN where there are bytes, or a close that left the descriptor open. */
enum { WAYS = 4 };
static const uint8_t ways_to_fail[CALL_COUNT][WAYS] = {
    [CALL_recv] = { EINTR, ECONNRESET, ETIMEDOUT, ENOMEM },
    [CALL_send] = { EINTR, ECONNRESET, EPIPE, ENOBUFS },
    [CALL_writev] = { EINTR, ECONNRESET, EPIPE, ENOMEM },
    [CALL_read] = { EINTR, EINTR, EINTR, EINTR },
    [CALL_write] = { EINTR, EINTR, EINTR, EINTR },
    [CALL_socket] = { EMFILE, ENFILE, ENOBUFS, ENOMEM },
    [CALL_connect] = { ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL, ENETUNREACH },
    [CALL_bind] = { EADDRINUSE, EACCES, ENOMEM, EADDRNOTAVAIL },
    [CALL_listen] = { EADDRINUSE, EADDRINUSE, EADDRINUSE, EADDRINUSE },
    [CALL_accept] = { EINTR, EMFILE, ENFILE, ECONNABORTED },
    [CALL_shutdown] = { ENOTCONN, ENOTCONN, ENOTCONN, ENOTCONN },
    [CALL_outq] = { ENOMEM, ENOTTY, ENOMEM, ENOTTY },
    [CALL_setsockopt] = { ENOBUFS, ENOMEM, EINVAL, ENOPROTOOPT },
    [CALL_getsockopt] = { ENOBUFS, ENOMEM, ENOBUFS, ENOMEM },
    [CALL_epoll_create] = { EMFILE, ENFILE, ENOMEM, EMFILE },
    [CALL_epoll_ctl] = { ENOMEM, ENOSPC, ENOMEM, ENOSPC },
    [CALL_epoll_wait] = { EINTR, EINTR, EINTR, EINTR },
    [CALL_eventfd] = { EMFILE, ENFILE, ENOMEM, ENODEV },
    [CALL_pipe] = { EMFILE, ENFILE, EMFILE, ENFILE },
    [CALL_splice] = { EINTR, ENOMEM, EINTR, ENOMEM },
};

/* The error that this call shall fail with; 0: it shall not. */
static int failure(enum sys_call call)
{
    uint32_t roll = inject_roll();

    return roll == 0 ? 0 : ways_to_fail[call][roll >> 1 & (WAYS - 1)];
}

/* The same for a connection; one that is said to be broken breaks. */
static int broken(enum sys_call call, int fd)
{
    int err = failure(call);

    if (err == ECONNRESET || err == EPIPE || err == ETIMEDOUT)
        shutdown(fd, SHUT_RDWR);
    return err;
}

/* How much of `len` is moved: all of it, or less. */
static size_t cut(size_t len)
{
    uint32_t roll = len > 1 ? inject_roll() : 0;

    return roll == 0 ? len : 1 + roll % (len - 1);
}

/* ONCE does not retry, RETRY does on EINTR; HONEST never fails by injection. */
#define HONEST(name, call) (count(CALL_##name), call)
#define UNLESS(failed, name, call) \
    ({ \
        int failed_ = failed; \
        failed_ != 0 ? -failed_ : HONEST(name, call); \
    })
#define AGAIN(call) \
    ({ \
        ssize_t result_; \
        do \
            result_ = call; \
        while (result_ == -EINTR); \
        result_; \
    })
#define ONCE(name, call)     UNLESS(failure(CALL_##name), name, call)
#define RETRY(name, call)    AGAIN(ONCE(name, call))
#define TRANSFER(name, call) AGAIN(UNLESS(broken(CALL_##name, fd), name, call))

/* Stays a call even under link-time optimisation: inlined into a coroutine, two of them around a
 * park would share one address of errno, that of the old thread. */
static SELDOM ssize_t reason(void)
{
    return -errno;
}

/* The result of a function of the C library, with -errno for -1. */
static ssize_t libc(ssize_t result)
{
    return likely(result >= 0) ? result : reason();
}

/* The calls of a request, and of a client's connection, without the C library's functions: those
 * are points at which a thread may be cancelled, which in a process of several threads takes two
 * locked instructions each. Sanitizers have to see the functions. */
enum { DIRECT = !SANITIZE_ADDRESS && !SANITIZE_THREAD };

/* The kernel's own result is -errno. */
#if defined(__x86_64__)
static inline ssize_t kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    ssize_t result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#else
static inline ssize_t kernel(long number, long a, long b, long c, long d, long e, long f)
{
    return libc(syscall(number, a, b, c, d, e, f));
}
#endif

static ssize_t direct_recv(int fd, void *buf, size_t len, int flags)
{
    return DIRECT ? kernel(SYS_recvfrom, fd, (long)buf, (long)len, flags, 0, 0)
                  : libc(recv(fd, buf, len, flags));
}

static ssize_t direct_send(int fd, const void *buf, size_t len, int flags)
{
    return DIRECT ? kernel(SYS_sendto, fd, (long)buf, (long)len, flags, 0, 0)
                  : libc(send(fd, buf, len, flags));
}

static ssize_t direct_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return DIRECT ? kernel(SYS_sendmsg, fd, (long)msg, flags, 0, 0, 0)
                  : libc(sendmsg(fd, msg, flags));
}

static ssize_t direct_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

    return DIRECT ? kernel(SYS_accept4, fd, (long)addr, (long)len, flags, 0, 0)
                  : libc(accept4(fd, addr, len, flags));
}

static ssize_t direct_close(int fd)
{
    return DIRECT ? kernel(SYS_close, fd, 0, 0, 0, 0, 0) : libc(close(fd));
}

/* Whole milliseconds, rounded up, are what every kernel knows; from 5.11 on it takes a finer
 * span. */
static ssize_t direct_epoll_wait(int epoll, struct epoll_event *events, int max, int64_t span)
{
    static atomic_bool coarse = !DIRECT;
    struct timespec fine = { .tv_sec = span / WEIR_SEC, .tv_nsec = span % WEIR_SEC };
    int ms = span == INT64_MAX ? -1 : (int)MIN((span + WEIR_MS - 1) / WEIR_MS, INT_MAX);

    if (ms > 0 && span % WEIR_MS != 0 && !atomic_load_explicit(&coarse, memory_order_relaxed)) {
        ssize_t n = kernel(SYS_epoll_pwait2, epoll, (long)events, max, (long)&fine, 0, 0);

        if (n != -ENOSYS && n != -EPERM) /* as a filter of calls may say */
            return n;
        atomic_store_explicit(&coarse, true, memory_order_relaxed);
    }
    return DIRECT ? kernel(SYS_epoll_pwait, epoll, (long)events, max, ms, 0, 0)
                  : libc(epoll_wait(epoll, events, max, ms));
}

static ssize_t direct_splice(int from, int to, size_t len)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

    return DIRECT ? kernel(SYS_splice, from, 0, to, 0, (long)len, flags)
                  : libc(splice(from, NULL, to, NULL, len, flags));
}

ssize_t sys_recv(int fd, void *buf, size_t len, int flags)
{
    return TRANSFER(recv, direct_recv(fd, buf, cut(len), flags));
}

ssize_t sys_send(int fd, const void *buf, size_t len, int flags)
{
    return TRANSFER(send, direct_send(fd, buf, cut(len), flags | MSG_NOSIGNAL));
}

ssize_t sys_writev(int fd, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
    struct iovec part = { iov[0].iov_base, cut(iov[0].iov_len) };

    if (part.iov_len < iov[0].iov_len) {
        msg.msg_iov = &part;
        msg.msg_iovlen = 1;
    }
    return TRANSFER(writev, direct_sendmsg(fd, &msg, flags | MSG_NOSIGNAL));
}

ssize_t sys_read(int fd, void *buf, size_t len)
{
    return RETRY(read, libc(read(fd, buf, len)));
}

ssize_t sys_write(int fd, const void *buf, size_t len)
{
    return RETRY(write, libc(write(fd, buf, len)));
}

int sys_socket(int domain, int type, int protocol)
{
    return (int)ONCE(socket, libc(socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)));
}

/* Interrupted, it goes on by itself; a second connect() would only say EALREADY. */
int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int rc = (int)ONCE(connect, libc(connect(fd, addr, len)));

    return rc == -EINTR ? -EINPROGRESS : rc;
}

int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)ONCE(bind, libc(bind(fd, addr, len)));
}

int sys_listen(int fd, int backlog)
{
    return (int)ONCE(listen, libc(listen(fd, backlog)));
}

int sys_accept(int fd, struct sockaddr_storage *addr, socklen_t *len)
{
    return (int)RETRY(accept, direct_accept(fd, (struct sockaddr *)addr, len));
}

/* On Linux the descriptor is gone also if it was interrupted; it may be another one already. */
int sys_close(int fd)
{
    int rc = (int)HONEST(close, direct_close(fd));

    return rc == -EINTR ? 0 : rc;
}

int sys_shutdown(int fd, int how)
{
    return (int)ONCE(shutdown, libc(shutdown(fd, how)));
}

int sys_outq(int fd)
{
    int bytes = 0, rc = (int)ONCE(outq, libc(ioctl(fd, SIOCOUTQ, &bytes)));

    return rc < 0 ? rc : bytes;
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return (int)ONCE(setsockopt, libc(setsockopt(fd, level, name, value, len)));
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return (int)ONCE(getsockopt, libc(getsockopt(fd, level, name, value, len)));
}

int sys_epoll_create(void)
{
    return (int)ONCE(epoll_create, libc(epoll_create1(EPOLL_CLOEXEC)));
}

int sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_DEL)
        return (int)HONEST(epoll_ctl, libc(epoll_ctl(epoll, op, fd, event)));
    return (int)ONCE(epoll_ctl, libc(epoll_ctl(epoll, op, fd, event)));
}

/* Not retried: the caller computes its time-out anew. */
int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int64_t span)
{
    int n = (int)ONCE(epoll_wait, direct_epoll_wait(epoll, events, max, span));

    return n == -EINTR ? 0 : n;
}

int sys_eventfd(void)
{
    return (int)ONCE(eventfd, libc(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

/* A pipe of the usual size is as good, in smaller steps: what an unprivileged user may have in all
 * is bounded. */
int sys_pipe(int fd[2], int size)
{
    int rc = (int)ONCE(pipe, libc(pipe2(fd, O_CLOEXEC | O_NONBLOCK)));

    if (rc == 0)
        fcntl(fd[1], F_SETPIPE_SZ, size);
    return rc;
}

ssize_t sys_splice(int from, int to, size_t len)
{
    return RETRY(splice, direct_splice(from, to, cut(len)));
}

SELDOM void sys_tell(ssize_t error) /* a call, for the same reason as `reason` */
{
    errno = (int)-error;
}

void sys_signals_block(sigset_t *before)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_SETMASK, &set, before);
}

void sys_signals_set(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

bool sys_barriers(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void sys_barrier(void)
{
    long rc = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

    ensure(rc == 0); /* it cannot fail once it is registered, and much rests on it */
}
