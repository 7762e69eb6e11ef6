/* stats.c -- what an embedding program may read while its server runs.
 *
 * The pool lives only while workers do, and who asks may ask at any time: so the server notes
 * under a lock whether there is a pool to ask, and keeps the last figures when it goes. */
#include "pool/pool.h"
#include "server/server.h"

static void read_pool(struct weir_server_stats *out)
{
    struct pool_stats p;

    pool_stats(&p);
    *out = (struct weir_server_stats){
        .upstream_opened = p.opened,
        .upstream_reused = p.reused,
        .upstream_evicted = p.evicted,
        .upstream_expired = p.expired,
        .upstream_closed = p.closed_by_peer,
        .upstream_idle = p.idle,
    };
}

void stats_open(struct weir_server *sv)
{
    pthread_mutex_lock(&sv->stats_lock);
    sv->counting = true;
    pthread_mutex_unlock(&sv->stats_lock);
}

void stats_close(struct weir_server *sv)
{
    pthread_mutex_lock(&sv->stats_lock);
    read_pool(&sv->last_stats);
    sv->counting = false;
    pthread_mutex_unlock(&sv->stats_lock);
}

void weir_server_stats(struct weir_server *sv, struct weir_server_stats *out)
{
    server_needed(sv);
    needs(out != NULL, "a place for the figures");
    pthread_mutex_lock(&sv->stats_lock);
    if (sv->counting)
        read_pool(out);
    else
        *out = sv->last_stats;
    pthread_mutex_unlock(&sv->stats_lock);
}
