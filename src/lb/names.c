/* names.c -- what names resolve to, at start and again and again. */
#include <stdlib.h>

#include "base/log.h"
#include "lb/parts.h"
#include "net/resolve.h"
#include "runtime/runtime.h"

#define LOOKUP_EVERY (30 * WEIR_SEC)

enum { NAME_ADDRS = 256 }; /* of one name; further ones are left out */

int (*lb_lookup)(const char *, uint16_t, struct addr *, unsigned, const char **) = resolve;

static int by_bytes(const void *a, const void *b)
{
    const struct addr *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind - y->kind;
    return memcmp(x->ip, y->ip, sizeof x->ip);
}

/* NULL, or why it was not resolved. What it resolved to before stays then: an old address is better
 * than none. Sorted, because name servers rotate their answers and that is no change. */
static const char *look_up(struct entry *e)
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
        return why;
    }
    qsort(found, (size_t)n, sizeof *found, by_bytes);
    free(e->known);
    e->known = found;
    e->known_count = (unsigned)n;
    return NULL;
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

static void replace(struct weir_lb *lb, struct backend_set *set)
{
    struct backend_set *old;

    spin_lock(&lb->lock);
    old = lb->set;
    lb->set = set;
    set_settle(old);
    spin_unlock(&lb->lock);
    set_free(old);
    event_set(&lb->health.changed);
}

int lb_resolve(struct weir_lb *lb)
{
    struct backend_set *set = NULL;
    struct addr *all;
    unsigned count;
    bool unresolved, same;

    for (unsigned i = 0; i < lb->entry_count; i++) {
        struct entry *e = &lb->entries[i];
        const char *why = e->spec.form == SPEC_HOST ? look_up(e) : NULL;

        if (why != NULL)
            log_message("warning", "upstream \"%s\" was not resolved: %s", e->text, why);
    }
    all = gather(lb, &count, &unresolved);
    if (all == NULL)
        return WEIR_ENOMEM;

    /* Nobody else changes the set, so it may be read without the lock. */
    same = lb->set != NULL && set_is(lb->set, all, count, unresolved);
    if (!same) {
        set = set_new(all, count, unresolved, lb->set);
        if (set != NULL)
            replace(lb, set);
    }
    free(all);
    return same || set != NULL ? 0 : WEIR_ENOMEM;
}

void lb_test(struct weir_lb *lb, struct faults *out)
{
    for (unsigned i = 0; i < lb->entry_count; i++) {
        struct entry *e = &lb->entries[i];
        const char *why = e->spec.form == SPEC_HOST ? look_up(e) : NULL;

        if (why != NULL)
            faults_add(out, "upstream \"%s\" was not resolved: %s", e->text, why);
    }
}

/* Without memory the set stays as it is until the next time. */
int names_keep(void *arg)
{
    struct weir_lb *lb = arg;
    int rc;

    while ((rc = co_sleep(deadline_in(rt_now(), LOOKUP_EVERY, 0))) == 0)
        (void)!lb_resolve(lb);
    return rc;
}
