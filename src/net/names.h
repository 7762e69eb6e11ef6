/* names.h -- names to addresses, for who connects: within a deadline, some from memory. */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include "net/addr.h"
#include "runtime/deadline.h"

enum { NAMES_ADDRESSES = 8 }; /* of one name; further ones are left out */

/* The addresses of `host` with `port`, as resolve (resolve.h), or as it said within the last 30 s.
 * In coroutines; blocks. Their number (above 0); WEIR_EDNS, with `*why` = a static sentence; the
 * deadline's error, with one too; WEIR_ECANCELED, WEIR_ENOMEM, WEIR_ESTACKS, with NULL. */
int names_find(const char *host, uint16_t port, struct addr out[NAMES_ADDRESSES],
               struct deadline until, const char **why);

/* None of them could be reached: the next time they are looked up. Never blocks. */
void names_forget(const char *host);

#endif
