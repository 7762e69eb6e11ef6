/* record.c -- the two log records of a request. docs/log.md lists their names. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/local.h"
#include "proxy/session.h"
#include "runtime/runtime.h"
#include "tls/tls.h"

static void log_id(struct log_record *r, const struct weir_session *s)
{
    char id[17];

    snprintf(id, sizeof id, REQUEST_ID_FORMAT, request_id(s->number));
    log_str(r, "id", (weir_str){ id, 16 });
}

static void log_time(struct log_record *r)
{
    char time[RFC3339_LEN];

    clock_rfc3339(clock_wall(), time);
    log_str(r, "time", (weir_str){ time, RFC3339_LEN });
}

static void log_client(struct log_record *r, const struct weir_session *s)
{
    char client[ADDR_TEXT];

    if (s->client->kind != ADDR_NONE)
        log_str(r, "client", addr_print(s->client, client));
}

static void log_tls(struct log_record *r, const struct tls_info *tls)
{
    if (tls == NULL)
        return;
    log_str(r, "tls", WEIR(tls->version));
    log_str(r, "cipher", WEIR(tls->cipher));
    if (tls->sni != NULL)
        log_str(r, "sni", WEIR(tls->sni));
    if (tls->resumed)
        log_bool(r, "resumed", true);
}

/* Where they are not those of the client. */
static void log_upstream_bytes(struct log_record *r, const struct weir_session *s)
{
    if (s->up_sent != s->received)
        log_int(r, "upstream_sent", (int64_t)s->up_sent);
    if (s->up_received != s->sent)
        log_int(r, "upstream_received", (int64_t)s->up_received);
}

/* Out of its caller, which has nothing to do where no such log is kept. */
static __attribute__((noinline)) void write_access(struct weir_session *s, int err)
{
    struct log_record r;
    int64_t now = rt_now();

    log_begin(&r, record_scratch(), LOG_RECORD_MAX);
    log_time(&r);
    log_id(&r, s);
    log_str(&r, "service", WEIR(s->service->proxy->name));
    log_client(&r, s);
    log_str(&r, "method", s->req.method);
    log_str(&r, "host", s->req.authority);
    log_str(&r, "target", s->req.target);
    if (s->down->version != NULL)
        log_str(&r, "version", WEIR(s->down->version));
    else if (s->req.method.ptr != NULL)
        log_str(&r, "version", s->req.minor == 0 ? LIT("HTTP/1.0") : LIT("HTTP/1.1"));
    log_int(&r, "status", s->status);
    log_int(&r, "sent", (int64_t)s->sent);
    log_int(&r, "received", (int64_t)s->received);
    log_usec(&r, "duration", now - s->started);
    log_tls(&r, s->down->tls);
    if (s->up_name != NULL) {
        log_str(&r, "upstream", WEIR(s->up_name));
        log_str(&r, "connect", s->reused ? LIT("reused") : LIT("new"));
        log_int(&r, "tries", s->tries);
        log_upstream_bytes(&r, s);
    }
    if (s->answered != 0)
        log_usec(&r, "upstream_time", s->answered - s->started);
    if (err < 0)
        log_str(&r, "why", WEIR(weir_error_why(err)));
    log_str(&r, "agent", head_get_id(&s->req, FIELD_USER_AGENT));
    log_str(&r, "referer", head_get_id(&s->req, FIELD_REFERER));
    log_line(LOG_ACCESS, log_end(&r));
}

void record_access(struct weir_session *s, int err)
{
    if (s->service->access_log)
        write_access(s, err);
}

/* What clients do wrong is a notice: they are many, and nobody here can mend them. */
static const char *const levels[] = {
    [WEIR_SRC_INTERNAL] = "error",
    [WEIR_SRC_DOWNSTREAM] = "notice",
    [WEIR_SRC_UPSTREAM] = "error",
};

void record_connection(const struct addr *client, int err, const char *detail)
{
    char text[ADDR_TEXT];
    struct log_record r;

    log_begin(&r, record_scratch(), LOG_RECORD_MAX);
    log_time(&r);
    log_str(&r, "level", WEIR(levels[weir_error_source(err)]));
    log_str(&r, "why", WEIR(weir_error_why(err)));
    log_str(&r, "msg", WEIR(weir_error_text(err)));
    if (detail != NULL)
        log_str(&r, "detail", WEIR(detail));
    log_str(&r, "client", addr_print(client, text));
    log_line(LOG_ERROR, log_end(&r));
}

void record_unread(const struct service *svc, const struct addr *client, int err, int status,
                   size_t sent)
{
    char text[ADDR_TEXT];
    struct log_record r;

    if (!svc->access_log)
        return;
    log_begin(&r, record_scratch(), LOG_RECORD_MAX);
    log_time(&r);
    log_str(&r, "service", WEIR(svc->proxy->name));
    log_str(&r, "client", addr_print(client, text));
    log_int(&r, "status", status);
    log_int(&r, "sent", (int64_t)sent);
    log_int(&r, "received", 0);
    log_usec(&r, "duration", 0);
    log_str(&r, "why", WEIR(weir_error_why(err)));
    log_line(LOG_ACCESS, log_end(&r));
}

/* May the proxy be asked? */
static bool ready(const struct weir_session *s)
{
    return !s->own && (s->ctx != NULL || s->service->proxy->ctx_size == 0);
}

static void record(struct weir_session *s, const char *level, int err, const char *fault)
{
    const struct weir_proxy *proxy = s->service->proxy;
    weir_str summary = { NULL, 0 };
    struct log_record r;

    if (ready(s) && proxy->suppress_error_log != NULL && proxy->suppress_error_log(s, err))
        return;
    if (ready(s) && proxy->request_summary != NULL)
        summary = proxy->request_summary(s);
    log_begin(&r, record_scratch(), LOG_RECORD_MAX);
    log_time(&r);
    log_str(&r, "level", WEIR(level));
    log_id(&r, s);
    log_str(&r, "why", WEIR(weir_error_why(err)));
    log_str(&r, "msg", WEIR(weir_error_text(err)));
    if (fault != NULL)
        log_str(&r, "detail", WEIR(fault));
    if (s->budget_spent)
        log_bool(&r, "budget_spent", true);
    log_client(&r, s);
    if (s->up_name != NULL)
        log_str(&r, "upstream", WEIR(s->up_name));
    if (summary.ptr != NULL) {
        log_str(&r, "summary", summary);
    } else {
        log_str(&r, "method", s->req.method);
        log_str(&r, "host", s->req.authority);
        log_str(&r, "target", s->req.target);
    }
    log_line(LOG_ERROR, log_end(&r));
}

void record_error(struct weir_session *s, int err)
{
    if (err != 0)
        record(s, levels[weir_error_source(err)], err, s->fault);
}

void record_retry(struct weir_session *s, int err, const char *fault)
{
    record(s, "warning", err, fault);
}
