/* demo.h -- the parts of `weir demo`.
 *
 * The main thread is the director (demo.c): it starts, kills and restarts the origins, sends the
 * load and draws the screen, all from one loop around ppoll, so that nothing here needs a lock. The
 * balancer in the middle is an ordinary server of the library with its own threads; what it counts
 * for the screen is atomic. Nothing is written to disk: what must have a path is a memory file
 * that goes with the process. */
#ifndef GATEWAY_DEMO_H
#define GATEWAY_DEMO_H

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#include <weir/weir.h>

enum {
    DEMO_ORIGINS = 3,
    DEMO_RATE = 200, /* requests a second */
    DEMO_ADDR = 64, /* an address as text */
};

/* How requests travel to the balancer. */
enum demo_way { DEMO_PLAIN, DEMO_TLS, DEMO_WAYS };

#define DEMO_FIRST_KILL (500 * WEIR_MS)
#define DEMO_KILL_EVERY (3 * WEIR_SEC)
#define DEMO_DEAD_FOR   (1500 * WEIR_MS)

/* Nanoseconds on a clock that only goes forward. */
int64_t demo_now(void);

/* A file in memory with these bytes, as a path that this process may open, readable by its owner
 * only. Returns its descriptor (close-on-exec), or -1. */
int demo_file(const char *name, const void *bytes, size_t len, char path[DEMO_ADDR]);

/* ---- origins: the children (demo_origin.c) and their side here (demo_children.c) ------------- */

/* One page shared with the origins: what they are doing survives them. The file is inherited as
 * descriptor DEMO_PAGE_FD. */
enum { DEMO_PAGE_FD = 3 };
struct demo_page {
    struct demo_page_origin {
        atomic_bool ready;   /* it listens */
        atomic_uint busy;    /* requests that it is answering */
        atomic_ulong served; /* by all processes that were this origin */
        atomic_int status;   /* what it answers with */
    } origins[DEMO_ORIGINS];
};

struct demo_origin {
    char addr[DEMO_ADDR];
    int reserved; /* bound to that port and never listening: nobody else gets it meanwhile */
    pid_t pid;    /* 0: dead */
    int64_t restart_at;
    unsigned kills, kills_busy; /* of these, while it was answering */
};

struct demo_origins {
    struct demo_page *page;
    int page_fd;
    struct demo_origin list[DEMO_ORIGINS];
    unsigned victim; /* the next to be killed */
    int64_t kill_at; /* INT64_MAX until the director says otherwise */
    char error[160]; /* one could not be started, or ended by itself; empty: none */
};

/* Reserves the ports and makes the page. False: `error` says why. demo_origins_end may follow. */
bool demo_origins_open(struct demo_origins *o);

/* Starts all; demo_origins_ready tells when all listen. False: `error`. From the main thread, which
 * must live as long as they: the kernel ends them with the thread that made them. */
bool demo_origins_start(struct demo_origins *o);
bool demo_origins_ready(const struct demo_origins *o);

/* Kills and restarts what is due; sees one that ended by itself. Returns when to call it again. */
int64_t demo_origins_step(struct demo_origins *o, int64_t now);

/* Ends those that live, and frees all. May be called twice. */
void demo_origins_end(struct demo_origins *o);

/* ---- the balancer (demo_balancer.c) ---------------------------------------------------------- */

struct demo_balancer;

/* Makes it from a server that was made with the command line, and starts it on a thread. */
struct demo_balancer *demo_balancer_start(struct weir_server *sv, const struct demo_origins *o,
                                          const char *cert, const char *key);

/* Does it serve, or has it ended? The descriptor becomes readable when that changes. */
bool demo_balancer_settled(const struct demo_balancer *b);
int demo_balancer_event(const struct demo_balancer *b);

/* Has it ended? Then its exit code is in `*code`. */
bool demo_balancer_ended(const struct demo_balancer *b, int *code);

/* The address at which it takes that, once it serves. */
const char *demo_balancer_addr(const struct demo_balancer *b, enum demo_way way);

/* What it has done so far. While it serves. */
struct demo_counts {
    uint64_t opened, reused; /* connections to origins: made, used again */
    uint64_t refused, cut;   /* tried again: nobody listened; the origin died meanwhile */
    bool up[DEMO_ORIGINS];   /* as the balancer sees them */
};
void demo_balancer_counts(struct demo_balancer *b, struct demo_counts *out);

/* Stops it and waits for its end. Its exit code. */
int demo_balancer_stop(struct demo_balancer *b);

/* Prints the last lines of its error log. */
void demo_balancer_print_errors(struct demo_balancer *b, FILE *out);
void demo_balancer_free(struct demo_balancer **b);

/* ---- the client (demo_client.c), and what of the demo is OpenSSL (demo_tls.c) ---------------- */

/* How long answers took (demo_latency.c). */
enum { DEMO_OCTAVE = 16, DEMO_BUCKETS = 28 * DEMO_OCTAVE };
struct demo_latencies {
    uint64_t buckets[DEMO_BUCKETS], count;
    int64_t slowest;
};
void demo_latencies_add(struct demo_latencies *l, int64_t ns);

/* What that share of all answers did not exceed; 0 without answers. */
int64_t demo_latencies_share(const struct demo_latencies *l, double share);

struct demo_client;
struct pollfd;

enum { DEMO_CONNS = 64, DEMO_REASONS = 5, DEMO_REASON = 160 };

struct demo_tally {
    uint64_t answered[DEMO_WAYS], failed;
    uint64_t connects[DEMO_WAYS], resumed; /* TLS sessions taken up again */
    int64_t median, most, slowest;               /* of the answers; `most`: 99 % are faster */
    char reasons[DEMO_REASONS][DEMO_REASON];     /* of the first failures */
};

/* A client of these addresses; `cert`: what TLS must show, as a path. NULL: the address is none, or
 * no memory is left. */
struct demo_client *demo_client_new(const char *const addr[DEMO_WAYS], const char *cert);
void demo_client_free(struct demo_client **c);

/* Sends what is due at `now`, gives up what waits for too long. Returns when to call it again. */
int64_t demo_client_step(struct demo_client *c, int64_t now);

/* Requests on their way. */
unsigned demo_client_pending(const struct demo_client *c);

/* No new requests from here on. */
void demo_client_stop(struct demo_client *c);

/* The descriptors to wait for, at most DEMO_CONNS; and what happened on them. */
unsigned demo_client_watch(const struct demo_client *c, struct pollfd *fds);
void demo_client_handle(struct demo_client *c, const struct pollfd *fds, unsigned n, int64_t now);

/* What happened so far; the percentiles cost a pass over the histogram. */
void demo_client_tally(const struct demo_client *c, struct demo_tally *out);

/* A certificate for 127.0.0.1 that signs itself, and its key, as memory files. False: OpenSSL or
 * the system refused. */
bool demo_tls_certificate(char cert[DEMO_ADDR], char key[DEMO_ADDR]);

struct demo_tls_client; /* trusts one certificate and keeps sessions */
struct demo_tls;        /* a connection */

struct demo_tls_client *demo_tls_client_new(const char *cert);
void demo_tls_client_free(struct demo_tls_client **t);

/* On a socket of yours that is non-blocking; the handshake comes with the first write. */
struct demo_tls *demo_tls_open(struct demo_tls_client *t, int fd);
void demo_tls_close(struct demo_tls **t);

/* Bytes moved, 0 at the end (reading), or one of these. */
enum { DEMO_WANT_READ = -1, DEMO_WANT_WRITE = -2, DEMO_BROKEN = -3 };
int demo_tls_read(struct demo_tls *t, void *buf, size_t len);
int demo_tls_write(struct demo_tls *t, const void *buf, size_t len);

/* After the handshake: was it a short one, with a session known from before? */
bool demo_tls_resumed(const struct demo_tls *t);

/* ---- the screen (demo_screen.c) -------------------------------------------------------------- */

struct demo_screen {
    FILE *out;
    bool live, colour; /* a line that is drawn again and again; ours may be coloured */
    int64_t start, drawn_at;
    uint64_t served[DEMO_ORIGINS]; /* at the last rate */
    int64_t rate_at;
    unsigned rate[DEMO_ORIGINS];
};

struct demo_view {
    const struct demo_origins *origins;
    struct demo_balancer *balancer;
    const struct demo_counts *counts;
    const struct demo_tally *tally;
    weir_dur length; /* WEIR_FOREVER: until Ctrl-C */
};

void demo_screen_init(struct demo_screen *s, FILE *out, int64_t now);
void demo_screen_explain(struct demo_screen *s, const struct demo_view *v);

/* When the next line is due; draws it. */
int64_t demo_screen_due(const struct demo_screen *s);
void demo_screen_draw(struct demo_screen *s, const struct demo_view *v, int64_t now);
void demo_screen_summary(struct demo_screen *s, const struct demo_view *v, int64_t now);

#endif
