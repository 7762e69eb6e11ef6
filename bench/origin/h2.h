/* h2.h -- the origin's HTTP/2 connections, by libnghttp2. */
#ifndef BENCH_ORIGIN_H2_H
#define BENCH_ORIGIN_H2_H

#include "common/wire.h"

#include <stdbool.h>

struct h2;

/* A server's session; nothing is sent yet. h2_free() ends it and clears the pointer. */
struct h2 *h2_new(void);
void h2_free(struct h2 **h);

/* Reads what is there, answers what was asked, writes what can be written. False: close. */
bool h2_serve(struct h2 *h, struct wire *w);

#endif
