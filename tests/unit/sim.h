/* sim.h -- a deterministic scheduler for the runtime's own code (RUNTIME.md R9).
 *
 * Workers and everything that works against them are actors: fibers of one thread. The real code
 * of src/runtime/ (compiled with step.h) stops before each atomic operation and each system call,
 * and who goes on is chosen here: by a seed, or step by step by the test. Time and the kernel are
 * simulated: nothing waits, and the same seed gives the same run. What is simulated is sequentially
 * consistent; memory orders are the business of TSan (test_rt_slot.c, test_rt_co.c). */
#ifndef TESTS_UNIT_SIM_H
#define TESTS_UNIT_SIM_H

#include "cases.h"

#include <sys/epoll.h>

#include "base/clock.h"
#include "runtime/worker.h"
#include "sim_step.h"

enum { SIM_WORKERS = 3 };

/* A thread of the simulation. */
struct actor;

/* A fresh runtime of `workers` (their actors are sim_worker(i), in the loop of worker.c), which
 * steals if `steal`, and has sys_barrier if `barriers`. `name` is for reports. sim_end wants all
 * strands over, ends the workers and looks for what was left behind. */
void sim_begin(const char *name, unsigned workers, bool steal, bool barriers);
void sim_end(void);

/* fn(seed) between sim_begin and sim_end, for each of `n` seeds; it calls sim_explore. Every other
 * seed has barriers. The variable
 * SIM_SEEDS="FIRST COUNT" has others instead: all that a report names, or many. */
void sim_seeds(const char *name, unsigned workers, bool steal, void (*fn)(uint64_t), unsigned n);

struct actor *sim_worker(unsigned i);

/* An actor that runs fn(arg) once: as a foreign thread, or, with `w`, on worker w's stack. */
struct actor *sim_actor(const char *name, void (*fn)(void *), void *arg);

/* Starts a strand on worker i, before or between runs. */
void sim_strand(unsigned i, void (*fn)(void *), void *arg);

/* From here on until nothing can go on, the seed says who does. `ticks`: how many milliseconds may
 * pass at any moment; then time passes only when all wait for it. */
void sim_explore(uint64_t seed, unsigned ticks);

/* Schedules by hand: so many steps, if it has as many before it ends or waits; until it is about to
 * do `op` on `at`; until it ends or waits, for a lock
 * too; all in turn until nothing can go on, without time. */
bool sim_steps(struct actor *a, unsigned n);
void sim_to(struct actor *a, enum step_op op, const volatile void *at);
void sim_finish(struct actor *a);
void sim_settle(void);
bool sim_ended(const struct actor *a);

/* Called whenever nobody can go on, before time passes and at the end: who waits now for something
 * that has come would wait for ever. */
void sim_on_quiet(void (*fn)(void));

/* For actors: up to `steps` steps that do nothing; waiting for a condition; dice, of the seed too.
 * */
void sim_dawdle(unsigned steps);
void sim_await(bool (*holds)(void *), void *arg);
uint64_t sim_random(uint64_t n);

/* For actors, and between runs. */
int64_t sim_time(void);
void sim_pass(int64_t ns);

/* Sockets of the simulated kernel, and what befalls them. A poll may see several changes as one. */
enum sim_state { SIM_FREE, SIM_NEW, SIM_CONNECTING, SIM_OPEN };
int sim_socket(enum sim_state state);
int sim_find(enum sim_state state); /* the first in this state, or 0 */
void sim_data(int fd, unsigned bytes);
void sim_fin(int fd);
void sim_reset(int fd);
void sim_connected(int fd);
unsigned sim_unread(int fd);
ssize_t sim_recv(int fd, void *buf, size_t len, int flags);

/* Events of worker i's epoll as a second poller gets them; they are lost to the worker. */
int sim_harvest(unsigned i, struct epoll_event *events, int max);

/* In place of `ensure`, with the seed and the last steps in its report, like any crash. */
#define must ensure

/* sim_worker.c: worker.c is compiled there. */
void sim_set_self(struct worker *w);
void sim_turn(struct worker *w);

#endif
