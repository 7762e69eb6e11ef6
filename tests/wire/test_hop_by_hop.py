"""What concerns one connection stays there; what a proxy adds, it adds once."""

import re

import pytest

from weirtest import OK, chunks, echo, nothing_upstream, own_answer, refused, request, serve, why

quick = pytest.mark.quick

HOP_BY_HOP = ["Connection: close, X-Named", "X-Named: 1", "x-named: 2", "Keep-Alive: timeout=5",
              "Proxy-Connection: keep-alive", "TE: trailers, deflate;q=0.5", "Upgrade: websocket",
              "Trailer: X-Sum", "HTTP2-Settings: AAA", "X-Kept: 1", "Via: 1.0 other"]


def names(message):
    return {n.lower() for n in message.names()}


@quick
def test_of_requests(weir, origin):
    o = origin()
    p = weir(o)
    fields = HOP_BY_HOP + ["Connection: X-Other", "X-Other: 1", "Proxy-Authorization: Basic x"]
    assert p.client().ask(request("GET", "/", *fields)).body == b"ok"
    req = o.one()
    gone = {"connection", "x-named", "x-other", "keep-alive", "proxy-connection", "upgrade", "http2-settings"}
    assert not gone & names(req), req
    assert req.get("TE") in (None, "trailers") and req.get("X-Kept") == "1" and req.get("Via") == "1.0 other"


@quick
def test_of_responses(weir, origin):
    fields = [f for f in HOP_BY_HOP if not f.startswith("TE")] + ["Proxy-Authenticate: Basic"]
    o = origin(serve("\r\n".join(["HTTP/1.1 200 OK", *fields, "Content-Length: 2", "", "ok"]).encode()))
    res = weir(o).client().ask(request())
    gone = {"connection", "x-named", "keep-alive", "proxy-connection", "upgrade", "http2-settings"}
    assert not gone & names(res), res
    assert res.body == b"ok" and res.get("X-Kept") == "1" and res.get("Via") == "1.0 other"


@pytest.mark.parametrize("value", ["", ",", "x", "x,,y", "  x ,\ty ", "'Host'", "X-Absent", "keep-alive", "close",
                                   ", ".join(f"x{i}" for i in range(9))])
def test_legal_nominations(weir, origin, value):
    """Odd but legal lists; 'X' in single quotes is another name than X."""
    o = origin()
    assert weir(o).client().ask(request("GET", "/", f"Connection: {value}", "X: 1", "Y: 2")).body == b"ok"
    named = {v.strip() for v in value.split(",")}
    assert ("x" in names(o.one())) == ("x" not in named)
    assert ("y" in names(o.one())) == ("y" not in named)
    assert o.one().get("Host") == "origin.test"


def test_nominations_of_responses(weir, origin):
    """An origin that nominates what frames its response does not unframe it."""
    o = origin(serve(b"HTTP/1.1 200 OK\r\nConnection: Content-Length, Date, X\r\nX: 1\r\n"
                     b"Content-Length: 2\r\n\r\nok"))
    p = weir(o)
    c = p.client()
    res = c.ask(request())
    if res.status == 200:
        assert res.body == b"ok" and not res.all("X")
    else:
        own_answer(res, 502)


@quick
@pytest.mark.parametrize("listen, client", [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")])
@pytest.mark.parametrize("sent", [
    [],
    ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil"],
    ["x-forwarded-for: 6.6.6.6, 7.7.7.7", "X-FORWARDED-FOR: 8.8.8.8", "X-Forwarded-Proto: a", "x-forwarded-proto: b"],
], ids=["none", "forged", "forged twice"])
def test_forwarding_fields(weir, origin, listen, client, sent):
    """X-Forwarded-* are ours, whatever the client claims."""
    o = origin()
    assert weir(o, listen=[listen]).client().ask(request("GET", "/", *sent, host="a.test:81")).body == b"ok"
    req = o.one()
    assert req.get("X-Forwarded-For") == client
    assert req.get("X-Forwarded-Proto") == "http"
    assert req.get("X-Forwarded-Host") == "a.test:81"


def test_forwarding_fields_of_a_unix_socket(weir, origin, tmp_path):
    o = origin()
    p = weir(o, listen=[f"unix:{tmp_path}/w"])
    p.client().ask(request("GET", "/", "X-Forwarded-For: 6.6.6.6"))
    assert "6.6.6.6" not in "".join(o.one().all("X-Forwarded-For"))


@quick
def test_nothing_else_is_added(weir, origin):
    """No Via, no Server of ours, no second Date: a plain exchange passes as it is."""
    o = origin(serve(b"HTTP/1.1 200 OK\r\nServer: origin/1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                     b"Content-Length: 2\r\n\r\nok"))
    res = weir(o).client().ask(request("GET", "/", "Accept: */*"))
    assert names(o.one()) <= {"host", "accept", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert sorted(res.fields) == [("Content-Length", "2"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                                  ("Server", "origin/1")]


@quick
def test_date_is_added_where_missing(weir, origin):
    res = weir(origin()).client().ask(request())
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", res.get("Date"))
    assert not res.all("Server") and not res.all("Via")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_requests_without_a_body(weir, origin, method):
    """No invented framing: Content-Length: 0 at most where a body would be usual."""
    o = origin(serve(OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
    weir(o).client().ask(request(method))
    assert o.one().framing in ("none", "length") and not o.one().all("Transfer-Encoding")
    assert o.one().get("Content-Length") in ((None, "0") if method in ("POST", "DELETE") else (None,))


@quick
def test_upgrade_that_is_not_taken_and_the_body_stays_framed(weir, origin):
    """An Upgrade never opens a tunnel by itself (CVE-2026-2833)."""
    o = origin(serve(echo))
    c = weir(o).client()
    c.send(request("POST", "/1", "Connection: Upgrade", "Upgrade: websocket", body=b"abc")
           + request("GET", "/2"))
    assert c.receive("POST").body == b"abc" and c.receive().status == 200
    assert [r.target for r in o.requests] == ["/1", "/2"]
    assert o.requests[0].get("Upgrade") == "websocket" and o.requests[0].body == b"abc"
    assert not {"upgrade", "connection"} & names(o.requests[1])


@pytest.mark.parametrize("status, sent, want", [
    ("426 Upgrade Required", {}, ("foo/2, bar", "upgrade")),
    ("426 Upgrade Required", {"fields": ["Connection: close"]}, ("foo/2, bar", "upgrade, close")),
    ("426 Upgrade Required", {"version": "HTTP/1.0"}, (None, "close")),
    ("200 OK", {}, (None, None)),
])
def test_what_a_426_wants(weir, origin, status, sent, want):
    """RFC 9110 15.5.22: it has to say so. Other responses advertise what only the next hop
    speaks."""
    o = origin(serve(f"HTTP/1.1 {status}\r\nConnection: upgrade\r\nUpgrade: foo/2\r\nUpgrade: bar\r\n"
                     "Content-Length: 0\r\n\r\n".encode()))
    res = weir(o).client().ask(request("GET", "/", *sent.get("fields", ()), version=sent.get("version", "HTTP/1.1")))
    assert (res.get("Upgrade"), res.get("Connection")) == want


@pytest.mark.parametrize("target, host", [("h:80", "h:80"), ("127.0.0.1:80", "127.0.0.1:80"), ("[::1]:1", "[::1]:1")])
def test_connect_is_not_allowed(weir, origin, target, host):
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("CONNECT", target, host=host) + b"tunnelled bytes\r\n\r\n")
    res = own_answer(c.receive("POST"), 405)
    assert res.all("Allow") and "CONNECT" not in res.get("Allow") or not res.all("Allow")
    nothing_upstream(p, o)
    why(p, "method")


@quick
@pytest.mark.parametrize("fields, body", [(["Content-Length: 3"], b"abc"),
                                          (["Transfer-Encoding: chunked"], chunks(b"a", b"bc"))])
def test_expect_continue(weir, origin, fields, body):
    """Expect goes upstream; the origin's 100 comes back before the body is sent, once."""
    def script(conn):
        while (req := conn.head()) is not None:
            expects.append(req.get("Expect"))
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.body(req)
            conn.send(echo(req))
    expects = []
    o = origin(script)
    c = weir(o).client()
    for _ in range(2):
        c.send(request("POST", "/", "Expect: 100-continue", *fields))
        assert c.reader.line() == b"HTTP/1.1 100 Continue"
        while c.reader.line():
            pass
        c.send(body)
        res = c.receive("POST")
        assert res.body == b"abc" and not res.interim
    assert [e.lower() for e in expects] == ["100-continue"] * 2 and len(o.conns) == 1


def test_expect_refused_by_the_origin(weir, origin):
    """A final answer instead of 100: the body is never asked for, and never taken for a request."""
    def script(conn):
        if conn.head() is not None:
            conn.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            conn.wait_end()
    o = origin(script, serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("POST", "/up", "Expect: 100-continue", "Content-Length: 5"))
    res = c.receive("POST")
    assert res.status == 403 and not res.interim
    c.send(b"hello" + request("GET", "/next"))
    if res.get("Connection") == "close":
        c.reader.rest()
    else:
        assert c.receive().body == b"ok"
    assert p.ask(request("GET", "/fence")).body == b"ok"


def test_expect_with_the_body_at_hand(weir, origin):
    """A client that does not wait is served as well."""
    o = origin(serve(echo))
    c = weir(o).client()
    res = c.ask(request("POST", "/", "Expect: 100-Continue", body=b"abc"))
    assert res.body == b"abc"


@pytest.mark.alone
def test_our_own_100(weir, origin):
    """An origin that waits for the body without a 100 gets it: after a second we ask for it."""
    o = origin(serve(echo))
    c = weir(o).client()
    c.send(request("POST", "/", "Expect: 100-continue", "Content-Length: 3"))
    assert c.reader.line() == b"HTTP/1.1 100 Continue"
    while c.reader.line():
        pass
    c.send(b"abc")
    assert c.receive("POST").body == b"abc"


def test_expect_of_http10(weir, origin):
    """RFC 9110 10.1.1: 100-continue of an HTTP/1.0 client is ignored."""
    o = origin(serve(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
    c = weir(o).client()
    res = c.ask(request("POST", "/", "Expect: 100-continue", body=b"abc", version="HTTP/1.0"))
    assert res.body == b"ok" and not res.interim


@pytest.mark.parametrize("fields", [[], ["Content-Length: 0"]], ids=["none", "empty"])
def test_expect_without_a_body(weir, origin, fields):
    """Nobody waits then: it goes no further, nor does a 100 of an origin's own come of it."""
    o = origin()
    c = weir(o).client()
    res = c.ask(request("POST", "/", "Expect: 100-continue, 100-continue", *fields))
    assert res.body == b"ok" and not res.interim
    assert o.requests[0].get("Expect") is None


@pytest.mark.parametrize("value", ["", ",", " , ,"])
def test_expectation_of_nothing(weir, origin, value):
    """An empty list: nobody waits, and the upstream is not asked either."""
    o = origin()
    res = weir(o).client().ask(request("POST", "/", f"Expect: {value}", body=b"abc"))
    assert res.body == b"ok" and not res.interim
    assert o.requests[0].get("Expect") is None and o.requests[0].body == b"abc"


@pytest.mark.parametrize("body", [b"abc", b""], ids=["body", "no body"])
@pytest.mark.parametrize("value", ["miracles", "100-continue, miracles", "100-continue=1", "200-ok", "100-continued"])
def test_unknown_expectations(weir, origin, value, body):
    """RFC 9110 10.1.1: they may be refused, and a client that names one wants to know."""
    o = origin()
    p = weir("--workers", 1, o)
    own_answer(p.client().ask(request("POST", "/", f"Expect: {value}", body=body)), 417)
    why(p, "expectation")
    nothing_upstream(p, o)


@quick
@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/1.3", "HTTP/1.9"])
def test_later_minor_versions(weir, origin, version):
    """Served as HTTP/1.1 (RFC 9110 2.5), kept alive."""
    o = origin()
    c = weir(o).client()
    for _ in range(2):
        res = c.ask(request(version=version))
        assert res.version == "HTTP/1.1" and res.body == b"ok"
    assert {r.version for r in o.requests} == {"HTTP/1.1"}


@quick
@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9"])
def test_other_major_versions(weir, origin, version):
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request(version=version))
    refused(c, 505)
    nothing_upstream(p, o)
