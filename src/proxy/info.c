/* info.c -- what a phase may ask about connections, times and the process. */
#include <stdlib.h>

#include "base/clock.h"
#include "net/info.h"
#include "proxy/downstream.h"
#include "proxy/session.h"
#include "runtime/runtime.h"

/* A session with a client is served on a connection, in which its address lies. */
static struct downstream *connection_of(const struct weir_session *s)
{
    return container_of(s->client, struct downstream, client);
}

static weir_str address(struct weir_session *s, const struct addr *a)
{
    return a->kind == ADDR_NONE ? (weir_str){ NULL, 0 } : addr_print_in(&s->arena, a);
}

weir_str weir_client_network(struct weir_session *s, unsigned prefix)
{
    unsigned bits = prefix == 0 ? 64 : MIN(prefix, 128);
    struct addr net = *s->client;
    char text[ADDR_TEXT];

    if (net.kind != ADDR_V6)
        return weir_client_host(s);
    for (unsigned i = 0; i < sizeof net.ip; i++)
        if (8 * i >= bits)
            net.ip[i] = 0;
        else if (bits - 8 * i < 8)
            net.ip[i] &= (uint8_t)(0xff00 >> (bits - 8 * i));
    return weir_printf(s, WEIR_FMT "/%u", WEIR_ARG(addr_host(&net, text)), bits);
}

weir_str weir_server_address(struct weir_session *s)
{
    struct addr a;

    if (s->own)
        return (weir_str){ NULL, 0 };
    addr_of_socket(slot_fd(connection_of(s)->net.slot), &a);
    return address(s, &a);
}

const char *weir_client_version(struct weir_session *s)
{
    if (s->down->version != NULL)
        return s->down->version;
    return s->req.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

static bool tls_told(const struct tls_info *tls, struct weir_tls *out)
{
    if (out == NULL)
        return tls != NULL;
    *out = (struct weir_tls){ .version = NULL };
    if (tls == NULL)
        return false;
    *out = (struct weir_tls){
        .version = tls->version,
        .cipher = tls->cipher,
        .sni = tls->sni,
        .alpn = tls->alpn,
        .resumed = tls->resumed,
    };
    return true;
}

bool weir_client_tls(struct weir_session *s, struct weir_tls *out)
{
    return tls_told(s->down->tls, out);
}

bool weir_upstream_tls(struct weir_session *s, struct weir_tls *out)
{
    const struct tls_info *tls = s->up_http != NULL ? s->up_http->tls : NULL;

    if (s->up != NULL)
        tls = tls_info(&s->up->h1.net);
    return tls_told(tls, out);
}

static bool socket_told(struct weir_session *s, const struct stream *net, struct weir_socket *out)
{
    struct net_info info;

    *out = (struct weir_socket){ .rtt = 0 };
    if (net == NULL)
        return false;
    net_info(slot_fd(net->slot), &info);
    *out = (struct weir_socket){
        .local = address(s, &info.local),
        .remote = address(s, &info.remote),
        .rtt = info.rtt,
        .rtt_deviation = info.rtt_deviation,
        .sent = info.sent,
        .received = info.received,
        .retransmits = info.retransmits,
        .window = info.window,
    };
    return true;
}

bool weir_client_socket(struct weir_session *s, struct weir_socket *out)
{
    return socket_told(s, s->own ? NULL : &connection_of(s)->net, out);
}

bool weir_upstream_socket(struct weir_session *s, struct weir_socket *out)
{
    const struct stream *net = NULL;

    if (s->up != NULL)
        net = &s->up->h1.net;
    else if (s->up_h2 != NULL)
        net = h2_stream_net(s->up_h2);
    return socket_told(s, net, out);
}

weir_dur weir_elapsed(struct weir_session *s)
{
    return clock_now() - s->started; /* a phase may measure what it has computed itself */
}

/* What comes in the turn of the worker in which the request began has come, all the same. */
static weir_dur after(const struct weir_session *s, int64_t moment)
{
    return moment != 0 ? MAX(moment - s->started, 1) : 0;
}

weir_dur weir_answered_after(struct weir_session *s)
{
    return after(s, s->answered);
}

void weir_request_timing(struct weir_session *s, struct weir_timing *out)
{
    *out = (struct weir_timing){
        .connected = after(s, s->connected),
        .sent = after(s, s->request_sent),
        .answered = after(s, s->answered),
    };
}

weir_dur weir_phase_time(struct weir_session *s, enum weir_phase phase)
{
    return after(s, phase_began(s, phase));
}

/* Streams of one connection may come at the same time. */
void *weir_connection_ctx(struct weir_session *s, size_t size)
{
    struct downstream *d;
    void *had, *made;

    if (s->own) {
        session_fail(s, WEIR_EINVALID, "there is no client's connection");
        return NULL;
    }
    d = connection_of(s);
    had = atomic_load(&d->user);
    if (had != NULL)
        return had;
    made = calloc(1, size);
    if (made == NULL) {
        session_fail(s, WEIR_ENOMEM, NULL);
    } else if (!atomic_compare_exchange_strong(&d->user, &had, made)) {
        free(made);
        made = had;
    }
    return made;
}

weir_str weir_summary(struct weir_session *s)
{
    char text[ADDR_TEXT];

    addr_print(s->client, text);
    return weir_printf(s, WEIR_FMT " " WEIR_FMT WEIR_FMT " from %s", WEIR_ARG(s->req.method),
                       WEIR_ARG(s->req.authority), WEIR_ARG(s->req.target), text);
}

bool weir_shutting_down(void)
{
    return downstream_draining();
}
