/* runtime.h -- the runtime under the proxy, for programs of your own: coroutines that wait by
 * calling a function, byte streams, and what they need to work together.
 *
 * Everything here works in phases of a proxy, and in programs without any HTTP:
 *
 *     static int program(void *arg) { ... weir_listen, weir_accept, weir_spawn ... }
 *     int main(int argc, char **argv) { return weir_run(argc, argv, program, NULL); }
 *
 * A coroutine has a stack of its own (256 KiB of address space; big things go on the heap) and
 * runs on one of a few threads, the workers. "Blocks" means: this coroutine waits, its worker goes
 * on with others; and it may go on in another thread. So across such a call keep no errno, no
 * thread-local variable, no pthread mutex, and no C++ catch block. Coroutines end by returning
 * only; no exception may leave one.
 *
 * None of these calls blocks but those that say so. Such calls are for coroutines only (elsewhere
 * they fail: WEIR_EINVALID), end at their timeout (WEIR_ETIMEOUT; 0: look once, do not wait;
 * WEIR_FOREVER: no bound of their own), and with WEIR_ECANCELED once the coroutine is cancelled: by
 * its scope, because a client has left, or because the process ends. That lasts: every later call
 * says so too, and what is left to do is to clean up and return.
 *
 * To close or free nothing (NULL, or a pointer to NULL) does nothing. Without what they are about
 * (NULL) all other calls fail with WEIR_EINVALID; those without a result to say it in, and those of
 * a scope (outside of coroutines, too), end the process with the name of the call: that is a bug of
 * the program. */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include <weir/error.h>
#include <weir/str.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;

/* ---- programs ---- */

/* Runs fn(arg) as a coroutine with the command line, logs and signals of <weir/server.h>, without
 * a service: 0 once it has returned 0, or what it was cancelled with when it was told to stop
 * (SIGTERM), 1 if it returned another error (whose sentence is logged), 2 for a wrong command line.
 * What it has spawned is over before weir_run returns: after SIGTERM or its own end it may go on
 * for the grace (--grace, 30 s), then it is cancelled. Blocks the calling thread. */
int weir_run(int argc, char **argv, int (*fn)(void *arg), void *arg);

/* Set-up: runs fn(arg) as a coroutine while the server serves, beside its services if there are
 * any (none is fine: then the server stops when all such coroutines have ended). An error that it
 * returns stops the server, which ends with 1. Cancelled when the server is told to stop. */
void weir_server_add_task(struct weir_server *sv, int (*fn)(void *arg), void *arg);

/* ---- coroutines ---- */

/* Starts fn(arg) on its own: at the same time as this one, on any worker; nobody waits for it but
 * the end of the process. 0, WEIR_ESTACKS (too many at once), WEIR_ENOMEM, WEIR_ESHUTDOWN (nothing
 * starts any more, or no server serves yet), WEIR_EINVALID (no function). Never blocks. From any
 * thread. */
int weir_spawn(void (*fn)(void *arg), void *arg);

/* Waits for `span`. 0, WEIR_ECANCELED, or WEIR_ETIMEOUT (the limit of a scope came first). Blocks.
 */
int weir_sleep_for(weir_dur span);

/* Lets all others that are ready run first: for long computations. Blocks. */
void weir_yield(void);

/* Cancelled? 0 or WEIR_ECANCELED. Never blocks. */
int weir_canceled(void);

/* Runs fn(arg) on a helper thread, where it may block as it likes (files, a database's client), and
 * returns its result. There are 8 of them at most: who comes when all are busy waits, so what runs
 * there must not wait for another one that is to run there. Waits for its end also if it is
 * cancelled, since fn may use what the caller owns. WEIR_ENOMEM if no thread can be had. Blocks;
 * outside of coroutines a plain call. */
int weir_blocking(int (*fn)(void *arg), void *arg);

/* ---- scopes: concurrency that ends where it began ----
 *
 *     struct weir_scope sc;
 *
 *     weir_scope_open(&sc);
 *     weir_scope_spawn(&sc, send_all, s);      // meanwhile
 *     rc = receive_all(s);
 *     return weir_scope_end(&sc, rc);          // nothing of it runs any more
 *
 * The coroutines of a scope take turns with the one that opened it: no two run at the same time, so
 * what they share needs no lock between two calls that block. One that returns an error cancels all
 * of the scope, the opener included. Scopes nest. Each weir_scope_open needs its weir_scope_end, in
 * the same coroutine. */

/* Its memory is yours, and its content the library's. */
struct weir_scope {
    uint64_t inside[12]; /* not to be touched */
};

/* Never blocks, never fails. */
void weir_scope_open(struct weir_scope *sc);

/* Calls of this header that have a timeout, weir_sleep_for, weir_sleep and weir_fetch end `span`
 * from now at the latest within the scope, with WEIR_ETIMEOUT, whatever their own timeouts; the
 * earliest limit counts. Never blocks. */
void weir_scope_limit(struct weir_scope *sc, weir_dur span);

/* Starts fn(arg) in the scope; it begins when this coroutine next blocks. 0, or WEIR_ESTACKS,
 * WEIR_ENOMEM, WEIR_EINVALID (no function), WEIR_ECANCELED (the scope is), and then the scope is
 * cancelled with that as cause, so that the result need not be looked at. Never blocks. */
int weir_scope_spawn(struct weir_scope *sc, int (*fn)(void *arg), void *arg);

/* Waits until all that was spawned in it has returned: 0, or WEIR_ECANCELED (one failed, or we are
 * cancelled), WEIR_ETIMEOUT. Blocks. */
int weir_scope_wait(struct weir_scope *sc, weir_dur timeout);

/* Cancels what still runs and waits for its end; a limit or cancelling does not shorten that. The
 * first error that one of its coroutines had returned before, whatever followed from it; else `rc`,
 * but for WEIR_ECANCELED what a scope around it was cancelled for. Blocks. */
int weir_scope_end(struct weir_scope *sc, int rc);

/* ---- mutex, semaphore, channel: between coroutines of any scope and worker; all are fair ---- */

/* A mutex, free if it is all zeros. Its memory is yours, and must outlive its users. */
struct weir_mutex {
    uint64_t inside[4]; /* not to be touched */
};

/* Waits for it also if it is cancelled, so there is nothing to check. Blocks. */
void weir_mutex_lock(struct weir_mutex *m);

/* By who holds it. Never blocks. */
void weir_mutex_unlock(struct weir_mutex *m);

/* A number of permits: to bound how many do something at once. Memory as of a mutex. */
struct weir_semaphore {
    uint64_t inside[6]; /* not to be touched */
};

/* Before any other use: there are so many permits. Never blocks. */
void weir_semaphore_init(struct weir_semaphore *s, uint64_t permits);

/* Takes one permit, as soon as there is one. 0, WEIR_ETIMEOUT, WEIR_ECANCELED. Blocks. */
int weir_semaphore_take(struct weir_semaphore *s, weir_dur timeout);

/* Gives so many permits. From any thread; never blocks. */
void weir_semaphore_give(struct weir_semaphore *s, uint64_t permits);

/* A bounded queue of items of one size, many to many; items are copied. */
struct weir_channel;

/* For up to `capacity` items (1 to 2^24) of `item_size` bytes (1 to 256: send pointers to what is
 * bigger). NULL if it would be too big, or without memory. */
struct weir_channel *weir_channel_new(size_t capacity, size_t item_size);

/* Frees it and clears `*ch` (NULL: nothing). No call on it may be left: the end of a scope, for
 * example, promises that. */
void weir_channel_free(struct weir_channel **ch);

/* Sends a copy of `*item`, as soon as there is room. 0, WEIR_ECLOSED, WEIR_ETIMEOUT,
 * WEIR_ECANCELED: then it was not sent. Blocks; with a timeout of 0 it never does, and any thread
 * may call it. */
int weir_channel_send(struct weir_channel *ch, const void *item, weir_dur timeout);

/* Receives the oldest item into `*item`, as soon as there is one. 0; WEIR_ECLOSED once it is closed
 * and empty; WEIR_ETIMEOUT, WEIR_ECANCELED. Blocks; with a timeout of 0 as weir_channel_send. */
int weir_channel_receive(struct weir_channel *ch, void *item, weir_dur timeout);

/* Nothing more is sent; what is in it is still received. From any thread; never blocks. */
void weir_channel_close(struct weir_channel *ch);

/* ---- streams: TCP and Unix sockets ---- */

struct weir_listener;

/* A connection. Any coroutine may use it, one at a time for each direction. */
struct weir_stream;

/* Listens on `addr`, as of struct weir_listen, and says so (`listening on 127.0.0.1:7000
 * (stream)`), which tells the port if it was 0. 0, or WEIR_ELISTEN (the error log has the reason),
 * WEIR_ENOMEM. May block to look up a name. */
int weir_listen(const char *addr, struct weir_listener **listener);

/* The next connection, yours to close. Any number of coroutines may wait for one. 0, WEIR_ETIMEOUT,
 * WEIR_ECANCELED, WEIR_ENOMEM (for this connection; the next may be well). Without descriptors it
 * logs that and waits until there are some. Blocks. */
int weir_accept(struct weir_listener *l, weir_dur timeout, struct weir_stream **client);

/* Nobody is in weir_accept any more. Clears `*l` (NULL: nothing). Connections that were not
 * accepted are reset. Blocks for a moment, also if cancelled. */
void weir_listener_close(struct weir_listener **l);

/* Connects to `addr`, as of a backend: names are looked up, within the timeout, and remembered for
 * 30 s or until none of their addresses can be reached; those are tried in turn. 0;
 * WEIR_EREFUSED, WEIR_ECONNECT, WEIR_EDNS, WEIR_ECONNTIME (its timeout), WEIR_ETIMEOUT (a scope's
 * limit), WEIR_ECANCELED, WEIR_ENOMEM, WEIR_EDESCRIPTORS (there is none left), WEIR_EINVALID (no
 * address). Blocks. */
int weir_connect(const char *addr, weir_dur timeout, struct weir_stream **stream);

/* The peer's address; lives as long as the stream. NULL has none. Never blocks. */
weir_str weir_stream_peer(const struct weir_stream *st);

/* Reads what there is, at least one byte, at most `len` (above 0): their number, or 0 at the end of
 * the stream, or WEIR_ECLIENTGONE, WEIR_EUPRESET (an accepted, a connected one broke),
 * WEIR_ETIMEOUT, WEIR_ECANCELED; nothing is lost by these two. Blocks. */
ptrdiff_t weir_stream_read(struct weir_stream *st, void *buf, size_t len, weir_dur timeout);

/* Writes all of it: 0, or as weir_stream_read (then some of it may have gone out). Blocks. */
int weir_stream_write(struct weir_stream *st, const void *data, size_t len, weir_dur timeout);

/* The peer reads the end of the stream; we may still read. 0, or as weir_stream_write. Never
 * blocks. */
int weir_stream_finish(struct weir_stream *st);

/* Closes it, and clears `*st` (NULL: nothing). What was written still arrives: if the peer has not
 * ended, the library reads and discards what it sends, for 2 s or 1 MiB at most. Nobody may be in a
 * call on it. Never blocks. */
void weir_stream_close(struct weir_stream **st);

/* The same at once, and the peer sees a broken connection (TCP): for what must not look complete.
 */
void weir_stream_reset(struct weir_stream **st);

#ifdef __cplusplus
}
#endif

#endif
