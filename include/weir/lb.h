/* lb.h -- load balancing: a set of backends and a policy. */
#ifndef WEIR_LB_H
#define WEIR_LB_H

#include <weir/peer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;
struct weir_lb;

enum weir_policy { WEIR_ROUND_ROBIN };

enum { WEIR_LB_BACKENDS = 64 };

struct weir_lb_config {
    /* Addresses as `1.2.3.4:80`, `[::1]:80`, `host:80`, `unix:/path`; the first NULL ends the
     * list. All addresses of a host name become backends; it is resolved at start and again
     * every 30 s. */
    const char      *backends[WEIR_LB_BACKENDS];
    enum weir_policy policy;
};

/* Makes a load balancer. The server owns it; everything is copied. A bad address is reported by
 * weir_server_run, as is a full `backends` array without its NULL (use weir_lb_add). NULL only
 * without memory: that is reported too, and weir_lb_add takes it. Before weir_server_run only. */
struct weir_lb *weir_lb_new(struct weir_server *sv, const struct weir_lb_config *config);

/* One backend more, as in `backends`. Before weir_server_run only. */
void weir_lb_add(struct weir_lb *lb, const char *addr);

/* Chooses a backend for this try and writes its address into `peer`; passes over those that this
 * request has tried already, while others are left. 0, WEIR_EDNS if no name has an address yet, or
 * WEIR_ENOUPSTREAM. Never blocks. */
int weir_lb_pick(struct weir_lb *lb, struct weir_session *s, struct weir_peer *peer);

#ifdef __cplusplus
}
#endif

#endif
