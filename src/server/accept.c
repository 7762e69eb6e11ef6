/* accept.c -- what happens when a listening socket is readable, and when a connection ends.
 *
 * A service counts a connection before it is accepted, so its bound holds whatever the workers
 * do at the same time. At the bound, or without descriptors, its listeners leave the epolls
 * (they are level-triggered, and would call without end), until a connection ends. */
#include "server/accept.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/listen.h"
#include "proxy/downstream.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"
#include "server/refuse.h"
#include "server/reserve.h"
#include "server/workers.h"

enum { ACCEPT_BATCH = 16 };

struct acceptor acceptor = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- pausing --------------------------------------------------------------------------------- */

static void pause_gate(struct gate *g, unsigned why)
{
    if (g->paused == 0)
        listener_pause(g->slot);
    g->paused |= why;
}

/* Without memory for its epolls it is tried again, as one that starves. */
static void resume_gate(struct gate *g, unsigned why)
{
    bool was = g->paused != 0;

    g->paused &= ~why;
    if (was && g->paused == 0 && listener_resume(g->slot) < 0) {
        g->paused = PAUSE_STARVED;
        atomic_fetch_add(&acceptor.starved, 1);
        acceptor.wake();
    }
}

/* So many connections may be open when a full service accepts again: a little below the bound, or
 * every connection that ends would cost two rounds of epoll_ctl. */
static uint64_t low_water(const struct service *svc)
{
    return svc->max_connections - MAX(svc->max_connections / 64, 1);
}

/* At most one line a second about the same trouble: at its bound a busy server pauses often. */
static bool may_log(int64_t *last)
{
    int64_t now = clock_now();

    if (*last != 0 && now - *last < WEIR_SEC)
        return false;
    *last = now;
    return true;
}

static void log_full(struct front *f)
{
    if (may_log(&f->full_logged))
        log_message("warning", "%s: %llu connections are open (max_connections), new ones wait",
                    f->service.proxy->name != NULL ? f->service.proxy->name : "service",
                    (unsigned long long)f->service.max_connections);
}

static void set_full(struct front *f, bool full)
{
    pthread_mutex_lock(&acceptor.lock);
    if (atomic_load(&f->full) != full) {
        atomic_store(&f->full, full);
        if (full)
            log_full(f);
        for (struct gate *g = f->gates; g != NULL; g = g->next)
            full ? pause_gate(g, PAUSE_FULL) : resume_gate(g, PAUSE_FULL);
    }
    pthread_mutex_unlock(&acceptor.lock);
}

static void log_starved(struct gate *g, int err)
{
    char text[ADDR_TEXT];

    addr_print(&g->addr, text);
    if (may_log(&g->starved_logged))
        log_message("error", "cannot accept on %s: %s; trying again every 100 ms", text,
                    strerrordesc_np(-err));
}

/* Who waits while connections come and go will be accepted. If nothing has moved since the last
 * try, one of them is told so, by means of the reserved descriptor. */
static void starve(struct gate *g, int err)
{
    pthread_mutex_lock(&acceptor.lock);
    if (!(g->paused & PAUSE_STARVED)) {
        if (!atomic_exchange(&g->starved, true))
            log_starved(g, err);
        else if (acceptor.stuck)
            reserve_refuse(g);
        pause_gate(g, PAUSE_STARVED);
        atomic_fetch_add(&acceptor.starved, 1);
    }
    pthread_mutex_unlock(&acceptor.lock);
    acceptor.wake();
}

void accept_retry(bool stuck)
{
    if (atomic_load(&acceptor.starved) == 0)
        return;
    pthread_mutex_lock(&acceptor.lock);
    atomic_store(&acceptor.starved, 0);
    acceptor.stuck = stuck;
    for (struct front *f = acceptor.fronts; f != NULL; f = f->next) {
        for (struct gate *g = f->gates; g != NULL; g = g->next) {
            if (g->paused & PAUSE_STARVED)
                resume_gate(g, PAUSE_STARVED);
        }
    }
    pthread_mutex_unlock(&acceptor.lock);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* A place for one connection; released by `release`. */
static bool reserve(struct front *f)
{
    if (atomic_fetch_add(&f->connections, 1) < f->service.max_connections)
        return true;
    atomic_fetch_sub(&f->connections, 1);
    return false;
}

/* Whoever pauses looks at the count afterwards, whoever lowers the count looks at `full`
 * afterwards: one of them resumes. */
static void release(struct front *f)
{
    uint64_t left = atomic_fetch_sub(&f->connections, 1) - 1;

    if (atomic_load(&f->full) && left <= low_water(&f->service))
        set_full(f, false);
    if (left == 0 && atomic_load(&acceptor.ending))
        acceptor.wake();
}

static void pause_full(struct front *f)
{
    set_full(f, true);
    if (atomic_load(&f->connections) <= low_water(&f->service))
        set_full(f, false);
}

uint64_t accept_open(void)
{
    uint64_t sum = 0;

    for (struct front *f = acceptor.fronts; f != NULL; f = f->next)
        sum += atomic_load(&f->connections);
    return sum;
}

/* service.closed: a connection has ended. */
static void closed(struct service *svc, const struct addr *client)
{
    struct share *share = container_of(svc, struct share, service);

    atomic_fetch_sub_explicit(&svc->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&acceptor.load[share->worker], 1, memory_order_relaxed);
    if (svc->clients != NULL)
        clients_leave(svc->clients, client);
    release(share->front);
    accept_retry(false);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* The worker with the fewest connections; this one, if none has fewer. */
static unsigned least_loaded(void)
{
    unsigned best = rt_worker_id();
    uint32_t fewest = atomic_load_explicit(&acceptor.load[best], memory_order_relaxed);

    for (unsigned i = 0; i < acceptor.workers && fewest > 0; i++) {
        uint32_t load = atomic_load_explicit(&acceptor.load[i], memory_order_relaxed);

        if (load < fewest) {
            best = i;
            fewest = load;
        }
    }
    return best;
}

static unsigned choose_worker(void)
{
    if (!acceptor.uneven)
        return least_loaded();
    return atomic_fetch_add(&acceptor.placed, 1) % 8 == 7 ? 1 % acceptor.workers : 0;
}

static bool welcome(const struct front *f, const struct addr *client)
{
    char text[ADDR_TEXT];
    struct weir_connection c = { .client = text, .internal = { .address = client } };

    addr_print(client, text);
    return f->config.connection_filter(f->config.state, &c);
}

static void take(const struct gate *g, int fd, const struct addr *client)
{
    struct front *f = g->front;
    unsigned worker = choose_worker();
    struct service *svc = &f->shares[worker].service;

    if (f->config.connection_filter != NULL && !welcome(f, client)) {
        sys_close(fd);
        release(f);
        return;
    }
    if (svc->clients != NULL && !clients_enter(svc->clients, client)) {
        refuse_client(g, fd, client);
        release(f);
        return;
    }
    atomic_fetch_add_explicit(&svc->connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&acceptor.load[worker], 1, memory_order_relaxed);
    if (downstream_accept(svc, g->tls, g->h2c, fd, client, worker) < 0) {
        log_message("error", "a connection was dropped: %s", weir_error_text(WEIR_ENOMEM));
        closed(svc, client);
    }
}

static void accept_some(int fd, void *owner)
{
    struct gate *g = owner;
    struct sockaddr_storage ss;
    struct addr client;

    for (unsigned i = 0; i < ACCEPT_BATCH && !atomic_load(&acceptor.ending); i++) {
        socklen_t len = sizeof(ss);
        int conn;

        if (!reserve(g->front)) {
            pause_full(g->front);
            return;
        }
        conn = sys_accept(fd, &ss, &len);
        if (conn >= 0) {
            atomic_store_explicit(&g->starved, false, memory_order_relaxed);
            addr_from_sockaddr(&client, &ss, len);
            take(g, conn, &client);
            continue;
        }
        release(g->front);
        if (conn == -EAGAIN)
            return;
        if (!listen_only_this_one(conn)) {
            starve(g, conn);
            return;
        }
    }
}

/* ---- start and end --------------------------------------------------------------------------- */

int accept_start(struct front *fronts, unsigned workers, void (*wake)(void))
{
    ensure(workers <= ARRAY_LEN(acceptor.load));
    acceptor.fronts = fronts;
    acceptor.workers = workers;
    acceptor.uneven = getenv("WEIR_TEST_PLACE") != NULL;
    acceptor.wake = wake;
    atomic_store(&acceptor.ending, false);
    atomic_store(&acceptor.starved, 0);
    reserve_open();
    for (struct front *f = fronts; f != NULL; f = f->next) {
        for (unsigned i = 0; i < workers; i++)
            f->shares[i].service.closed = closed;
        for (struct gate *g = f->gates; g != NULL; g = g->next) {
            g->slot = listener_new(g->fd, accept_some, g);
            if (g->slot == NULL)
                return WEIR_ENOMEM;
        }
    }
    return 0;
}

static void close_gates(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&acceptor.lock); /* connections that end look at the gates */
    reserve_close();
    for (struct front *f = acceptor.fronts; f != NULL; f = f->next)
        gates_close(f);
    pthread_mutex_unlock(&acceptor.lock);
}

/* Out of all epolls first; when each worker has then done one errand, the events that it had
 * fetched before are done with as well, and the sockets can go. */
void accept_stop(void)
{
    atomic_store(&acceptor.ending, true);
    pthread_mutex_lock(&acceptor.lock);
    for (struct front *f = acceptor.fronts; f != NULL; f = f->next) {
        for (struct gate *g = f->gates; g != NULL; g = g->next) {
            if (g->slot != NULL)
                pause_gate(g, PAUSE_ENDED);
        }
    }
    pthread_mutex_unlock(&acceptor.lock);
    workers_pass(acceptor.workers);
    workers_run(0, close_gates, NULL);
}
