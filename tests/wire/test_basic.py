"""Plain requests through the proxy: what comes out is what went in."""

import pytest

from weirtest import chunks, echo, once, poll, request, serve

quick = pytest.mark.quick


def raw(head, body=b""):
    return head.replace("\n", "\r\n").encode("latin-1") + body


def pair(weir, origin, *scripts, options=(), **more):
    o = origin(*scripts, **more)
    return weir(*options, o), o


@quick
def test_get(weir, origin):
    p, o = pair(weir, origin, serve(raw("HTTP/1.1 200 Fine\nContent-Length: 5\nX-A: b\n\n", b"hello")))
    res = p.client().ask(request("GET", "/a?b=c", "X-Test: 1"))
    assert (res.status, res.reason, res.version, res.body) == (200, "Fine", "HTTP/1.1", b"hello")
    assert res.get("X-A") == "b" and res.framing == "length"
    req = o.one()
    assert (req.method, req.target, req.version) == ("GET", "/a?b=c", "HTTP/1.1")
    assert req.get("Host") == "origin.test" and req.get("X-Test") == "1"
    assert req.framing == "none"


@quick
@pytest.mark.parametrize("split", ["whole", "bytes", 1, 2, 3])
def test_pieces(weir, origin, split):
    """The same, whatever the pieces in which a request arrives."""
    p, o = pair(weir, origin, serve(echo))
    c = p.client()
    for _ in range(2):
        res = c.ask(request("POST", "/p", "Transfer-Encoding: chunked", "X: y",
                            body=chunks(b"abc", b"d" * 20)), split=split)
        assert res.status == 200 and res.body == b"abc" + b"d" * 20
    assert [r.target for r in o.requests] == ["/p", "/p"]


@pytest.mark.parametrize("method, status, fields, body", [
    ("HEAD", 200, "Content-Length: 12345\n", b""),
    ("HEAD", 200, "Transfer-Encoding: chunked\n", b""),
    ("HEAD", 200, "", b""),
    ("HEAD", 404, "Content-Length: 9\n", b""),
    ("GET", 204, "", b""),
    ("GET", 304, "Content-Length: 77\nETag: \"x\"\n", b""),
    ("GET", 304, "", b""),
    ("GET", 304, "Transfer-Encoding: chunked\n", b""),
    ("GET", 200, "Content-Length: 0\n", b""),
    ("DELETE", 204, "", b""),
    ("OPTIONS", 204, "", b""),
    ("GET", 299, "Content-Length: 1\n", b"x"),
    ("GET", 404, "Content-Length: 1\n", b"x"),
    ("GET", 503, "Content-Length: 1\n", b"x"),
    ("PROPFIND", 207, "Content-Length: 1\n", b"x"),
])
def test_no_body_where_none_belongs(weir, origin, method, status, fields, body):
    """HEAD, 204 and 304 carry no body, whatever their fields say, and the connection goes on."""
    p, o = pair(weir, origin, serve(raw(f"HTTP/1.1 {status} S\n{fields}\n", body)))
    c = p.client()
    for _ in range(3):
        res = c.ask(request(method))
        assert res.status == status and res.body == body
        if status == 204:
            assert not res.all("Transfer-Encoding") and not res.all("Content-Length")
        if "Content-Length" in fields and status != 304:
            assert res.get("Content-Length") == fields.split()[1]
    assert len(o.conns) == 1, "the upstream connection was not reused"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "REPORT", "M-X!#$%&'*+.^_`|~"])
@pytest.mark.parametrize("size", [0, 1, 5, 16384, 70000])
def test_upload_with_length(weir, origin, method, size):
    p, o = pair(weir, origin, serve(echo))
    body = bytes(i * 7 % 251 for i in range(size))
    extra = [] if body else ["Content-Length: 0"]
    res = p.client().ask(request(method, "/u", *extra, body=body))
    assert res.status == 200 and res.body == body
    req = o.one()
    assert req.method == method and req.body == body and req.get("Content-Length") == str(size)


@pytest.mark.parametrize("pieces", [(), (b"x",), (b"hello ", b"world"), (b"y" * 70000, b"z")])
def test_upload_chunked(weir, origin, pieces):
    p, o = pair(weir, origin, serve(echo))
    c = p.client()
    for n in (1, 2):
        res = c.ask(request("POST", "/u", "Transfer-Encoding: chunked", body=chunks(*pieces)))
        assert res.status == 200 and res.body == b"".join(pieces)
        assert len(o.requests) == n and o.requests[-1].framing == "chunked"


@pytest.mark.parametrize("pieces", [(), (b"x",), (b"hello ", b"world"), (b"y" * 70000, b"z")])
def test_download_chunked(weir, origin, pieces):
    p, _ = pair(weir, origin, serve(raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
                                         chunks(*pieces))))
    c = p.client()
    for _ in range(2):
        res = c.ask(request())
        assert res.framing == "chunked" and res.body == b"".join(pieces)


@quick
def test_field_order_and_spelling(weir, origin):
    """Fields pass in order and spelling, both ways: repeated, empty, odd and non-ASCII ones."""
    lines = ["x-lower: 1", "X-UPPER: 2", "Accept: a", "aCCePt: b", "X-Empty:", "Set-Cookie: a=1",
             "X-Odd!#$%&'*+-.^_`|~: 3", "X-Comma: a,, b ,c", "Set-Cookie: b=2", "X-Utf8: \xc3\xa9",
             "X-Tab: a\tb", "X-Colon: a:b: c", "Accept: c", "X-Quote: \"a\\\"b\""]
    want = [tuple(part.strip(" ") for part in line.split(":", 1)) for line in lines]
    p, o = pair(weir, origin, serve(raw("HTTP/1.1 200 OK\nContent-Length: 0\n"
                                         + "\n".join(lines) + "\n\n")))
    res = p.client().ask(request("GET", "/", *lines))
    names = {n for n, _ in want}
    assert [f for f in o.one().fields if f[0] in names] == want
    assert [f for f in res.fields if f[0] in names] == want


def test_blanks_around_values(weir, origin):
    """Optional blanks are taken off; those within stay."""
    p, o = pair(weir, origin, serve(raw("HTTP/1.1 200 OK\nContent-Length:  0  \nX-R: \t a  b \t\n\n")))
    res = p.client().ask(request("GET", "/", "X-A:b", "X-B: \t  c \t d \t ", "X-C:   "))
    req = o.one()
    assert (req.get("X-A"), req.get("X-B"), req.get("X-C")) == ("b", "c \t d", "")
    assert res.get("X-R") == "a  b"


@pytest.mark.parametrize("count, size", [(90, 10), (1, 15000), (30, 900)])
def test_large_heads(weir, origin, count, size):
    """Heads just below the limits, both ways."""
    lines = [f"X-{i:03}: {'v' * size}" for i in range(count)]
    p, o = pair(weir, origin, serve(raw("HTTP/1.1 200 OK\nContent-Length: 0\n"
                                         + "\n".join(lines) + "\n\n")))
    c = p.client()
    for split in ("whole", 5):
        res = c.ask(request("GET", "/", *lines), split=split)
        assert res.status == 200
        assert [f"{n}: {v}" for n, v in res.fields if n.startswith("X-")] == lines
        assert [f"{n}: {v}" for n, v in o.requests[-1].fields if n.startswith("X-") and n[2:].isdigit()
                ] == lines


TARGETS = ["/", "/?", "/?a=b&c=d", "/a//b/../c/./d", "/%41%2f%00%ff", "/;p=1,2", "/a:b@c", "//x/y",
           "/?next=http://u@h/", "/*", "/~u/!$&'()*+,;=:@-._", "/a?b?c/d?", "/%E2%82%AC",
           "/" + "x" * 7000]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t[:20])
def test_targets_are_byte_exact(weir, origin, target):
    p, o = pair(weir, origin)
    assert p.client().ask(request("GET", target)).status == 200
    assert o.one().target == target


@pytest.mark.parametrize("method, target, want, host", [
    ("GET", "http://a.test/x?y=z", "/x?y=z", "a.test"),
    ("GET", "http://a.test:8080/", "/", "a.test:8080"),
    ("GET", "http://a.test", "/", "a.test"),
    ("GET", "http://a.test?q", "/?q", "a.test"),
    ("GET", "HTTP://A.test/x", "/x", "A.test"),
    ("GET", "http://[::1]:81/x", "/x", "[::1]:81"),
    ("GET", "http://127.0.0.1/x//y", "/x//y", "127.0.0.1"),
    ("OPTIONS", "http://a.test", "*", "a.test"),
    ("OPTIONS", "*", "*", "origin.test"),
    ("OPTIONS", "/x", "/x", "origin.test"),
])
def test_target_forms(weir, origin, method, target, want, host):
    """Absolute-form: its authority wins over Host, and origin-form goes upstream (RFC 9112
    3.2.2)."""
    p, o = pair(weir, origin)
    assert p.client().ask(request(method, target)).status == 200
    req = o.one()
    assert req.target == want
    assert req.get("Host").lower() == host.lower()


@pytest.mark.parametrize("host", ["origin.test", "origin.test:80", "ORIGIN.test", "127.0.0.1:8080",
                                  "[::1]", "[::1]:8080", "a-b_c.d~e", "a.test."])
def test_host_is_passed_on(weir, origin, host):
    p, o = pair(weir, origin)
    assert p.client().ask(request(host=host)).status == 200
    assert o.one().get("Host") == host


@quick
def test_ipv6(weir, origin):
    o = origin(address=("::1", 0))
    p = weir(o, listen=["[::1]:0"])
    assert p.client().ask(request()).body == b"ok"
    assert o.one()


@quick
def test_unix_sockets(weir, origin, tmp_path):
    o = origin(address=str(tmp_path / "origin.sock"))
    p = weir(o, listen=[f"unix:{tmp_path}/weir.sock"])
    c = p.client()
    for _ in range(2):
        assert c.ask(request()).body == b"ok"
    assert len(o.conns) == 1


def test_several_listeners(weir, origin, tmp_path):
    o = origin()
    p = weir(o, listen=["127.0.0.1:0", "127.0.0.2:0", "[::1]:0", f"unix:{tmp_path}/w"])
    assert len(set(map(str, p.addresses))) == 4
    for i in range(4):
        assert p.client(i).ask(request("GET", f"/{i}")).status == 200
    assert [r.target for r in o.requests] == ["/0", "/1", "/2", "/3"]


@quick
def test_upstreams_in_turn(weir, origin):
    """Requests go to the upstreams one after the other, kept-alive or not."""
    origins = [origin(serve(raw("HTTP/1.1 200 OK\nContent-Length: 1\n\n", b"%d" % i)))
               for i in range(3)]
    p = weir("--workers", 1, *origins)
    c = p.client()
    got = [c.ask(request()).body for _ in range(6)] + [p.ask(request()).body for _ in range(6)]
    assert got[:3] == got[3:6] == got[6:9] == got[9:]
    assert sorted(got[:3]) == [b"0", b"1", b"2"]
    assert [len(o.requests) for o in origins] == [4, 4, 4]


def test_close_delimited_download(weir, origin):
    """The origin's close ends the body; the client gets it whole and may go on."""
    p, o = pair(weir, origin, once(raw("HTTP/1.1 200 OK\nX: y\n\n", b"body " * 1000)))
    c = p.client()
    for n in (1, 2):
        res = c.ask(request())
        assert res.body == b"body " * 1000 and res.framing == "chunked"
        assert len(o.conns) == n


def test_close_delimited_download_for_http10(weir, origin):
    p, _ = pair(weir, origin, once(raw("HTTP/1.1 200 OK\n\n", b"body")))
    c = p.client()
    res = c.ask(request(version="HTTP/1.0"))
    assert res.body == b"body" and res.framing == "close" and c.closed() == "fin"


def test_chunked_download_for_http10(weir, origin):
    """A client of HTTP/1.0 never sees chunks (RFC 9112 6.1)."""
    p, _ = pair(weir, origin, serve(raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
                                         chunks(b"one", b"two"))))
    c = p.client()
    res = c.ask(request("GET", "/", "Connection: keep-alive", version="HTTP/1.0"))
    assert res.body == b"onetwo" and res.framing == "close"


def test_http10_origin(weir, origin):
    p, o = pair(weir, origin, once(raw("HTTP/1.0 200 OK\nContent-Length: 3\n\n", b"abc")))
    c = p.client()
    for n in (1, 2):
        res = c.ask(request())
        assert res.version == "HTTP/1.1" and res.body == b"abc"
        poll(lambda: len(o.conns) == n, "a new upstream connection")


def test_http10_client_without_host(weir, origin):
    """Upstream goes HTTP/1.1, with exactly one Host (the origin's reader insists)."""
    p, o = pair(weir, origin)
    c = p.client()
    assert c.ask(request(version="HTTP/1.0", host=None)).body == b"ok"
    assert c.closed() == "fin"
    assert o.one().version == "HTTP/1.1"


def test_both_directions_at_once(weir, origin):
    """The origin answers piece by piece while the upload still runs."""
    def script(conn):
        req = conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            conn.send(conn.reader.exactly(1))
        req.framing = "none"
    p, _ = pair(weir, origin, script)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 10"))
    res = c.receive("POST", body=False)
    assert res.get("Content-Length") == "10"
    for i in range(10):
        c.send(b"%d" % i)
        assert c.reader.exactly(1) == b"%d" % i
