/* session.c -- a proxy that answers with what its phases may ask about a request. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

static struct {
    const char *listen, *upstream, *cert, *key, *ca;
} program;

static void print_tls(struct weir_session *s, struct weir_head *res, const char *name, bool has,
                      const struct weir_tls *tls)
{
    if (has)
        weir_set(res, name,
                 weir_printf(s, "%s %s %s %u %d", tls->version, tls->cipher,
                             tls->sni != NULL ? tls->sni : "-", tls->alpn, tls->resumed));
}

static void print_socket(struct weir_session *s, struct weir_head *res, const char *name, bool has,
                         const struct weir_socket *socket)
{
    if (has)
        weir_set(res, name,
                 weir_printf(s, WEIR_FMT " " WEIR_FMT " %llu %llu %u %s", WEIR_ARG(socket->local),
                             WEIR_ARG(socket->remote), (unsigned long long)socket->sent,
                             (unsigned long long)socket->received, socket->retransmits,
                             socket->rtt > 0 && socket->window > 0 ? "tcp" : "-"));
}

/* So that what comes behind it has another time. */
static int early_request_filter(struct weir_session *s)
{
    return weir_sleep(s, WEIR_MS);
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    if (program.ca != NULL) {
        peer->sni = WEIR("origin.test");
        peer->ca_file = WEIR(program.ca);
        peer->alpn = WEIR_H2 | WEIR_H1;
    }
    return weir_peer_address(s, peer, program.upstream);
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    _Atomic unsigned *count = weir_connection_ctx(s, sizeof *count);
    weir_dur answered = weir_answered_after(s), now;
    struct weir_timing t;
    struct weir_socket sock;
    struct weir_tls tls;
    bool has;

    if (count == NULL)
        return WEIR_ENOMEM;
    weir_set(res, "Nth", weir_printf(s, "%u", atomic_fetch_add(count, 1) + 1));
    weir_set(res, "Server-Address", weir_server_address(s));
    weir_set(res, "Client-Version", weir_client_version(s));
    weir_set(res, "Summary", weir_summary(s));
    weir_set(res, "Stopping", weir_shutting_down() ? "yes" : "no");
    weir_request_timing(s, &t);
    weir_set(res, "Timing",
             t.connected > 0 && t.sent >= t.connected && t.answered >= t.sent ? "ok" : "odd");
    has = weir_client_tls(s, &tls);
    print_tls(s, res, "Client-Tls", has, &tls);
    has = weir_upstream_tls(s, &tls);
    print_tls(s, res, "Upstream-Tls", has, &tls);
    has = weir_client_socket(s, &sock);
    print_socket(s, res, "Client-Socket", has, &sock);
    has = weir_upstream_socket(s, &sock);
    print_socket(s, res, "Upstream-Socket", has, &sock);
    if (weir_sleep(s, WEIR_MS) < 0)
        return WEIR_ECANCELED;
    now = weir_elapsed(s);
    weir_set(res, "Times", answered > 0 && now > answered && now < 60 * WEIR_SEC ? "ok" : "odd");
    return WEIR_OK;
}

/* What it has not come to. */
static int fail_to_proxy(struct weir_session *s, int err)
{
    struct weir_timing t;

    (void)err;
    weir_request_timing(s, &t);
    return weir_respond(s, 502, t.connected == 0  ? "not connected"
                                : t.sent == 0     ? "not sent"
                                : t.answered == 0 ? "not answered"
                                                  : "answered");
}

/* When its phases were begun, in microseconds, and the bytes to and from the upstream. */
static void logging(struct weir_session *s, int err)
{
    char line[512];
    size_t n = 0;

    (void)err;
    for (int i = 0; i <= WEIR_PHASE_LOGGING; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, " %lld",
                              ((long long)weir_phase_time(s, (enum weir_phase)i) + 999) / 1000);
    if (weir_phase_time(s, (enum weir_phase)(WEIR_PHASE_LOGGING + 1)) != 0)
        return;
    fprintf(stderr, "phases%s bytes %llu %llu\n", line,
            (unsigned long long)weir_upstream_bytes_sent(s),
            (unsigned long long)weir_upstream_bytes_received(s));
}

static const struct weir_proxy proxy = {
    .name = "session",
    .early_request_filter = early_request_filter,
    .upstream_peer = upstream_peer,
    .response_filter = response_filter,
    .fail_to_proxy = fail_to_proxy,
    .logging = logging,
};

#define SETTER(name) \
    static const char *set_##name(void *state, const char *value) \
    { \
        (void)state; \
        program.name = value; \
        return NULL; \
    }
SETTER(listen)
SETTER(upstream)
SETTER(cert)
SETTER(key)
SETTER(ca)

int main(int argc, char **argv)
{
    static const struct weir_option options[] = {
        { .name = "listen", .value = "ADDR", .help = "where", .set = set_listen, .required = true },
        { .name = "cert", .value = "FILE", .help = "speak TLS", .set = set_cert },
        { .name = "key", .value = "FILE", .help = "its key", .set = set_key },
        { .name = "ca", .value = "FILE", .help = "TLS to the upstream", .set = set_ca },
        { .value = "UPSTREAM", .help = "to whom", .set = set_upstream, .required = true },
        { .set = NULL },
    };
    static const struct weir_access_config everybody = { .allow = NULL };
    struct weir_server *server = weir_server_new_with(argc, argv, NULL, options, NULL);

    weir_server_add(server, &(struct weir_service){
                                .proxy = &proxy,
                                .modules = { { .module = &weir_access, .config = &everybody } },
                                .listen = { { .addr = program.listen,
                                              .cert = program.cert,
                                              .key = program.key,
                                              .alpn = WEIR_H1 | WEIR_H2 } },
                            });
    return weir_server_run(server);
}
