"""Every deadline fires, with its status and reason. They come from options and are short, so these
tests run alone: what is asserted is that something ends, never how fast."""

import select
import socket

import pytest

from weirtest import OK, WAIT, Ended, chunks, own_answer, refused, request, serve, why

pytestmark = pytest.mark.alone
SHORT = "200ms"


def silent(conn):
    """An origin that reads and says nothing."""
    conn.wait_end()


def drip(client, data, limit=2000):
    """Sends `data` again and again, byte by byte, each a moment after the other, until an answer
    comes."""
    for i in range(limit):
        if select.select([client.sock], [], [], 0.01)[0]:
            return
        if not client.send(data[i % len(data):][:1]):
            return
    raise AssertionError("nothing stopped the drip")


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"\r\n", b"\r"])
def test_header(weir, origin, part):
    """Half a head: 408 and the end."""
    p = weir("--timeout-header", SHORT, origin())
    c = p.client()
    c.send(part)
    refused(c, 408)
    why(p, "header_timeout")


@pytest.mark.quick
def test_header_is_absolute(weir, origin):
    """A head that never stops arriving is stopped all the same (slowloris)."""
    p = weir("--timeout-header", SHORT, "--timeout-idle", "30s", origin())
    c = p.client()
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
    drip(c, b"a")
    refused(c, 408)


def test_header_of_a_later_request(weir, origin):
    p = weir("--timeout-header", SHORT, origin())
    c = p.client()
    for _ in range(2):
        assert c.ask(request()).body == b"ok"
    c.send(b"GET / HT")
    refused(c, 408)


def test_header_behind_a_pipeline(weir, origin):
    """Half a head that came with a whole one."""
    p = weir("--timeout-header", SHORT, origin())
    c = p.client()
    c.send(request() + b"GET / HT")
    assert c.receive().body == b"ok"
    refused(c, 408)


@pytest.mark.quick
def test_idle(weir, origin):
    """A kept-alive connection ends without a word."""
    p = weir("--timeout-idle", SHORT, origin())
    c = p.client()
    assert c.ask(request()).body == b"ok"
    assert c.closed() == "fin"


def test_idle_before_the_first_byte(weir, origin):
    p = weir("--timeout-idle", SHORT, "--timeout-header", SHORT, origin())
    assert p.client().closed() == "fin"


def test_many_idle(weir, origin):
    p = weir("--timeout-idle", SHORT, "--timeout-header", SHORT, origin())
    clients = []
    for i in range(200):
        clients.append(p.client())
        if i % 2 == 0:          # at once, before its time is over
            assert clients[i].ask(request()).body == b"ok"
    assert {c.closed() for c in clients} == {"fin"}


@pytest.mark.quick
@pytest.mark.parametrize("head, part", [
    ("Content-Length: 10", b""), ("Content-Length: 10", b"12345"),
    ("Transfer-Encoding: chunked", b""), ("Transfer-Encoding: chunked", b"5\r\nhel"),
    ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n"),
])
def test_body(weir, origin, head, part):
    """A stalled upload: 408, the end, and the origin sees it cut off."""
    o = origin(lambda conn: conn.request())
    p = weir("--timeout-body", SHORT, o)
    c = p.client()
    c.send(request("POST", "/", head) + part)
    refused(c, 408, "POST")
    o.wait(lambda: o.conns[0].incomplete is not None, "the end of the stalled upload")
    why(p, "body_timeout")


def endless(conn):
    """An origin whose body never ends."""
    if conn.request() is not None:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536)


@pytest.mark.quick
def test_send(weir, origin):
    """A client that does not read loses its connection, and the origin is let go."""
    o = origin(endless)
    p = weir("--timeout-send", SHORT, o)
    c = p.client(rcvbuf=4096)
    c.send(request())
    o.wait(lambda: o.conns and o.conns[0].sock.fileno() < 0, "the end of its connection")
    why(p, "send_timeout")
    with pytest.raises(Ended):
        c.receive()


def test_send_to_a_slow_reader(weir, origin):
    """Who takes bytes all the time is not cut, though the socket takes none of ours for longer than
    that."""
    size = 8 << 20

    def script(conn):
        if conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    p = weir("--timeout-send", "1s", origin(script))
    c = p.client(rcvbuf=4096)
    c.send(request("GET", "/", "Connection: close"))
    slow = b""
    for _ in range(300):
        slow += c.sock.recv(2048)
        select.select([], [], [], 0.01)
    rest, how = c.reader.rest()
    assert how == "fin" and len((slow + rest).partition(b"\r\n\r\n")[2]) == size
    assert "why" not in p.log()[0]


@pytest.mark.quick
def test_connect(weir, origin):
    """An upstream whose backlog is full takes no connection: 504."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fill = []
    while len(fill) < 8:        # beyond the backlog a connect just hangs
        fill.append(socket.socket())
        fill[-1].setblocking(False)
        fill[-1].connect_ex(listener.getsockname())
        if not select.select([], [fill[-1]], [], 0.3)[1]:
            break
    p = weir("--timeout-connect", SHORT, f"127.0.0.1:{listener.getsockname()[1]}")
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request()), 504)
    why(p, "connect_timeout")
    for sock in (listener, *fill):
        sock.close()


@pytest.mark.quick
@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nX: y\r\n", b"HTTP/1.1 103 Hints\r\n\r\n"])
def test_upstream_head(weir, origin, part):
    """No response head: 504. The client connection goes on."""
    def script(conn):
        conn.request()
        conn.send(part)
        conn.wait_end()
    o = origin(script, serve(OK))
    p = weir("--timeout-upstream", SHORT, "--workers", 1, o)
    c = p.client()
    own_answer(c.ask(request()), 504)
    why(p, "upstream_timeout")
    assert c.ask(request()).body == b"ok" and len(o.conns) == 2


@pytest.mark.parametrize("framing, part", [
    ("Content-Length: 10", b"12345"), ("Content-Length: 10", b""), ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
    ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n"), ("X: close-delimited", b"12345"),
])
def test_upstream_body(weir, origin, framing, part):
    """A stalled response is cut off, visibly."""
    def script(conn):
        conn.request()
        conn.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + part)
        conn.wait_end()
    o = origin(script)
    p = weir("--timeout-upstream", SHORT, o)
    c = p.client()
    c.send(request())
    with pytest.raises(Ended):
        c.receive()
    why(p, "upstream_timeout")


def test_upstream_that_does_not_read(weir, origin):
    """An upload that the origin does not take ends with 504."""
    o = origin(lambda conn: conn.wait(over))
    over = o.event()
    p = weir("--timeout-upstream", SHORT, o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 100000000"))
    c.sock.settimeout(0.1)
    for _ in range(100):
        try:
            c.sock.send(b"x" * 65536)
        except (socket.timeout, BrokenPipeError, ConnectionResetError):
            break
    c.sock.settimeout(WAIT)
    assert c.receive("POST").status == 504
    why(p, "upstream_timeout")


@pytest.mark.quick
def test_request(weir, origin):
    """The whole request: before a head has gone out, 504."""
    p = weir("--timeout-request", SHORT, origin(silent))
    own_answer(p.client().ask(request()), 504)
    why(p, "request_timeout")


def test_request_amid_its_head(weir, origin):
    """What is left of the head comes too late for this request, and is none of its own."""
    o = origin()
    p = weir("--timeout-request", SHORT, o)
    c = p.client()
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
    refused(c, 504)
    c.send(b"y\r\n\r\n")
    why(p, "request_timeout")
    assert o.requests == []


def test_request_while_the_body_flows(weir, origin):
    """The whole request: a response that never stalls is cut as well."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while not select.select([conn.sock], [], [], 0.01)[0]:
            conn.send(b"x")
    p = weir("--timeout-request", SHORT, origin(script))
    c = p.client()
    c.send(request())
    with pytest.raises(Ended):
        c.receive()
    why(p, "request_timeout")


def test_request_while_the_upload_flows(weir, origin):
    def upload(conn):
        conn.request()
    o = origin(upload)
    p = weir("--timeout-request", SHORT, o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 100000"))
    drip(c, b"x")
    assert c.receive("POST").status in (408, 504)
    o.wait(lambda: o.conns[0].incomplete is not None, "the end of the upload")


def test_min_rate_of_an_upload(weir, origin):
    """Slower than the rate after 5 s: 408."""
    o = origin(lambda conn: conn.request())
    p = weir("--min-rate", "1MiB", o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 100000000"))
    drip(c, b"x")
    refused(c, 408, "POST")
    why(p, "min_rate")


def test_min_rate_of_a_download(weir, origin):
    """A client that takes too little is let go, long before --timeout-send."""
    o = origin(endless)
    p = weir("--min-rate", "100MiB", o)
    c = p.client(rcvbuf=4096)
    c.send(request())
    o.wait(lambda: o.conns and o.conns[0].sock.fileno() < 0, "the end of its connection")
    why(p, "min_rate")


def test_a_waiting_origin_is_not_a_slow_client(weir, origin):
    """Rate and body deadline count only while we wait for the client's bytes."""
    def script(conn):
        req = conn.head()
        conn.wait(go)
        conn.body(req)
        conn.send(OK)
    o = origin(script)
    go = o.event()
    p = weir("--timeout-body", SHORT, "--timeout-upstream", "30s", o)
    idle = p.client()
    c = p.client()
    c.send(request("POST", "/", "Transfer-Encoding: chunked") + chunks(b"x" * 100))
    idle.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
    refused(idle, 408, "POST")     # as long as a stalled body may take, twice
    idle = p.client()
    idle.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
    refused(idle, 408, "POST")
    go.set()
    assert c.receive("POST").body == b"ok"
