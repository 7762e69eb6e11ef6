/* health.c -- is somebody listening there? Backends are connected to, over and over.
 *
 * A dispatcher gives what is due to a few coroutines that check, all on the balancer's strand:
 * what they know of a backend needs no lock, but for `healthy` and the set, at which requests look.
 *
 * A backend counts as healthy until its first check, as users expect service at once; and that one
 * decides alone, or a backend that was never there would get requests `fall` checks long. Times
 * are spread: first checks over a second, later ones by a tenth of the interval, so that neither
 * the backends of a balancer nor a fleet of proxies check in step. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "lb/parts.h"
#include "net/connect.h"
#include "runtime/runtime.h"

/* HAProxy's `rise 2 fall 3`: one lost SYN (sent again after a second) or one full backlog takes
 * nobody out, and who comes back has to stay. A failing backend costs requests little meanwhile:
 * they are tried elsewhere. A check is one connection, so a second apart is no load. */
#define DEFAULT_EVERY   (1 * WEIR_SEC)
#define DEFAULT_TIMEOUT (1 * WEIR_SEC)
#define SHORTEST        (10 * WEIR_MS)
#define FIRST_WITHIN    (1 * WEIR_SEC)

enum { DEFAULT_RISE = 2, DEFAULT_FALL = 3 };

/* ---- configuration --------------------------------------------------------------------------- */

static void check_span(struct weir_lb *lb, const char *field, weir_dur span)
{
    const char *why = NULL;

    if (span < 0)
        why = "a negative time";
    else if (span == WEIR_FOREVER)
        why = "it cannot be switched off (leave out kind, and nothing is checked)";
    else if (span > 0 && span < SHORTEST)
        why = "shorter than 10ms";
    if (why != NULL)
        faults_add(&lb->faults, "weir_lb_new: health.%s: %s", field, why);
}

void health_configure(struct weir_lb *lb, const struct weir_lb_health *config)
{
    struct weir_lb_health *c = &lb->health.config;

    *c = *config;
    event_init(&lb->health.changed);
    random_init(&lb->health.random);
    if (c->kind != WEIR_CHECK_NONE && c->kind != WEIR_CHECK_TCP)
        faults_add(&lb->faults, "weir_lb_new: health.kind: there is no check %d", (int)c->kind);
    if (c->kind == WEIR_CHECK_NONE && (c->every | c->timeout) != 0)
        faults_add(&lb->faults, "weir_lb_new: health: times without a kind (WEIR_CHECK_TCP)");
    check_span(lb, "every", c->every);
    check_span(lb, "timeout", c->timeout);
    c->every = c->every != 0 ? c->every : DEFAULT_EVERY;
    c->timeout = c->timeout != 0 ? c->timeout : DEFAULT_TIMEOUT;
    c->rise = c->rise != 0 ? c->rise : DEFAULT_RISE;
    c->fall = c->fall != 0 ? c->fall : DEFAULT_FALL;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* One line for each change. `why`: the error, 0 if it is healthy now. */
static void tell(const struct weir_lb *lb, const struct backend *b, int why)
{
    const struct backend_set *set = lb->set;
    const char *level = why == 0 ? "notice" : set->up_count > 0 ? "warning" : "error";
    char time[RFC3339_LEN], text[160], line[1024];
    struct log_record r;

    if (why == 0)
        snprintf(text, sizeof text, "the backend is healthy again");
    else
        snprintf(text, sizeof text, "the backend is unhealthy: %s", weir_error_text(why));
    clock_rfc3339(clock_wall(), time);
    log_begin(&r, line, sizeof line);
    log_str(&r, "time", (weir_str){ time, sizeof time });
    log_str(&r, "level", weir_str_from(level));
    if (why != 0)
        log_str(&r, "why", weir_str_from(weir_error_why(why)));
    log_str(&r, "msg", weir_str_from(text));
    log_str(&r, "upstream", weir_str_from(b->name));
    log_int(&r, "healthy", set->up_count);
    log_int(&r, "backends", set->count);
    log_line(LOG_ERROR, log_end(&r));
}

static void change(struct weir_lb *lb, struct backend *b, int why)
{
    spin_lock(&lb->lock);
    b->healthy = why == 0;
    set_sort(lb->set);
    spin_unlock(&lb->lock);
    tell(lb, b, why);
}

/* What a check returned. A result that agrees with what is known ends a streak of others. */
static void judge(struct weir_lb *lb, struct backend *b, int rc)
{
    const struct weir_lb_health *c = &lb->health.config;
    unsigned enough = rc == 0 ? c->rise : b->checked ? c->fall : 1;

    b->checked = true;
    if ((rc == 0) == b->healthy) {
        b->streak = 0;
    } else if (++b->streak >= enough) {
        b->streak = 0;
        change(lb, b, rc);
    }
}

/* No descriptor or no memory is our trouble and tells nothing about the backend. */
static bool says_something(int rc)
{
    return rc != WEIR_ECANCELED && rc != WEIR_ENOMEM && rc != WEIR_EDESCRIPTORS &&
           rc != WEIR_EINTERNAL;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A handshake of TCP, and a FIN. */
static int check_tcp(const struct addr *to, weir_dur timeout)
{
    static const struct slot_class class = { .name = "health check" };
    struct deadline until = deadline_in(rt_now(), timeout, WEIR_ECONNTIME);
    struct stream st;

    TRY(net_connect(to, NULL, &class, NULL, until, &st));
    stream_close(&st, false);
    return 0;
}

int (*lb_check)(const struct addr *, weir_dur) = check_tcp;

static int run_checker(void *arg)
{
    struct checker *k = arg;
    struct weir_lb *lb = k->lb;
    int rc;

    while ((rc = event_wait(&k->given, NEVER)) == 0) {
        struct backend *b = k->job;
        int verdict = lb_check(&b->addr, lb->health.config.timeout);

        b->checking = false;
        if (says_something(verdict) && set_has(lb->set, b)) /* it may have left meanwhile */
            judge(lb, b, verdict);
        k->job = NULL;
        backend_drop(b);
        event_set(&lb->health.changed);
    }
    return rc;
}

/* One that has nothing to do; NULL: all are busy, or there is no room for another one now. */
static struct checker *idle_checker(struct weir_lb *lb, struct scope *sc)
{
    struct health *h = &lb->health;

    for (unsigned i = 0; i < h->started; i++)
        if (h->checkers[i].job == NULL)
            return &h->checkers[i];
    if (h->started == CHECKERS)
        return NULL;

    struct checker *k = &h->checkers[h->started];

    k->lb = lb;
    k->job = NULL;
    event_init(&k->given);
    if (task_start(sc, &k->task, run_checker, k) < 0)
        return NULL;
    h->started++;
    return k;
}

static int64_t spread(struct random *r, weir_dur span)
{
    return (int64_t)random_below(r, (uint64_t)span);
}

/* The next one begins `every` after this one, a tenth more or less; at once if it takes longer. */
static void give(struct weir_lb *lb, struct checker *k, struct backend *b, int64_t now)
{
    weir_dur every = lb->health.config.every;

    b->due = now + every - every / 10 + spread(&lb->health.random, every / 5);
    b->checking = true;
    backend_hold(b);
    k->job = b;
    event_set(&k->given);
}

/* Gives away what is due; returns when something will be. */
static int64_t dispatch(struct weir_lb *lb, struct scope *sc, int64_t now)
{
    const struct backend_set *set = lb->set;
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < set->count; i++) {
        struct backend *b = set->list[i];
        struct checker *k;

        if (b->checking)
            continue;
        if (b->due == 0)
            b->due = now + spread(&lb->health.random, MIN(lb->health.config.every, FIRST_WITHIN));
        if (b->due > now)
            next = MIN(next, b->due);
        else if ((k = idle_checker(lb, sc)) != NULL)
            give(lb, k, b, now);
        else
            next = now + SHORTEST; /* or earlier, when one is over */
    }
    return next;
}

/* Cancelled, the checkers may have ended before the last check was given to one of them. */
static void take_back(struct health *h)
{
    for (unsigned i = 0; i < h->started; i++) {
        if (h->checkers[i].job != NULL)
            backend_drop(h->checkers[i].job);
        h->checkers[i].job = NULL;
    }
}

int health_keep(void *arg)
{
    struct weir_lb *lb = arg;
    struct scope sc;
    int rc = 0;

    scope_open(&sc);
    while (rc == 0) {
        int64_t next = dispatch(lb, &sc, rt_now());

        rc = event_wait(&lb->health.changed, (struct deadline){ .at = next });
    }
    rc = scope_close(&sc, rc);
    take_back(&lb->health);
    return rc;
}
