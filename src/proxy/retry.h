/* retry.h -- may a request be sent again? docs/retry.md is the rule as a table.
 *
 * A budget bounds how much load tries that an upstream may have seen can add: so many in a hundred
 * requests, and so many a second beside them. What was not used within ten seconds is gone. */
#ifndef PROXY_RETRY_H
#define PROXY_RETRY_H

#include "base/base.h"
#include "runtime/spin.h"

struct weir_session;

struct retry_budget {
    uint64_t percent, per_second; /* either WEIR_UNLIMITED: no bound */
    _Atomic uint64_t requests;    /* begun, counted in steps */
    struct spin lock;
    double left;   /* tries that may be made now */
    uint64_t seen; /* of `requests`, in `left` */
    int64_t since; /* when that was */
};

/* Each worker counts so many requests by itself. */
enum { RETRY_STEP = 64 };

void retry_budget_init(struct retry_budget *b, uint64_t percent, uint64_t per_second, int64_t now);

/* Takes one try out of it. From any thread; never blocks. */
bool retry_budget_take(struct retry_budget *b, int64_t now);

/* RFC 9110 9.2.2. */
bool retry_idempotent(const struct weir_session *s);

/* As far as the client is concerned: no response has begun, its body is still there, and there were
 * not too many tries. */
bool retry_possible(const struct weir_session *s);

/* The next try begins. One at the address that has just failed waits before: longer each time, up
 * to ten times `retry_backoff`, half of it by chance. 0, or an error. Blocks. */
int retry_back_off(struct weir_session *s);

#endif
