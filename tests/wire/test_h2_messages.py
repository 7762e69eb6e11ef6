"""Rules of messages (RFC 9113 section 8): what is not beyond doubt is refused before a byte of it
goes upstream. Behind each case follows a good request, which is then all that the origin has seen.

What comes back is a status, or ("rst", PROTOCOL_ERROR) where RFC 9113 calls it malformed."""

import pytest
from weirtest import Origin, Proxy, serve
from weirtest.check import FENCE, own_answer
from weirtest.h2 import (
    CONTINUATION, END_HEADERS, PROTOCOL_ERROR, block, data, frame, h2, head, headers)
from weirtest.message import Message

RST = ("rst", PROTOCOL_ERROR)
GET = head()
POST = head("POST")
HOSTLESS = head(authority=None)


def swap(fields, i, j):
    fields = list(fields)
    fields[i], fields[j] = fields[j], fields[i]
    return fields


# section, fields (or the bytes behind the preface), what comes back
CASES = [
    # 8.3.1 pseudo-fields
    ("8.3.1 no :method", head(method=None), RST),
    ("8.3.1 no :scheme", head(scheme=None), RST),
    ("8.3.1 no :path", head(path=None), RST),
    ("8.3.1 an empty :path", head(path=""), RST),
    ("8.3.1 no authority at all", HOSTLESS, (RST, 400)),
    ("8.3.1 an empty authority", head(authority=""), (RST, 400)),
    ("8.3 :method twice", head() + [(":method", "GET")], RST),
    ("8.3 :method twice, at once", [(":method", "GET")] + GET, RST),
    ("8.3 :path twice", [(":path", "/")] + GET, RST),
    ("8.3 :scheme twice", [(":scheme", "http")] + GET, RST),
    ("8.3 :authority twice", [(":authority", "origin.test")] + GET, RST),
    ("8.3 behind a field", [("a", "b")] + GET, RST),
    ("8.3 :path behind a field", GET[:3] + [("a", "b")] + GET[3:], RST),
    ("8.3 unknown", [(":unknown", "x")] + GET, RST),
    ("8.3 of a response", [(":status", "200")] + GET, RST),
    ("8.3 in upper case", [(":Method", "GET")] + GET[1:], RST),
    ("8.3 empty but for the colon", [(":", "x")] + GET, RST),
    ("8.3.1 the path is no path", head(path="nowhere"), (RST, 400)),
    ("8.3.1 the path is a URI", head(path="http://origin.test/"), (RST, 400)),
    ("8.3.1 * is for OPTIONS", head(path="*"), (RST, 400)),
    ("8.3.1 a blank in the path", head(path="/a b"), (RST, 400)),
    ("8.3.1 a line break in the path", head(path="/ HTTP/1.1\r\nX: y"), (RST, 400)),
    ("8.3.1 a line feed in the path", head(path="/a\nb"), (RST, 400)),
    ("8.3.1 NUL in the path", head(path="/\0"), (RST, 400)),
    ("8.3.1 a fragment", head(path="/a#b"), (RST, 400)),
    ("8.3.1 a byte above 127 in the path", head(path="/\xff"), (RST, 400)),
    ("8.3.1 a path too long", head(path="/" + "a" * 8192), 414),
    ("8.3.1 another scheme", head(scheme="ftp"), (RST, 400)),
    ("8.3.1 an empty scheme", head(scheme=""), RST),
    ("8.3.1 a scheme that splits", head(scheme="http://evil/ HTTP/1.1\r\nA: b\r\n\r\n"), (RST, 400)),
    ("8.3.1 a blank in the method", head("GET /x HTTP/1.1"), (RST, 400)),
    ("8.3.1 a line break in the method", head("GET\r\n"), (RST, 400)),
    ("8.3.1 an empty method", head(""), (RST, 400)),
    ("8.3.1 userinfo", head(authority="me@origin.test"), (RST, 400)),
    ("8.3.1 a path in the authority", head(authority="origin.test/x"), (RST, 400)),
    ("8.3.1 a blank in the authority", head(authority="origin.test x"), (RST, 400)),
    ("8.3.1 a port that is none", head(authority="origin.test:8o"), (RST, 400)),
    ("8.3.1 a line break in the authority", head(authority="a\r\nb"), (RST, 400)),
    ("8.3.1 Host is another", head("GET", "/", "host: evil.test"), 400),
    ("8.3.1 Host has a port more", head("GET", "/", "host: origin.test:80"), 400),
    ("8.3.1 Host twice", head("GET", "/", "host: origin.test", "host: origin.test"), (RST, 400)),
    ("8.3.1 Host twice, no :authority", HOSTLESS + [("host", "a"), ("host", "b")], (RST, 400)),
    ("8.3.1 Host that is no host", HOSTLESS + [("host", "a b")], (RST, 400)),
    ("8.5 CONNECT with a path", [(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")], RST),
    ("8.5 CONNECT with a scheme", [(":method", "CONNECT"), (":authority", "a:1"), (":scheme", "http")],
     RST),
    ("8.5 CONNECT to nobody", [(":method", "CONNECT")], (RST, 400)),
    # 8.2 fields
    ("8.2.1 upper case", GET + [("X-A", "b")], RST),
    ("8.2.1 one capital", GET + [("hosT", "origin.test")], RST),
    ("8.2.1 an empty name", GET + [("", "b")], RST),
    ("8.2.1 a blank in a name", GET + [("a b", "c")], RST),
    ("8.2.1 a blank behind a name", GET + [("content-length ", "5")], RST),
    ("8.2.1 a colon in a name", GET + [("a:b", "c")], RST),
    ("8.2.1 a line break in a name", GET + [("a\r\nb", "c")], RST),
    ("8.2.1 NUL in a name", GET + [("a\0", "c")], RST),
    ("8.2.1 a byte above 127 in a name", GET + [("a\xe4", "c")], RST),
    ("8.2.1 CR in a value", GET + [("a", "b\rc")], RST),
    ("8.2.1 LF in a value", GET + [("a", "b\nc: d")], RST),
    ("8.2.1 CRLF in a value", GET + [("a", "b\r\ntransfer-encoding: chunked")], RST),
    ("8.2.1 NUL in a value", GET + [("a", "b\0c")], RST),
    ("8.2.1 a value of LF", GET + [("a", "\n")], RST),
    ("8.2.1 a control byte in a value", GET + [("a", "b\x01c")], (RST, 400)),
    ("8.2.1 DEL in a value", GET + [("a", "b\x7fc")], (RST, 400)),
    ("8.2.1 a blank in front of a value", GET + [("a", " b")], (RST, 400)),
    ("8.2.1 a blank behind a value", GET + [("a", "b ")], (RST, 400)),
    ("8.2.1 a tab in front of a value", GET + [("a", "\tb")], (RST, 400)),
    ("8.2.1 a tab behind a value", GET + [("a", "b\t")], (RST, 400)),
    ("8.2.1 a value of blanks", GET + [("a", "  ")], (RST, 400)),
    ("8.2.2 connection", GET + [("connection", "close")], RST),
    ("8.2.2 connection that names one", GET + [("connection", "x-secret"), ("x-secret", "1")], RST),
    ("8.2.2 keep-alive", GET + [("keep-alive", "1")], RST),
    ("8.2.2 proxy-connection", GET + [("proxy-connection", "close")], RST),
    ("8.2.2 transfer-encoding", POST + [("transfer-encoding", "chunked")], RST),
    ("8.2.2 upgrade", GET + [("upgrade", "h2c")], RST),
    ("8.2.2 te of something else", GET + [("te", "gzip")], RST),
    ("8.2.2 te of trailers and more", GET + [("te", "trailers, deflate")], RST),
    # 8.1.1 lengths; with END_STREAM in the head
    ("8.1.1 a length and no body", POST + [("content-length", "5")], RST),
    ("8.1.1 a length that is none", POST + [("content-length", "5a")], (RST, 400)),
    ("8.1.1 a signed length", POST + [("content-length", "+0")], (RST, 400)),
    ("8.1.1 an empty length", POST + [("content-length", "")], (RST, 400)),
    ("8.1.1 a list of lengths", POST + [("content-length", "0, 0")], (RST, 400)),
    ("8.1.1 two lengths", POST + [("content-length", "0"), ("content-length", "0")], (RST, 400)),
    ("8.1.1 two lengths that differ", POST + [("content-length", "0"), ("content-length", "1")],
     (RST, 400)),
    ("8.1.1 a length above 64 bits", POST + [("content-length", "18446744073709551616")], (RST, 400)),
    ("8.1 more than 100 fields", GET + [("a", str(i)) for i in range(101)], 431),
    ("8.1 a field too long", GET + [("a", "x" * 16384)], 431),
    ("8.1 a head too long", GET + [(f"a{i}", "x" * 8000) for i in range(5)], 431),
    ("8.2.3 crumbs too long together", GET + [("cookie", f"c{i}=" + "x" * 4000) for i in range(5)], 431),
    ("8.3 an expectation that nobody meets", POST + [("expect", "a-miracle")], 417),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A proxy of one worker: what a request causes upstream has happened before the next."""
    origin = Origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    proxy = Proxy(tmp_path_factory.mktemp("h2"), "--h2c", "--workers", 1, origin.name)
    yield proxy, origin
    try:
        proxy.close_clients()
        origin.stop()
    finally:
        proxy.finish()


def sent_blocks(fields):
    """HEADERS, and as much CONTINUATION as it takes."""
    whole = block(fields)
    cuts = [whole[i:i + 16384] for i in range(0, len(whole), 16384)] or [b""]
    out = b""
    for i, piece in enumerate(cuts):
        flags = END_HEADERS if i == len(cuts) - 1 else 0
        out += frame(CONTINUATION, flags, 1, piece) if i else headers(1, piece, flags=flags)
    return out


def is_own(st):
    """As HTTP/1's own answers are."""
    as_h1 = Message(("HTTP/1.1", str(st.status), ""), st.fields, b"")
    as_h1.body, as_h1.framing = st.body, "length"
    own_answer(as_h1, st.status)


@pytest.mark.quick
@pytest.mark.parametrize("fields, want", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_refused(served, fields, want):
    proxy, origin = served
    before, raw = len(origin.requests), sum(len(x.raw) for x in origin.conns)
    c = h2(proxy)
    st = c.stream(1, dict(fields).get(":method"))
    c.send(sent_blocks(fields))
    c.receive(st)
    got = ("rst", st.reset) if st.reset is not None and st.status is None else st.status
    allowed = want if isinstance(want, tuple) and want != RST else (want,)
    assert got in allowed, f"{got}: {st}"
    if isinstance(got, int):
        is_own(st)
    assert c.get(FENCE).status == 200, "the connection goes on"
    assert [r.target for r in origin.requests[before:]] == [FENCE], origin.seen()
    assert sum(len(x.raw) for x in origin.conns) - raw == len(origin.requests[-1].raw_head)


# what the origin sees of a good one: fields, and fields of HTTP/1 that must (not) be there
GOOD = [
    ("Host of :authority", head(), {"host": "origin.test"}),
    ("Host and :authority agree", head("GET", "/", "host: Origin.test"), {"host": "Origin.test"}),
    ("only Host", HOSTLESS + [("host", "a.test:81")], {"host": "a.test:81"}),
    ("https", head(scheme="https"), {}),
    ("te: trailers is for one hop", head("GET", "/", "te: trailers"), {"te": None}),
    ("crumbs are joined", head("GET", "/", "cookie: a=1", "x: y", "cookie: b=2", "cookie: c=3"),
     {"cookie": "a=1; b=2; c=3", "x": "y"}),
    ("one cookie", head("GET", "/", "cookie: a=1; b=2"), {"cookie": "a=1; b=2"}),
    ("an empty value", head() + [("a", "")], {"a": ""}),
    ("blanks and tabs within", head() + [("a", "b \t c")], {"a": "b \t c"}),
    ("bytes above 127 in a value", head() + [("a", "\xe4\xff")], {"a": "\xe4\xff"}),
    ("priority goes on", head("GET", "/", "priority: u=1"), {"priority": "u=1"}),
    ("a body of 0", head("POST") + [("content-length", "0")], {"content-length": "0"}),
    ("a POST without body", head("POST"), {"content-length": "0"}),
    ("a DELETE without body", head("DELETE"), {"content-length": None, "transfer-encoding": None}),
    ("100 fields", head() + [(f"a{i}", "x") for i in range(99)], {"a98": "x"}),
    ("OPTIONS *", head("OPTIONS", "*"), {}),
    ("an unknown method", head("BREW", "/pot?a=/b"), {}),
]


@pytest.mark.parametrize("fields, want", [c[1:] for c in GOOD], ids=[c[0] for c in GOOD])
def test_good(served, fields, want):
    proxy, origin = served
    c = h2(proxy)
    st = c.stream(1)
    c.send(headers(1, fields))
    assert c.receive(st).status == 200
    req = origin.requests[-1]
    assert req.method == fields[0][1] and req.target == dict(fields)[":path"]
    for name, value in want.items():
        assert req.get(name) == value, req
    assert not req.all("connection"), req


LENGTHS = [
    ("less than said", "5", [b"abc"], True),
    ("more than said", "5", [b"abcdef"], True),
    ("more than said, in two", "5", [b"abc", b"def"], False),
    ("nothing at all", "5", [b""], True),
    ("something, and none was said", "0", [b"x"], True),
]


@pytest.mark.parametrize("stated, pieces, end", [c[1:] for c in LENGTHS], ids=[c[0] for c in LENGTHS])
def test_lengths(weir, origin, stated, pieces, end):
    """8.1.1: seen only when the body comes, so a head may have gone upstream: but there the request
    is seen to be cut off, and its bytes are never more than it said."""
    origin = origin()
    c = h2(weir("--h2c", "--workers", 1, origin))
    st = c.stream(1, "POST")
    c.send(headers(1, POST + [("content-length", stated)], end=False)
           + b"".join(data(1, p, end and p is pieces[-1]) for p in pieces))
    assert c.receive(st).reset == PROTOCOL_ERROR
    assert c.get("/after").status == 200

    def over(x):
        return (x.incomplete or stated == "0" or x.ended
                or x.requests and x.requests[-1].method == "GET")
    origin.wait(lambda: all(map(over, origin.conns)), "the bad one cut off")


TRAILERS = [
    ("8.1 a pseudo-field", [(":path", "/")]),
    ("8.1 :status", [(":status", "200")]),
    ("8.2.1 upper case", [("X-T", "v")]),
    ("8.2.1 a line break", [("x-t", "v\r\nw: x")]),
    ("8.2.2 connection", [("connection", "close")]),
    ("8.2.2 transfer-encoding", [("transfer-encoding", "chunked")]),
]


@pytest.mark.parametrize("fields", [c[1] for c in TRAILERS], ids=[c[0] for c in TRAILERS])
def test_bad_trailers(weir, origin, fields):
    """Whoever had the request begun sees it cut off."""
    origin = origin()
    c = h2(weir("--h2c", "--workers", 1, origin))
    st = c.stream(1, "POST")
    c.send(headers(1, POST, end=False) + data(1, b"abc") + headers(1, fields))
    assert c.receive(st).reset == PROTOCOL_ERROR
    assert c.get("/after").status == 200
    assert [r.target for x in origin.conns for r in x.requests if r.trailers] == []
    assert b"0\r\n\r\n" not in b"".join(x.raw for x in origin.conns)


def test_trailers_without_the_end(weir, origin):
    """8.1: a second field block that does not end the stream."""
    c = h2(weir("--h2c", origin()))
    st = c.stream(1, "POST")
    c.send(headers(1, POST, end=False) + headers(1, [("a", "b")], end=False))
    assert c.receive(st).reset == PROTOCOL_ERROR
