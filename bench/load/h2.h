/* h2.h -- HTTP/2 connections of the load generator, by libnghttp2.
 *
 * A `struct conn` is one stream's place then: it takes requests as it would on a connection of its
 * own, and its link carries `streams` of them. The frames of all that is asked in one turn of the
 * loop leave in one write. */
#ifndef BENCH_H2_H
#define BENCH_H2_H

#include "load/load.h"

struct link;

/* Makes the links and gives every place of `l` its link. h2_close() ends them. */
void h2_init(struct load *l);
void h2_close(struct load *l);

/* Starts to open a link; it counts as active until the server's SETTINGS are here. */
void h2_open(struct load *l, struct link *k);
struct link *h2_link(struct load *l, uint64_t index);

/* Sends the request of `c`, on a link that is opened again if need be. */
void h2_start(struct load *l, struct conn *c);

/* Gives up the stream of `c`, whose time is over. */
void h2_cancel(struct load *l, struct conn *c);

/* Deals with what epoll says about a link, with those that take too long to open, and with what
 * waits to be sent. */
void h2_event(struct load *l, struct link *k, uint32_t events);
void h2_sweep(struct load *l);
void h2_flush(struct load *l);

#endif
