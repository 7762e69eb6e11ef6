/* phases.c -- what the phases may return, and those that are asked when something failed.
 *
 * An ordinary phase fails the request with the first cause. The two phases that are asked about a
 * failed try see that cause as the session's error, may replace it, or undo it: WEIR_RETRY. */
#include "proxy/module.h"
#include "proxy/retry.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

#define FAIL_TIME (1 * WEIR_SEC)

static_assert(PHASE_OF(fail_to_proxy) == WEIR_PHASE_FAIL_TO_PROXY &&
                  PHASE_OF(response_filter) == WEIR_PHASE_RESPONSE_FILTER,
              "the phases are counted in the order of their fields");

struct phase_times {
    int64_t at[WEIR_PHASE_LOGGING + 1];
};

/* The phase that every proxy has is kept in the session: a plain request needs no more memory. */
void phase_begins(struct weir_session *s, enum weir_phase phase)
{
    if (phase == WEIR_PHASE_UPSTREAM_PEER) {
        s->chosen = rt_now();
        return;
    }
    if (s->phases == NULL) {
        s->phases = arena_alloc(&s->arena, sizeof *s->phases);
        if (s->phases == NULL)
            return;
        *s->phases = (struct phase_times){ .at = { 0 } };
    }
    s->phases->at[phase] = rt_now();
}

int64_t phase_began(const struct weir_session *s, enum weir_phase phase)
{
    if (phase == WEIR_PHASE_UPSTREAM_PEER)
        return s->chosen;
    return s->phases != NULL && (unsigned)phase <= WEIR_PHASE_LOGGING ? s->phases->at[phase] : 0;
}

/* The sticky failure of a head that a phase may have edited. */
static int failed_head(const struct weir_session *s)
{
    const struct weir_head *heads[] = { &s->req, &s->up_req, &s->up_res, &s->res };

    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if (heads[i]->failed != 0)
            return heads[i]->failed;
    return 0;
}

static bool is_error(int rc)
{
    return rc < 0 && !weir_eq(weir_error_why(rc), "none");
}

int phase_result(struct weir_session *s, int rc)
{
    if (s->err != 0)
        return s->err; /* weir_fail, or a sticky failure such as no memory */
    if (failed_head(s) != 0)
        return session_fail(s, failed_head(s), NULL);
    if (rc > 0 && !(rc == WEIR_ANSWERED && s->answered_here))
        return session_fail(s, WEIR_EFILTER, "a phase returned an outcome that it does not have");
    if (rc < 0 && !is_error(rc))
        return session_fail(s, WEIR_EFILTER, "a phase returned a number that is no error");
    return rc == 0 && s->answered_here ? WEIR_ANSWERED : rc; /* the word for it was left out */
}

/* Back to where no try has failed. */
static void forget_try(struct weir_session *s)
{
    s->err = s->fail_status = 0;
    s->fault = NULL;
    s->answered = 0;
    s->up_req.failed = s->up_res.failed = s->res.failed = 0;
}

/* What a phase said about `err`: the error that stands, or WEIR_RETRY. */
static int verdict(struct weir_session *s, int err, int said)
{
    s->judging = false;
    if (said == WEIR_RETRY)
        return WEIR_RETRY;
    if (s->err == WEIR_EFILTER && err != WEIR_EFILTER)
        return s->err; /* weir_fail has the last word */
    if (is_error(said) && said != err) {
        s->err = 0;
        s->fault = NULL;
        return session_fail(s, said, NULL);
    }
    return err;
}

int phase_fail_to_connect(struct weir_session *s, int err, const char *fault)
{
    const struct weir_proxy *proxy = s->service->proxy;
    int rc;

    session_fail(s, err, fault);
    s->judging = true;
    PHASE_BEGINS(s, proxy->name, fail_to_connect);
    rc = verdict(s, err, proxy->fail_to_connect(s, &s->peer, err));
    if (rc != WEIR_RETRY || !retry_possible(s) || co_check() < 0)
        return s->err;
    record_retry(s, s->err, s->fault);
    forget_try(s);
    return WEIR_RETRY;
}

/* May a phase's word alone repeat what failed like this? */
static bool repeatable_by_word(int err)
{
    return weir_error_source(err) != WEIR_SRC_DOWNSTREAM && err != WEIR_EREQUESTTIME &&
           co_check() == 0;
}

/* Last of all, so that only tries which will be made are taken out of it. */
static bool in_budget(struct weir_session *s)
{
    s->budget_spent = !retry_budget_take(s->service->budget, rt_now());
    return !s->budget_spent;
}

int phase_error_while_proxy(struct weir_session *s, int err, const char *fault, bool again)
{
    const struct weir_proxy *proxy = s->service->proxy;
    bool own = again;
    int rc = err;

    err = session_fail(s, err, fault);
    if (proxy->error_while_proxy != NULL) {
        s->judging = true;
        PHASE_BEGINS(s, proxy->name, error_while_proxy);
        rc = verdict(s, err, proxy->error_while_proxy(s, &s->peer, err, s->reused));
        again = rc == WEIR_RETRY ? own || repeatable_by_word(err) : own && rc == err;
    }
    if (!again || !retry_possible(s) || !in_budget(s))
        return s->err;
    record_retry(s, s->err, s->fault);
    forget_try(s);
    s->fresh = own;
    return WEIR_RETRY;
}

/* The request is over: what the phase and the page behind it may wait is bounded here. */
void phase_fail_to_proxy(struct weir_session *s)
{
    const struct weir_proxy *proxy = s->service->proxy;

    s->limit = deadline_in(rt_now(), FAIL_TIME, WEIR_EREQUESTTIME);
    s->down_write.limit = deadline_in(rt_now(), FAIL_TIME, WEIR_ESENDTIME);
    s->failing = true;
    if (proxy->fail_to_proxy != NULL && (s->ctx != NULL || proxy->ctx_size == 0)) {
        PHASE_BEGINS(s, proxy->name, fail_to_proxy);
        proxy->fail_to_proxy(s, s->err);
    }
    modules_fail(s);
    s->failing = false;
    s->res.failed = 0;
}
