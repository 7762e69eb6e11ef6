/* fetch_names.c -- the names that fetches ask for, remembered for a while: the name service is
 * asked by a helper thread, and these are few.
 *
 * Each name has one place by its hash; two that share one drive each other out, which costs no more
 * than a look-up. Only what was found is remembered. */
#include "base/hash.h"
#include "net/resolve.h"
#include "proxy/fetch.h"
#include "runtime/runtime.h"
#include "runtime/spin.h"

#define KEPT (30 * WEIR_SEC) /* as the addresses of backends */

enum { PLACES = 256, HOST_MAX = 255 };

struct place {
    struct spin lock; /* guards all of it */
    unsigned count;   /* 0: it is empty */
    int64_t until;
    struct addr addrs[FETCH_ADDRESSES];
    char host[HOST_MAX + 1];
};

static struct place places[PLACES];

static struct place *place_of(const char *host)
{
    return &places[hash_bytes(host, strlen(host)) % PLACES];
}

static unsigned recall(const char *host, uint16_t port, struct addr *out, unsigned max)
{
    struct place *p = place_of(host);
    unsigned n = 0;

    spin_lock(&p->lock);
    if (p->count > 0 && rt_now() < p->until && strcmp(p->host, host) == 0)
        n = MIN(p->count, max);
    memcpy(out, p->addrs, n * sizeof *out);
    spin_unlock(&p->lock);
    for (unsigned i = 0; i < n; i++)
        out[i].port = port;
    return n;
}

static void remember(const char *host, const struct addr *addrs, unsigned count)
{
    struct place *p = place_of(host);

    spin_lock(&p->lock);
    p->count = MIN(count, (unsigned)FETCH_ADDRESSES);
    p->until = rt_now() + KEPT;
    memcpy(p->addrs, addrs, p->count * sizeof *addrs);
    memcpy(p->host, host, strlen(host) + 1);
    spin_unlock(&p->lock);
}

void fetch_forget(const char *host)
{
    struct place *p = place_of(host);

    spin_lock(&p->lock);
    if (strcmp(p->host, host) == 0)
        p->count = 0;
    spin_unlock(&p->lock);
}

int fetch_resolve(const char *host, uint16_t port, struct addr *out, unsigned max, const char **why)
{
    int n = (int)recall(host, port, out, max);

    if (n > 0)
        return n;
    n = resolve(host, port, out, max, why);
    if (n > 0 && strlen(host) <= HOST_MAX)
        remember(host, out, (unsigned)n);
    return n;
}
