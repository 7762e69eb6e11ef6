"""Upgrade and CONNECT: what switches and what does not, bytes both ways, and every way to end."""

import socket

import pytest

from test_phases import PROGRAM, Phases
from weirtest import OK, Ended, chunks, own_answer, poll, request, why

ASK = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
quick = pytest.mark.quick


def take(reader, n):
    """Raw bytes of a tunnel."""
    return reader.exactly(n)


def switching(then=lambda conn: conn.wait_end(), answer=SWITCH):
    """An origin that switches and goes on with `then`."""
    def script(conn):
        req = conn.request()
        if req is not None:
            conn.send(answer)
            then(conn)
    return script


def echoing(conn):
    """Sends back what it gets, then its own end."""
    while conn.reader.buf or conn.reader.fill():
        conn.send(conn.reader.take(len(conn.reader.buf)))
    conn.finish()


def upgraded(proxy, *fields, data=b""):
    c = proxy.client()
    c.send(request("GET", "/chat", *(fields or ASK)) + data)
    res = c.receive()
    assert res.status == 101, res
    return c, res


# What switches.

@quick
def test_upgrade(weir, origin):
    o = origin(switching(echoing))
    p = weir(o)
    c, res = upgraded(p)
    assert res.get("Connection") == "upgrade" and res.get("Upgrade") == "websocket"
    assert not res.all("Content-Length") and not res.all("Transfer-Encoding")
    req = o.one()
    assert req.get("Connection") == "upgrade" and req.get("Upgrade") == "websocket"
    assert req.get("Sec-WebSocket-Key") == "x"
    for data in (b"hello", b"\0\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"):
        c.send(data)
        assert take(c.reader, len(data)) == data
    c.finish()
    assert c.closed() == "fin"
    line = p.log()[0]
    assert (line["status"], line["received"], line["sent"]) == (101, 223, 223)
    assert "why" not in line


@pytest.mark.parametrize("offer, switch", [
    ("websocket", "websocket"), ("foo/2, websocket", "websocket"), ("foo/2, bar", "Foo/2"),
    ("my-own", "my-own")])
def test_any_token(weir, origin, offer, switch):
    o = origin(switching(echoing, SWITCH.replace(b"websocket", switch.encode())))
    c, res = upgraded(weir(o), "Connection: upgrade", f"Upgrade: {offer}")
    assert res.get("Upgrade") == switch and o.one().get("Upgrade") == offer
    c.send(b"x")
    assert take(c.reader, 1) == b"x"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 S\r\n\r\n",
    b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket, other\r\n\r\n"])
def test_switch_to_something_else(weir, origin, answer):
    p = weir(origin(switching(answer=answer)))
    own_answer(p.ask(request("GET", "/", *ASK)), 502)
    why(p, "unexpected_switch")


@pytest.mark.parametrize("fields, version", [
    ((), "HTTP/1.1"),                                               # not asked at all
    (ASK, "HTTP/1.0"),                                              # HTTP/1.0 cannot ask
    (("Upgrade: websocket",), "HTTP/1.1"),                          # Connection does not say so
    (("Connection: upgrade",), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: @"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: h2c"), "HTTP/1.1"),          # requests in disguise
    (("Connection: upgrade", "Upgrade: websocket, H2C"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: HTTP/2.0"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: http"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: h2"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: h2c-14"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: x, tls"), "HTTP/1.1"),
    (("Connection: upgrade", "Upgrade: TLS/1.2"), "HTTP/1.1")])
@pytest.mark.parametrize("answer", ["200", "101"])
def test_not_offered(weir, origin, fields, version, answer):
    """The upstream sees an ordinary request; a 101 nevertheless is its mistake."""
    o = origin(lambda conn: (conn.request(), conn.send(OK if answer == "200" else SWITCH),
                             conn.head()))
    p = weir(o)
    res = p.ask(request("GET", "/", *fields, version=version))
    assert res.status == (200 if answer == "200" else 502)
    assert not o.one().all("Upgrade") and "upgrade" not in (o.one().get("Connection") or "")
    if answer == "101":
        why(p, "unexpected_switch")


def test_refused_upgrade_goes_on(weir, origin):
    """A final answer other than 101: HTTP as ever, on both connections."""
    o = origin()
    p = weir(o)
    c = p.client()
    for _ in range(3):
        assert c.ask(request("GET", "/", *ASK)).status == 200
    assert len(o.conns) == 1


def test_pipelined_behind_a_refused_upgrade(weir, origin):
    """What follows the head is a tunnel's only after a 101; else it is the next request."""
    o = origin()
    c = weir(o).client()
    c.send(request("GET", "/1", *ASK) + request("GET", "/2"))
    assert c.receive().status == c.receive().status == 200
    assert [r.target for r in o.requests] == ["/1", "/2"]


def test_interim_before_the_switch(weir, origin):
    o = origin(switching(echoing, b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + SWITCH))
    c, res = upgraded(weir(o))
    assert [i.status for i in res.interim] == [103]
    c.send(b"x")
    assert take(c.reader, 1) == b"x"


# Bytes behind the head, and bodies.

def test_bytes_behind_the_heads(weir, origin):
    """What came with a head is the first of the tunnel, both ways."""
    def script(conn):
        conn.head()
        conn.send(SWITCH + b"first words")
        assert take(conn.reader, 5) == b"early"
        conn.send(b"got it")
        conn.wait_end()
    c, _ = upgraded(weir(origin(script)), data=b"early")
    assert take(c.reader, 17) == b"first wordsgot it"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upgrade_with_a_body(weir, origin, framing):
    """The body keeps its framing; the tunnel begins behind it."""
    o = origin(switching(echoing))
    c = weir(o).client()
    fields = (*ASK, "Transfer-Encoding: chunked") if framing == "chunked" else ASK
    body = chunks(b"bo", b"dy") if framing == "chunked" else b"body"
    c.send(request("POST", "/", *fields, body=body) + b"tunnel")
    assert c.receive().status == 101
    assert take(c.reader, 6) == b"tunnel"
    assert o.one().body == b"body"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_body_still_going_after_the_switch(weir, origin, framing):
    def script(conn):
        req = conn.head()
        conn.send(SWITCH + b"hi")
        assert conn.body(req)
        echoing(conn)
    o = origin(script)
    c = weir(o).client()
    if framing == "length":
        head, rest = request("POST", "/", *ASK, "Content-Length: 4") + b"bo", b"dytunnel"
    else:
        head, rest = request("POST", "/", *ASK, "Transfer-Encoding: chunked") + b"2\r\nbo\r\n", \
            b"2\r\ndy\r\n0\r\n\r\ntunnel"
    c.send(head)
    assert c.receive().status == 101 and take(c.reader, 2) == b"hi"
    c.send(rest)
    assert take(c.reader, 6) == b"tunnel"
    assert o.one().body == b"body"


def test_bad_body_after_the_switch(weir, origin):
    """A chunk that is none: the upstream sees the tunnel break, never the bytes."""
    def script(conn):
        req = conn.head()
        conn.send(SWITCH)
        conn.body(req)
    o = origin(script)
    p = weir(o)
    c = p.client()
    c.send(request("POST", "/", *ASK, "Transfer-Encoding: chunked") + b"2\r\nbo\r\n")
    assert c.receive().status == 101
    c.send(b"zz\r\n")
    c.reader.rest()
    o.wait(lambda: o.conns[0].ended, "the end")
    assert o.conns[0].incomplete is not None
    assert p.log()[0]["why"] == "bad_body"


def test_large_both_ways(weir, origin):
    """More than all buffers hold, at the same time, and slow readers make nobody store it."""
    data = bytes(range(256)) * 16384
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        got = []
        import threading
        reading = threading.Thread(target=lambda: got.append(take(conn.reader, len(data))))
        reading.start()
        conn.send(data)
        reading.join()
        assert got[0] == data
        conn.finish()
    c, _ = upgraded(weir(origin(script)))
    import threading
    sending = threading.Thread(target=lambda: (c.sock.sendall(data), c.finish()))
    sending.start()
    assert take(c.reader, len(data)) == data
    sending.join()
    assert c.closed() == "fin"


def test_no_unbounded_buffer(weir, origin):
    """Nobody reads on the other side: the proxy soon takes nothing more."""
    done = origin_wait = None
    o = origin(switching(lambda conn: conn.wait(origin_wait)))
    origin_wait = o.event()
    c, _ = upgraded(weir(o))
    c.sock.settimeout(0.5)
    sent = 0
    with pytest.raises(socket.timeout):
        for _ in range(1 << 12):
            sent += c.sock.send(b"x" * 65536)
    assert sent < 64 << 20, done


# Ends.

def test_half_close_of_the_client(weir, origin):
    """The client ends its direction; the upstream sees that, and may still talk."""
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        assert conn.reader.rest() == (b"bye", "fin")
        conn.send(data)
        conn.finish()
    data = b"long after" * 400000   # more than sockets hold: the proxy waits for its client
    c, _ = upgraded(weir(origin(script)))
    c.send(b"bye")
    c.finish()
    assert c.reader.rest() == (data, "fin")


def test_half_close_of_the_upstream(weir, origin):
    def script(conn):
        conn.request()
        conn.send(SWITCH + b"bye")
        conn.finish()
        assert conn.reader.rest() == (b"long after", "fin")
    o = origin(script)
    p = weir(o)
    c, _ = upgraded(p)
    assert c.reader.rest() == (b"bye", "fin")
    c.send(b"long after")
    c.finish()
    assert p.log()[0]["received"] == 10


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_reset(weir, origin, side):
    """What breaks on one side is cut off on the other: it must not look like an end."""
    o = origin(switching(lambda conn: conn.reset() if side == "upstream" else conn.wait_end()))
    p = weir(o)
    c = p.client()
    c.send(request("GET", "/", *ASK))
    if side == "client":
        assert c.receive().status == 101
        c.reset()
        o.wait(lambda: o.conns[0].ended, "the end")
        assert o.conns[0].ended == "rst"
    else:
        try:
            c.receive()
            how = c.closed()
        except Ended as end:
            how = end.how
        assert how == "rst"
    assert p.log()[0]["why"] == ("client_gone" if side == "client" else "upstream_reset")


def test_idle_tunnel(weir, origin):
    o = origin(switching())
    p = weir("--timeout-tunnel", "200ms", o)
    c, _ = upgraded(p)
    c.reader.rest()
    line = p.log()[0]
    assert (line["status"], line["why"]) == (101, "tunnel_timeout")
    o.wait(lambda: o.conns[0].ended, "the end")


@pytest.mark.parametrize("talker", ["client", "upstream"])
def test_one_direction_keeps_it_alive(weir, origin, talker):
    """The tunnel's time counts from the last byte in either direction."""
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        if talker == "client":
            take(conn.reader, 8)
            conn.send(b"all")
        else:
            for _ in range(8):
                conn.send(b"x")
                conn.wait(step)
                step.clear()
            take(conn.reader, 3)
        conn.wait_end()
    o = origin(script)
    step = o.event()
    p = weir("--timeout-tunnel", "1500ms", o)
    c, _ = upgraded(p)
    pause, other = socket.socketpair()
    pause.settimeout(0.4)

    def tick():
        with pytest.raises(socket.timeout):
            pause.recv(1)
    for _ in range(8):              # 3200 ms in all, twice the limit
        tick()
        if talker == "client":
            c.send(b"x")
        else:
            assert take(c.reader, 1) == b"x"
            step.set()
    if talker == "client":
        assert take(c.reader, 3) == b"all"
    else:
        c.send(b"all")
    c.close()
    other.close()


def test_min_rate_is_not_for_tunnels(weir, origin):
    """Nor are the times of bodies: a tunnel may be silent for as long as --timeout-tunnel."""
    o = origin(switching(echoing))
    p = weir("--min-rate", "1GiB", "--timeout-body", "500ms", "--timeout-send", "500ms",
             "--timeout-upstream", "500ms", "--timeout-idle", "500ms", o)
    c, _ = upgraded(p)
    for _ in range(3):
        c.sock.settimeout(0.7)
        with pytest.raises(socket.timeout):
            c.sock.recv(1)
        c.sock.settimeout(10)
        c.send(b"x")
        assert take(c.reader, 1) == b"x"


def test_shutdown_ends_tunnels(weir, origin):
    """After the grace, and not before."""
    o = origin(switching(echoing))
    p = weir("--grace", "1s", o)
    c, _ = upgraded(p)
    p.signal()
    c.send(b"x")
    assert take(c.reader, 1) == b"x"
    c.reader.rest()
    p.wait(0)
    assert p.log()[0]["why"] == "shutdown"


def test_second_tunnel_needs_its_own_connection(weir, origin):
    """An upgraded connection is never pooled."""
    o = origin(switching(echoing))
    p = weir(o)
    for _ in range(3):
        c, _ = upgraded(p)
        c.finish()
        assert c.closed() == "fin"
    assert len(o.conns) == 3


# CONNECT.

@pytest.fixture
def phases(weir):
    def start(*args):
        return Phases(weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log",
                           *args, program=PROGRAM))
    return start


def connect(to, *fields):
    return "\r\n".join([f"CONNECT {to} HTTP/1.1", f"Host: {to}", *fields, "", ""]).encode()


def test_connect_is_refused(weir, origin):
    o = origin()
    p = weir(o)
    c = p.client()
    c.send(connect(o.name))
    res = own_answer(c.receive(), 405)
    assert "CONNECT" not in res.get("Allow") and c.closed() == "fin" and not o.conns
    why(p, "method")


def test_connect(phases, origin):
    """The peer is whom upstream_peer chose; what follows is not HTTP to us."""
    o = origin(lambda conn: (conn.send(b"I speak first"), echoing(conn)))
    p = phases("--connect", "127.0.0.1:1")
    c = p.client()
    c.send(connect(o.name) + b"early")
    res = c.receive("CONNECT", body=False)
    assert res.status == 200 and res.fields and not res.all("Content-Length")
    assert not res.all("Transfer-Encoding") and not res.all("Connection")
    assert sorted(take(c.reader, 18)) == sorted(b"I speak firstearly")
    c.finish()
    assert c.closed() == "fin"
    trace = p.trace()
    assert trace[1:] == ["early_request_filter", "request_filter", "upstream_peer", "new",
                         "connected_to_upstream", "response_filter", "logging:none", "status=200",
                         "tries=1", "new", "received=5", "sent=18"]


def test_connect_never_takes_a_pooled_connection(phases, origin):
    o = origin(lambda conn: (conn.request(), conn.send(OK), echoing(conn)), echoing)
    p = phases("--connect", o)
    assert p.ask(request()).status == 200
    c = p.client()
    c.send(connect(o.name) + b"x")
    assert c.receive("CONNECT", body=False).status == 200
    assert take(c.reader, 1) == b"x" and len(o.conns) == 2


@pytest.mark.parametrize("do, status", [("request_filter=answer", 222), ("request_filter=fail", 418),
                                        ("connected_to_upstream=fail", 418),
                                        ("response_filter=fail", 418),
                                        ("response_filter=answer", 222)])
def test_connect_and_phases(phases, origin, do, status):
    o = origin(echoing)
    p = phases("--connect", "127.0.0.1:1")
    c = p.client()
    c.send(connect(o.name, f"Do: {do}"))
    assert c.receive().status == status


def test_connect_to_nobody(phases, origin):
    o = origin()
    o.refuse()
    p = phases("--connect", "127.0.0.1:1")
    c = p.client()
    c.send(connect(o.name))
    assert c.receive().status == 502


@pytest.mark.parametrize("fields, body", [(["Content-Length: 3"], b"abc"),
                                          (["Transfer-Encoding: chunked"], b"0\r\n\r\n")])
def test_connect_has_no_body(phases, origin, fields, body):
    o = origin(echoing)
    p = phases("--connect", "127.0.0.1:1")
    c = p.client()
    c.send(connect(o.name, *fields) + body)
    assert c.receive().status == 400 and c.closed() == "fin" and not o.conns


def test_phases_of_an_upgrade(phases, origin):
    """The 101 passes both filters of response heads; body filters do not see the tunnel."""
    o = origin(switching(echoing))
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", *ASK, "Do: response_body_filter=fail"))
    res = c.receive()
    assert res.status == 101 and res.all("Seen-By") == ["upstream_response_filter",
                                                        "response_filter"]
    c.send(b"x")
    assert take(c.reader, 1) == b"x"
    c.finish()
    assert c.closed() == "fin"
    assert p.trace()[-6:] == ["logging:none", "status=101", "tries=1", "new", "received=1", "sent=1"]


@pytest.mark.parametrize("do, status", [("response_filter=answer", 222),
                                        ("upstream_response_filter=fail", 418)])
def test_a_phase_stops_an_upgrade(phases, origin, do, status):
    o = origin(switching())
    p = phases(o)
    assert p.ask(request("GET", "/", *ASK, f"Do: {do}")).status == status
    o.wait(lambda: o.conns[0].ended, "the end")


def test_many_tunnels(weir, origin):
    o = origin(switching(echoing))
    p = weir(o)
    clients = [upgraded(p)[0] for _ in range(50)]
    for i, c in enumerate(clients):
        c.send(b"%4d" % i)
    for i, c in enumerate(clients):
        assert take(c.reader, 4) == b"%4d" % i
    for c in clients:
        c.finish()
        assert c.closed() == "fin"
    assert all("why" not in line for line in p.log(50))
    poll(lambda: all(x.reader.end for x in o.conns), "ends")


# Over TLS, either side.

def test_tls_client(weir, origin, authority):
    """The upstream's end is close_notify to the client, which may still send."""
    def script(conn):
        conn.request()
        conn.send(SWITCH + b"bye")
        conn.finish()
        assert conn.reader.rest() == (b"early and long after", "fin")
    o = origin(script)
    crt, key = authority.certificate("server", "origin.test")
    p = weir(o, "--cert", crt, "--key", key, listen=(), listen_tls=("127.0.0.1:0",))
    c = p.client(tls=authority.client(), name="origin.test")
    c.send(request("GET", "/", *ASK) + b"early and ")
    assert c.receive().status == 101
    assert c.reader.rest() == (b"bye", "fin")
    c.send(b"long after")
    c.finish()
    line = p.log()[0]
    assert (line["status"], line["received"], line["sent"]) == (101, 20, 3) and "why" not in line


def test_tls_upstream(weir, origin, authority):
    """The client's end is close_notify to the upstream, which may still send."""
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        assert conn.reader.rest() == (b"bye", "fin")
        conn.send(b"long after")
    o = origin(script, tls=authority.server("up", "origin.test"))
    p = weir("--upstream-tls", "origin.test", "--ca", authority.ca, o)
    c, _ = upgraded(p)
    c.send(b"bye")
    c.finish()
    assert c.reader.rest() == (b"long after", "fin")


def test_large_both_ways_over_tls(weir, origin, authority):
    data = bytes(range(256)) * 8192
    o = origin(switching(echoing), tls=authority.server("up", "origin.test"))
    crt, key = authority.certificate("server", "origin.test")
    p = weir("--upstream-tls", "origin.test", "--ca", authority.ca, o, "--cert", crt,
             "--key", key, listen=(), listen_tls=("127.0.0.1:0",))
    c = p.client(tls=authority.client(), name="origin.test")
    c.send(request("GET", "/", *ASK))
    assert c.receive().status == 101
    for at in range(0, len(data), 1 << 16):
        c.send(data[at:at + (1 << 16)])
        assert take(c.reader, 1 << 16) == data[at:at + (1 << 16)]
