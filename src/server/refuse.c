/* refuse.c -- a canned answer: one send, no session, no coroutine. */
#include "server/refuse.h"

#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/linger.h"
#include "proxy/local.h"
#include "runtime/sys.h"

static void log_refusal(const struct addr *client, int err)
{
    char buf[512], text[ADDR_TEXT], now[RFC3339_LEN];
    struct log_record r;

    clock_rfc3339(clock_wall(), now);
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "time", (weir_str){ now, sizeof(now) });
    log_str(&r, "level", LIT("warning"));
    log_str(&r, "why", weir_str_from(weir_error_why(err)));
    log_str(&r, "msg", weir_str_from(weir_error_text(err)));
    log_str(&r, "client", addr_print(client, text));
    log_line(LOG_ERROR, log_end(&r));
}

/* Nothing of it ever happens: the slot goes over to lingering before it is armed. */
static const struct slot_class refused_class = { .name = "refused" };

/* Says it and ends the connection. false: it was not said. */
static bool tell(const struct gate *g, int fd, const struct addr *client, const char *text,
                 size_t len)
{
    struct stream st = { .reset_err = WEIR_ECLIENTGONE, .drains = client->kind != ADDR_UNIX };

    if (g->tls != NULL) { /* these words would not be understood */
        sys_close(fd);
        return false;
    }
    st.slot = slot_new(fd, &refused_class, NULL);
    if (st.slot == NULL)
        return false; /* and the descriptor is closed */
    if (slot_register(st.slot, UINT_MAX) < 0 || sys_send(fd, text, len, 0) < 0) {
        stream_close(&st, false);
        return false;
    }
    linger_close(&st);
    return true;
}

enum { ANSWER = 512 };

/* The answer with its head; returns its length, and that of the body. */
static size_t print(const struct service *svc, int err, char buf[ANSWER], size_t *body)
{
    weir_str name = svc->server_name, date = http_date_now();
    const char *text = weir_error_text(err);

    *body = strlen(text) + 1;
    return (size_t)snprintf(
        buf, ANSWER,
        "HTTP/1.1 503 Service Unavailable\r\nDate: " WEIR_FMT "\r\n%s%.200s%s"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: "
        "close\r\n\r\n%s\n",
        WEIR_ARG(date), name.len > 0 ? "Server: " : "", name.len > 0 ? name.ptr : "",
        name.len > 0 ? "\r\n" : "", *body, text);
}

void refuse_client(const struct gate *g, int fd, const struct addr *client)
{
    const struct service *svc = &g->front->service;
    char answer[ANSWER];
    size_t body, len = print(svc, WEIR_EPERCLIENT, answer, &body);

    log_refusal(client, WEIR_EPERCLIENT);
    if (tell(g, fd, client, answer, len))
        record_unread(svc, client, WEIR_EPERCLIENT, 503, body);
    else
        record_unread(svc, client, WEIR_EPERCLIENT, 0, 0);
}

/* Closing with unread bytes would destroy the answer, and there is no descriptor to wait with: the
 * request has likely come, and one look takes it. */
void refuse_at_once(const struct gate *g, int fd, const struct addr *client)
{
    const struct service *svc = &g->front->service;
    char answer[ANSWER], bytes[4096];
    size_t body, len = print(svc, WEIR_ECLIENTS, answer, &body);
    bool said = g->tls == NULL && sys_send(fd, answer, len, 0) == (ssize_t)len;

    log_refusal(client, WEIR_ECLIENTS);
    record_unread(svc, client, WEIR_ECLIENTS, said ? 503 : 0, said ? body : 0);
    sys_shutdown(fd, SHUT_WR);
    sys_recv(fd, bytes, sizeof bytes, 0);
    sys_close(fd);
}
