"""What a phase may ask about its request: programs/session.c answers with it."""

import pathlib

import pytest

from weirtest import OK, Authority, binary, request, serve
from weirtest.h2 import h2

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/session"


@pytest.fixture
def session(weir):
    """session(upstream, options...)"""
    def start(up, *args):
        return weir("--listen", "127.0.0.1:0", "--access-log", "access.log", *args, up,
                    program=PROGRAM)
    return start


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_plain(session, origin, version):
    p = session(origin())
    c = p.client()
    host, port = c.sock.getsockname()
    res = c.ask(request("GET", "/a?b", version=version))
    assert res.get("Server-Address") == "%s:%d" % p.addresses[0]
    assert res.get("Client-Version") == version and res.get("Stopping") == "no"
    assert res.get("Summary") == f"GET origin.test/a?b from {host}:{port}"
    assert res.get("Times") == "ok"
    assert res.get("Client-Tls") is None and res.get("Upstream-Tls") is None


def test_sockets(session, origin):
    """The ends of both connections, and the bytes that the kernel has counted."""
    o = origin()
    p = session(o)
    c = p.client()
    host, port = c.sock.getsockname()
    asked = request("POST", "/", body=b"x" * 3000)
    res = c.ask(asked)
    local, remote, _, received, again, tcp = res.get("Client-Socket").split(" ")
    assert (local, remote) == ("%s:%d" % p.addresses[0], f"{host}:{port}")
    assert (int(received), again, tcp) == (len(asked), "0", "tcp")
    local, remote, sent, received, again, tcp = res.get("Upstream-Socket").split(" ")
    assert local.startswith("127.0.0.1:") and remote == o.name
    assert int(sent) > 3000 and int(received) > 0 and tcp == "tcp"


def test_socket_of_an_h2_upstream(session, origin, weir, tmp_path):
    authority = Authority(tmp_path)
    authority.certificate("front", "origin.test")
    front = weir("--cert", tmp_path / "front.crt", "--key", tmp_path / "front.key", origin(),
                 listen=(), listen_tls=("127.0.0.1:0",))
    there = "%s:%d" % front.addresses[0]
    p = session(there, "--ca", authority.ca)
    res = p.ask(request())
    assert res.get("Upstream-Tls").split(" ")[3] == "2"         # WEIR_H2
    local, remote, sent, *_, tcp = res.get("Upstream-Socket").split(" ")
    assert (remote, tcp) == (there, "tcp") and int(sent) > 0 and local != remote
    p.signal()          # and with it the connection to `front`, which would count it as its own
    p.wait()


def test_timing(session, origin):
    """How far it came: each moment behind the one before, or not there."""
    o = origin()
    p = session(o)
    c = p.client()
    assert [c.ask(request()).get("Timing") for _ in range(2)] == ["ok"] * 2     # new, and reused
    assert c.ask(request("POST", "/", body=b"x" * 300000)).get("Timing") == "ok"
    assert session("127.0.0.1:1").ask(request()).body == b"not connected"

    def silent(conn):
        conn.request()
    assert session(origin(silent)).ask(request()).body == b"not answered"

    def leaving(conn):
        conn.head()
        conn.reset()
    c = session(origin(leaving)).client()
    c.send(request("POST", "/", "Content-Length: 10") + b"half ")
    assert c.receive().body == b"not sent"


NAMES = ["early", "request", "peer", "no connection", "connected", "up", "up body", "up trailers",
         "down", "client", "body", "trailers", "error", "fail", "logging"]


def phases_of(p):
    """{phase: microseconds} of those that ran, and the bytes to and from the upstream."""
    found, = p.wait_text(r"phases((?: \d+)+) bytes (\d+) (\d+)\n")
    times = zip(NAMES, map(int, found[1].split()), strict=True)
    return {name: t for name, t in times if t > 0}, int(found[2]), int(found[3])


def test_times_of_phases(session, origin):
    """The proxy's and its module's; a wait in one is seen in the next."""
    p = session(origin())
    assert p.ask(request("POST", "/", body=b"x" * 3000)).get("Timing") == "ok"
    times, sent, received = phases_of(p)
    assert list(times) == ["early", "request", "peer", "client", "logging"]
    assert list(times.values()) == sorted(times.values())
    assert times["request"] - times["early"] >= 999 <= times["logging"] - times["client"]
    assert (sent, received) == (3000, 2)
    assert "upstream_sent" not in p.log()[0] and "upstream_received" not in p.log()[0]


def test_times_of_what_failed(session):
    p = session("127.0.0.1:1")
    p.ask(request())
    times, *amounts = phases_of(p)
    assert list(times) == ["early", "request", "peer", "fail", "logging"] and amounts == [0, 0]
    assert p.log()[0]["upstream_received"] == 0 and p.log()[0]["sent"] == len("not connected")


def test_bytes_of_a_try_that_is_repeated(session, origin):
    """The upstream is sent what the client has sent once."""
    def script(conn):
        conn.request()
        conn.send(OK)
        conn.request()
    p = session(origin(script, serve(OK)))
    c = p.client()
    assert [c.ask(request("PUT", "/", body=b"hello")).status for _ in range(2)] == [200, 200]
    record = p.log(2)[1]
    assert (record["received"], record["upstream_sent"], record["tries"]) == (5, 10, 2)


def test_bytes_of_what_passes_unseen(session, origin):
    """Large bodies, which a kernel moves on."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"y" * 2000000)
    p = session(origin(script))
    assert len(p.ask(request("POST", "/", body=b"x" * 1000000)).body) == 2000000
    assert phases_of(p)[1:] == (1000000, 2000000)


def test_context_of_a_connection(session, origin):
    """It is kept from request to request, and ends with the connection."""
    p = session(origin())
    one, two = p.client(), p.client()
    assert [c.ask(request()).get("Nth") for c in (one, one, two, one, two)] == list("12132")


def test_context_of_an_h2_connection(session, origin):
    p = session(origin())
    c = h2(p)
    streams = [c.get(f"/{i}") for i in range(20)]
    for st in streams:
        c.receive(st)
    assert sorted(int(st.get("nth")) for st in streams) == list(range(1, 21))
    assert streams[0].get("client-version") == "HTTP/2.0"
    assert streams[0].get("client-socket").startswith("%s:%d 127.0.0.1:" % p.addresses[0])
    c.close()


def test_tls(session, origin, tmp_path):
    authority = Authority(tmp_path)
    authority.certificate("server", "localhost")
    up = origin(serve(OK), tls=authority.server("up", "origin.test"))
    p = session(up, "--cert", tmp_path / "server.crt", "--key", tmp_path / "server.key", "--ca",
                authority.ca)
    res = p.client(tls=authority.client(["http/1.1"])).ask(request())
    version, cipher, sni, alpn, _ = res.get("Client-Tls").split(" ")
    assert (version, sni, alpn) == ("TLSv1.3", "localhost", "1") and cipher.startswith("TLS_")
    assert res.get("Upstream-Tls").startswith("TLSv1.3 TLS_")
