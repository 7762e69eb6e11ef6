/* load.h -- the load generator's inside: connections, their events, and what came of it.
 *
 * One thread owns everything. A connection is `free` (listed, open or not yet) or has work to do
 * (counted in `active`): it is being opened, has a request under way, or has been told to end. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "common/wire.h"
#include "load/demand.h"
#include "load/options.h"
#include "load/response.h"

enum failure {
    FAIL_CONNECT, /* no connection */
    FAIL_CLOSED,  /* closed in the middle, or not closed as announced */
    FAIL_RESET,   /* an error of the connection */
    FAIL_STATUS,  /* not 2xx */
    FAIL_FRAMING, /* no proper HTTP, or bytes nobody asked for */
    FAIL_LENGTH,  /* another body length than expected */
    FAIL_TIMEOUT,
    FAIL_UNSENT, /* due in an open loop and never sent: no connection was free */
    FAIL_KINDS,
};

/* What came of it. Failures count from the start, all else from tally_reset(). */
struct tally {
    uint64_t begin, last; /* clock: the phase's begin, its last good response */
    uint64_t done;
    uint64_t opened, closed_by_peer; /* connections; closed while they were free */
    uint64_t resumed;                /* of those opened: by an earlier TLS session */
    uint64_t body_in;
    uint64_t late; /* ns by which a request was sent after its intended start, worst */
    uint64_t failures;
    uint64_t by_kind[FAIL_KINDS];
    char first[256]; /* the first failure in words */
    char tls[64];    /* what the first TLS connection agreed on */
};

enum conn_state { CONN_CLOSED, CONN_OPEN, CONN_OPENING, CONN_BUSY, CONN_ENDING };

struct link;

struct conn {
    struct wire wire;
    uint8_t state;
    bool listed;            /* in load->free */
    bool hup;               /* its end was announced: read until it shows */
    struct request request; /* class NULL: none */
    size_t sent;
    uint64_t deadline; /* of what it is doing */
    struct response response;
    struct link *link; /* HTTP/2: what carries it; then `wire` is not used */
    int32_t stream;
    struct conn *next;
};

struct epoll_event;

struct load {
    struct options *options;
    int epoll;
    bool stdin_over; /* stdin was watched, and is closed */
    uint64_t now;    /* the clock, read at each turn and each response */
    uint64_t sweep;  /* when to look for deadlines next */
    uint64_t active;
    struct conn *conns;
    struct link *links;            /* of HTTP/2; NULL = HTTP/1.1 */
    struct conn *free, **free_end; /* used in turn: the longest unused one first */
    struct demand demand;
    struct tally tally;
};

/* conn.c -- the life of a connection */

/* Sends `request` on a free connection, which is opened first if need be. */
void conn_start(struct load *l, struct conn *c, struct request request);

/* Opens a free connection and leaves it at that. */
void conn_open(struct load *l, struct conn *c);

/* Deals with what epoll says, or with a deadline that is over. */
void conn_event(struct load *l, struct conn *c, uint32_t events);
void conn_expired(struct load *l, struct conn *c);

/* For h2.c: a whole response is here, and it is checked and counted; or the request has failed. */
void conn_finish(struct load *l, struct conn *c);
void conn_fail(struct load *l, struct conn *c, enum failure kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts a connection on the list of free ones, as the last. Takes the first off it, or NULL. */
void free_put(struct load *l, struct conn *c);
struct conn *free_take(struct load *l);

/* run.c -- the loop */

void load_init(struct load *l, struct options *options);
void load_close(struct load *l);

/* Opens all connections; waits until they are open, or have failed. */
void load_connect(struct load *l);

/* One phase: requests until `requests` or `span` is reached, and all their responses. */
void load_phase(struct load *l, uint64_t requests, uint64_t span);

/* Sends what is due on connections that are free; to be called when either may have come. */
void load_dispatch(struct load *l);

/* Waits for events until `until` at the latest, and deals with them. */
void load_turn(struct load *l, uint64_t until);

/* Waits for events until `until` at the latest; how many there are. */
int load_wait(int epoll, struct epoll_event *batch, int size, uint64_t now, uint64_t until);

/* hold.c: open connections that do nothing, until stdin is closed or the time is over. */
void load_hold(struct load *l);

/* attack.c: connections that are as slow as they can be, until they are all cut, stdin is closed
 * or the time is over; prints its own result. */
void load_attack(const struct options *o);

/* flood.c: connections of HTTP/2 that make work, until stdin is closed or the time is over; prints
 * its own result. */
void load_flood(const struct options *o);

/* report.c */

/* Counts a failure; `format` words it. */
void tally_fail(struct load *l, struct class *class, enum failure kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tally_reset(struct load *l);
void report(const struct load *l);

#endif
