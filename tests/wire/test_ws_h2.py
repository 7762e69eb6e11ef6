"""WebSocket over HTTP/2 (RFC 8441), and CONNECT: a stream of the client's connection is a
tunnel."""

import base64
import hashlib
import threading

import pytest

from test_phases import PROGRAM, Phases
from weirtest import OK, Authority, poll, serve, why
from weirtest import h2 as wire
from weirtest.h2 import h2

quick = pytest.mark.quick
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
H2C = "--h2c"


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def switching(then, *fields, accept=accept_of):
    """An origin of HTTP/1.1 that switches and goes on with `then`."""
    def script(conn):
        req = conn.request()
        if req is None:
            return
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                 f"Sec-WebSocket-Accept: {accept(req.get('Sec-WebSocket-Key'))}", *fields, "", ""]
        conn.send("\r\n".join(lines).encode())
        then(conn)
    return script


def echoing(conn):
    """Sends back what it gets, then its own end."""
    while conn.reader.buf or conn.reader.fill():
        conn.send(conn.reader.take(len(conn.reader.buf)))
    conn.finish()


def connect(c, *fields, protocol="websocket", path="/chat", end=False):
    st = c.stream(method="GET")
    head = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
            (":authority", "origin.test"), ("sec-websocket-version", "13")]
    c.send(wire.headers(st.number, head + [tuple(f.split(": ")) for f in fields], end=end))
    return st


def opened(c, *fields):
    st = connect(c, *fields)
    c.until(lambda: st.fields or st.over)
    assert st.status == 200 and not st.over, st
    return st


def say(c, st, data, end=False):
    c.upload(st, data, end)


def hear(c, st, data):
    c.until(lambda: len(st.body) >= len(data) or st.over)
    assert st.body == data
    st.body = b""


@quick
def test_websocket(weir, origin):
    o = origin(switching(echoing, "Sec-WebSocket-Protocol: chat", "X-Own: 1"))
    p = weir(H2C, o)
    c = h2(p)
    st = opened(c, "sec-websocket-protocol: chat, other", "sec-websocket-extensions: foo")
    assert c.settings[8] == 1
    assert st.get("sec-websocket-protocol") == "chat" and st.get("x-own") == "1"
    assert not {n for n, _ in st.fields} & {"sec-websocket-accept", "upgrade", "connection",
                                            "content-length"}
    req = o.one()
    assert (req.method, req.target, req.version) == ("GET", "/chat", "HTTP/1.1")
    assert (req.get("Connection"), req.get("Upgrade")) == ("upgrade", "websocket")
    assert req.get("Sec-WebSocket-Version") == "13" and req.get("Host") == "origin.test"
    assert req.get("Sec-WebSocket-Protocol") == "chat, other"
    assert req.get("Sec-WebSocket-Extensions") == "foo"
    assert len(base64.b64decode(req.get("Sec-WebSocket-Key"))) == 16
    assert req.framing == "none"
    for data in (b"hello", b"\0\xff" * 100, b"x" * 100_000):
        say(c, st, data)
        hear(c, st, data)
    say(c, st, b"", True)
    c.receive(st)
    assert st.ended and st.reset is None
    line = p.log()[0]
    assert (line["received"], line["sent"]) == (100_205, 100_205) and "why" not in line


def test_over_tls(weir, origin, tmp_path):
    ca = Authority(tmp_path)
    crt, key = ca.certificate("front", "localhost")
    p = weir("--cert", crt, "--key", key, origin(switching(echoing)), listen=(),
             listen_tls=("127.0.0.1:0",))
    c = h2(p, tls=ca.client(("h2",)))
    st = opened(c)
    say(c, st, b"hello")
    hear(c, st, b"hello")


def test_keys_differ(weir, origin):
    o = origin(switching(echoing))
    p = weir(H2C, o)
    c = h2(p)
    for _ in range(5):
        opened(c)
    assert len({r.get("Sec-WebSocket-Key") for r in o.requests}) == 5


def test_own_key_of_the_client(weir, origin):
    """It has none to send; ours counts."""
    o = origin(switching(echoing))
    c = h2(weir(H2C, o))
    opened(c, "sec-websocket-key: mine")
    assert o.one().get("Sec-WebSocket-Key") != "mine"


def test_many_on_one_connection(weir, origin):
    """Tunnels and requests side by side."""
    def script(conn):
        req = conn.request()
        if req is None:
            return
        if req.all("Upgrade"):
            conn.send(("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       f"Sec-WebSocket-Accept: {accept_of(req.get('Sec-WebSocket-Key'))}\r\n\r\n")
                      .encode())
            echoing(conn)
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    c = h2(weir(H2C, origin(script)))
    tunnels = [opened(c) for _ in range(20)]
    for i, st in enumerate(tunnels):
        say(c, st, b"%d" % i * 1000)
    assert c.get().body == b"ok"
    for i, st in enumerate(tunnels):
        hear(c, st, b"%d" % i * 1000)
        say(c, st, b"", True)
        c.receive(st)


@pytest.mark.parametrize("answer, status", [
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", 403),
    (b"HTTP/1.1 401 U\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno!", 401),
    (b"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 3\r\n\r\nno!", 302)])
def test_other_answers_pass(weir, origin, answer, status):
    c = h2(weir(H2C, origin(serve(answer))))
    st = c.receive(connect(c))
    assert (st.status, st.body, st.ended) == (status, b"no!", True)
    assert c.receive(connect(c)).status == status       # the connections go on


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 204 N\r\n\r\n"])
def test_2xx_is_no_switch(weir, origin, answer):
    """To the client it would say that its tunnel is open."""
    p = weir(H2C, origin(serve(answer)))
    c = h2(p)
    assert c.receive(connect(c)).status == 502
    why(p, "unexpected_switch")


@pytest.mark.parametrize("accept", ["", "x", accept_of("dGhlIHNhbXBsZSBub25jZQ==")])
def test_wrong_accept(weir, origin, accept):
    p = weir(H2C, origin(switching(echoing, accept=lambda key: accept)))
    c = h2(p)
    assert c.receive(connect(c)).status == 502
    why(p, "unexpected_switch")


@pytest.mark.parametrize("protocol", ["connect-udp", "webtransport", "h2c", "foo", "websocket2"])
def test_other_protocols(weir, origin, protocol):
    o = origin()
    p = weir(H2C, o)
    c = h2(p)
    assert c.receive(connect(c, protocol=protocol)).status == 501
    why(p, "connect_protocol")
    assert not o.requests


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_protocol_without_connect(weir, origin, method):
    o = origin()
    c = h2(weir(H2C, o))
    st = c.stream()
    c.send(wire.headers(st.number, [(":method", method), (":protocol", "websocket"),
                                    (":scheme", "http"), (":path", "/"), (":authority", "a")]))
    c.receive(st)
    assert st.reset == wire.PROTOCOL_ERROR or st.status == 400
    assert not o.requests


# How they end.

def test_client_ends_its_direction(weir, origin):
    """The origin may still send."""
    def talk(conn):
        conn.reader.rest()
        conn.send(b"goodbye")
        conn.finish()
    c = h2(weir(H2C, origin(switching(talk))))
    st = opened(c)
    say(c, st, b"hello", True)
    c.receive(st)
    assert st.body == b"goodbye" and st.ended


def test_origin_ends_its_direction(weir, origin):
    """The client may still send."""
    got = []

    def talk(conn):
        conn.send(b"hello")
        conn.finish()
        got.append(conn.reader.rest()[0])
    c = h2(weir(H2C, origin(switching(talk))))
    st = opened(c)
    c.until(lambda: st.ended)
    assert st.body == b"hello" and st.reset is None
    say(c, st, b"last words", True)
    poll(lambda: got, "what the client said last")
    assert got == [b"last words"]


def test_client_resets(weir, origin):
    """The origin's connection ends, and not in order."""
    o = origin(switching(lambda conn: conn.wait_end()))
    p = weir(H2C, o)
    c = h2(p)
    st = opened(c)
    c.send(wire.reset(st.number))
    o.wait(lambda: o.conns[0].ended, "the end")
    why(p, "client_gone")
    c.pong()


def test_client_resets_without_an_error(weir, origin):
    """Also one that was told the origin's end already."""
    def talk(conn):
        conn.finish()
        conn.wait_end()
    o = origin(switching(talk))
    c = h2(weir(H2C, o))
    st = opened(c)
    c.until(lambda: st.ended)
    c.send(wire.reset(st.number, wire.NO_ERROR))
    o.wait(lambda: o.conns[0].ended, "the end")
    c.pong()


def test_origin_resets(weir, origin):
    go = threading.Event()

    def talk(conn):
        assert go.wait(10)
        conn.reset()
    p = weir(H2C, origin(switching(talk)))
    c = h2(p)
    st = opened(c)
    go.set()
    c.receive(st)
    assert st.reset == wire.CANCEL and not st.ended, "RFC 8441 5"
    c.pong()


def test_idle_deadline(weir, origin):
    p = weir(H2C, "--timeout-tunnel", "200ms", origin(switching(lambda conn: conn.wait_end())))
    c = h2(p)
    st = opened(c)
    c.receive(st)
    assert st.reset is not None
    why(p, "tunnel_timeout")
    c.pong()


def test_client_that_ends_at_once(weir, origin):
    c = h2(weir(H2C, origin(switching(echoing))))
    st = connect(c, end=True)
    c.receive(st)
    assert st.status == 200 and st.ended


def test_backpressure(weir, origin):
    """A client that does not read stops the origin, and nobody keeps what it sends."""
    sent, full = [], threading.Event()

    def flood(conn):
        conn.sock.settimeout(0.5)
        while True:
            try:
                sent.append(conn.sock.send(b"x" * 65536))
            except TimeoutError:
                if full.is_set():
                    break
        conn.finish()
    c = h2(weir(H2C, origin(switching(flood))), credit=False)
    st = opened(c)
    c.until(lambda: st.window <= 0 or c.window <= 0)
    full.set()
    c.auto_credit = True
    c.give(0, 1 << 30)
    c.give(st, 1 << 30)
    c.receive(st)
    assert st.ended and len(st.body) == sum(sent)


# CONNECT.

def tunnel_to(c, authority):
    st = c.stream(method="CONNECT")
    c.send(wire.headers(st.number, [(":method", "CONNECT"), (":authority", authority)], end=False))
    c.until(lambda: st.fields or st.over)
    return st


@pytest.fixture
def phases(weir):
    """A service that allows CONNECT, and goes where the client says."""
    return Phases(weir("--listen", "127.0.0.1:0", "--access-log", "access.log", "--h2c", "--connect",
                       "127.0.0.1:1", program=PROGRAM))


@quick
def test_connect(phases, origin):
    o = origin(lambda conn: (conn.send(b"I speak first"), echoing(conn)))
    c = h2(phases.proxy)
    st = tunnel_to(c, o.name)
    assert st.status == 200 and not st.over and st.get("content-length") is None
    hear(c, st, b"I speak first")
    for data in (b"hello", b"x" * 100_000):
        say(c, st, data)
        hear(c, st, data)
    say(c, st, b"", True)
    c.receive(st)
    assert st.ended
    trace = phases.trace()
    assert trace[1:] == ["early_request_filter", "request_filter", "upstream_peer", "new",
                         "connected_to_upstream", "response_filter", "logging:none", "status=200",
                         "tries=1", "new", "received=100005", "sent=100018"]


def test_connection_that_breaks(phases, origin):
    """RFC 9113 8.5: an error of TCP is one of the stream, with a code of its own."""
    def talk(conn):
        conn.reader.fill()
        conn.reset()
    c = h2(phases.proxy)
    st = tunnel_to(c, origin(talk).name)
    say(c, st, b"x")
    assert c.receive(st).reset == wire.CONNECT_ERROR and not st.ended
    c.pong()


@pytest.mark.parametrize("sent, code", [
    (wire.headers(1, [("x-t", "1")]), wire.PROTOCOL_ERROR), (wire.reset(1), None)],
    ids=["fields", "a reset"])
def test_stream_that_breaks(phases, origin, sent, code):
    """RFC 9113 8.5: nothing but DATA belongs there; an error of the stream is one of TCP."""
    o = origin(lambda conn: conn.wait_end())
    c = h2(phases.proxy)
    st = tunnel_to(c, o.name)
    c.send(sent)
    if code is not None:
        assert c.receive(st).reset == code
    o.wait(lambda: o.conns and o.conns[0].ended, "the end of the tunnel")
    assert o.conns[0].ended == "rst"
    c.pong()


def test_connect_is_not_allowed(weir, origin):
    p = weir(H2C, origin())
    c = h2(p)
    st = c.receive(tunnel_to(c, "origin.test:443"))
    assert st.status == 405 and "CONNECT" not in st.get("allow")


@pytest.mark.parametrize("authority", ["origin.test", "origin.test:x", "127.0.0.1:1/b", ":443"])
def test_connect_to_nowhere(phases, authority):
    c = h2(phases.proxy)
    st = c.receive(tunnel_to(c, authority))
    assert st.reset is not None or st.status >= 400
