/* proxy.c -- `weir proxy`: a load balancer over the upstreams of its command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "weir.h"

struct proxy {
    const char *listen[WEIR_LISTENERS];
    bool listen_tls[WEIR_LISTENERS];
    unsigned listen_count;
    const char *cert, *key;
    bool shared_key, h2c, upstream_h2, grpc_web;
    char **upstreams; /* as many as there can be operands */
    unsigned upstream_count;
    struct weir_lb_health health;
    struct weir_peer peer; /* all but the address */
    struct weir_lb *lb;
    struct weir_error_page pages[WEIR_ERROR_PAGES];
    unsigned page_count;
    bool health_given; /* --health itself: else another of its options switches it on */
};

static const char *add_listen(void *state, const char *value)
{
    struct proxy *p = state;

    if (p->listen_count == WEIR_LISTENERS)
        return "there are too many (16 at most)";
    p->listen[p->listen_count++] = value;
    return weir_check_address(value);
}

static const char *add_listen_tls(void *state, const char *value)
{
    struct proxy *p = state;

    if (p->listen_count < WEIR_LISTENERS)
        p->listen_tls[p->listen_count] = true;
    return add_listen(state, value);
}

static const char *set_cert(void *state, const char *value)
{
    ((struct proxy *)state)->cert = value;
    return NULL;
}

static const char *set_key(void *state, const char *value)
{
    ((struct proxy *)state)->key = value;
    return NULL;
}

static const char *set_shared_key(void *state, const char *value)
{
    (void)value;
    ((struct proxy *)state)->shared_key = true;
    return NULL;
}

/* Whatever tells how to speak TLS to upstreams also means that it is to be spoken. */
static const char *set_peer(struct proxy *p, weir_str *field, const char *value)
{
    p->peer.tls = true;
    *field = weir_str_from(value);
    return NULL;
}

/* A host as it stands in front of a port; of IPv6 without the brackets, as in certificates. */
static bool is_host(const char *value)
{
    char name[320], v6[320];

    snprintf(name, sizeof name, "%.300s:1", value);
    snprintf(v6, sizeof v6, "[%.300s]:1", value);
    return value[0] != '\0' && strncmp(value, "unix:", 5) != 0 &&
           (weir_check_address(name) == NULL || weir_check_address(v6) == NULL);
}

static const char *set_upstream_tls(void *state, const char *value)
{
    struct proxy *p = state;

    return is_host(value) ? set_peer(p, &p->peer.sni, value) : "must be a name or an address";
}

static const char *set_ca(void *state, const char *value)
{
    struct proxy *p = state;

    return set_peer(p, &p->peer.ca_file, value);
}

static const char *set_upstream_cert(void *state, const char *value)
{
    struct proxy *p = state;

    return set_peer(p, &p->peer.cert_file, value);
}

static const char *set_upstream_key(void *state, const char *value)
{
    struct proxy *p = state;

    return set_peer(p, &p->peer.key_file, value);
}

static const char *set_insecure(void *state, const char *value)
{
    struct proxy *p = state;

    (void)value;
    p->peer.tls = p->peer.no_verify = true;
    return NULL;
}

/* What one may listen on is not all that one may connect to. */
static const char *check_upstream(const char *value)
{
    const char *fault = weir_check_address(value);

    if (fault != NULL || strncmp(value, "unix:", 5) == 0)
        return fault;
    if (value[0] == ':')
        return "no host";
    return atoi(strrchr(value, ':') + 1) == 0 ? "nobody listens on port 0" : NULL;
}

static const char *add_upstream(void *state, const char *value)
{
    struct proxy *p = state;

    p->upstreams[p->upstream_count++] = (char *)value;
    return check_upstream(value);
}

static const char *set_health(void *state, const char *value)
{
    struct proxy *p = state;

    p->health_given = true;
    p->health.kind = strcmp(value, "tcp") == 0 ? WEIR_CHECK_TCP : WEIR_CHECK_NONE;
    return strcmp(value, "tcp") == 0 || strcmp(value, "off") == 0 ? NULL : "must be off or tcp";
}

static const char *read_time(struct proxy *p, const char *value, weir_dur *out)
{
    if (!p->health_given)
        p->health.kind = WEIR_CHECK_TCP;
    if (!weir_parse_dur(value, out))
        return "not a time (500ms, 5s, 2m)";
    if (*out == WEIR_FOREVER)
        return "it cannot be switched off (--health off can)";
    return *out < 10 * WEIR_MS ? "must be at least 10ms" : NULL;
}

static const char *set_health_every(void *state, const char *value)
{
    return read_time(state, value, &((struct proxy *)state)->health.every);
}

static const char *set_health_timeout(void *state, const char *value)
{
    return read_time(state, value, &((struct proxy *)state)->health.timeout);
}

static const char *read_count(struct proxy *p, const char *value, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (!p->health_given)
        p->health.kind = WEIR_CHECK_TCP;
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n == 0 || n > 1000)
        return "not a number from 1 to 1000";
    *out = (unsigned)n;
    return NULL;
}

static const char *set_health_rise(void *state, const char *value)
{
    return read_count(state, value, &((struct proxy *)state)->health.rise);
}

static const char *set_health_fall(void *state, const char *value)
{
    return read_count(state, value, &((struct proxy *)state)->health.fall);
}

static const char *set_upstream_h2(void *state, const char *value)
{
    (void)value;
    ((struct proxy *)state)->upstream_h2 = true;
    return NULL;
}

static const char *set_upstream_ping(void *state, const char *value)
{
    struct proxy *p = state;

    if (!weir_parse_dur(value, &p->peer.ping_after))
        return "not a time (500ms, 5s, 2m, off)";
    return p->peer.ping_after < 10 * WEIR_MS ? "must be at least 10ms" : NULL;
}

static const char *set_grpc_web(void *state, const char *value)
{
    (void)value;
    ((struct proxy *)state)->grpc_web = true;
    return NULL;
}

static const char *set_h2c(void *state, const char *value)
{
    (void)value;
    ((struct proxy *)state)->h2c = true;
    return NULL;
}

static const char *add_error_page(void *state, const char *value)
{
    struct proxy *p = state;
    char *end;
    long status = strtol(value, &end, 10);

    if (p->page_count == WEIR_ERROR_PAGES)
        return "there are too many (16 at most)";
    if (value[0] < '0' || *end != '=' || end[1] == '\0' || end - value != (status > 9 ? 3 : 1))
        return "must be STATUS=FILE (404=missing.html, 5=sorry.html)";
    if (status != 4 && status != 5 && (status < 400 || status > 599))
        return "that status is no error's: 400 to 599, or 4 or 5 for all of a class";
    p->pages[p->page_count++] = (struct weir_error_page){ .status = (int)status, .file = end + 1 };
    return NULL;
}

static const struct weir_option options[] = {
    {
        .name = "listen",
        .value = "ADDR",
        .help = "1.2.3.4:80, [::1]:80, :80 (all), host:80, unix:/path; may be repeated "
                "[127.0.0.1:8080]",
        .set = add_listen,
        .repeats = true,
    },
    {
        .name = "h2c",
        .help = "clients of plain listeners may also speak HTTP/2 (by prior knowledge); with TLS "
                "they always may",
        .set = set_h2c,
    },
    {
        .name = "listen-tls",
        .value = "ADDR",
        .help = "the same, but with TLS (https): needs --cert; may be repeated",
        .set = add_listen_tls,
        .needs = "cert",
        .repeats = true,
    },
    {
        .name = "cert",
        .value = "FILE",
        .help = "certificate of the TLS listeners and its chain (PEM)",
        .set = set_cert,
        .needs = "listen-tls", /* or what was meant to be secret would go out plain */
    },
    {
        .name = "key",
        .value = "FILE",
        .help = "its key (PEM, not encrypted) [in the file of --cert]",
        .set = set_key,
        .needs = "cert",
    },
    {
        .name = "shared-key",
        .help = "key files that others may read or write are accepted",
        .set = set_shared_key,
    },
    {
        .name = "upstream-tls",
        .value = "NAME",
        .help = "speaks TLS to upstreams, whose certificates have to carry that name (or address); "
                "the options below switch it on too, for certificates with the addresses",
        .set = set_upstream_tls,
    },
    {
        .name = "upstream-h2",
        .help = "speaks HTTP/2 to upstreams: with TLS to those that can, else to all",
        .set = set_upstream_h2,
    },
    {
        .name = "upstream-ping",
        .value = "TIME",
        .help = "an HTTP/2 connection to an upstream that was silent for so long is sent a PING; "
                "without an answer within as long again it has ended [10s]",
        .set = set_upstream_ping,
    },
    {
        .name = "grpc-web",
        .help = "clients may speak gRPC-Web to upstreams that speak gRPC",
        .set = set_grpc_web,
    },
    {
        .name = "ca",
        .value = "FILE",
        .help = "who may have signed the certificates of upstreams (PEM) [the system's CAs]",
        .set = set_ca,
    },
    {
        .name = "upstream-cert",
        .value = "FILE",
        .help = "a certificate of ours for upstreams that ask for one, and its chain (PEM)",
        .set = set_upstream_cert,
    },
    {
        .name = "upstream-key",
        .value = "FILE",
        .help = "its key (PEM, not encrypted) [in the file of --upstream-cert]",
        .set = set_upstream_key,
        .needs = "upstream-cert",
    },
    {
        .name = "insecure",
        .help = "DANGER: does not look at the certificates of upstreams",
        .set = set_insecure,
    },
    {
        .name = "health",
        .value = "off|tcp",
        .help = "checks in the background whether upstreams can be connected to, and passes over "
                "those that cannot; the options below switch it on too [off]",
        .set = set_health,
    },
    {
        .name = "health-every",
        .value = "TIME",
        .help = "from one check to the next [1s]",
        .set = set_health_every,
    },
    {
        .name = "health-timeout",
        .value = "TIME",
        .help = "how long a check may take [1s]",
        .set = set_health_timeout,
    },
    {
        .name = "health-rise",
        .value = "N",
        .help = "good checks in a row that bring an upstream back [2]",
        .set = set_health_rise,
    },
    {
        .name = "health-fall",
        .value = "N",
        .help = "failed ones in a row that take it out (the first of all decides alone) [3]",
        .set = set_health_fall,
    },
    {
        .name = "error-page",
        .value = "STATUS=FILE",
        .help = "what clients get as the body of our own answer with that status, or with 4 or 5 "
                "of that class, as text/html; may be repeated",
        .set = add_error_page,
        .repeats = true,
    },
    {
        .value = "UPSTREAM",
        .help = "where requests go: an address as above; a name stands for all its addresses",
        .set = add_upstream,
        .required = true,
    },
    { .name = NULL },
};

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    const struct proxy *p = weir_state(s);

    *peer = p->peer;
    return weir_lb_pick(p->lb, s, peer);
}

static const struct weir_proxy proxy = {
    .name = "proxy",
    .upstream_peer = upstream_peer,
};

/* `--health off` also switches off what others would have switched on. */
static struct weir_lb_health checked(const struct proxy *p)
{
    return p->health.kind == WEIR_CHECK_NONE ? (struct weir_lb_health){ 0 } : p->health;
}

static void set_listeners(const struct proxy *p, struct weir_service *service)
{
    service->listen[0].alpn = p->h2c ? WEIR_H1 | WEIR_H2 : 0;
    for (unsigned i = 0; i < p->listen_count; i++) {
        service->listen[i].alpn = service->listen[0].alpn;
        service->listen[i].addr = p->listen[i];
        if (p->listen_tls[i]) {
            service->listen[i].cert = p->cert;
            service->listen[i].key = p->key;
            service->listen[i].shared_key = p->shared_key;
        }
    }
}

int proxy_run(const struct command *self, int argc, char **argv)
{
    struct proxy p = { .upstreams = argv }; /* operands only move to the front */
    struct weir_server *server = weir_server_new_with(argc, argv, self->usage, options, &p);
    struct weir_lb_config config = { .policy = WEIR_ROUND_ROBIN, .health = checked(&p) };
    struct weir_lb *lb = weir_lb_new(server, &config);
    struct weir_service service = {
        .proxy = &proxy,
        .state = &p,
        .listen = { { .addr = "127.0.0.1:8080" } },
        .forwarding = WEIR_FORWARD_REPLACE,
    };

    p.lb = lb;
    if (p.grpc_web)
        service.modules[0].module = &weir_grpc_web;
    memcpy(service.error_pages, p.pages, sizeof p.pages);
    for (unsigned i = 0; i < p.upstream_count; i++)
        weir_lb_add(lb, p.upstreams[i]);
    set_listeners(&p, &service);
    if (p.upstream_h2)
        p.peer.alpn = p.peer.tls || p.peer.sni.len > 0 ? WEIR_H2 | WEIR_H1 : WEIR_H2;
    weir_server_expect_peer(server, &p.peer);
    if (p.peer.no_verify)
        fputs("weir: warning: --insecure: whoever answers at an upstream's address is trusted\n",
              stderr);
    weir_server_add(server, &service);
    return weir_server_run(server);
}
