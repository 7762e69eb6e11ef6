"""Every phase with every outcome it has: programs/phases.c does what the field `Do` of a request
says and writes which phases ran, in order."""

import pathlib

import pytest

from weirtest import OK, Ended, binary, chunks, poll, request, serve, why

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/phases"
SIMPLE = ["early_request_filter", "request_filter", "upstream_peer", "connected_to_upstream",
          "upstream_request_filter", "request_body_filter", "upstream_response_filter",
          "response_filter", "response_body_filter"]
BEFORE_UPSTREAM = SIMPLE[:3]
BEFORE_SENDING = SIMPLE[:6]


class Phases:
    """The program, and the lines that its phase `logging` writes."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.taken = 0

    def trace(self):
        """What the next request did."""
        def lines():
            return (self.proxy.folder / "stdout").read_text().split("\n")[:-1]
        poll(lambda: len(lines()) > self.taken, "no line of logging")
        self.taken += 1
        return lines()[self.taken - 1].split(" ")

    def __getattr__(self, name):
        return getattr(self.proxy, name)


@pytest.fixture
def phases(weir):
    """phases(upstreams and options...)"""
    def start(*args, **more):
        return Phases(weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log",
                           *args, program=PROGRAM, **more))
    return start


def post(*fields, body=b"hello", target="/"):
    return request("POST", target, *fields, body=body)


def told(trace):
    """The words of a trace without the name of its target."""
    return trace[1:]


# The order.

def test_order_get(phases, origin):
    p = phases(origin())
    c = p.client()
    for reuse in ("new", "reused"):
        assert c.ask(request()).body == b"ok"
        assert told(p.trace()) == [
            "early_request_filter", "request_filter", "upstream_peer", reuse,
            "connected_to_upstream", "upstream_request_filter", "upstream_response_filter",
            "response_filter", "end", "response_body_filter", "logging:none", "status=200",
            "tries=1", reuse, "received=0", "sent=2"]


def test_order_post(phases, origin):
    """The filter of the request body sees all of it and its end, once."""
    p = phases(origin(serve(OK)))
    p.ask(post())
    assert told(p.trace()) == [
        "early_request_filter", "request_filter", "upstream_peer", "new", "connected_to_upstream",
        "upstream_request_filter", "end", "request_body_filter", "upstream_response_filter",
        "response_filter", "end", "response_body_filter", "logging:none", "status=200", "tries=1",
        "new", "received=5", "sent=2"]


def test_heads_in_order(phases, origin):
    """upstream_response_filter edits what response_filter then sees."""
    res = phases(origin()).ask(request())
    assert res.all("Seen-By") == ["upstream_response_filter", "response_filter"]


# Every phase with every outcome.

@pytest.mark.parametrize("phase", SIMPLE)
@pytest.mark.parametrize("do, status, word", [
    ("fail", 418, "filter"), ("error", 504, "upstream_timeout"), ("nonsense", 500, "filter"),
    ("number", 500, "filter"), ("claim", 500, "filter"), ("answer", 222, None),
    ("retry", 500, "filter"), ("block", 200, None)])
def test_outcomes(phases, origin, phase, do, status, word):
    o = origin()
    p = phases(o)
    c = p.client()
    res = c.ask(post(f"Do: {phase}={do}"))
    assert res.status == status
    trace = told(p.trace())
    assert f"logging:{word or 'none'}" in trace and f"status={status}" in trace
    assert ("fail_to_proxy" in trace) == bool(word)
    assert ("error_while_proxy" in trace) == (bool(word) and phase not in BEFORE_UPSTREAM)
    if do == "answer":
        assert res.body == phase.encode()
    if word:
        why(p, word)
    if status != 200 and phase in BEFORE_SENDING:
        assert not o.requests, "nothing of it was to go upstream"
    assert p.ask(request()).body == b"ok"


@pytest.mark.parametrize("phase", SIMPLE)
def test_client_leaves_a_phase_that_waits(phases, origin, phase):
    """A phase that waits for an hour is over when its client goes."""
    p = phases(origin())
    c = p.client()
    c.send(post(f"Do: {phase}=wait"))
    p.wait_text(f"waiting in {phase}")
    c.reset()
    trace = told(p.trace())
    assert "logging:client_gone" in trace and trace.count(phase) == 1


@pytest.mark.parametrize("phase", SIMPLE)
def test_process_ends_while_a_phase_waits(phases, origin, phase):
    p = phases(origin(), "--grace", "200ms")
    c = p.client()
    c.send(post(f"Do: {phase}=wait"))
    p.wait_text(f"waiting in {phase}")
    p.signal()
    res = c.receive()
    assert res.status == 503 and res.get("Connection") == "close"
    assert "logging:shutdown" in told(p.trace())
    p.proxy.wait(0)


@pytest.mark.parametrize("phase", SIMPLE)
def test_request_timeout_in_a_phase(phases, origin, phase):
    p = phases(origin())
    res = p.ask(post(f"Do: {phase}=wait", "Set-Request: 200ms"))
    assert res.status == 504
    assert "logging:request_timeout" in told(p.trace())


# A connection on which nothing was sent is as good as before.

@pytest.mark.parametrize("phase", ["connected_to_upstream", "upstream_request_filter",
                                   "request_body_filter"])
@pytest.mark.parametrize("do", ["fail", "answer"])
def test_untouched_connection_is_kept(phases, origin, phase, do):
    o = origin()
    p = phases(o)
    c = p.client()
    for _ in range(3):
        c.ask(post(f"Do: {phase}={do}"))
    assert c.ask(request()).body == b"ok"
    assert len(o.conns) == 1


# fail_to_connect.

def dead(origin):
    o = origin()
    o.refuse()
    return o


@pytest.mark.parametrize("do, status, word", [
    ("ok", 502, "connect_refused"), ("fail", 418, "filter"), ("error", 504, "upstream_timeout"),
    ("nonsense", 502, "connect_refused"), ("number", 502, "connect_refused"),
    ("answer", 502, "connect_refused"), ("block", 502, "connect_refused")])
def test_fail_to_connect(phases, origin, do, status, word):
    p = phases(dead(origin))
    assert p.ask(post(f"Do: fail_to_connect={do}", "Fixed: 1")).status == status
    trace = told(p.trace())
    assert trace.count("fail_to_connect") == 1 and f"logging:{word}" in trace
    assert "error_while_proxy" not in trace and "tries=1" in trace


def test_fail_to_connect_retries(phases, origin):
    """The next upstream gets the request whole: nothing of it was sent."""
    o = origin()
    p = phases(dead(origin), dead(origin), o)
    for _ in range(3):
        assert p.ask(post("Do: fail_to_connect=retry")).status == 200
        trace = told(p.trace())
        assert f"tries={trace.count('fail_to_connect') + 1}" in trace
        assert trace.count("request_filter") == 1
        assert trace.count("upstream_peer") == trace.count("fail_to_connect") + 1
    assert [r.body for r in o.requests] == [b"hello"] * 3


def test_fail_to_connect_retries_without_end(phases, origin):
    p = phases(dead(origin))
    assert p.ask(request("GET", "/", "Do: fail_to_connect=retry", "Fixed: 1")).status == 502
    assert "tries=16" in told(p.trace())


def test_fail_to_connect_retries_so_often(phases, origin):
    """No backend is left: the reason is why the last one failed."""
    p = phases(dead(origin))
    assert p.ask(request("GET", "/", "Do: fail_to_connect=retry3", "Fixed: 1")).status == 502
    trace = told(p.trace())
    assert "tries=4" in trace and "logging:connect_refused" in trace


def test_default_tries_different_backends(weir, origin):
    """Three, and none of them twice."""
    dead_ones = [dead(origin) for _ in range(4)]
    p = weir(*[d.name for d in dead_ones])
    assert p.ask(request()).status == 502
    assert p.log()[0]["tries"] == 3
    p = weir(dead_ones[0].name)
    assert p.ask(request()).status == 502
    assert p.log()[0]["tries"] == 1


# error_while_proxy.

def dies(conn):
    """Takes a request and ends the connection without a word."""
    conn.request()


@pytest.mark.parametrize("do, status, word", [
    ("ok", 502, "upstream_closed"), ("fail", 418, "filter"), ("error", 504, "upstream_timeout"),
    ("nonsense", 502, "upstream_closed"), ("number", 502, "upstream_closed"),
    ("answer", 502, "upstream_closed"), ("block", 502, "upstream_closed")])
def test_error_while_proxy(phases, origin, do, status, word):
    o = origin(dies)
    p = phases(o)
    assert p.ask(request("GET", "/", f"Do: error_while_proxy={do}")).status == status
    trace = told(p.trace())
    assert trace[6:9] == ["new", "upstream_closed", "error_while_proxy"]
    assert f"logging:{word}" in trace and "tries=1" in trace and len(o.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_error_while_proxy_retries(phases, origin, method):
    """Its word repeats a POST as well."""
    o = origin(dies, serve(OK))
    p = phases(o)
    assert p.ask(request(method, "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 200
    trace = told(p.trace())
    assert "tries=2" in trace and "logging:none" in trace and "fail_to_proxy" not in trace
    assert [r.method for r in o.requests] == [method] * 2


def test_error_while_proxy_cannot_repeat_a_body(phases, origin):
    """One that is not kept."""
    o = origin(dies, serve(OK))
    p = phases(o, "--replay", "off")
    assert p.ask(post("Do: error_while_proxy=retry", "Fixed: 1")).status == 502
    trace = told(p.trace())
    assert "tries=1" in trace and "logging:upstream_closed" in trace and len(o.requests) == 1


def test_error_while_proxy_cannot_unsay_a_response(phases, origin):
    def cut(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    o = origin(cut, serve(OK))
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1"))
    assert c.truncated().body == b"half"
    trace = told(p.trace())
    assert "tries=1" in trace and "late" in trace and len(o.requests) == 1


def test_error_while_proxy_retries_without_end(phases, origin):
    o = origin(dies)
    p = phases(o)
    assert p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 502
    assert "tries=16" in told(p.trace()) and len(o.requests) == 16


def test_error_while_proxy_sees_a_filter_fail(phases, origin):
    """And may let the request try again: the failure is forgotten."""
    o = origin()
    p = phases(o)
    assert p.ask(request("GET", "/", "Do: upstream_request_filter=fail1, error_while_proxy=retry")
                 ).status == 503, "the only backend was tried"
    p.trace()
    assert p.ask(request("GET", "/", "Do: upstream_request_filter=fail1, error_while_proxy=retry",
                         "Fixed: 1")).status == 200
    trace = told(p.trace())
    assert "tries=2" in trace and "logging:none" in trace


def stale(release):
    """Answers one request and closes when told: the connection looks usable until then."""
    def script(conn):
        conn.request()
        conn.send(OK)
        conn.head()
    return script


@pytest.mark.parametrize("do, status", [("ok", 200), ("retry", 200), ("fail", 418), ("error", 504)])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_stale_connection(phases, origin, method, do, status):
    """A reused connection that ends before a byte of a response: once more if idempotent, unless
    the phase says otherwise."""
    o = origin(stale(None), serve(OK))
    p = phases(o)
    assert p.ask(request()).status == 200
    p.trace()
    if method == "POST" and do == "ok":
        status = 502
    res = p.ask(request(method, "/", f"Do: error_while_proxy={do}", "Fixed: 1"))
    assert res.status == status
    trace = told(p.trace())
    at = trace.index("error_while_proxy")
    assert trace[at - 2:at] == ["reused", "upstream_closed"]
    assert len(o.requests) == (3 if status == 200 else 2)


def test_stale_connection_of_a_dying_backend(weir, origin):
    """The one repeat goes to another backend, if there is one: the same one may be going."""
    dying, other = origin(stale(None), lambda conn: conn.reset()), origin(serve(OK), serve(OK))
    p = weir("--workers", 1, dying, other)
    assert [p.ask(request()).status for _ in range(2)] == [200, 200]
    assert p.ask(request()).status == 200
    assert len(dying.conns) == 1 and len(other.requests) == 2


# fail_to_proxy.

@pytest.mark.parametrize("do, status", [("ok", 418), ("answer", 222), ("fail", 418), ("error", 418),
                                        ("nonsense", 418), ("claim", 418), ("retry", 418),
                                        ("block", 418)])
@pytest.mark.parametrize("phase", ["early_request_filter", "request_filter", "upstream_peer",
                                   "upstream_request_filter", "response_filter"])
def test_fail_to_proxy(phases, origin, phase, do, status):
    p = phases(origin())
    c = p.client()
    res = c.ask(request("GET", "/", f"Do: {phase}=fail, fail_to_proxy={do}"))
    assert res.status == status
    trace = told(p.trace())
    assert trace[-8:-5] == ["early", "fail_to_proxy", "logging:filter"]
    assert f"status={status}" in trace
    assert c.ask(request()).status == 200, "the client's connection goes on"


def test_fail_to_proxy_waits_no_longer_than_a_second(phases, origin):
    p = phases(origin())
    assert p.ask(request("GET", "/", "Do: request_filter=fail, fail_to_proxy=wait")).status == 418


@pytest.mark.parametrize("bad, status, word", [
    (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_host"), (b"\x16\x03\x01\r\n\r\n", 400, "bad_head"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "bad_length"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "version"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nDo: fail_to_proxy=answer\r\nX: \0\r\n\r\n", 400, "bad_head")])
def test_fail_to_proxy_sees_what_never_parsed(phases, origin, bad, status, word):
    o = origin()
    p = phases(o)
    c = p.client()
    c.send(bad)
    assert c.receive().status in (status, 222)
    assert c.closed() == "fin"
    trace = told(p.trace())
    assert trace[:3] == [word, "early", "fail_to_proxy"] and not o.requests


def test_fail_to_proxy_answers_what_never_parsed(phases, origin):
    p = phases(origin())
    c = p.client()
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\nDo: fail_to_proxy=answer\r\nContent-Length: -1\r\n\r\n")
    res = c.receive()
    assert (res.status, res.get("Connection")) == (222, "close") and c.closed() == "fin"


def test_fail_to_proxy_comes_too_late(phases, origin):
    """The head has left: the response is cut off, whatever the phase would say."""
    o = origin(lambda conn: (conn.request(), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")))
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: fail_to_proxy=answer"))
    assert c.truncated().body == b"half"
    trace = told(p.trace())
    assert "late" in trace and "status=200" in trace


# Bodies.

def origin_of(origin, body=b"hello", fields=(), framing="length", status="200 OK"):
    head = [f"HTTP/1.1 {status}", *fields]
    if framing == "length":
        head.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        head.append("Transfer-Encoding: chunked")
        body = chunks(body[:2], body[2:])
    data = "\r\n".join([*head, "", ""]).encode() + body
    return origin(serve(lambda req: data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                        if req.method == "HEAD" else data))


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("do, body", [("ok", b"hello"), ("upper", b"HELLO"), ("drop", b""),
                                      ("sign", b"hello[signed]"), ("block", b"hello")])
def test_request_body(phases, origin, do, body, framing):
    """What the filter made of it arrives, framed beyond doubt."""
    o = origin()
    p = phases(o)
    fields = ["Transfer-Encoding: chunked"] if framing == "chunked" else []
    data = chunks(b"he", b"llo") if framing == "chunked" else b"hello"
    assert p.ask(request("POST", "/", f"Do: request_body_filter={do}", "Content-MD5: x",
                         "Repr-Digest: y", *fields, body=data)).status == 200
    req = o.one()
    assert req.body == body
    assert not req.all("Content-MD5") and not req.all("Repr-Digest")


@pytest.mark.parametrize("do, body", [("upper", b"HELLO WORLD"), ("sign", b"hello world[signed]")])
def test_request_body_in_pieces(phases, origin, do, body):
    """The length is not known when the head leaves: chunked."""
    seen = origin_event = None
    o = origin(lambda conn: (conn.head(), origin_event.set(), conn.body(conn.requests[0]),
                             conn.send(OK)))
    origin_event = o.event()
    p = phases(o)
    c = p.client()
    c.send(request("POST", "/", f"Do: request_body_filter={do}", "Content-Length: 11") + b"hello")
    assert origin_event.wait(10)
    c.send(b" world")
    assert c.receive().status == 200
    seen = o.one()
    assert (seen.body, seen.framing) == (body, "chunked")
    trace = told(p.trace())
    assert trace.count("piece") >= 1 and "received=11" in trace


def test_request_body_unchanged(phases, origin):
    """A promise keeps the length, and the fields that tell of the bytes."""
    o = origin()
    p = phases(o)
    c = p.client()
    c.send(request("POST", "/", "Unchanged-Request: 1", "Content-MD5: x", "Content-Length: 5"))
    o.wait_requests(1)
    c.send(b"hello")
    assert c.receive().status == 200
    req = o.one()
    assert (req.body, req.framing, req.get("Content-MD5")) == (b"hello", "length", "x")


@pytest.mark.parametrize("do", ["sign", "drop"])
def test_request_body_promise_broken(phases, origin, do):
    o = origin()
    p = phases(o)
    assert p.ask(post("Unchanged-Request: 1", f"Do: request_body_filter={do}")).status == 500
    assert "logging:filter" in told(p.trace())
    assert not o.requests


@pytest.mark.parametrize("do, status", [("fail", 418), ("answer", 222), ("error", 504)])
def test_request_body_filter_ends_both(phases, origin, do, status):
    """The helper that sends the body fails or answers while the response is waited for: that
    decides, and the upstream never sees a body that looks complete."""
    o = origin(lambda conn: conn.request())
    p = phases(o)
    c = p.client()
    c.send(request("POST", "/", f"Do: request_body_filter={do}", "Transfer-Encoding: chunked"))
    o.wait_requests(1)
    c.send(b"5\r\nhello\r\n")
    assert c.receive().status == status
    assert c.closed() == "fin"
    o.wait(lambda: o.conns[0].incomplete, "the end of the body")
    assert ("logging:none" in p.trace()) == (do == "answer")


def test_request_body_filter_answers_too_late(phases, origin):
    def early(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        conn.wait_end()
    o = origin(early)
    p = phases(o)
    c = p.client()
    c.send(request("POST", "/", "Do: request_body_filter=answer", "Transfer-Encoding: chunked"))
    assert c.receive(body=False).status == 200
    c.send(b"5\r\nhello\r\n")
    c.reader.rest()
    trace = told(p.trace())
    assert "logging:invalid" in trace or "logging:filter" in trace


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("do, body", [("ok", b"hello"), ("upper", b"HELLO"), ("drop", b""),
                                      ("sign", b"hello[signed]"), ("block", b"hello")])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_response_body(phases, origin, do, body, framing, version):
    o = origin_of(origin, framing=framing, fields=[
        "ETag: \"a\"", "Accept-Ranges: bytes", "Content-MD5: x", "Digest: y", "Content-Digest: z",
        "Repr-Digest: z", "X-Other: stays"])
    if framing == "close":
        o.scripts = (lambda conn: (conn.request(), conn.send(
            b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nX-Other: stays\r\n\r\nhello")),)
    p = phases(o)
    res = p.ask(request("GET", "/", f"Do: response_body_filter={do}", version=version))
    assert res.body == body
    assert res.get("ETag") == 'W/"a"' and res.get("X-Other") == "stays"
    for name in ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest"):
        assert not res.all(name), name


def test_response_body_in_pieces(phases, origin):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello")
        conn.wait(go)
        conn.send(b" world")
        conn.request()
    o = origin(script)
    go = o.event()
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: response_body_filter=sign"))
    res = c.receive(body=False)
    assert res.framing == "chunked"
    go.set()
    assert c.reader.chunked() == (b"hello world[signed]", [])
    assert told(p.trace()).count("piece") >= 1


def test_response_trailers_stay(phases, origin):
    """A body that ends in trailers stays chunked, though all of it was there at once."""
    o = origin(serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                     + chunks(b"hello", trailers="X-T: 1\r\n")))
    res = phases(o).ask(request("GET", "/", "Do: response_body_filter=upper"))
    assert (res.body, res.trailers) == (b"HELLO", [("X-T", "1")])


@pytest.mark.parametrize("do, body", [("ok", b"hello"), ("block", b"hello")])
def test_response_body_unchanged(phases, origin, do, body):
    o = origin_of(origin, fields=["ETag: \"a\"", "Accept-Ranges: bytes", "Content-MD5: x"])
    res = phases(o).ask(request("GET", "/", f"Do: response_body_filter={do}",
                                "Unchanged-Response: 1", "Range: bytes=0-3", "If-Range: \"a\""))
    assert (res.body, res.framing, res.get("ETag")) == (body, "length", '"a"')
    assert res.get("Accept-Ranges") == "bytes" and res.get("Content-MD5") == "x"
    assert o.one().get("Range") == "bytes=0-3" and o.one().get("If-Range") == '"a"'


def test_response_body_promise_broken(phases, origin):
    """A length was promised and may have been sent: what is not kept is seen to be cut off."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello")
        conn.wait(go)
        conn.send(b" world")
        conn.request()
    o = origin(script)
    go = o.event()
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: response_body_filter=sign", "Unchanged-Response: 1"))
    assert c.receive(body=False).get("Content-Length") == "11"
    go.set()
    assert c.reader.rest() in ((b"hello", "rst"), (b"hello", "fin"))
    assert "logging:filter" in p.trace()


def test_whole_bodies_for_the_filter(phases, origin):
    """Range does not go upstream, so the filter sees whole bodies, unless a phase puts it back."""
    o = origin_of(origin)
    p = phases(o)
    p.ask(request("GET", "/", "Range: bytes=0-3", "If-Range: \"a\""))
    assert not o.requests[0].all("Range") and not o.requests[0].all("If-Range")
    p.ask(request("GET", "/", "Range: bytes=0-3", "Set-Range: bytes=1-2"))
    assert o.requests[1].get("Range") == "bytes=1-2"


def test_what_a_filter_set_stays(phases, origin):
    o = origin_of(origin, fields=["ETag: \"a\""])
    assert phases(o).ask(request("GET", "/", "Set-Etag: \"mine\"")).get("ETag") == '"mine"'


def test_weak_etag_stays(phases, origin):
    o = origin_of(origin, fields=["ETag: W/\"a\""])
    assert phases(o).ask(request()).get("ETag") == 'W/"a"'


@pytest.mark.parametrize("method, status", [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_no_body_no_filter(phases, origin, method, status):
    """The head is the one that a GET would get: no length that the filter may change."""
    o = origin(serve(f"HTTP/1.1 {status}\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n".encode()))
    p = phases(o)
    res = p.ask(request(method, "/", "Do: response_body_filter=sign"))
    assert res.body == b"" and not res.all("Content-Length") and res.get("ETag") == 'W/"a"'
    assert "response_body_filter" not in p.trace()
    res = p.ask(request(method, "/", "Unchanged-Response: 1"))
    assert res.get("Content-Length") == "5" and res.get("ETag") == '"a"'


def test_no_content_no_filter(phases, origin):
    p = phases(origin(serve(b"HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n")))
    assert p.ask(request("GET", "/", "Do: response_body_filter=sign")).body == b""
    assert "response_body_filter" not in p.trace()


@pytest.mark.parametrize("do", ["sign", "upper"])
def test_empty_body_has_an_end(phases, origin, do):
    p = phases(origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
    res = p.ask(request("GET", "/", f"Do: response_body_filter={do}"))
    assert res.body == (b"[signed]" if do == "sign" else b"")
    trace = told(p.trace())
    assert trace.count("response_body_filter") == 1 and "end" in trace


def test_cut_off_response_has_no_end(phases, origin):
    """The filter that signs at the end never gets there: a truncated page must not look
    complete."""
    o = origin(lambda conn: (conn.request(), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")))
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: response_body_filter=sign"))
    assert c.truncated().body == b"half"
    trace = told(p.trace())
    assert "end" not in trace and "logging:response_cut_off" in trace


def test_response_body_filter_fails_late(phases, origin):
    """The head has left: the client sees a body that is cut off, the log the status it was sent."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello")
        conn.wait(go)
        conn.send(b" world")
        conn.request()
    o = origin(script)
    go = o.event()
    p = phases(o)
    c = p.client()
    c.send(request("GET", "/", "Do: response_body_filter=failend"))
    res = c.receive(body=False)
    go.set()
    with pytest.raises(Ended):
        c.reader.chunked()
    trace = told(p.trace())
    assert res.status == 200 and "late" in trace and "logging:filter" in trace


def test_large_bodies_through_both_filters(phases, origin):
    body = bytes(range(97, 123)) * 40000
    o = origin(serve(lambda req: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(req.body)
                     + req.body.lower()))
    p = phases(o)
    res = p.ask(request("POST", "/", "Do: request_body_filter=upper, response_body_filter=sign",
                        body=body))
    assert o.one().body == body.upper() and res.body == body + b"[signed]"


# Settings for one request.

def test_set_max_body(phases, origin):
    o = origin()
    p = phases(o, "--max-body", "100B")
    assert p.ask(post(body=b"x" * 101)).status == 413
    assert p.ask(post("Set-Max-Body: 1KiB", body=b"x" * 101)).status == 200
    assert p.ask(post("Set-Max-Body: 10B", body=b"x" * 11)).status == 413
    assert p.ask(request("POST", "/", "Set-Max-Body: 10B", "Transfer-Encoding: chunked",
                         body=chunks(b"x" * 11))).status == 413
    assert [len(r.body) for r in o.requests] == [101]


def test_set_body_timeout(phases, origin):
    p = phases(origin())
    c = p.client()
    c.send(request("POST", "/", "Set-Body: 200ms", "Content-Length: 5") + b"he")
    assert c.receive().status == 408 and c.closed() == "fin"
    assert "logging:body_timeout" in p.trace()


def test_set_send_timeout(phases, origin):
    big = b"x" * (8 << 20)
    p = phases(origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big) + big)))
    c = p.client(rcvbuf=4096)
    c.send(request("GET", "/", "Set-Send: 200ms", "Unchanged-Response: 1"))
    assert "logging:send_timeout" in p.trace()


def test_set_idle_timeout(phases, origin):
    """It is the connection's until the next request says otherwise."""
    p = phases(origin(), "--timeout-idle", "1h")
    c = p.client()
    assert c.ask(request("GET", "/", "Set-Idle: 200ms")).status == 200
    assert c.closed() == "fin"
    c = p.client()
    c.ask(request("GET", "/", "Set-Idle: 1h"))
    assert c.ask(request()).status == 200


def test_set_min_rate(phases, origin):
    """Off for one request: a rate that nobody keeps does not cut it off."""
    p = phases(origin(), "--min-rate", "1GiB")
    assert p.ask(post("Set-Min-Rate: off")).status == 200


def test_close_client(phases, origin):
    p = phases(origin())
    c = p.client()
    assert c.ask(request("GET", "/", "Set-Close: 1")).get("Connection") == "close"
    assert c.closed() == "fin"
