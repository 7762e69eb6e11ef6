/* h2_budget.c -- what a peer may do that costs us and brings it nothing: pings, settings,
 * priorities, resets, empty frames, streams that are refused, frames that are wrong (CVE-2019-9511
 * to 9518, CVE-2023-44487, CVE-2025-8671).
 *
 * Each costs some of a budget, which time refills, and the data that we send: a client that reads
 * much may say much. When it is spent the connection is told to calm down and ends. */
#include "http/h2_parts.h"
#include "runtime/runtime.h"

enum { BUDGET = 2000, BUDGET_A_SECOND = 200 };

#define UNIT_TIME (WEIR_SEC / BUDGET_A_SECOND)

/* What would come to a budget that is full is lost, and so is the time for it. */
static void fill(struct h2_conn *c, int64_t units)
{
    c->budget += units;
    if (c->budget < BUDGET)
        return;
    c->budget = BUDGET;
    c->budget_at = rt_now();
}

/* Time that is not enough for one unit counts later. */
static void refill(struct h2_conn *c)
{
    int64_t units = (rt_now() - c->budget_at) / UNIT_TIME;

    c->budget_at += units * UNIT_TIME;
    fill(c, units);
}

void h2_spend(struct h2_conn *c, unsigned cost, const char *fault)
{
    refill(c);
    c->budget -= cost;
    if (c->budget < 0)
        h2_conn_calm(c, fault);
}

void h2_earn(struct h2_conn *c, unsigned gain)
{
    if (c->budget < BUDGET)
        fill(c, gain);
}
