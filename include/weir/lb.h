/* lb.h -- load balancing: a set of backends and a policy. None of these calls blocks. */
#ifndef WEIR_LB_H
#define WEIR_LB_H

#include <weir/peer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;
struct weir_lb;

/* How the next backend is chosen: WEIR_ROUND_ROBIN takes them in turn. */
enum weir_policy { WEIR_ROUND_ROBIN };

/* How a backend is checked: WEIR_CHECK_NONE, not at all; WEIR_CHECK_TCP, by connecting to it. */
enum weir_check { WEIR_CHECK_NONE, WEIR_CHECK_TCP };

/* Checks of backends in the background. WEIR_CHECK_TCP connects and closes again; a backend that
 * speaks TLS is checked the same way. A backend gets requests until a check has failed, and its
 * very first check decides alone. Changes are logged (docs/log.md). */
struct weir_lb_health {
    enum weir_check kind;    /* none (the default): they count as healthy */
    weir_dur        every;   /* from start to start, a tenth more or less (1 s) */
    weir_dur        timeout; /* of one (1 s) */
    unsigned        rise;    /* good ones in a row that make an unhealthy backend healthy (2) */
    unsigned        fall;    /* failed ones in a row that make a healthy backend unhealthy (3) */
};

/* Room of weir_lb_config.backends, its NULL included. */
enum { WEIR_LB_BACKENDS = 64 };

/* What a load balancer is made of; zero is the default of all but `backends`. */
struct weir_lb_config {
    /* Addresses as `1.2.3.4:80`, `[::1]:80`, `host:80`, `unix:/path`; the first NULL ends the
     * list. All addresses of a host name become backends; it is resolved at start and again
     * every 30 s. */
    const char           *backends[WEIR_LB_BACKENDS];
    enum weir_policy      policy; /* WEIR_ROUND_ROBIN */
    struct weir_lb_health health; /* zero: all backends count as healthy */
};

/* Makes a load balancer. The server owns it; everything is copied. A bad address is reported by
 * weir_server_run, as is a full `backends` array without its NULL (use weir_lb_add). NULL only
 * without memory: that is reported too, and weir_lb_add takes it. Before weir_server_run only. */
struct weir_lb *weir_lb_new(struct weir_server *sv, const struct weir_lb_config *config);

/* One backend more, as in `backends`. Before weir_server_run only. */
void weir_lb_add(struct weir_lb *lb, const char *addr);

/* Chooses a backend for this try and writes its address into `peer`: the next in turn, one turn for
 * all workers, that is healthy and that this request has not tried yet. 0, WEIR_EDNS if no name has
 * an address yet, or WEIR_ENOUPSTREAM if there is none. Never blocks. */
int weir_lb_pick(struct weir_lb *lb, struct weir_session *s, struct weir_peer *peer);

/* A backend as it is now, for displays and metrics. */
struct weir_lb_backend {
    char     name[128]; /* its address, as in the logs: "127.0.0.1:80" */
    bool     healthy;   /* it gets requests */
    uint64_t requests; /* how often weir_lb_pick has chosen it */
    uint64_t failures; /* how many of these failed by its fault: not connected, cut off, too late */
};

/* Fills in backend `i`, from 0 in the order of the configuration; false: there are not so many
 * (none until the server runs). `out` may be NULL. What a name resolves to may change between two
 * calls, and a new address begins to count at 0. Never blocks. From any thread, until
 * weir_server_run returns. */
bool weir_lb_backends(struct weir_lb *lb, unsigned i, struct weir_lb_backend *out);

#ifdef __cplusplus
}
#endif

#endif
