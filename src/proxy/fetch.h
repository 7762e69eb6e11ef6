/* fetch.h -- a request of weir_fetch: how it was made, whom it asks, what has come of it. */
#ifndef PROXY_FETCH_H
#define PROXY_FETCH_H

#include <weir/fetch.h>

#include "codec/head.h"
#include "net/names.h"

struct fetch {
    struct weir_head req;
    struct fetch *next; /* of the same session */
    const char *wrong;  /* what is wrong with the URL; NULL: nothing */
    bool tls, done;
    weir_str host;    /* without brackets; a NUL follows */
    const char *name; /* for weir_why: host and port */
    uint16_t port;
    struct addr addrs[NAMES_ADDRESSES];
    unsigned count, turn;
    const struct weir_fetch_options *options;
    const struct weir_head *answer; /* NULL: none yet */
    char *body;
    size_t body_len, body_room;
};

/* fetch_request.c: the fetch that `head` is the request or the answer of; NULL: of none. */
struct fetch *fetch_of(const struct weir_session *s, const struct weir_head *head);

/* What is wrong with it before it is sent; NULL: nothing, and it now tells by Via how many have
 * asked before. */
const char *fetch_unfit(const struct weir_session *s, struct fetch *f);

#endif
