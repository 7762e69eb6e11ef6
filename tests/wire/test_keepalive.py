"""Connections that serve several requests, on both sides of the proxy."""

import threading

import pytest

from weirtest import OK, chunks, echo, poll, refused, request, serve

quick = pytest.mark.quick


def tagged(req):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(req.target)}\r\n\r\n{req.target}".encode()


@quick
@pytest.mark.parametrize("version, fields, stays", [
    ("HTTP/1.1", [], True),
    ("HTTP/1.1", ["Connection: keep-alive"], True),
    ("HTTP/1.1", ["Connection: close"], False),
    ("HTTP/1.1", ["Connection: Close"], False),
    ("HTTP/1.1", ["Connection: x, close"], False),
    ("HTTP/1.1", ["Connection: keep-alive, close"], False),
    ("HTTP/1.1", ["Connection: x", "Connection: close"], False),
    ("HTTP/1.0", [], False),
    ("HTTP/1.0", ["Connection: keep-alive"], True),
    ("HTTP/1.0", ["Connection: Keep-Alive"], True),
    ("HTTP/1.0", ["Connection: close"], False),
    ("HTTP/1.0", ["Connection: keep-alive, close"], False),
])
def test_the_client_decides(weir, origin, version, fields, stays):
    o = origin()
    p = weir(o)
    c = p.client()
    res = c.ask(request("GET", "/", *fields, version=version))
    assert res.body == b"ok"
    if stays:
        assert (res.get("Connection") or "").lower() == ("keep-alive" if version == "HTTP/1.0" else "")
        assert c.ask(request("GET", "/", *fields, version=version)).body == b"ok"
    else:
        assert res.get("Connection") == "close"
        assert c.closed() == "fin"
    p.log(2 if stays else 1)
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 1, "how the client keeps its connection is not the origin's business"


@pytest.mark.parametrize("fields, status", [([], 200), (["Expect: miracles"], 417), (["Connection: Host"], 400)])
def test_the_proxy_decides(weir, origin, fields, status):
    """A client that means to go on may be sending already: the answer that ends it must not be
    destroyed by a RST, so the proxy reads on for a while (RFC 9112 9.6). What is sent to a closed
    socket is answered by a RST before the call returns, hence in each round; that we are too slow
    happens in no three."""
    p = weir("--max-requests", 1, origin())
    for last in (False, False, True):
        c = p.client()
        res = c.ask(request("GET", "/", *fields))
        assert res.status == status and res.get("Connection") == "close"
        assert c.closed() == "fin"
        if c.send(b"G") and c.send(b"ET / HTTP/1.1\r\n"):
            break
        assert not last, "the proxy has closed what it might have read on"


@quick
@pytest.mark.parametrize("split", ["whole", "bytes", 1])
@pytest.mark.parametrize("count", [2, 100])
def test_pipelining(weir, origin, count, split):
    """Answered in order; the origin never has two at once on one connection."""
    o = origin(serve(tagged))
    p = weir(o)
    c = p.client()
    c.send(b"".join(request("GET", f"/{i}") for i in range(count)), split)
    assert [c.receive().body for _ in range(count)] == [b"/%d" % i for i in range(count)]
    assert [r.target for r in o.requests] == [f"/{i}" for i in range(count)]
    assert len(o.conns) == 1


def test_pipelining_of_everything(weir, origin):
    """Bodies of either framing, HEAD and an answer of our own in one pipeline."""
    o = origin(serve(echo))
    p = weir("--workers", 1, o)
    c = p.client()
    te = "Transfer-Encoding: chunked"
    c.send(request("POST", "/1", body=b"one") + request("HEAD", "/2")
           + request("POST", "/3", te, body=chunks(b"th", b"ree")) + request("GET", "/4")
           + request("POST", "/5", te, body=chunks()) + request("OPTIONS", "*")
           + request("CONNECT", "h:80", "Connection: close"))
    got = [c.receive(m).body for m in ("POST", "HEAD", "POST", "GET", "POST", "OPTIONS")]
    assert got == [b"one", b"", b"three", b"", b"", b""]
    refused(c, 405, "CONNECT")
    assert [r.target for r in o.requests] == ["/1", "/2", "/3", "/4", "/5", "*"]


def test_pipelined_behind_close(weir, origin):
    """What comes behind a request with Connection: close is never read as a request."""
    o = origin(serve(tagged))
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("GET", "/1", "Connection: close") + request("GET", "/2"))
    assert c.receive().body == b"/1" and c.closed() == "fin"
    p.ask(request("GET", "/fence"))
    assert [r.target for r in o.requests] == ["/1", "/fence"]


@quick
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_upstream_reuse(weir, origin, workers):
    """One connection for many requests one after the other, whatever worker has them. (The log
    line comes last, so behind it the upstream connection is back in the pool.)"""
    o = origin()
    p = weir("--workers", workers, o)
    c = p.client()
    for i in range(20):
        assert c.ask(request()).body == b"ok"
        p.log(2 * i + 1)
        assert p.ask(request()).body == b"ok"
        p.log(2 * i + 2)
    assert len(o.conns) == 1 and len(o.requests) == 40


def test_upstream_reuse_by_unequal_clients(weir, origin, tmp_path):
    """The pool is one, over listeners and versions."""
    o = origin()
    p = weir("--workers", 2, o, listen=["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/w"])
    for i in range(9):
        c = p.client(i % 3)
        assert c.ask(request(version=f"HTTP/1.{i % 2}")).body == b"ok"
        p.log(i + 1)
    assert len(o.conns) == 1


def open_conns(o):
    return [c for c in o.conns if c.ended is None and c.sock.fileno() >= 0]


@pytest.mark.parametrize("workers", [1, 4])
def test_pool_bound(weir, origin, workers):
    """--pool bounds the idle upstream connections of the process, the oldest go first."""
    def script(conn):
        while conn.request() is not None:
            conn.wait(gate)
            conn.send(OK)
    o = origin(script)
    gate = o.event()
    p = weir("--workers", workers, "--pool", 3, o)
    clients = [p.client() for _ in range(8)]
    for c in clients:
        c.send(request())
    o.wait_requests(8)
    gate.set()
    for c in clients:
        assert c.receive().body == b"ok"
    o.wait(lambda: len(open_conns(o)) <= 3, "the surplus closed")
    for i in range(6):
        p.log(8 + i)
        assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 8 and len(open_conns(o)) == 3


@quick
@pytest.mark.parametrize("fields", ["Connection: close\r\n", "Connection: x, Close\r\n"])
def test_the_origin_closes(weir, origin, fields):
    """Connection: close of the origin ends its connection, not the client's."""
    o = origin(serve(b"HTTP/1.1 200 OK\r\n" + fields.encode() + b"Content-Length: 2\r\n\r\nok"))
    p = weir(o)
    c = p.client()
    for n in (1, 2, 3):
        res = c.ask(request())
        assert res.body == b"ok" and not res.all("Connection")
        assert len(o.conns) == n
    o.wait(lambda: len(open_conns(o)) == 0, "their ends")


def test_http10_keep_alive_of_the_origin(weir, origin):
    o = origin(serve(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"))
    p = weir(o)
    for i in range(3):
        assert p.ask(request()).body == b"ok"
        p.log(i + 1)
    assert len(o.conns) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
def test_idle_upstream_closed_by_the_origin(weir, origin, end):
    """A pooled connection that the origin has ended is not used again."""
    def script(conn):
        conn.request()
        conn.send(OK)
        conn.wait(gate)
        if end == "reset":
            conn.reset()
        else:
            conn.finish()
            conn.wait_end()
    o = origin(script, serve(OK))
    gate = o.event()
    p = weir("--workers", 1, o)
    c = p.client()      # it stays, so that only the pool's connection can go
    assert c.ask(request("POST", "/1", body=b"x")).body == b"ok"
    held = p.descriptors()
    gate.set()
    poll(lambda: p.descriptors()["socket"] < held["socket"], "the dead connection left the pool")
    assert c.ask(request("POST", "/2", body=b"x")).body == b"ok"
    assert len(o.conns) == 2 and len(o.conns[0].requests) == 1


def test_talking_idle_connection(weir, origin):
    """Bytes on an idle connection are nobody's response: it is closed, they are dropped."""
    def script(conn):
        conn.request()
        conn.send(OK)
        conn.wait(gate)
        conn.send(b"HTTP/1.1 200 Evil\r\nContent-Length: 4\r\n\r\nevil")
        conn.wait_end()
    o = origin(script, serve(OK))
    gate = o.event()
    p = weir("--workers", 1, o)
    c = p.client()
    assert c.ask(request()).body == b"ok"
    gate.set()
    o.wait(lambda: o.conns[0].ended, "that connection closed")
    assert c.ask(request()).body == b"ok"
    assert len(o.conns) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_closed_just_before_use(weir, origin, method):
    """An idempotent request whose pooled connection ends without a byte is either sent again
    on a new one or answered with 502, never twice to an origin that took it."""
    def script(conn):
        conn.request()
        conn.send(OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        conn.request()
    o = origin(script, serve(OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
    p = weir("--workers", 1, o)
    c = p.client()
    assert c.ask(request(method)).status == 200
    assert c.ask(request(method)).status in (200, 502)


def test_post_is_not_repeated(weir, origin):
    """A POST that an origin took before it closed reaches no other connection."""
    def script(conn):
        conn.request()
        conn.send(OK)
        conn.request()
    o = origin(script, serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    assert c.ask(request("POST", "/1", body=b"x")).status == 200
    assert c.ask(request("POST", "/2", body=b"x")).status == 502
    assert [r.target for r in o.requests] == ["/1", "/2"]


@quick
@pytest.mark.parametrize("body", ["length", "chunked"])
def test_early_response(weir, origin, body):
    """The origin answers before the upload is over; the client gets it at once."""
    def script(conn):
        if conn.head() is not None:
            conn.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
            conn.wait_end()
    o = origin(script, serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    if body == "length":
        c.send(request("POST", "/up", "Content-Length: 1000000") + b"x" * 100)
    else:
        c.send(request("POST", "/up", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
    res = c.receive("POST")
    assert (res.status, res.body) == (403, b"no")
    assert p.ask(request("GET", "/next")).body == b"ok"
    assert len(o.conns) == 2, "a connection with half a request on it was used again"


@quick
@pytest.mark.parametrize("size", [1, 1000, 60000])
def test_unread_body_then_the_next_request(weir, origin, size):
    """The body of an answered request is never taken for a request (CVE-2025-4366)."""
    inner = request("GET", "/smuggled")
    body = (inner * (size // len(inner) + 1))[:size]

    def script(conn):
        while (req := conn.head()) is not None:
            conn.send(OK)
            conn.body(req)
    o = origin(script)
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("POST", "/up", f"Content-Length: {size}"))
    res = c.receive("POST")
    assert res.body == b"ok"
    c.send(body + request("GET", "/next"))
    if res.get("Connection") == "close":
        c.reader.rest()
    else:
        assert c.receive().body == b"ok"
    p.ask(request("GET", "/fence"))
    assert not [r for r in o.requests if r.target == "/smuggled"], o.seen()


def test_refused_with_a_body_then_the_next_request(weir, origin):
    """The same for an answer of our own."""
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    inner = request("GET", "/smuggled")
    c.send(request("POST", "/", "Expect: miracles", f"Content-Length: {len(inner)}") + inner
           + request("GET", "/next"))
    res = c.receive("POST")
    assert res.status == 417
    if res.get("Connection") == "close":
        assert c.closed() == "fin"
    else:
        assert c.receive().body == b"ok"
    p.ask(request("GET", "/fence"))
    assert not [r for r in o.requests if r.target == "/smuggled"]


@pytest.mark.parametrize("workers", [1, 4])
def test_many_clients_keep_their_answers(weir, origin, workers):
    """Nothing of one response ever reaches another client."""
    o = origin(serve(tagged))
    p = weir("--workers", workers, "--pool", 4, o)
    errors = []

    def run(n):
        try:
            c = p.client()
            for i in range(30):
                target = f"/{n}/{i}" + "x" * (n * 37 % 200)
                assert c.ask(request("GET", target)).body == target.encode()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]
    assert len(o.requests) == 480


def test_upload_cut_off_by_the_origin(weir, origin):
    """The origin takes half of an upload and goes: 502, visible although we still send."""
    def script(conn):
        conn.head()
        conn.reader.exactly(100000)
        conn.reset()
    o = origin(script)
    c = weir(o).client()
    c.send(request("POST", "/", "Content-Length: 200000") + b"x" * 150000)
    assert c.receive("POST").status == 502


def test_response_then_end_during_upload(weir, origin):
    """The response that came before the origin hung up on the upload is passed on."""
    def script(conn):
        conn.head()
        conn.reader.exactly(1000)
        conn.send(b"HTTP/1.1 413 Enough\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        conn.finish()
        conn.wait_end()
    c = weir(origin(script)).client()
    c.send(request("POST", "/", "Content-Length: 200000") + b"x" * 1000)
    res = c.receive("POST")
    assert (res.status, res.body) == (413, b"no")
