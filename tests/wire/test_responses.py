"""Responses an origin may send: bad heads become 502, cut-off bodies stay visibly cut off."""

import pytest

from weirtest import OK, Ended, chunks, once, own_answer, request, serve, why

H = "HTTP/1.1 200 OK\r\n"

BAD_HEADS = [
    *((f"status line {line!r}", "head", f"{line}\r\nContent-Length: 0\r\n\r\n") for line in (
        "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000 OK", "HTTP/1.1 20x OK", "HTTP/1.1 -20 OK",
        "HTTP/1.1 099 OK", "HTTP/1.1 000 OK", "HTTP/1.1 600 X", "HTTP/1.1 999 X", "HTTP/1.1  200 OK", " HTTP/1.1 200 OK",
        "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/0.9 200 OK", "HTTP/1.x 200 OK",
        "HTTP/11 200 OK", "http/1.1 200 OK", "HTTPS/1.1 200 OK", "ICY 200 OK", "200 OK", "hello",
        "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 O\rK", "HTTP/1.1:200 OK")),
    ("HTTP/0.9", "head", "<html>hello</html>\r\n\r\n"),
    ("garbage", "head", "\x16\x03\x01\0\1\xff\xfe" * 20 + "\r\n\r\n"),
    ("LF-only lines", "head", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("empty line first", "head", "\r\n\r\n" + H + "Content-Length: 0\r\n\r\n"),
    *((f"field {line!r}", "head", f"{H}Content-Length: 0\r\n{line}\r\n\r\n") for line in (
        "X : a", "X\t: a", ": a", "X a", "X", "X: a\r\n b", "X: a\r\n\tb", "X: a\nY: b", "X: a\rb", "X: \0",
        "X: \x01", "X: \x7f", "X@: a", "X Y: a", "X\x80: a", "X\0: a", "(X): a")),
    ("first field begins with a blank", "head", H + " Content-Length: 0\r\n\r\n"),
    *((f"length {v!r}", "length", f"{H}Content-Length: {v}\r\n\r\nhello") for v in (
        "", "-1", "+5", "5, 6", "5 5", "0x5", "5a", "x", "5.0", "1_0", "9223372036854775808",
        "18446744073709551621", "99999999999999999999999")),
    ("two different lengths", "length", H + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    *((f"coding {v!r}", "length", f"{H}Transfer-Encoding: {v}\r\n\r\n0\r\n\r\n") for v in (
        "gzip", "identity", "xchunked", "chunked, chunked", "chunked, gzip", "chunked, identity", "gzip, chunked",
        "", "chunked;q=1", '"chunked"', "chun ked", "chunked\r\nTransfer-Encoding: chunked")),
    ("chunked from HTTP/1.0", "length", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("length with chunked", "length", H + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("length behind chunked", "length", H + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("kind, raw", [pytest.param(k, r.encode("latin-1"), id=n[:50]) for n, k, r in BAD_HEADS])
def test_bad_heads(weir, origin, kind, raw):
    """502 with a reason; nothing of it reaches the client, nor any later one."""
    def pieces(conn):
        if conn.request() is not None:
            for i in range(len(raw)):
                conn.send(raw[i:i + 1])
    o = origin(serve(raw), pieces, serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request()), 502)
    why(p, "bad_response_(head|length)")
    assert c.ask(request()).body == b"ok" and p.ask(request()).body == b"ok"
    assert len(o.conns) == 3, "a connection with a bad response was used again"


@pytest.mark.parametrize("value", ["5, 5", "5\r\nContent-Length: 5"])
def test_repeated_equal_lengths(weir, origin, value):
    """RFC 9112 6.3: a recipient may take one or refuse; never pass both on."""
    o = origin(once(f"{H}Content-Length: {value}\r\n\r\nhello".encode()))
    res = weir(o).client().ask(request())
    if res.status == 200:
        assert res.body == b"hello" and res.get("Content-Length") == "5"
    else:
        own_answer(res, 502)


def test_any_head_before_any_body(weir, origin):
    """A head may be printed in front of a body that came with it: it damages neither, whatever they
    measure and wherever the buffers end."""
    def page(req):
        head, body = (int(n) for n in req.target[1:].split("/"))
        return (f"{H}X: {'h' * head}\r\nContent-Length: {body}\r\n\r\n".encode() +
                bytes(i * 7 % 251 for i in range(body)))
    o = origin(serve(page))
    p = weir("--workers", 1, "--server-name", "s" * 200, "--via", o)
    c = p.client()
    for head in (0, 1, 300, 7000, 15500, 15800, 15900):
        for body in (1, 50, 2000, 4096, 4097, 15300, 15872, 16384, 20000, 66000):
            res = c.ask(request("GET", f"/{head}/{body}"))
            assert res.get("X") == "h" * head and res.get("Content-Length") == str(body)
            assert res.body == bytes(i * 7 % 251 for i in range(body)), (head, body)
    assert len(o.conns) == 1


OVERSIZED = [
    ("one field", H + f"X: {'a' * 2_000_000}\r\n\r\n"),
    ("a head without end", H + "X: a\r\n" * 200_000),
    ("many fields", H + "".join(f"X{i}: a\r\n" for i in range(5000)) + "Content-Length: 0\r\n\r\n"),
    ("a status line without end", "HTTP/1.1 200 " + "a" * 2_000_000),
    ("a line without end", "x" * 2_000_000),
    ("endless 1xx heads' field", "HTTP/1.1 100 Continue\r\nX: " + "a" * 2_000_000),
]


@pytest.mark.parametrize("raw", [pytest.param(r.encode(), id=n) for n, r in OVERSIZED])
def test_oversized_heads(weir, origin, raw):
    o = origin(once(raw), serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    own_answer(c.ask(request()), 502)
    why(p, "(response_head_size|bad_response_head)")
    assert c.ask(request()).body == b"ok"


LENGTH, CHUNKED = H + "Content-Length: %d\r\n\r\n", H + "Transfer-Encoding: chunked\r\n\r\n"

CUT = [
    # what the origin sends before it ends the connection, and the data that is in it
    ("length, no byte", LENGTH % 10, ""),
    ("length, some bytes", LENGTH % 10 + "12345", "12345"),
    ("length, much", LENGTH % 1_000_000 + "x" * 999_999, "x" * 999_999),
    ("chunked, no byte", CHUNKED, ""),
    ("chunked, within the size", CHUNKED + "5", ""),
    ("chunked, within the data", CHUNKED + "5\r\nhel", "hel"),
    ("chunked, after the data", CHUNKED + "5\r\nhello", "hello"),
    ("chunked, between chunks", CHUNKED + "5\r\nhello\r\n", "hello"),
    ("chunked, within the last", CHUNKED + "5\r\nhello\r\n0\r\n", "hello"),
    ("chunked, within the trailers", CHUNKED + "5\r\nhello\r\n0\r\nX: y\r\n", "hello"),
    *((f"chunked, bad: {b!r}", CHUNKED + "5\r\nhello\r\n" + b, "helloabc") for b in (
        "x\r\n", "\r\n", "3\r\nabcd\r\n", "3\nabc\r\n0\r\n\r\n", "10000000000000000\r\n", "-1\r\n", "0\r\nX y\r\n\r\n",
        "0\r\nX: a\r\n b\r\n\r\n", "0\n\r\n", "0\r\n\n", "3\r\nabc0\r\n\r\n")),
]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("raw, data", [pytest.param(r.encode(), d.encode(), id=n[:50]) for n, r, d in CUT])
def test_cut_off_bodies(weir, origin, raw, data, end):
    """The client sees the cut: no last chunk, too few bytes, or a 502 if no head had gone out."""
    o = origin(once(raw, end), serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request())
    try:
        own_answer(c.receive(), 502)
    except Ended as ended:
        assert data.startswith(ended.partial.body if ended.partial else b"")
    why(p, "(response_cut_off|bad_response_body|upstream_reset|upstream_closed)")
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 2


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 9\r\n\r\nsome body",
    b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nsome\r\n5;x\r\n body\r\n0\r\nT: u\r\n\r\n"], ids=["length", "chunked"])
def test_ends_at_every_byte(weir, origin, raw, end):
    """Wherever a response breaks off: an error, or a body that is seen to be cut off; and the next
    request, on a connection of its own, is none the worse."""
    def script(conn):
        while (req := conn.request()) is not None and req.target == "/ok":
            conn.send(OK)
        if req is not None:
            conn.send(raw[:int(req.target[1:])])
        if end == "reset":
            conn.reset()
    o = origin(script)
    p = weir("--workers", 1, o)
    head = raw.rindex(b"\r\n\r\n", 0, raw.index(b"some")) + 4
    for n in range(len(raw)):
        c = p.client()
        c.send(request("POST", f"/{n}"))
        if n < head:
            assert c.receive("POST").status == 502, n
        elif end == "close":
            assert b"some body".startswith(c.truncated("POST").body), n
        else:
            try:
                assert c.receive("POST").status == 502, n   # the reset overtook the head
            except Ended as gone:
                assert b"some body".startswith(gone.partial.body), n
        c.close()
        assert p.ask(request("POST", "/ok")).body == b"ok", n


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_reset_of_a_close_delimited_body(weir, origin, version):
    """A reset is not a close: the body must not look complete."""
    def script(conn):
        if conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\n\r\npart")
            conn.wait(seen)
            conn.reset()
    o = origin(script)
    seen = o.event()
    c = weir(o).client()
    c.send(request(version=version))
    c.receive(body=False)
    while b"part" not in c.reader.buf:
        assert c.reader.fill()
    seen.set()
    rest, how = c.reader.rest()
    assert how == "rst" or (version == "HTTP/1.1" and b"\r\n0\r\n" not in rest)


BEYOND = [
    ("length", H + "Content-Length: 5\r\n\r\nhello", b"hello"),
    ("no body", H + "Content-Length: 0\r\n\r\n", b""),
    ("chunked", H + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("204", "HTTP/1.1 204 No Content\r\n\r\n", b""),
    ("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
]


@pytest.mark.quick
@pytest.mark.parametrize("raw, body", [pytest.param(r.encode(), b, id=n) for n, r, b in BEYOND])
def test_bytes_after_the_body(weir, origin, raw, body):
    """What follows a response belongs to nobody: dropped, and the connection with it."""
    evil = b"HTTP/1.1 200 Evil\r\nContent-Length: 4\r\n\r\nevil"
    o = origin(serve(raw + evil), serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    assert c.ask(request()).body == body
    assert c.ask(request()).body == b"ok"
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 2


def test_body_after_head(weir, origin):
    """A body in answer to HEAD belongs to nobody either."""
    o = origin(serve(H.encode() + b"Content-Length: 5\r\n\r\nhello"), serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    res = c.ask(request("HEAD"))
    assert res.get("Content-Length") == "5"
    assert c.ask(request()).body == b"ok" and len(o.conns) == 2


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n\r\n"


@pytest.mark.quick
@pytest.mark.parametrize("count", [1, 2, 20])
def test_interim_responses(weir, origin, count):
    """Any number of 1xx is relayed at once, and a final response follows."""
    def script(conn):
        while conn.request() is not None:
            conn.send(INTERIM * count)
            conn.wait(seen)
            conn.send(OK)
    o = origin(script)
    seen = o.event()
    c = weir(o).client()
    c.send(request())
    first = c.reader.line() + b"\r\n"
    assert first == b"HTTP/1.1 103 Early Hints\r\n"
    c.reader.buf[:0] = first
    seen.set()
    for _ in range(2):
        res = c.receive()
        assert res.body == b"ok" and len(res.interim) == count
        for hint in res.interim:
            assert hint.get("Link") == "</a>; rel=preload" and hint.names() == ["Link"]
        c.send(request())
    c.receive()
    assert len(o.conns) == 1


def test_interim_in_pieces(weir, origin):
    """1xx and final response in one write, or byte by byte."""
    def pieces(conn):
        if conn.request() is not None:
            for b in INTERIM * 3 + OK:
                conn.send(bytes([b]))
    o = origin(once(INTERIM * 3 + OK), pieces)
    c = weir(o).client()
    for _ in range(2):
        res = c.ask(request())
        assert len(res.interim) == 3 and res.body == b"ok"


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_interim_is_not_for_http10(weir, origin, status):
    """RFC 9110 15.2: no 1xx to a client of HTTP/1.0."""
    o = origin(serve(b"HTTP/1.1 %d X\r\n\r\n" % status + OK))
    res = weir(o).client().ask(request(version="HTTP/1.0"))
    assert res.body == b"ok" and not res.interim


def test_interim_then_the_end(weir, origin):
    o = origin(once(INTERIM), serve(OK))
    p = weir("--workers", 1, o)
    res = p.client().ask(request())
    own_answer(res, 502)
    assert len(res.interim) == 1


@pytest.mark.quick
@pytest.mark.parametrize("fields, asked", [
    ("", []), ("Upgrade: x\r\nConnection: Upgrade\r\n", []),
    ("", ["Upgrade: x", "Connection: Upgrade"]),
    ("Upgrade: y\r\nConnection: Upgrade\r\n", ["Upgrade: x", "Connection: Upgrade"])])
def test_switching_protocols(weir, origin, fields, asked):
    """A 101 is a bad response unless it is what the client asked for (test_tunnels.py)."""
    o = origin(serve(f"HTTP/1.1 101 Switching\r\n{fields}\r\n".encode() + OK), serve(OK))
    p = weir("--workers", 1, o)
    own_answer(p.client().ask(request("GET", "/", *asked)), 502)
    why(p, "unexpected_switch")
    assert p.ask(request()).body == b"ok" and len(o.conns) == 2


@pytest.mark.parametrize("line, status, reason", [
    ("HTTP/1.1 200", 200, None), ("HTTP/1.1 200 ", 200, None), ("HTTP/1.1 404 No Such Thing", 404, "No Such Thing"),
    ("HTTP/1.1 299 \xe9\xff", 299, "\xe9\xff"), ("HTTP/1.1 500 a\tb", 500, "a\tb"), ("HTTP/1.0 200 OK", 200, "OK"),
    ("HTTP/1.1 418 ", 418, None), ("HTTP/1.1 599 x", 599, "x"), ("HTTP/1.1 418 I'm:", 418, "I'm:"),
])
def test_legal_status_lines(weir, origin, line, status, reason):
    o = origin(once(f"{line}\r\nContent-Length: 2\r\n\r\nok".encode("latin-1")))
    res = weir(o).client().ask(request())
    assert res.status == status and res.body == b"ok" and res.version == "HTTP/1.1"
    assert reason is None or res.reason == reason


@pytest.mark.quick
def test_trailers_of_responses(weir, origin):
    """Trailers pass to the client, without those that must not be there."""
    o = origin(serve(H.encode() + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks(
        b"abc", trailers="X-Sum: q\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\nx-more: \t1\r\n")))
    c = weir(o).client()
    for _ in range(2):
        res = c.ask(request("GET", "/", "TE: trailers"))
        assert res.body == b"abc"
        assert [t for t in res.trailers if t[0] != "Set-Cookie"] == [("X-Sum", "q"), ("x-more", "1")]
