/* demo_balancer.c -- what the demo is about: a load balancer, as anybody would write it. All that
 * is special is that it counts what it does, and runs on a thread of a program that does other
 * things as well. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "demo.h"

enum { ERROR_LINES = 6, ERROR_LINE = 400, TRIES = 4 };

/* What is remembered of a request. */
struct visit {
    unsigned tries; /* that failed */
};

struct demo_balancer {
    struct weir_server *server;
    struct weir_lb *lb;
    pthread_t thread;
    int event;
    atomic_uint listening; /* listeners that are ready: the first ones of `addr` */
    atomic_bool ended;
    int code;
    char addr[DEMO_WAYS][DEMO_ADDR];
    atomic_ulong refused, cut;

    /* The last of its error log: written by the log thread, read by the director. */
    pthread_mutex_t lock;
    unsigned error_count;
    char errors[ERROR_LINES][ERROR_LINE];
};

/* ---- the proxy ------------------------------------------------------------------------------- */

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    struct demo_balancer *b = weir_state(s);

    return weir_lb_pick(b->lb, s, peer);
}

/* The balancer would try others by itself; this is here to count. */
static int fail_to_connect(struct weir_session *s, const struct weir_peer *peer, int err)
{
    struct demo_balancer *b = weir_state(s);
    struct visit *v = weir_ctx(s);

    (void)peer;
    if (++v->tries >= TRIES)
        return err;
    atomic_fetch_add(&b->refused, 1);
    return WEIR_RETRY;
}

/* The origin died with our request. On a connection that was used before, the library would send
 * it once more by itself: the usual reason is that the origin was about to close it. Here we know
 * more: a GET of these pages does no harm twice. */
static int error_while_proxy(struct weir_session *s, const struct weir_peer *peer, int err,
                             bool reused)
{
    struct demo_balancer *b = weir_state(s);
    struct visit *v = weir_ctx(s);

    (void)peer;
    (void)reused;
    if ((err != WEIR_EUPCLOSED && err != WEIR_EUPRESET) || ++v->tries >= TRIES ||
        !weir_eq(weir_method(weir_request(s)), "GET"))
        return err;
    atomic_fetch_add(&b->cut, 1);
    return WEIR_RETRY;
}

static const struct weir_proxy balancer = {
    .name = "demo",
    .ctx_size = sizeof(struct visit),
    .upstream_peer = upstream_peer,
    .fail_to_connect = fail_to_connect,
    .error_while_proxy = error_while_proxy,
};

/* ---- what it says ---------------------------------------------------------------------------- */

/* `listening on 127.0.0.1:41234 (http)` */
static void on_listening(struct demo_balancer *b, weir_str text)
{
    const char *space = memchr(text.ptr, ' ', text.len);
    unsigned i = atomic_load(&b->listening);

    if (space == NULL || i == DEMO_WAYS)
        return;
    snprintf(b->addr[i], DEMO_ADDR, "%.*s", (int)(space - text.ptr), text.ptr);
    atomic_store(&b->listening, i + 1);
    if (i + 1 == DEMO_WAYS)
        eventfd_write(b->event, 1);
}

static void keep(struct demo_balancer *b, weir_str line)
{
    pthread_mutex_lock(&b->lock);
    snprintf(b->errors[b->error_count++ % ERROR_LINES], ERROR_LINE, WEIR_FMT, WEIR_ARG(line));
    pthread_mutex_unlock(&b->lock);
}

static void on_line(void *arg, bool error, weir_str line)
{
    static const char listening[] = "listening on ";
    struct demo_balancer *b = arg;

    if (!error)
        return; /* the access log */
    if (weir_starts(line, listening))
        on_listening(b, (weir_str){ line.ptr + strlen(listening), line.len - strlen(listening) });
    else if (atomic_load(&b->listening) < DEMO_WAYS)
        fprintf(stderr, WEIR_FMT "\n", WEIR_ARG(line)); /* why it cannot start */
    else
        keep(b, line);
}

void demo_balancer_print_errors(struct demo_balancer *b, FILE *out)
{
    unsigned first;

    pthread_mutex_lock(&b->lock);
    first = b->error_count > ERROR_LINES ? b->error_count - ERROR_LINES : 0;
    for (unsigned i = first; i < b->error_count; i++)
        fprintf(out, "  log: %s\n", b->errors[i % ERROR_LINES]);
    pthread_mutex_unlock(&b->lock);
}

/* ---- its life -------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct demo_balancer *b = arg;

    b->code = weir_server_run(b->server);
    atomic_store(&b->ended, true);
    eventfd_write(b->event, 1);
    return NULL;
}

static void set_up(struct demo_balancer *b, const struct demo_origins *o, const char *cert,
                   const char *key)
{
    struct weir_lb_config config = {
        .policy = WEIR_ROUND_ROBIN,
        .health = { .kind = WEIR_CHECK_TCP,
                    .every = 200 * WEIR_MS,
                    .timeout = 200 * WEIR_MS,
                    .rise = 1,
                    .fall = 2 },
    };

    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        config.backends[i] = o->list[i].addr;
    b->lb = weir_lb_new(b->server, &config);
    weir_server_keep_signals(b->server);
    weir_server_log_to(b->server, on_line, b);
    weir_server_add(b->server, &(struct weir_service){
                                   .proxy = &balancer,
                                   .state = b,
                                   .listen = {
                                       [DEMO_PLAIN] = { .addr = "127.0.0.1:0" },
                                       [DEMO_TLS] = { .addr = "127.0.0.1:0",
                                                      .cert = cert,
                                                      .key = key },
                                   },
                               });
}

struct demo_balancer *demo_balancer_start(struct weir_server *sv, const struct demo_origins *o,
                                          const char *cert, const char *key)
{
    struct demo_balancer *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->server = sv;
    pthread_mutex_init(&b->lock, NULL);
    b->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    set_up(b, o, cert, key);
    if (b->event < 0 || pthread_create(&b->thread, NULL, run, b) != 0)
        demo_balancer_free(&b);
    return b;
}

int demo_balancer_event(const struct demo_balancer *b)
{
    return b->event;
}

bool demo_balancer_ended(const struct demo_balancer *b, int *code)
{
    bool ended = atomic_load(&b->ended);

    if (ended)
        *code = b->code;
    return ended;
}

bool demo_balancer_settled(const struct demo_balancer *b)
{
    return atomic_load(&b->ended) || atomic_load(&b->listening) == DEMO_WAYS;
}

const char *demo_balancer_addr(const struct demo_balancer *b, enum demo_way way)
{
    return b->addr[way];
}

void demo_balancer_counts(struct demo_balancer *b, struct demo_counts *out)
{
    struct weir_server_stats stats;
    struct weir_lb_backend backend;

    weir_server_stats(b->server, &stats);
    *out = (struct demo_counts){
        .opened = stats.upstream_opened,
        .reused = stats.upstream_reused,
        .refused = atomic_load(&b->refused),
        .cut = atomic_load(&b->cut),
    };
    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        out->up[i] = weir_lb_backends(b->lb, i, &backend) && backend.healthy;
}

int demo_balancer_stop(struct demo_balancer *b)
{
    if (!atomic_load(&b->ended)) /* it ends by itself only before it listens */
        weir_server_stop(b->server);
    pthread_join(b->thread, NULL);
    return b->code;
}

void demo_balancer_free(struct demo_balancer **b)
{
    if (*b == NULL)
        return;
    if ((*b)->event >= 0)
        close((*b)->event);
    pthread_mutex_destroy(&(*b)->lock);
    free(*b);
    *b = NULL;
}
