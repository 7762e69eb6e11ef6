"""Request bodies that are read before an upstream is chosen."""

import pytest

from weirtest import OK, chunks, own_answer, request, serve, why
from weirtest.h2 import h2

from test_phases import phases, told  # noqa: F401

BUFFER = ["--buffer-request", "1MiB"]


def test_nothing_goes_up_before_all_is_here(weir, origin):
    """Not even a connection; then head and body leave together."""
    o = origin()
    p = weir(*BUFFER, o)
    c = p.client()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    assert p.ask(request()).body == b"ok", "others go on meanwhile"
    assert [r.method for r in o.requests] == ["GET"]
    c.send(b"world")
    assert c.receive("POST").body == b"ok"
    assert bytes(o.requests[-1].body) == b"helloworld"


@pytest.mark.parametrize("first, target", [(b"to the second, please", 1), (b"to the first", 0)])
def test_routing_by_content(phases, origin, first, target):  # noqa: F811
    o = [origin(), origin()]
    p = phases(*o)
    c = p.client()
    c.send(request("POST", "/", "Set-Buffer: 1KiB", f"Content-Length: {len(first) + 5}"))
    c.send(first)
    c.send(b" more")
    assert c.receive("POST").body == b"ok"
    assert [len(x.requests) for x in o] == [1 - target, target]
    assert bytes(o[target].requests[0].body) == first + b" more"


def test_body_is_absent_where_it_was_not_read(phases, origin):  # noqa: F811
    o = [origin(), origin()]
    p = phases(*o)
    assert p.ask(request("POST", "/", body=b"to the second")).body == b"ok"
    assert len(o[0].requests) == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 300000, 1 << 20])
def test_every_byte_arrives(weir, origin, size, framing):
    """And its length is known, however it came."""
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    o = origin()
    p = weir(*BUFFER, o)
    if framing == "chunked":
        data = request("POST", "/", "Transfer-Encoding: chunked") + chunks(
            *[body[i:i + 7000] for i in range(0, size, 7000)])
    else:
        data = request("POST", "/", f"Content-Length: {size}") + body
    assert p.ask(data).body == b"ok"
    assert bytes(o.one().body) == body
    assert o.one().get("Content-Length") == str(size) and o.one().get("Transfer-Encoding") is None


def test_trailers_stay(weir, origin):
    o = origin()
    p = weir(*BUFFER, o)
    p.ask(request("POST", "/", "TE: trailers", "Transfer-Encoding: chunked")
          + chunks(b"abc", trailers="Sum: 6\r\n"))
    assert dict(o.one().trailers) == {"Sum": "6"} and bytes(o.one().body) == b"abc"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_more_than_the_limit(weir, origin, framing):
    o = origin()
    p = weir("--buffer-request", "1KiB", o)
    c = p.client()
    if framing == "chunked":
        c.send(request("POST", "/", "Transfer-Encoding: chunked") + chunks(b"x" * 1025))
    else:
        c.send(request("POST", "/", body=b"x" * 1025))
    own_answer(c.receive("POST"), 413)
    why(p, "body_too_large")
    assert not o.conns


def test_max_body_comes_first(weir, origin):
    p = weir(*BUFFER, "--max-body", "10B", origin())
    own_answer(p.ask(request("POST", "/", body=b"x" * 11)), 413)


def test_client_waits_for_word(weir, origin):
    """It gets our 100, and the upstream need not say one."""
    o = origin()
    p = weir(*BUFFER, o)
    c = p.client()
    c.send(request("POST", "/", "Expect: 100-continue", "Content-Length: 5"))
    assert c.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    c.send(b"hello")
    assert c.receive("POST").body == b"ok" and o.one().get("Expect") is None


def test_no_word_for_what_is_too_long(weir, origin):
    p = weir("--buffer-request", "1KiB", origin())
    c = p.client()
    c.send(request("POST", "/", "Expect: 100-continue", "Content-Length: 5000"))
    res = c.receive("POST")
    assert res.status == 413 and not res.interim


def test_client_stalls(weir, origin):
    o = origin()
    p = weir(*BUFFER, "--timeout-body", "200ms", o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 5") + b"he")
    own_answer(c.receive("POST"), 408)
    assert not o.conns


@pytest.mark.parametrize("end", ["close", "reset"])
def test_client_leaves(weir, origin, end):
    o = origin()
    p = weir(*BUFFER, o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 5") + b"he")
    getattr(c, end)()
    why(p, "client_gone")
    assert not o.conns


def test_filter_fails_before_anything_is_sent(phases, origin):  # noqa: F811
    """It sees all of the body at once."""
    o = origin()
    p = phases(o)
    body = b"x" * 200000
    res = p.ask(request("POST", "/", "Set-Buffer: 1MiB", "Do: request_body_filter=failend", body=body))
    assert res.status == 418 and not o.requests
    trace = told(p.trace())
    assert trace.count("request_body_filter") == 1 and "end" in trace


def test_repeated_as_often_as_needed(phases, origin):  # noqa: F811
    """Whatever `replay` says."""
    body = b"x" * 200000
    o = origin(lambda conn: conn.request(), lambda conn: conn.request(), serve(OK))
    p = phases(o)
    assert p.ask(request("POST", "/", "Set-Replay: 0", "Set-Buffer: 1MiB", "Fixed: 1",
                         "Do: error_while_proxy=retry", body=body)).status == 200
    assert [bytes(r.body) for r in o.requests] == [body] * 3


def test_of_http2(phases, origin):  # noqa: F811
    o = [origin(), origin()]
    p = phases("--h2c", *o)
    c = h2(p)
    st = c.request("POST", "/", "set-buffer: 1KiB", body=b"to the second", end=False)
    c.pong()
    assert not o[1].conns
    c.upload(st, b" one", True)
    assert c.receive(st).status == 200
    assert bytes(o[1].one().body) == b"to the second one"
    assert o[1].one().get("Content-Length") == "17"
