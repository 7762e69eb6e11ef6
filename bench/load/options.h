/* options.h -- what a run of the load generator is asked to do. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "common/sock.h"
#include "common/tls.h"
#include "load/hist.h"

#include <stdbool.h>
#include <stdint.h>

enum { MAX_CLASSES = 8 };

/* A kind of request: what is sent, how often in relation to the others, how it went. */
struct class
{
    char *name, *path;
    uint64_t weight;
    uint64_t post;  /* body bytes to send; 0 = a GET */
    int64_t length; /* body bytes that must come back; -1 = any */
    char *bytes;    /* the request, ready to be sent */
    size_t len;
    uint64_t failed;
    struct hist hist; /* of those that went well */
};

enum hold {
    HOLD_NOT,
    HOLD_IDLE,    /* connected, nothing said */
    HOLD_SERVED,  /* one request answered, then idle */
    HOLD_WAITING, /* one request sent, its answer outstanding */
};

enum attack {
    ATTACK_NOT,
    ATTACK_HEADS,   /* a head that comes byte by byte and never ends */
    ATTACK_BODIES,  /* the same with a body */
    ATTACK_READERS, /* a large answer that is hardly read */
};

enum flood {
    FLOOD_NOT,
    FLOOD_RESETS,       /* streams that are reset at once */
    FLOOD_PINGS,
    FLOOD_SETTINGS,
    FLOOD_EMPTY,        /* DATA without a byte */
    FLOOD_CONTINUATION, /* a head that never ends, of empty frames */
    FLOOD_WINDOWS,      /* answers that have no window, and nothing is read */
};

struct options {
    struct address address;
    const char *target;   /* the address in words */
    uint64_t connections; /* or places for a stream, of all connections together */
    uint64_t streams;     /* of each connection; 1 without h2 */
    uint64_t busy;        /* at most so many requests under way */
    uint64_t requests;    /* in the counted phase; 0 = by time only */
    uint64_t span;        /* ns of the counted phase; 0 = by requests only */
    uint64_t warmup;      /* ns, not counted */
    uint64_t timeout;     /* ns for one request */
    uint64_t rate;        /* per second; 0 = closed loop */
    uint64_t seed;
    bool poisson;
    bool close; /* a connection per request */
    bool gate;  /* wait for a line on stdin before the counted phase */
    enum hold hold;
    enum attack attack;
    enum flood flood;
    uint64_t every;         /* ns between two bytes of an attacker, two batches of a flood */
    struct ssl_ctx_st *tls; /* NULL = plain */
    bool use_tls, resume;
    bool h2; /* HTTP/2: by ALPN over TLS, else by prior knowledge */
    enum tls_version tls_version;
    struct class classes[MAX_CLASSES];
    unsigned class_count;
    uint64_t weights; /* the sum */
};

/* Reads the command line and prints the requests; ends the program (2) if it makes no sense. */
void options_parse(struct options *o, int argc, char **argv);

#endif
