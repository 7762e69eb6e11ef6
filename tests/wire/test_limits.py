"""Every bound of CONVENTIONS' table: just below it passes, just above it has its status."""

import socket

import pytest

from weirtest import (OK, chunks, echo, nothing_upstream, own_answer, poll, refused, request, serve, why)

quick = pytest.mark.quick
KIB = 1024


def field(size):
    """A field line of `size` bytes, CRLF not counted."""
    return "X: " + "a" * (size - 3)


def head(size):
    """Fields that make the head of `GET / ` exactly `size` bytes."""
    fields, left = [], size - len(request())
    while left > 0:
        n = min(left, 1000) if left > 1010 or left <= 1000 else 500
        fields.append(field(n - 2))
        left -= n
    return fields


@pytest.mark.parametrize("options, fields, status, reason", [
    ([], head(32 * KIB - 16), 200, None),
    ([], head(32 * KIB + 16), 431, "head_too_large"),
    (["--max-head", "2KiB"], head(2 * KIB - 16), 200, None),
    (["--max-head", "2KiB"], head(2 * KIB + 16), 431, "head_too_large"),
    ([], [field(16 * KIB - 16)], 200, None),
    ([], [field(16 * KIB + 16)], 431, "field_too_large"),
    (["--max-field", "100B"], [field(90)], 200, None),
    (["--max-field", "100B"], [field(110)], 431, "field_too_large"),
    ([], [f"X{i}: a" for i in range(99)], 200, None),
    ([], [f"X{i}: a" for i in range(100)], 431, "too_many_fields"),
    (["--max-fields", "3"], ["X: a", "Y: b"], 200, None),
    (["--max-fields", "3"], ["X: a", "Y: b", "Z: c"], 431, "too_many_fields"),
    (["--max-head", "64KiB", "--max-field", "40KiB"], [field(35 * KIB)], 200, None),
])
def test_heads(weir, origin, options, fields, status, reason):
    o = origin()
    p = weir("--workers", 1, *options, o)
    raw = request("GET", "/", *fields)
    for split in ("whole", 1):
        c = p.client()
        c.send(raw, split)
        if status == 200:
            assert c.receive().body == b"ok"
        else:
            refused(c, status)
    if reason:
        why(p, reason)
        nothing_upstream(p, o)


@pytest.mark.parametrize("options, size, status", [
    ([], 8 * KIB - 16, 200), ([], 8 * KIB + 16, 414),
    (["--max-target", "64B"], 60, 200), (["--max-target", "64B"], 70, 414),
])
@pytest.mark.parametrize("start", ["/", "/?q=", "http://a.test/"])
def test_targets(weir, origin, options, size, status, start):
    o = origin()
    p = weir("--workers", 1, *options, o)
    raw = request("GET", start + "a" * (size - len(start)))
    for split in ("whole", 1):
        c = p.client()
        c.send(raw, split)
        if status == 200:
            assert c.receive().body == b"ok"
        else:
            refused(c, 414)
    if status == 414:
        why(p, "target_too_long")
        nothing_upstream(p, o)


@pytest.mark.parametrize("start, more, status", [
    (b"GET /", b"a" * 4096, 414),
    (b"G", b"A" * 4096, (400, 414, 431)),
    (b"GET / HTTP/1.1\r\nX: ", b"a" * 4096, 431),
    (b"GET / HTTP/1.1\r\n", b"a" * 4096, 431),
    (b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 100, 431),
    (b"GET / HTTP/1.1\r\n", b":\r\n" * 300, (400, 431)),
], ids=["target", "method", "value", "name", "fields", "nameless fields"])
def test_endless_heads(weir, origin, start, more, status):
    """Refused at the bound, long before the sender stops; the client still sees why."""
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(start)
    for _ in range(64):
        if not c.send(more):
            break
    res = own_answer(c.receive(), status)
    assert res.get("Connection") == "close"
    nothing_upstream(p, o)


@quick
@pytest.mark.parametrize("option, size, status", [
    ("1KiB", 1024, 200), ("1KiB", 1025, 413), ("2MiB", 1 << 21, 200), ("2MiB", (1 << 21) + 1, 413), ("off", 3000, 200),
])
def test_body_with_length(weir, origin, option, size, status):
    """Refused by its Content-Length, before anything goes upstream."""
    o = origin(serve(echo))
    p = weir("--workers", 1, "--max-body", option, o)
    c = p.client()
    if status == 200:
        assert c.ask(request("POST", body=b"x" * size)).body == b"x" * size
        return
    c.send(request("POST", "/", f"Content-Length: {size}"))
    own_answer(c.receive("POST"), 413)
    why(p, "body_too_large")
    nothing_upstream(p, o)


def test_body_with_length_beyond_the_default(weir, origin):
    o = origin()
    p = weir("--workers", 1, o)
    for size in ((1 << 30) + 1, 1 << 40, (1 << 63) - 1):
        c = p.client()
        c.send(request("POST", "/", f"Content-Length: {size}"))
        own_answer(c.receive("POST"), 413)
    nothing_upstream(p, o)


@pytest.mark.parametrize("pieces, status", [
    ([b"x" * 512] * 2, 200), ([b"x"] * 1024, 200), ([b"x" * 512, b"x" * 513], 413), ([b"x"] * 1025, 413), ([b"x" * 5000], 413),
])
def test_chunked_body(weir, origin, pieces, status):
    """Refused where it passes the bound; upstream it does not look complete."""
    o = origin(serve(echo))
    p = weir("--workers", 1, "--max-body", "1KiB", o)
    c = p.client()
    c.send(request("POST", "/up", "Transfer-Encoding: chunked", body=chunks(*pieces)))
    res = c.receive("POST")
    if status == 200:
        assert res.body == b"".join(pieces)
        return
    own_answer(res, 413)
    if res.get("Connection") == "close":
        assert c.closed() == "fin"
    else:
        assert c.ask(request("GET", "/next")).status == 200
    assert p.ask(request("GET", "/fence")).status == 200
    assert all(b"\r\n0\r\n" not in conn.raw for conn in o.conns), o.seen()


@quick
@pytest.mark.parametrize("n", [1, 3])
def test_requests_per_connection(weir, origin, n):
    o = origin()
    p = weir("--max-requests", n, o)
    c = p.client()
    c.send(request() * (n + 2))
    for i in range(n):
        res = c.receive()
        assert res.get("Connection") == ("close" if i == n - 1 else None)
    assert c.closed() == "fin"
    p.log(n)
    assert len(o.requests) == n


def test_connections(weir, origin):
    """Beyond --max-connections new clients wait in the backlog until one goes."""
    o = origin()
    p = weir("--workers", 1, "--max-connections", 2, o)
    one, two, three = (p.client() for _ in range(3))
    assert one.ask(request("GET", "/1")).body == b"ok"
    assert two.ask(request("GET", "/2")).body == b"ok"
    three.send(request("GET", "/3"))
    for _ in range(20):
        assert two.ask(request("GET", "/2")).body == b"ok"
    assert "/3" not in [r.target for r in o.requests]
    one.close()
    assert three.receive().body == b"ok"


def test_many_beyond_the_bound(weir, origin):
    """All are served in the end, with at most 3 connections at once."""
    o = origin()
    p = weir("--max-connections", 3, o)
    clients = [p.client() for _ in range(40)]
    for c in clients:
        c.send(request("GET", "/", "Connection: close"))
    for c in clients:
        assert c.receive().body == b"ok" and c.closed() == "fin"
        c.close()


def test_connections_per_client(weir, origin):
    """Beyond --max-per-client: 503 and the end, for that address alone."""
    o = origin()
    p = weir("--workers", 2, "--max-per-client", 2, o)
    one, two = p.client(), p.client()
    assert one.ask(request()).body == b"ok" and two.ask(request()).body == b"ok"
    three = p.client()
    assert own_answer(three.receive(), 503).get("Connection") == "close"
    assert three.closed() == "fin"
    why(p, "max_per_client")
    line = next(x for x in p.log(3) if x["status"] == 503)
    assert line["why"] == "max_per_client" and line["sent"] == 35
    assert line["client"].startswith("127.0.0.1:") and "id" not in line and "target" not in line
    assert p.client(source="127.0.0.9").ask(request()).body == b"ok"
    one.close()

    def again():
        c = p.client()
        c.send(request())
        status = c.receive().status
        c.close()
        return status == 200
    poll(again, "a connection allowed again")


def test_many_connections(weir, origin):
    """Some hundred at once, all alive, and nothing of them left (the fixture counts)."""
    o = origin()
    p = weir(o)
    clients = [p.client() for _ in range(300)]
    for c in clients:
        c.send(request())
    for c in clients:
        assert c.receive().body == b"ok"
    for c in clients[::2]:
        c.reset()
    for c in clients[1::2]:
        assert c.ask(request()).body == b"ok"


@pytest.mark.parametrize("backlog", [1, 64])
def test_backlog(weir, origin, backlog):
    """Waiting connections are served in the end, however few may wait."""
    p = weir("--backlog", backlog, origin())
    socks = [socket.create_connection(p.addresses[0]) for _ in range(50)]
    for s in socks:
        s.sendall(request("GET", "/", "Connection: close"))
    for s in socks:
        with s:
            assert s.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_response_body_is_not_bounded_by_max_body(weir, origin, size):
    o = origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size), serve(OK))
    assert len(weir("--max-body", "1KiB", o).client().ask(request()).body) == size
