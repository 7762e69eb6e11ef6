/* h2_budget.c -- what a peer may do that costs us and brings it nothing: pings, settings,
 * priorities, resets, empty frames, streams that are refused, frames that are wrong (CVE-2019-9511
 * to 9518, CVE-2023-44487, CVE-2025-8671).
 *
 * Each costs some of a budget, which time refills, and the data that we send: a client that reads
 * much may say much. When it is spent the connection is told to calm down and ends. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum { BUDGET = 2000, BUDGET_A_SECOND = 200 };

void h2_spend(struct h2_conn *c, unsigned cost, const char *fault)
{
    int64_t now = rt_now(), refill = (now - c->budget_at) / (WEIR_SEC / BUDGET_A_SECOND);

    if (refill > 0) {
        c->budget = MIN(c->budget + refill, BUDGET);
        c->budget_at = now;
    }
    c->budget -= cost;
    if (c->budget < 0)
        h2_conn_calm(c, fault);
}

void h2_earn(struct h2_conn *c, unsigned gain)
{
    c->budget = MIN(c->budget + gain, BUDGET);
}
