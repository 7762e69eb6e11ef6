"""Peers that a program chose, by programs/peers.c: which names a certificate may carry, where
connections come from, and who never shares one, in the versions of HTTP on either side."""

import os
import pathlib
import socket
import subprocess

import pytest

from weirtest import binary, poll, why
from weirtest.pairs import VERSIONS, Down, ends

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/peers"
SNI = "Peer-Sni: origin.test"


@pytest.fixture(params=[(d, u) for d in VERSIONS for u in VERSIONS], ids="{0[0]}-{0[1]}".format)
def peers(request, weir, origin, authority):
    """peers(tls=context) makes an origin and a proxy; .ask(fields...) is a request to it."""
    class Peers:
        versions = request.param

        def __call__(self, names=None, tls=None):
            self.seen = []

            def hello(x):
                x.read()
                self.seen.append(x)
                x.begin(length=5)
                x.piece(b"hello")
            if names:
                tls = authority.server("origin", *names)
            if tls:
                tls.set_alpn_protocols(["h2"] if self.versions[1] == "h2" else ["http/1.1"])
            self.origin = origin(ends(hello)[self.versions[1]], tls=tls)
            self.proxy = start(weir, self.origin)
            return self

        def ask(self, *fields, ca=authority.ca):
            fields = [*fields, *([f"Peer-Ca: {ca}"] if ca else []),
                      *(["Peer-H2: yes"] if self.versions[1] == "h2" else [])]
            return Down(self.proxy, self.versions[0]).ask("GET", "/", *fields)
    return Peers()


def start(weir, upstream):
    return weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log", upstream,
                program=PROGRAM)


# Names.

@pytest.mark.parametrize("names, fields, status", [
    (["elsewhere.test"], [SNI], 502),
    (["elsewhere.test"], [SNI, "Peer-No-Verify: yes"], 200),
    (["elsewhere.test"], [SNI, "Peer-Any-Name: yes"], 200),
    (["elsewhere.test"], ["Peer-Tls: yes", "Peer-Any-Name: yes"], 200),
    (["origin.test"], [SNI], 200),
    (["alt.test"], [SNI, "Peer-Alt: alt.test"], 200),
    (["origin.test"], [SNI, "Peer-Alt: alt.test"], 200),
    (["elsewhere.test"], [SNI, "Peer-Alt: alt.test"], 502),
    (["IP:127.0.0.1"], [SNI, "Peer-Alt: 127.0.0.1"], 500),      # names, not addresses
    (["alt.test"], ["Peer-Tls: yes", "Peer-Alt: alt.test"], 500),
    # An underscore is no letter of host names, but of names of hosts: in the first label `*` covers
    # it.
    (["*.origin.test"], ["Peer-Sni: a_b.origin.test"], 200),
    (["a_b.origin.test"], ["Peer-Sni: a_b.origin.test"], 200),
    (["a-b.origin.test"], ["Peer-Sni: a_b.origin.test"], 502),  # the reference takes it for the other
    (["*.or-igin.test"], ["Peer-Sni: www.or_igin.test"], 502),
    (["*.or_igin.test"], ["Peer-Sni: www.or_igin.test"], 502),
    (["*.test"], ["Peer-Sni: or_igin.test"], 502),              # nobody owns a top-level domain
    (["*.alt.test"], [SNI, "Peer-Alt: a_b.alt.test"], 200),
    (["*.al-t.test"], [SNI, "Peer-Alt: www.al_t.test"], 502),
], ids=lambda value: "-".join(value) if isinstance(value, list) else None)
def test_names(peers, names, fields, status):
    p = peers(names)
    assert p.ask(*fields).status == status
    assert len(p.seen) == (1 if status == 200 else 0)
    if status != 200:
        why(p.proxy, "upstream_certificate" if status == 502 else "invalid")


def test_any_name_is_not_anybody(peers, other):
    """A stranger's signature does not count."""
    p = peers(tls=other.server("origin", "origin.test"))
    assert p.ask(SNI, "Peer-Any-Name: yes").status == 502
    why(p.proxy, "upstream_certificate")


# Who shares a connection.

@pytest.mark.parametrize("one, two", [
    ([SNI], [SNI, "Peer-No-Verify: yes"]), ([SNI], [SNI, "Peer-Any-Name: yes"]),
    ([SNI], [SNI, "Peer-Alt: alt.test"]), ([SNI, "Peer-Alt: a.test"], [SNI, "Peer-Alt: b.test"]),
    ([SNI], ["Peer-Sni: alt.test"]), ([SNI], [SNI, "Peer-Group: x"]),
    ([SNI], [SNI, "Peer-Bind: 127.0.0.2:0"]), ([SNI], [SNI, "Cert: one"]),
    ([SNI, "Cert: one"], [SNI, "Cert: two"])])
def test_no_shared_connection(peers, authority, one, two):
    """Who trusts, shows or is somebody else has a connection of his own, and keeps it."""
    for name in "one", "two":
        authority.certificate(name, "gateway.test")
    p = peers(["origin.test", "alt.test"])
    files = [f"Peer-{kind}: {authority.folder}/%s.{end}" for kind, end in (("Cert", "crt"),
                                                                          ("Key", "key"))]
    got = []
    for i, fields in enumerate((one, two, one, two)):
        names = [f.split()[1] for f in fields if f.startswith("Cert: ")]
        fields = [f for f in fields if not f.startswith("Cert: ")] + [f % n for n in names
                                                                      for f in files]
        got.append(p.ask(*fields).get("Reused"))
        p.proxy.log(i + 1)
    assert got == ["no", "no", "yes", "yes"] and len(p.origin.conns) == 2


def test_trust_is_not_borrowed(peers):
    """A connection that nobody verified is not for who does."""
    p = peers(["elsewhere.test"])
    for how, status in (("Peer-No-Verify: yes", 200), ("Peer-Alt: elsewhere.test", 200),
                        ("Peer-Any-Name: yes", 200), ("X: y", 502)):
        assert p.ask(SNI, how).status == status


# Client certificates, at an origin that serves a page about those it does not like.

NGINX = """
daemon off; master_process off; pid {d}/pid; error_log {d}/nginx.err;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {d}/tmp; proxy_temp_path {d}/tmp; fastcgi_temp_path {d}/tmp;
    uwsgi_temp_path {d}/tmp; scgi_temp_path {d}/tmp;
    server {{
        listen unix:{d}/nginx.sock ssl http2;
        ssl_certificate {ca}/origin.crt; ssl_certificate_key {ca}/origin.key;
        ssl_client_certificate {ca}/ca.crt; ssl_verify_client on; ssl_verify_depth 3;
        location / {{ return 200 "$ssl_client_s_dn"; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path, authority):
    authority.certificate("origin", "origin.test")
    folder = tmp_path / "nginx"
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(d=folder, ca=tmp_path))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf",
                                "-g", "user root;" if os.geteuid() == 0 else ""],
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def up():
        assert process.poll() is None, (folder / "nginx.err").read_text()
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(folder / "nginx.sock")) == 0
    try:
        poll(up, "nginx to listen")
        yield f"unix:{folder}/nginx.sock"
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="nginx is not installed")
@pytest.mark.parametrize("down", VERSIONS)
@pytest.mark.parametrize("up", VERSIONS)
@pytest.mark.parametrize("shown, status", [("none", 400), ("leaf", 400), ("chain", 200)])
def test_client_certificates(weir, nginx, authority, down, up, shown, status):
    """Its 400 for who shows none, or one whose issuer it cannot find, passes as any answer."""
    chain, key = authority.chained("gateway", "gateway.test")
    leaf = authority.folder / "leaf.crt"
    leaf.write_text(chain.read_text().partition("-----END CERTIFICATE-----\n")[0]
                    + "-----END CERTIFICATE-----\n")
    files = {"none": [], "leaf": [f"Peer-Cert: {leaf}", f"Peer-Key: {key}"],
             "chain": [f"Peer-Cert: {chain}", f"Peer-Key: {key}"]}[shown]
    p = start(weir, nginx)
    res = Down(p, down).ask("GET", "/", SNI, f"Peer-Ca: {authority.ca}", *files,
                            *(["Peer-H2: yes"] if up == "h2" else []))
    assert res.status == status
    assert (b"CN=gateway" if status == 200 else b"SSL certificate") in res.body


# Where connections come from.

@pytest.mark.parametrize("bind", ["127.0.0.2:0", "127.0.0.3:0"])
def test_bind(peers, bind):
    p = peers()
    for reused in "no", "yes":
        assert p.ask(f"Peer-Bind: {bind}", ca=None).get("Reused") == reused
        p.proxy.log(1 if reused == "no" else 2)
    assert p.origin.conns[0].sock.getpeername()[0] == bind[:-2]


def test_bind_to_a_port(peers):
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
    p = peers()
    assert p.ask(f"Peer-Bind: 127.0.0.2:{port}", ca=None).status == 200
    assert p.origin.conns[0].sock.getpeername() == ("127.0.0.2", port)


@pytest.mark.parametrize("bind, status, word", [
    ("192.0.2.1:0", 502, "connect_failed"), ("[::1]:0", 502, "connect_failed"),
    ("127.0.0.2", 500, "invalid"), ("localhost:0", 500, "invalid"), (":0", 500, "invalid"),
    ("unix:/x", 500, "invalid")])
def test_wrong_bind(peers, bind, status, word):
    p = peers()
    assert p.ask(f"Peer-Bind: {bind}", ca=None).status == status
    why(p.proxy, word)
    assert not p.seen


# The Host that goes up.

def test_host_override(peers):
    p = peers()
    assert p.ask("Set-Host: elsewhere.test:81", ca=None).status == 200
    assert p.seen[0].host == "elsewhere.test:81"
