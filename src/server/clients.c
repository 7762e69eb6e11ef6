/* clients.c -- a hash of chains under a few locks. Only addresses with open connections have an
 * entry, so the table is bounded by the number of connections. */
#include "server/clients.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

enum { LOCKS = 64, CHAINS = 1 << 14 };

struct entry {
    struct entry *next;
    struct addr addr;
    uint64_t open;
};

struct clients {
    uint64_t most;
    pthread_mutex_t locks[LOCKS]; /* of the chains with the same number modulo LOCKS */
    struct entry *chains[CHAINS];
};

struct clients *clients_new(uint64_t most)
{
    struct clients *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->most = most;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&c->locks[i], NULL);
    return c;
}

void clients_free(struct clients **c)
{
    if (*c == NULL)
        return;
    for (size_t i = 0; i < CHAINS; i++) {
        for (struct entry *e = (*c)->chains[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&(*c)->locks[i]);
    free(*c);
    *c = NULL;
}

static size_t chain_of(const struct addr *a)
{
    return hash_bytes(a->ip, a->kind == ADDR_V4 ? 4 : 16) % CHAINS;
}

/* The link that leads to the entry of `a`, or to the end of its chain. */
static struct entry **link_to(struct entry **at, const struct addr *a)
{
    while (*at != NULL && !addr_same_host(&(*at)->addr, a))
        at = &(*at)->next;
    return at;
}

static bool enter(struct clients *c, struct entry **chain, const struct addr *client)
{
    struct entry *e = *link_to(chain, client);

    if (e == NULL) {
        e = malloc(sizeof(*e));
        if (e == NULL)
            return false;
        *e = (struct entry){ .next = *chain, .addr = *client };
        *chain = e;
    }
    if (e->open >= c->most)
        return false;
    e->open++;
    return true;
}

bool clients_enter(struct clients *c, const struct addr *client)
{
    size_t chain = chain_of(client);
    bool in;

    if (client->kind == ADDR_UNIX)
        return true;
    pthread_mutex_lock(&c->locks[chain % LOCKS]);
    in = enter(c, &c->chains[chain], client);
    pthread_mutex_unlock(&c->locks[chain % LOCKS]);
    return in;
}

void clients_leave(struct clients *c, const struct addr *client)
{
    size_t chain = chain_of(client);
    struct entry **link, *e;

    if (client->kind == ADDR_UNIX)
        return;
    pthread_mutex_lock(&c->locks[chain % LOCKS]);
    link = link_to(&c->chains[chain], client);
    e = *link;
    ensure(e != NULL && e->open > 0);
    e->open--;
    if (e->open == 0) {
        *link = e->next;
        free(e);
    }
    pthread_mutex_unlock(&c->locks[chain % LOCKS]);
}
