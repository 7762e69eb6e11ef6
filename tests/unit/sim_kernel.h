/* sim_kernel.h -- between sim.c and the simulated kernel: epolls and eventfds by number, and the
 * one way for an actor to wait. */
#ifndef TESTS_UNIT_SIM_KERNEL_H
#define TESTS_UNIT_SIM_KERNEL_H

#include "sim.h"

#include <sys/socket.h>

#include "runtime/fiber.h"

enum { SIM_EPOLL = 100, SIM_EVENTFD = 200 }; /* + the worker's id */

void sim_kernel_begin(void);

/* The current actor goes on once holds(arg) (may be NULL), at `until`, or when all is over. */
void sim_block(bool (*holds)(void *), void *arg, int64_t until);
bool sim_over(void);

/* What the stepped sources call in place of the clock, of fiber.h and of sys.h (step.h). */
void sim_barrier(void);
int64_t sim_clock_now(void);
void sim_fiber_switch(struct fiber *from, struct fiber *to, bool last);
int sim_close(int fd);
int sim_connect(int fd, const struct sockaddr *addr, socklen_t len);
int sim_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int sim_epoll_wait(int epoll, struct epoll_event *events, int max, int64_t span);
int sim_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int sim_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int sim_sys_socket(int domain, int type, int protocol);
ssize_t sim_read(int fd, void *buf, size_t len);
ssize_t sim_write(int fd, const void *buf, size_t len);

#endif
