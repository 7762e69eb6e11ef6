/* lb.c -- a balancer: what was configured, whose turn it is, and the strand that keeps it. */
#include "lb/lb.h"

#include <stdio.h>
#include <stdlib.h>

#include "lb/parts.h"
#include "runtime/runtime.h"

/* `where` names the call and the index. */
static void check(struct weir_lb *lb, const char *where, const struct entry *e, const char *fault)
{
    const struct addr *a = &e->spec.addr;

    if (fault == addr_no_port)
        faults_add(&lb->faults, "%s \"%s\": no port (write %s:80)", where, e->text, e->text);
    else if (fault != NULL)
        faults_add(&lb->faults, "%s \"%s\": %s", where, e->text, fault);
    else if (e->spec.form == SPEC_ALL)
        faults_add(&lb->faults, "%s \"%s\": no host (write 127.0.0.1%s)", where, e->text, e->text);
    else if (a->kind != ADDR_UNIX && a->port == 0)
        faults_add(&lb->faults, "%s \"%s\": nobody listens on port 0", where, e->text);
}

static void add(struct weir_lb *lb, const char *where, const char *addr)
{
    struct entry *grown = realloc(lb->entries, (lb->entry_count + 1) * sizeof *grown);
    struct entry e = { .text = strdup(addr) };
    unsigned faults = lb->faults.count;

    if (grown != NULL)
        lb->entries = grown;
    if (grown == NULL || e.text == NULL) {
        faults_add(&lb->faults, "%s \"%s\": out of memory", where, addr);
        free(e.text);
        return;
    }
    check(lb, where, &e, addr_parse(e.text, &e.spec));
    if (lb->faults.count > faults)
        e.spec = (struct addr_spec){ .form = SPEC_ADDR }; /* no name that could be looked up */
    lb->name_count += e.spec.form == SPEC_HOST;
    lb->entries[lb->entry_count++] = e;
}

struct weir_lb *lb_new(const struct weir_lb_config *config)
{
    struct weir_lb *lb = calloc(1, sizeof *lb);
    char where[64];

    if (lb == NULL)
        return NULL;
    for (unsigned i = 0; i < WEIR_LB_BACKENDS && config->backends[i] != NULL; i++) {
        snprintf(where, sizeof where, "weir_lb_new: backends[%u]", i);
        add(lb, where, config->backends[i]);
    }
    if (config->backends[WEIR_LB_BACKENDS - 1] != NULL)
        faults_add(&lb->faults,
                   "weir_lb_new: backends[%d] is no NULL: the array is full (use weir_lb_add)",
                   WEIR_LB_BACKENDS - 1);
    if (config->policy != WEIR_ROUND_ROBIN)
        faults_add(&lb->faults, "weir_lb_new: there is no policy %d", (int)config->policy);
    health_configure(lb, &config->health);
    return lb;
}

void lb_add(struct weir_lb *lb, const char *addr)
{
    if (addr == NULL)
        faults_add(&lb->faults, "weir_lb_add: no address");
    else
        add(lb, "weir_lb_add:", addr);
}

void lb_free(struct weir_lb **freed)
{
    struct weir_lb *lb = *freed;

    if (lb == NULL)
        return;
    *freed = NULL;
    for (unsigned i = 0; i < lb->entry_count; i++) {
        free(lb->entries[i].text);
        free(lb->entries[i].known);
    }
    free(lb->entries);
    set_settle(lb->set);
    set_free(lb->set);
    free(lb);
}

void lb_faults(const struct weir_lb *lb, struct faults *out)
{
    faults_append(out, &lb->faults);
    if (lb->entry_count == 0 && lb->faults.count == 0)
        faults_add(out, "weir_lb_new: no backends");
}

static_assert(sizeof(((struct weir_lb_backend *)0)->name) == ADDR_TEXT, "names have the same room");

/* ---- choosing -------------------------------------------------------------------------------- */

/* By address: a backend that left the set and came back is another object. */
static bool was_tried(const struct tried *t, const struct backend *b)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->list[i] == b || addr_eq(&t->list[i]->addr, &b->addr))
            return true;
    return false;
}

/* Under the lock. The turn is one for all workers, and goes over the healthy ones only: so each of
 * them gets the same, also the one behind a backend that is down. */
static struct backend *next_untried(struct weir_lb *lb, const struct tried *tried)
{
    const struct backend_set *set = lb->set;
    unsigned turn;

    if (set == NULL || set->up_count == 0)
        return NULL;
    turn = lb->turn++;
    for (unsigned i = 0; i < set->up_count; i++) {
        struct backend *b = set->up[(turn + i) % set->up_count];

        if (!was_tried(tried, b))
            return b;
    }
    return NULL;
}

int lb_choose(struct weir_lb *lb, struct tried *tried, struct backend **out)
{
    struct backend *b;
    int rc = WEIR_ENOUPSTREAM;

    *out = NULL;
    if (tried->count == TRIED_MAX)
        return rc;
    spin_lock(&lb->lock);
    b = next_untried(lb, tried);
    if (b != NULL) {
        backend_lend(b);
        b->requests++;
    } else if (lb->set != NULL && lb->set->count == 0 && lb->set->unresolved) {
        rc = WEIR_EDNS;
    }
    spin_unlock(&lb->lock);
    if (b == NULL)
        return rc;
    tried->list[tried->count++] = *out = b;
    return 0;
}

void tried_done(struct tried *t)
{
    while (t->count > 0)
        backend_drop(t->list[--t->count]);
}

void backend_failed(struct backend *b)
{
    __atomic_fetch_add(&b->failures, 1, __ATOMIC_RELAXED);
}

bool weir_lb_backends(struct weir_lb *lb, unsigned i, struct weir_lb_backend *out)
{
    struct weir_lb_backend unasked;
    bool there = false;

    if (out == NULL)
        out = &unasked;
    *out = (struct weir_lb_backend){ .healthy = false };
    if (lb == NULL)
        return false;
    spin_lock(&lb->lock);
    if (lb->set != NULL && i < lb->set->count) {
        const struct backend *b = lb->set->list[i];

        there = true;
        memcpy(out->name, b->name, sizeof out->name);
        out->healthy = b->healthy;
        out->requests = b->requests;
        out->failures = __atomic_load_n(&b->failures, __ATOMIC_RELAXED);
    }
    spin_unlock(&lb->lock);
    return there;
}

/* ---- the strand that keeps it ---------------------------------------------------------------- */

/* A balancer without its keeper goes on with what it knows, so this tries until it succeeds. */
static int start(struct scope *sc, struct task *t, int (*fn)(void *), struct weir_lb *lb)
{
    int rc;

    while ((rc = task_start(sc, t, fn, lb)) < 0 && rc != WEIR_ECANCELED)
        rc = co_sleep(deadline_in(rt_now(), 100 * WEIR_MS, 0));
    return rc;
}

/* It tells its name before it looks at `stopping`, lb_stop does the opposite: so one of them sees
 * the other. */
static void keep(void *arg)
{
    struct weir_lb *lb = arg;
    struct task names, checks;
    struct scope sc;
    int rc = 0;

    co_label("balancer", "names and health");
    atomic_store(&lb->strand, strand_self());
    if (atomic_load(&lb->stopping))
        return;
    scope_open(&sc);
    if (lb->name_count > 0)
        rc = start(&sc, &names, names_keep, lb);
    if (rc == 0 && lb->health.config.kind != WEIR_CHECK_NONE)
        rc = start(&sc, &checks, health_keep, lb);
    while (rc == 0) /* for ever: cancelling ends it */
        rc = co_sleep(NEVER);
    scope_close(&sc, rc);
}

int lb_start(struct weir_lb *lb)
{
    if (lb->name_count == 0 && lb->health.config.kind == WEIR_CHECK_NONE)
        return 0;
    return strand_start(keep, lb);
}

void lb_stop(struct weir_lb *lb)
{
    strand_ref strand;

    atomic_store(&lb->stopping, true);
    strand = atomic_load(&lb->strand);
    if (strand != 0)
        strand_cancel(strand, WEIR_ESHUTDOWN);
}
