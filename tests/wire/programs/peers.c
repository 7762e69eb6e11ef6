/* peers.c -- a proxy whose requests say what their peer is: `Peer-Sni: origin.test` and so on. The
 * answer tells whether it came over a connection that was there before. */
#include "one_upstream.h"

static weir_str asked(struct weir_session *s, const char *name)
{
    return weir_get(weir_request(s), name);
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    peer->tls = weir_has(weir_request(s), "Peer-Tls");
    peer->sni = asked(s, "Peer-Sni");
    peer->alt_name = asked(s, "Peer-Alt");
    peer->any_name = weir_has(weir_request(s), "Peer-Any-Name");
    peer->no_verify = weir_has(weir_request(s), "Peer-No-Verify");
    peer->ca_file = asked(s, "Peer-Ca");
    peer->cert_file = asked(s, "Peer-Cert");
    peer->key_file = asked(s, "Peer-Key");
    peer->group = asked(s, "Peer-Group");
    peer->bind = asked(s, "Peer-Bind");
    if (weir_has(weir_request(s), "Peer-H2"))
        peer->alpn = WEIR_H2;
    return weir_peer_address(s, peer, where.upstream);
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    if (weir_has(weir_request(s), "Set-Host"))
        weir_set(req, "Host", asked(s, "Set-Host"));
    return WEIR_OK;
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    weir_set(res, "Reused", weir_upstream_reused(s) ? "yes" : "no");
    return WEIR_OK;
}

static const struct weir_proxy proxy = {
    .name = "peers",
    .upstream_peer = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .response_filter = response_filter,
};

int main(int argc, char **argv)
{
    return run_proxy(argc, argv, &proxy);
}
