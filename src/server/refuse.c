/* refuse.c -- a canned answer: one send, no session, no coroutine. */
#include "server/refuse.h"

#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/linger.h"
#include "proxy/local.h"
#include "runtime/sys.h"

static void log_refusal(const struct addr *client)
{
    char buf[512], now[RFC3339_LEN], text[ADDR_TEXT];
    struct log_record r;

    clock_rfc3339(clock_wall(), now);
    log_begin(&r, buf, sizeof(buf));
    log_str(&r, "time", (weir_str){ now, sizeof(now) });
    log_str(&r, "level", LIT("warning"));
    log_str(&r, "why", weir_str_from(weir_error_why(WEIR_EPERCLIENT)));
    log_str(&r, "msg", weir_str_from(weir_error_text(WEIR_EPERCLIENT)));
    log_str(&r, "client", addr_print(client, text));
    log_line(LOG_ERROR, log_end(&r));
}

/* Nothing of it ever happens: the slot goes over to lingering before it is armed. */
static const struct slot_class refused_class = { .name = "refused" };

void refuse_client(const struct gate *g, int fd, const struct addr *client)
{
    static const char body[] = "too many connections of one client\n";
    weir_str name = g->front->service.server_name, date = http_date_now();
    struct stream st = { .reset_err = WEIR_ECLIENTGONE, .drains = client->kind != ADDR_UNIX };
    char head[512];
    int len;

    len = snprintf(head, sizeof(head),
                   "HTTP/1.1 503 Service Unavailable\r\nDate: " WEIR_FMT "\r\n%s%.200s%s"
                   "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: "
                   "close\r\n\r\n%s",
                   WEIR_ARG(date), name.len > 0 ? "Server: " : "", name.len > 0 ? name.ptr : "",
                   name.len > 0 ? "\r\n" : "", sizeof(body) - 1, body);
    log_refusal(client);
    if (g->tls != NULL) {
        sys_close(fd);
        return;
    }
    st.slot = slot_new(fd, &refused_class, NULL);
    if (st.slot == NULL)
        return; /* and the descriptor is closed */
    if (slot_register(st.slot, UINT_MAX) < 0 || sys_send(fd, head, (size_t)len, 0) < 0) {
        stream_close(&st, false);
        return;
    }
    linger_close(&st);
}
