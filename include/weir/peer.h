/* peer.h -- where a request goes: filled in by the phase upstream_peer. */
#ifndef WEIR_PEER_H
#define WEIR_PEER_H

#include <weir/str.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_session;

/* Versions of HTTP (H1: HTTP/1.1, H2: HTTP/2), negotiated by ALPN (RFC 7301) where there is TLS. */
enum { WEIR_H1 = 1, WEIR_H2 = 2 };

/* Zeroed before each call of upstream_peer. Slices must live as long as the session (weir_printf
 * and literals do). Whatever is set here is part of the pool's key, the durations except: two
 * requests share a connection only if all of it is equal. */
struct weir_peer {
    bool     tls;             /* speak TLS to it: implied by `sni` */
    weir_str sni;             /* the name it is asked for, and that its certificate has to carry,
                                 a dot at its end aside; absent: its certificate has to carry its
                                 IP address */
    weir_str alt_name;        /* another name that its certificate may carry in place of `sni` */
    weir_str ca_file;         /* PEM: who may have signed it; absent: the system's CAs */
    weir_str cert_file;       /* PEM: a certificate of ours and its chain, if it asks for one */
    weir_str key_file;        /* PEM: its key; absent: it is in cert_file */
    unsigned alpn;            /* WEIR_H1 | WEIR_H2: what to offer by ALPN; 0: HTTP/1.1.
                                 Without TLS, WEIR_H2 alone: HTTP/2 by prior knowledge */
    bool     any_name;        /* DANGER: whoever has any certificate signed by the CA is trusted */
    bool     no_verify;       /* DANGER: whoever answers is trusted */
    weir_str bind;            /* where connections to it come from, as `192.0.2.1:0`: an address of
                                 this machine and port 0; absent: the system chooses */
    weir_str group;           /* a partition of the pool, chosen by you; absent: none */
    weir_dur connect_timeout; /* 0: the service's, as for all of these */
    weir_dur try_timeout;     /* all of it until the response head; then it is tried again where
                                 that is safe: docs/retry.md (off) */
    weir_dur read_timeout;    /* the response head, and between two bytes of its body */
    weir_dur write_timeout;   /* between two bytes that the peer takes */
    weir_dur idle_timeout;    /* how long its connections stay in the pool (60 s) */
    weir_dur ping_after;      /* HTTP/2: silence after which it is sent a PING, and in which that
                               * has to be answered (10 s) */

    /* Set by weir_peer_address and weir_lb_pick; not to be written directly. */
    struct {
        const void *address;  /* a resolved address, owned by the session or a backend */
        const void *backend;  /* of a load balancer; NULL: none */
        const char *name;     /* for logs: as it was configured */
    } internal;
};

/* Sets the address: `1.2.3.4:80`, `[::1]:80`, `unix:/path` (host names need a load balancer,
 * which resolves them off the workers: weir_lb_new). 0, or WEIR_EINVALID for anything else.
 * Never blocks. */
int weir_peer_address(struct weir_session *s, struct weir_peer *peer, const char *addr);

/* The address of a peer, as it stands in the logs; absent before one was chosen. Never blocks. */
weir_str weir_peer_name(const struct weir_peer *peer);

#ifdef __cplusplus
}
#endif

#endif
