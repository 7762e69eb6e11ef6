/* retry.c -- the budget of further tries, the wait before them, and what they need. */
#include "proxy/retry.h"

#include "proxy/local.h"
#include "proxy/replay.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

#define WINDOW (10 * WEIR_SEC)

enum { DOUBLINGS = 4, MOST_WAITS = 10 };

/* ---- the budget ------------------------------------------------------------------------------ */

static bool unbounded(const struct retry_budget *b)
{
    return b->percent == WEIR_UNLIMITED || b->per_second == WEIR_UNLIMITED;
}

void retry_budget_init(struct retry_budget *b, uint64_t percent, uint64_t per_second, int64_t now)
{
    *b = (struct retry_budget){ .percent = percent, .per_second = per_second, .since = now };
    if (!unbounded(b))
        b->left = (double)per_second * ((double)WINDOW / WEIR_SEC);
}

/* What a while of `span` and its requests have added; what is older than the window has gone. */
static void refill(struct retry_budget *b, int64_t now)
{
    uint64_t requests = atomic_load_explicit(&b->requests, memory_order_relaxed);
    double part = (double)(now - b->since) / WINDOW;
    double earned = (double)(requests - b->seen) * (double)b->percent / 100 +
                    (double)b->per_second * (double)(now - b->since) / WEIR_SEC;

    if (now <= b->since)
        return;
    b->left = part >= 1 ? earned / part : b->left * (1 - part) + earned;
    b->seen = requests;
    b->since = now;
}

bool retry_budget_take(struct retry_budget *b, int64_t now)
{
    bool enough;

    if (unbounded(b))
        return true;
    spin_lock(&b->lock);
    refill(b, now);
    enough = b->left >= 1;
    if (enough)
        b->left -= 1;
    spin_unlock(&b->lock);
    return enough;
}

/* ---- the request ----------------------------------------------------------------------------- */

bool retry_idempotent(const struct weir_session *s)
{
    switch (s->req.method_id) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE:
        return true;
    default:
        return false;
    }
}

bool retry_possible(const struct weir_session *s)
{
    return s->tries < s->service->max_tries && !s->down->head_sent && replay_possible(s) &&
           s->req.failed == 0;
}

/* ---- the wait -------------------------------------------------------------------------------- */

static weir_dur next_wait(struct weir_session *s)
{
    weir_dur base = MIN(s->service->retry_backoff, WEIR_FOREVER / MOST_WAITS);
    unsigned doubled = 1u << MIN(s->waits, DOUBLINGS);
    weir_dur most = base * MIN(doubled, MOST_WAITS);

    s->waits++;
    return most / 2 + (weir_dur)(request_id(request_number()) % ((uint64_t)most / 2 + 1));
}

int retry_back_off(struct weir_session *s)
{
    const struct addr *failed = s->failed_at;

    s->failed_at = NULL;
    if (failed == NULL || s->service->retry_backoff == WEIR_FOREVER ||
        !addr_eq(failed, s->peer.internal.address))
        return 0;
    co_label(s->service->proxy->name, "waiting before another try");
    return co_sleep(deadline_min(deadline_in(rt_now(), next_wait(s), 0), s->limit));
}
