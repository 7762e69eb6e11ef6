/* exchange.c -- the path of a request, on one screen. docs/walk.md follows a GET along it. */
#include "proxy/editor.h"
#include "proxy/module.h"
#include "proxy/session.h"

static int filter_request(struct weir_session *s)
{
    int rc;

    rc = fields_check_request(s);
    if (rc < 0)
        s->down->persistent = false; /* what else such a client may send is not trusted */
    TRY(rc);
    if (s->service->modules != NULL)
        TRY(modules_begin(s));
    rc = s->uses != NULL ? modules_early_request(s) : 0;
    if (rc == 0)
        rc = PHASE(s, early_request_filter, s);
    if (rc == 0 && s->uses != NULL)
        rc = modules_request(s);
    if (rc == 0)
        rc = PHASE(s, request_filter, s); /* may answer by itself: WEIR_ANSWERED */
    if (rc == 0)
        rc = fields_check_length(s);
    return rc != 0 ? rc : last_hop(s);
}

static int try_upstream(struct weir_session *s)
{
    int rc;

    s->body_begun[WEIR_REQUEST_BODY] = s->body_begun[WEIR_RESPONSE_BODY] = false;
    if (s->edit_up != NULL || s->edit_down != NULL)
        editors_next_try(s);
    rc = upstream_choose(s);
    if (rc != 0)
        return rc;
    rc = upstream_obtain(s); /* from the pool, or a new connection */
    if (rc == 0 && s->uses != NULL)
        rc = modules_connected(s);
    if (rc == 0)
        rc = PHASE(s, connected_to_upstream, s, &s->peer, s->reused);
    if (rc == 0 && s->req.method_id == METHOD_CONNECT) {
        rc = tunnel_connect(s);
    } else if (rc == 0) {
        rc = fields_for_upstream(s);
        if (rc == 0)
            rc = forward(s); /* both directions at once */
    }
    return upstream_leave(s, rc);
}

/* The life of one request, from its head to its log line. */
void exchange(struct weir_session *s, int rc)
{
    int ready = session_context(s);

    if (rc > 0)
        rc = ready < 0 ? ready : filter_request(s);
    if (rc == WEIR_OK)
        rc = buffer_request(s); /* its body too, if that was asked for */
    if (rc == WEIR_OK) {
        do
            rc = try_upstream(s);
        while (rc == WEIR_RETRY);
    }
    if (rc == WEIR_ECANCELED)
        rc = strand_cause(); /* the client went away, or the process ends */
    co_mask();               /* whatever ended it: the client is told and the log is written */
    if (rc < 0) {
        session_fail(s, rc, s->down->fault);
        answer_error(s); /* after fail_to_proxy */
    }
    record_error(s, s->err);
    if (s->service->proxy->logging != NULL) {
        co_label(s->service->proxy->name, "logging");
        phase_begins(s, WEIR_PHASE_LOGGING);
        s->service->proxy->logging(s, s->err);
    }
    if (s->uses != NULL)
        modules_logging(s);
    record_access(s, s->err);
    co_unmask();
}
