/* names.c -- look-ups that run beside those who wait for them, so that each may leave at its
 * deadline, and a memory of what was found.
 *
 * Each name has one place by its hash. Names that share one drive each other out, which costs no
 * more than a look-up. All who ask for a name at once share one, since the name service may take
 * long when it is in trouble, and the helper threads that ask it are few. */
#include "net/names.h"

#include <stdlib.h>

#include "base/hash.h"
#include "net/resolve.h"
#include "runtime/co.h"
#include "runtime/runtime.h"
#include "runtime/sem.h"

#define KEPT (30 * WEIR_SEC) /* as the addresses of backends */

enum { PLACES = 256, HOST_MAX = 255, LOOK_UPS = 1000 };

/* One that is under way, of whom it serves and of those who wait. */
struct look_up {
    atomic_uint users;
    struct co_sem over; /* more permits than anybody takes, once it is */
    int found;          /* then: how many, or an error with `why` */
    const char *why;
    struct addr addrs[NAMES_ADDRESSES];
    char host[HOST_MAX + 1];
};

struct place {
    struct spin lock;     /* guards all of it */
    struct look_up *next; /* what will be known; NULL: nobody has asked */
    unsigned count;       /* 0: nothing is known */
    int64_t until;
    struct addr addrs[NAMES_ADDRESSES];
    char host[HOST_MAX + 1];
};

static struct place places[PLACES];
static atomic_uint running;

static struct place *place_of(const char *host)
{
    return &places[hash_bytes(host, strlen(host)) % PLACES];
}

/* ---- a look-up ------------------------------------------------------------------------------- */

static void leave(struct look_up *l)
{
    if (atomic_fetch_sub(&l->users, 1) == 1)
        free(l);
}

static void finish(struct look_up *l)
{
    struct place *p = place_of(l->host);

    spin_lock(&p->lock);
    if (p->next == l)
        p->next = NULL;
    if (l->found > 0) { /* only what was found is remembered */
        p->count = (unsigned)l->found;
        p->until = rt_now() + KEPT;
        memcpy(p->addrs, l->addrs, sizeof p->addrs);
        memcpy(p->host, l->host, sizeof p->host);
    }
    spin_unlock(&p->lock);
    atomic_fetch_sub(&running, 1);
    co_sem_give(&l->over, UINT32_MAX);
    leave(l);
}

static void run(void *arg)
{
    struct look_up *l = arg;

    l->found = resolve(l->host, 0, l->addrs, NAMES_ADDRESSES, &l->why);
    finish(l);
}

static void start(struct look_up *l)
{
    int rc = WEIR_EDNS;

    if (atomic_fetch_add(&running, 1) >= LOOK_UPS)
        l->why = "too many names are being looked up";
    else
        rc = strand_start(run, l);
    if (rc == 0)
        return;
    l->found = rc;
    finish(l);
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* From memory: the number of addresses, or 0. Otherwise `*l` is what others have started, or `own`
 * if that is there to be started. */
static unsigned recall(const char *host, struct addr *out, struct look_up *own, struct look_up **l)
{
    struct place *p = place_of(host);
    unsigned n = 0;

    spin_lock(&p->lock);
    if (p->count > 0 && rt_now() < p->until && strcmp(p->host, host) == 0) {
        n = p->count;
        memcpy(out, p->addrs, n * sizeof *out);
    } else if (p->next != NULL && strcmp(p->next->host, host) == 0) {
        *l = p->next;
        atomic_fetch_add(&(*l)->users, 1);
    } else if (own != NULL) {
        *l = own;
        if (p->next == NULL)
            p->next = own;
    }
    spin_unlock(&p->lock);
    return n;
}

static struct look_up *make(const char *host)
{
    struct look_up *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    atomic_init(&l->users, 2); /* who runs it and who waits */
    co_sem_init(&l->over, 0);
    memcpy(l->host, host, strlen(host) + 1);
    return l;
}

/* Recalls, or finds a look-up to wait for. */
static int ask(const char *host, struct addr *out, struct look_up **l)
{
    unsigned n = recall(host, out, NULL, l);
    struct look_up *own;

    if (n > 0 || *l != NULL)
        return (int)n;
    own = make(host);
    if (own == NULL)
        return WEIR_ENOMEM;
    n = recall(host, out, own, l);
    if (*l == own)
        start(own);
    else
        free(own);
    return (int)n;
}

static int await(struct look_up *l, struct addr *out, struct deadline until, const char **why)
{
    int n = co_sem_take(&l->over, until);

    if (n == 0) {
        n = l->found;
        *why = l->why;
        memcpy(out, l->addrs, sizeof l->addrs);
    } else if (n != WEIR_ECANCELED) {
        *why = "its name was not found in time";
    }
    leave(l);
    return n;
}

int names_find(const char *host, uint16_t port, struct addr out[NAMES_ADDRESSES],
               struct deadline until, const char **why)
{
    struct look_up *l = NULL;
    int n;

    *why = NULL;
    if (strlen(host) > HOST_MAX) { /* RFC 1035 2.3.4 */
        *why = "too long for a name";
        return WEIR_EDNS;
    }
    n = ask(host, out, &l);
    if (l != NULL)
        n = await(l, out, until, why);
    for (int i = 0; i < n; i++)
        out[i].port = port;
    return n;
}

void names_forget(const char *host)
{
    struct place *p = place_of(host);

    spin_lock(&p->lock);
    if (strcmp(p->host, host) == 0)
        p->count = 0;
    spin_unlock(&p->lock);
}
