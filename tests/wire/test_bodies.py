"""Request bodies: malformed and cut-off ones never look complete upstream; odd legal ones pass."""

import pytest

from weirtest import OK, chunks, echo, nothing_upstream, own_answer, refused, request, serve, why

CHUNKED = b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"

BAD_CHUNKS = [
    *((f"size {s!r}", f"{s}\r\nabc\r\n0\r\n\r\n") for s in (
        "x", "g", "", " 3", "3 x", "-3", "+3", "0x3", "3_0", "3.", "3,", "3h", "\t3", "3\0", "0 x", "-0", "+0",
        "\xb3", "10000000000000000", "8000000000000000", "ffffffffffffffff", "FFFFFFFFFFFFFFFFFFFF",
        "10000000000000003")),
    ("LF after the size", "3\nabc\r\n0\r\n\r\n"),
    ("CR CR LF after the size", "3\r\r\nabc\r\n0\r\n\r\n"),
    ("CR after the size", "3\rabc\r\n0\r\n\r\n"),
    ("no CRLF after the data", "3\r\nabc0\r\n\r\n"),
    ("LF after the data", "3\r\nabc\n0\r\n\r\n"),
    ("CR after the data", "3\r\nabc\r0\r\n\r\n"),
    ("garbage after the data", "3\r\nabcX\r\n0\r\n\r\n"),
    ("chunk shorter than said", "4\r\nabc\r\n0\r\n\r\n"),
    ("chunk longer than said", "2\r\nabc\r\n0\r\n\r\n"),
    ("two CRLFs after the data", "3\r\nabc\r\n\r\n0\r\n\r\n"),
    ("LF after the last chunk", "3\r\nabc\r\n0\n\r\n"),
    ("LF as the last line", "3\r\nabc\r\n0\r\n\n"),
    ("CR LF LF", "3\r\nabc\r\n0\r\n\n\r\n"),
    ("extension with LF", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
    ("extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ("extension with NUL", "3;a\0b\r\nabc\r\n0\r\n\r\n"),
    ("CRLF in a quoted extension", "3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n"),
    ("extension too long", "3;" + "a" * 5000 + "\r\nabc\r\n0\r\n\r\n"),
    ("extensions too long in sum", "".join(f"1;{'a' * 3000}\r\nx\r\n" for _ in range(8)) + "0\r\n\r\n"),
    *((f"trailer {t!r}", f"3\r\nabc\r\n0\r\n{t}\r\n\r\n") for t in (
        "X y: z", "X : y", " X: y", "X: a\r\n b", "X: a\nY: b", "X: a\rb", "X: \0", "X", ": a", "X@: y")),
]


@pytest.mark.parametrize("before", [b"", b"5\r\nfirst\r\n"], ids=["first", "later"])
@pytest.mark.parametrize("body", [pytest.param(b, id=n[:50]) for n, b in BAD_CHUNKS])
def test_bad_chunks(weir, origin, body, before):
    """400, close, and the origin never gets a request that looks complete."""
    o = origin(serve(OK))
    p = weir("--workers", 1, o)
    raw = CHUNKED + before + body.encode("latin-1")
    for split in ("whole", "bytes", 1):
        c = p.client()
        c.send(raw, split)
        refused(c, 400, "POST")
    why(p, "bad_body")
    p.ask(request("GET", "/fence"))
    assert all(b"\r\n0\r\n" not in conn.raw for conn in o.conns), o.seen()
    whole = [r.target for r in o.requests if r.target != "/up"]
    assert whole == ["/fence"], o.seen()


ODD = [
    # what is legal, if unusual: name, head fields, body, the body and trailers the origin gets
    ("hex in capitals", "", "A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    ("hex in small letters", "", "a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    ("leading zeros", "", "0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    ("extension", "", "3;a=b\r\nabc\r\n0;c\r\n\r\n", b"abc"),
    ("quoted extension", "", "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", b"abc"),
    ("many small chunks", "", "1\r\nx\r\n" * 500 + "0\r\n\r\n", b"x" * 500),
    ("data like a chunk", "", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    ("data like a request", "", "12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"),
]


@pytest.mark.quick
@pytest.mark.parametrize("fields, body, want", [pytest.param(*row[1:], id=row[0]) for row in ODD])
def test_odd_chunks(weir, origin, fields, body, want):
    o = origin(serve(echo))
    p = weir(o)
    c = p.client()
    for split in ("whole", "bytes", 1, 2):
        res = c.ask(CHUNKED + body.encode(), split=split)
        assert res.status == 200 and res.body == want
    assert [r.body for r in o.requests] == [want] * 4 and len(o.conns) == 1


@pytest.mark.parametrize("value", ["CHUNKED", "Chunked", "chunked ", "\tchunked\t", "  chunked"])
def test_spellings_of_chunked(weir, origin, value):
    """Upstream goes our own spelling (the origin's reader insists on it)."""
    o = origin(serve(echo))
    p = weir(o)
    raw = f"POST / HTTP/1.1\r\nHost: h\r\ntRANSFER-eNCODING:{value}\r\n\r\n".encode() + chunks(b"abc")
    assert p.client().ask(raw).body == b"abc"
    assert o.one().framing == "chunked"


@pytest.mark.parametrize("value", ["chunked,", ",chunked", "chunked , ", ", ,chunked,,"])
def test_empty_list_elements(weir, origin, value):
    """RFC 9110 5.6.1 has them ignored; refusing is as safe, guessing another length is not."""
    o = origin(serve(echo))
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(f"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {value}\r\n\r\n".encode() + chunks(b"abc"))
    res = c.receive("POST")
    if res.status == 200:
        assert res.body == b"abc" and o.one().framing == "chunked"
    else:
        own_answer(res, 400)
        assert c.closed() == "fin"
        nothing_upstream(p, o)


@pytest.mark.parametrize("value", ["5", " 5 ", "\t5", "05", "0000000000000005"])
def test_spellings_of_length(weir, origin, value):
    o = origin(serve(echo))
    p = weir(o)
    raw = f"POST / HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:{value}\r\n\r\n".encode() + b"hello"
    c = p.client()
    for split in ("whole", "bytes"):
        assert c.ask(raw, split=split).body == b"hello"
    assert {r.get("Content-Length") for r in o.requests} == {"5"}


@pytest.mark.quick
def test_one_empty_line_before_a_request(weir, origin):
    """RFC 9112 2.2: at most one CRLF is passed over."""
    o = origin()
    p = weir(o)
    c = p.client()
    for split in ("whole", "bytes"):
        assert c.ask(b"\r\n" + request(), method="GET", split=split).body == b"ok"
    assert len(o.requests) == 2


CUT = [
    ("length, no byte", LENGTH % 10, b""),
    ("length, some bytes", LENGTH % 10, b"12345"),
    ("length, all but one", LENGTH % 70000, b"x" * 69999),
    ("chunked, no byte", CHUNKED, b""),
    ("chunked, within the size", CHUNKED, b"5\r\nhello\r\n1"),
    ("chunked, within the data", CHUNKED, b"5\r\nhel"),
    ("chunked, after the data", CHUNKED, b"5\r\nhello"),
    ("chunked, before the last chunk", CHUNKED, b"5\r\nhello\r\n"),
    ("chunked, within the last chunk", CHUNKED, b"5\r\nhello\r\n0"),
    ("chunked, before the final CRLF", CHUNKED, b"5\r\nhello\r\n0\r\n"),
    ("chunked, within the final CRLF", CHUNKED, b"5\r\nhello\r\n0\r\n\r"),
    ("chunked, within the trailers", CHUNKED, b"5\r\nhello\r\n0\r\nX: y\r\n"),
]


@pytest.mark.parametrize("end", ["finish", "reset"])
@pytest.mark.parametrize("head, part", [pytest.param(h, b, id=n) for n, h, b in CUT])
def test_cut_off_uploads(weir, origin, head, part, end):
    """The origin sees that the upload was cut off, and that connection is not used again."""
    def first(conn):
        req = conn.head()
        started.set()
        assert req is None or not conn.body(req), "a cut-off upload looked complete"

    o = origin(first, serve(OK))
    started = o.event()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(head)
    assert started.wait(10), "the head must not wait for the body"
    c.send(part)
    getattr(c, end)()
    o.wait(lambda: o.conns[0].incomplete is not None, "the end of the cut-off upload")
    assert p.ask(request("GET", "/fence")).status == 200
    assert [r.target for r in o.requests] == ["/up", "/fence"] and len(o.conns) == 2


@pytest.mark.parametrize("part", [b"G", b"GET / HTT", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n",
                                  b"GET / HTTP/1.1\r\nHost: h\r\n\r"])
def test_cut_off_heads(weir, origin, part):
    """Nothing goes upstream for half a head."""
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(part)
    c.finish()
    data, how = c.reader.rest()
    assert how in ("fin", "rst") and (not data or data.startswith(b"HTTP/1.1 400 "))
    c = p.client()
    c.send(part)
    c.reset()
    nothing_upstream(p, o)


def test_connection_without_a_byte(weir, origin):
    """Opening and closing is not worth an answer."""
    o = origin()
    p = weir(o)
    c = p.client()
    c.finish()
    assert c.closed() == "fin"
    p.client().reset()
    nothing_upstream(p, o)


@pytest.mark.quick
def test_trailers_of_requests(weir, origin):
    """Trailers pass upstream, without those that must not be there (RFC 9110 6.5.1)."""
    o = origin(serve(echo))
    p = weir(o)
    c = p.client()
    trailers = ("X-Sum: abc\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n"
                "Authorization: x\r\nx-more:\td \r\n")
    for split in ("whole", "bytes"):
        res = c.ask(CHUNKED + chunks(b"abc", trailers=trailers), split=split)
        assert res.status == 200 and res.body == b"abc"
        assert o.requests[-1].trailers == [("X-Sum", "abc"), ("x-more", "d")]


@pytest.mark.parametrize("head", [LENGTH % 3 + b"abc", CHUNKED + chunks(b"abc")], ids=["length", "chunked"])
def test_bytes_behind_a_body(weir, origin, head):
    """What follows a body is the next request, and garbage there is refused by itself."""
    o = origin(serve(echo))
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(head + b"garbage\r\n\r\n")
    assert c.receive("POST").body == b"abc"
    refused(c, 400)
    assert [r.body for r in o.requests] == [b"abc"]
