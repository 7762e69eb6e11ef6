/* demo_children.c -- the origins as processes: started, killed while they work, started again. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

/* How often a victim is looked at until it is busy, and how long at most. */
#define LOOK_EVERY (1 * WEIR_MS)
#define LOOK_FOR   (1 * WEIR_SEC)
#define REAP_EVERY (50 * WEIR_MS)

extern char **environ;

static bool failed(struct demo_origins *o, const char *what, int err)
{
    snprintf(o->error, sizeof(o->error), "%s: %s", what, strerror(err));
    return false;
}

/* A port of the system's choice that stays ours while its origin is dead: the socket is bound, but
 * does not listen. So connections are refused, and yet nobody else can bind to the port. */
static bool reserve(struct demo_origin *origin)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(a);
    int on = 1;

    origin->reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (origin->reserved < 0 ||
        setsockopt(origin->reserved, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(origin->reserved, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        getsockname(origin->reserved, (struct sockaddr *)&a, &len) < 0)
        return false;
    snprintf(origin->addr, sizeof(origin->addr), "127.0.0.1:%u", ntohs(a.sin_port));
    return true;
}

bool demo_origins_open(struct demo_origins *o)
{
    char path[DEMO_ADDR];
    void *page;

    *o = (struct demo_origins){ .page_fd = -1, .kill_at = INT64_MAX };
    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        o->list[i].reserved = -1;
    o->page_fd = demo_file("weir-demo-page", NULL, sizeof(struct demo_page), path);
    if (o->page_fd < 0)
        return failed(o, "a page to share", errno);
    page = mmap(NULL, sizeof(*o->page), PROT_READ | PROT_WRITE, MAP_SHARED, o->page_fd, 0);
    if (page == MAP_FAILED)
        return failed(o, "a page to share", errno);
    o->page = page;
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        atomic_store(&o->page->origins[i].status, 200);
        if (!reserve(&o->list[i]))
            return failed(o, "a port for an origin", errno);
    }
    return true;
}

static bool start(struct demo_origins *o, unsigned i)
{
    struct demo_origin *origin = &o->list[i];
    char index[12], parent[12];
    char *argv[] = { "weir",     "demo-origin", "--listen",  origin->addr, "--index", index,
                     "--parent", parent,        "--workers", "1",          NULL };
    posix_spawn_file_actions_t actions;
    int rc;

    snprintf(index, sizeof(index), "%u", i);
    snprintf(parent, sizeof(parent), "%d", getpid());
    atomic_store(&o->page->origins[i].ready, false);
    atomic_store(&o->page->origins[i].busy, 0);
    rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, o->page_fd, DEMO_PAGE_FD);
    if (rc == 0)
        rc = posix_spawn(&origin->pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        origin->pid = 0;
        return failed(o, "an origin cannot be started", rc);
    }
    return true;
}

bool demo_origins_start(struct demo_origins *o)
{
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        if (!start(o, i))
            return false;
    }
    return true;
}

bool demo_origins_ready(const struct demo_origins *o)
{
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        if (!atomic_load(&o->page->origins[i].ready))
            return false;
    }
    return true;
}

/* SIGKILL, and its end: nothing of it is left when this returns. */
static void end(struct demo_origin *origin)
{
    kill(origin->pid, SIGKILL);
    while (waitpid(origin->pid, NULL, 0) < 0 && errno == EINTR) {}
    origin->pid = 0;
}

/* Has one gone that we did not kill? */
static void look_for_dead(struct demo_origins *o)
{
    int status;

    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        struct demo_origin *origin = &o->list[i];

        if (origin->pid == 0 || waitpid(origin->pid, &status, WNOHANG) != origin->pid)
            continue;
        origin->pid = 0;
        snprintf(o->error, sizeof(o->error), "origin %u ended by itself (%s %d)", i + 1,
                 WIFSIGNALED(status) ? "signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* Kills the next victim in the middle of a request: anybody survives the death of an idle one. */
static int64_t kill_next(struct demo_origins *o, int64_t now)
{
    struct demo_origin *victim = &o->list[o->victim];
    bool busy = atomic_load(&o->page->origins[o->victim].busy) > 0;

    if (!busy && now < o->kill_at + LOOK_FOR)
        return now + LOOK_EVERY;
    end(victim);
    victim->kills++;
    victim->kills_busy += busy;
    victim->restart_at = now + DEMO_DEAD_FOR;
    o->victim = (o->victim + 1) % DEMO_ORIGINS;
    o->kill_at = now + DEMO_KILL_EVERY;
    return now + REAP_EVERY;
}

int64_t demo_origins_step(struct demo_origins *o, int64_t now)
{
    int64_t next = now + REAP_EVERY;

    look_for_dead(o);
    if (o->error[0] != '\0')
        return next;
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        if (o->list[i].pid == 0 && now >= o->list[i].restart_at)
            start(o, i);
    }
    if (now >= o->kill_at)
        next = kill_next(o, now);
    return next < o->kill_at || now >= o->kill_at ? next : o->kill_at;
}

void demo_origins_end(struct demo_origins *o)
{
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        if (o->list[i].pid != 0)
            end(&o->list[i]);
        if (o->list[i].reserved >= 0)
            close(o->list[i].reserved);
        o->list[i].reserved = -1;
    }
    if (o->page != NULL)
        munmap(o->page, sizeof(*o->page));
    if (o->page_fd >= 0)
        close(o->page_fd);
    o->page = NULL;
    o->page_fd = -1;
}
