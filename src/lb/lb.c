/* lb.c -- a balancer: what was configured, what it resolved to, whose turn it is. */
#include <weir/lb.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "lb/set.h"
#include "net/resolve.h"
#include "runtime/co.h"
#include "runtime/lock.h"
#include "runtime/runtime.h"

#define LOOKUP_EVERY (30 * WEIR_SEC)

enum { NAME_ADDRS = 256 }; /* of one name; further ones are left out */

/* What the user configured, and for a name what it resolved to last. */
struct entry {
    char *text;
    struct addr_spec spec; /* points into `text` */
    struct addr *known;    /* malloc'ed */
    unsigned known_count;
};

struct weir_lb {
    struct entry *entries;
    unsigned entry_count, name_count;
    char error[256]; /* empty: none */

    struct spin lock; /* guards the pointer `set` */
    struct backend_set *set;
    atomic_uint turn;

    atomic_bool stopping;
    _Atomic(strand_ref) strand; /* of the look-ups, 0: none or not yet */
};

int (*lb_lookup)(const char *, uint16_t, struct addr *, unsigned, const char **) = resolve;

static void wrong(struct weir_lb *lb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first error stays. */
static void wrong(struct weir_lb *lb, const char *fmt, ...)
{
    va_list ap;

    if (lb->error[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(lb->error, sizeof lb->error, fmt, ap);
    va_end(ap);
}

/* `where` names the call and the index. NULL: nothing is wrong. */
static void check(struct weir_lb *lb, const char *where, const struct entry *e, const char *fault)
{
    const struct addr *a = &e->spec.addr;

    if (fault == addr_no_port)
        wrong(lb, "%s \"%s\": no port (write %s:80)", where, e->text, e->text);
    else if (fault != NULL)
        wrong(lb, "%s \"%s\": %s", where, e->text, fault);
    else if (e->spec.form == SPEC_ALL)
        wrong(lb, "%s \"%s\": no host (write 127.0.0.1%s)", where, e->text, e->text);
    else if (a->kind != ADDR_UNIX && a->port == 0)
        wrong(lb, "%s \"%s\": nobody listens on port 0", where, e->text);
}

static void add(struct weir_lb *lb, const char *where, const char *addr)
{
    struct entry *grown = realloc(lb->entries, (lb->entry_count + 1) * sizeof *grown);
    struct entry e = { .text = strdup(addr) };

    if (grown != NULL)
        lb->entries = grown;
    if (grown == NULL || e.text == NULL) {
        wrong(lb, "%s \"%s\": out of memory", where, addr);
        free(e.text);
        return;
    }
    check(lb, where, &e, addr_parse(e.text, &e.spec));
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
        wrong(lb, "weir_lb_new: backends[%d] is no NULL: the array is full (use weir_lb_add)",
              WEIR_LB_BACKENDS - 1);
    if (config->policy != WEIR_ROUND_ROBIN)
        wrong(lb, "weir_lb_new: there is no policy %d", (int)config->policy);
    return lb;
}

void lb_add(struct weir_lb *lb, const char *addr)
{
    if (addr == NULL)
        wrong(lb, "weir_lb_add: no address");
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
    set_drop(lb->set);
    free(lb);
}

const char *lb_error(const struct weir_lb *lb)
{
    if (lb->error[0] != '\0')
        return lb->error;
    return lb->entry_count == 0 ? "weir_lb_new: no backends" : NULL;
}

/* The current set with a reference, or NULL before lb_resolve. */
static struct backend_set *current(struct weir_lb *lb)
{
    struct backend_set *set;

    spin_lock(&lb->lock);
    set = lb->set;
    if (set != NULL)
        count_up(&set->refs);
    spin_unlock(&lb->lock);
    return set;
}

static void replace(struct weir_lb *lb, struct backend_set *set)
{
    struct backend_set *old;

    spin_lock(&lb->lock);
    old = lb->set;
    lb->set = set;
    spin_unlock(&lb->lock);
    set_drop(old);
}

/* By address: a backend that left the set and came back is another object. */
static bool was_tried(const struct tried *t, const struct backend *b)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->list[i] == b || addr_eq(&t->list[i]->addr, &b->addr))
            return true;
    return false;
}

static struct backend *next_untried(struct weir_lb *lb, const struct backend_set *set,
                                    const struct tried *tried)
{
    unsigned turn = atomic_fetch_add_explicit(&lb->turn, 1, memory_order_relaxed);

    for (unsigned i = 0; i < set->count; i++) {
        struct backend *b = set->list[(turn + i) % set->count];

        if (!was_tried(tried, b))
            return b;
    }
    return NULL;
}

int lb_choose(struct weir_lb *lb, struct tried *tried, struct backend **out)
{
    struct backend_set *set;
    struct backend *b = NULL;
    int rc = WEIR_ENOUPSTREAM;

    *out = NULL;
    if (tried->count == TRIED_MAX)
        return rc;
    set = current(lb);
    if (set == NULL)
        return rc;
    if (set->count == 0 && set->unresolved)
        rc = WEIR_EDNS;
    else
        b = next_untried(lb, set, tried);
    if (b != NULL) {
        count_up(&b->refs);
        tried->list[tried->count++] = *out = b;
        rc = 0;
    }
    set_drop(set);
    return rc;
}

void tried_done(struct tried *t)
{
    while (t->count > 0)
        backend_drop(t->list[--t->count]);
}

static int by_bytes(const void *a, const void *b)
{
    const struct addr *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind - y->kind;
    return memcmp(x->ip, y->ip, sizeof x->ip);
}

/* Looks a name up. What it resolved to before stays when that fails: an old address is better
 * than none. Sorted, because name servers rotate their answers and that is no change. */
static void look_up(struct entry *e)
{
    struct addr *found = malloc(NAME_ADDRS * sizeof *found);
    char *host = strndup(e->spec.host.ptr, e->spec.host.len);
    const char *why = "out of memory";
    int n = WEIR_EDNS;

    if (found != NULL && host != NULL)
        n = lb_lookup(host, e->spec.addr.port, found, NAME_ADDRS, &why);
    free(host);
    if (n <= 0) {
        free(found);
        log_message("warning", "upstream \"%s\" was not resolved: %s", e->text, why);
        return;
    }
    qsort(found, (size_t)n, sizeof *found, by_bytes);
    free(e->known);
    e->known = found;
    e->known_count = (unsigned)n;
}

/* All addresses there are now, malloc'ed, in the order of the configuration. */
static struct addr *gather(const struct weir_lb *lb, unsigned *count, bool *unresolved)
{
    size_t room = 1; /* malloc(0) may be NULL */
    struct addr *all;

    for (unsigned i = 0; i < lb->entry_count; i++)
        room += 1 + lb->entries[i].known_count;
    all = malloc(room * sizeof *all);
    if (all == NULL)
        return NULL;
    *count = 0;
    *unresolved = false;
    for (unsigned i = 0; i < lb->entry_count; i++) {
        const struct entry *e = &lb->entries[i];

        if (e->spec.form == SPEC_ADDR)
            all[(*count)++] = e->spec.addr;
        else if (e->known_count == 0)
            *unresolved = true;
        for (unsigned k = 0; k < e->known_count; k++)
            all[(*count)++] = e->known[k];
    }
    return all;
}

int lb_resolve(struct weir_lb *lb)
{
    struct backend_set *set = NULL;
    struct addr *all;
    unsigned count;
    bool unresolved, same;

    for (unsigned i = 0; i < lb->entry_count; i++)
        if (lb->entries[i].spec.form == SPEC_HOST)
            look_up(&lb->entries[i]);
    all = gather(lb, &count, &unresolved);
    if (all == NULL)
        return WEIR_ENOMEM;

    /* Only this call ever replaces the set, so it may be read without the lock. */
    same = lb->set != NULL && set_is(lb->set, all, count, unresolved);
    if (!same) {
        set = set_new(all, count, unresolved, lb->set);
        if (set != NULL)
            replace(lb, set);
    }
    free(all);
    return same || set != NULL ? 0 : WEIR_ENOMEM;
}

/* The strand of the look-ups. It tells its name before it looks at `stopping`, lb_stop does the
 * opposite: so one of them sees the other. Without memory the set stays as it is until the next
 * time. */
static void keep_resolving(void *arg)
{
    struct weir_lb *lb = arg;

    atomic_store(&lb->strand, strand_self());
    while (!atomic_load(&lb->stopping)) {
        if (co_sleep(deadline_in(rt_now(), LOOKUP_EVERY, 0)) < 0)
            return;
        (void)!lb_resolve(lb);
    }
}

int lb_start(struct weir_lb *lb)
{
    return lb->name_count > 0 ? strand_start(keep_resolving, lb) : 0;
}

void lb_stop(struct weir_lb *lb)
{
    strand_ref strand;

    atomic_store(&lb->stopping, true);
    strand = atomic_load(&lb->strand);
    if (strand != 0)
        strand_cancel(strand, WEIR_ESHUTDOWN);
}
