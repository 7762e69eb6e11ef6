"""Request heads that must be refused: the status, the end of the connection, nothing upstream.

Each is sent whole with another request behind it, byte by byte, and in random pieces. The rows are
those of RFC 9112 and 9110, and what request smuggling has used against other proxies.
"""

import pytest

from weirtest import nothing_upstream, refused, request, why

HOST = "Host: h\r\n"

# Tables: a name, and the head or its fields in latin-1.

START_LINES = [
    ("LF-only lines", "GET / HTTP/1.1\nHost: h\n\n"),
    ("LF after the start line", "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    ("LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    ("CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"),
    ("two blanks after the method", "GET  / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("two blanks after the target", "GET /  HTTP/1.1\r\n" + HOST + "\r\n"),
    ("tabs between the parts", "GET\t/\tHTTP/1.1\r\n" + HOST + "\r\n"),
    ("blank before the method", " GET / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("blank after the version", "GET / HTTP/1.1 \r\n" + HOST + "\r\n"),
    ("tab after the version", "GET / HTTP/1.1\t\r\n" + HOST + "\r\n"),
    ("no version", "GET /\r\n" + HOST + "\r\n"),
    ("empty version", "GET / \r\n" + HOST + "\r\n"),
    ("method alone", "GET\r\n" + HOST + "\r\n"),
    ("no method", "/ HTTP/1.1\r\n" + HOST + "\r\n"),
    ("empty method", " / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("something after the version", "GET / HTTP/1.1 x\r\n" + HOST + "\r\n"),
    ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("LF before", "\nGET / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("CR before", "\rGET / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "a" * 32 + "\r\n\r\n"),
    ("NUL first", "\0GET / HTTP/1.1\r\n" + HOST + "\r\n"),
    *((f"method {m!r}", f"{m} / HTTP/1.1\r\n{HOST}\r\n")
      for m in ("G@T", "GE,T", "GET:", 'G"T', "G\x80T", "G\0T", "G\x7fT", "(GET)", "GET/", "G=T")),
    *((f"version {v!r}", f"GET / {v}\r\n{HOST}\r\n")
      for v in ("HTTP/1.1x", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "http/1.1",
                "HTTP/1,1", "HTTP/1.1.1", "XTTP/1.1", "HTTPS/1.1", "HTTP/2", "HTTP/1.a", "HTTP//1.1",
                "HTTP/-1.1", "HTTP/1.1\0", "\x80HTTP/1.1", "HTTP/1.\xb9")),
]

VERSIONS = [(v, f"GET / {v}\r\n{HOST}\r\n") for v in ("HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9")]

TARGETS = [(t, f"GET {t} HTTP/1.1\r\n{HOST}\r\n") for t in (
    "*", "a", "a/b", "?x", "#", "/a#b", "/#", "/<a>", '/"', "/\\", "/^", "/`", "/{a}", "/?a\\b", "/\x7f",
    "/\x80", "/\xc3\xa9", "/%", "/%4", "/%zz", "/%4g", "/a?%", "/a?%x0", "h:80", "h", "http:", "http:/",
    "http://", "http:///p", "http:host", "http:/\\h", "http://a\\b/", "ht_tp://h/", "ftp://h/",
    "http://u@h/", "http://u:p@h/", "http://@h/", "http://h:x/", "http://h:99999/", "http://h:-1/",
    "http://h:1:2/", "http://[::1/", "http://::1/", "http://[x]/", "http://[]/", "http://h#f",
    "http://:80/", "http://h/a#b", "http://a<b/", "://h/", "javascript:1")]

FIELDS = [
    ("blank before the colon", "X : a\r\n"),
    ("tab before the colon", "X\t: a\r\n"),
    ("no name", ": a\r\n"),
    ("blank as name", " : a\r\n"),
    ("no colon", "X a\r\n"),
    ("only a token", "X\r\n"),
    ("folded with a blank", "X: a\r\n b\r\n"),
    ("folded with a tab", "X: a\r\n\tb\r\n"),
    ("folded, empty", "X: a\r\n \r\n"),
    ("folded Content-Length", "Content-Length:\r\n 0\r\n"),
    ("folded Transfer-Encoding", "Transfer-Encoding:\r\n chunked\r\n"),
    ("LF within", "X: a\nY: b\r\n"),
    ("LF ends the line", "X: a\n"),
    ("CR within", "X: a\rb\r\n"),
    ("CR before a name", "X: a\r\n\rContent-Length: 5\r\n"),
    ("CR CR LF", "X: a\r\r\n"),
    *((f"control {c:#x} in a value", f"X: a{chr(c)}b\r\n") for c in (0, 1, 8, 11, 12, 27, 31, 127)),
    *((f"{n!r} as name", f"{n}: a\r\n")
      for n in ("X@Y", "X Y", "X\x80", "(X)", "X\0", "X\x7f", "X[1]", "X/Y", "X=", '"X"', "X\\", "{X}")),
]

HOSTS = [
    ("missing", ""), ("twice the same", HOST * 2), ("two different", HOST + "Host: i\r\n"),
    ("twice, other case", HOST + "hOsT: h\r\n"),
    *((repr(v), f"Host: {v}\r\n")
      for v in ("a b", "a/b", "a@b", "a:b", "a:99999", "[::1", "::1", "a\\b", "a?b", "a#b", 'a"b', "a:80:80",
                "http://a", "a, b", "a<b", "[::1]x", "[x]", "[::1]:x", "a\x80", "a%zz", "a:-1", "a:+1", "a\tb")),
]

LENGTHS = [
    *((repr(v), f"Content-Length: {v}\r\n")
      for v in ("", "-1", "+5", "-0", "+0", "5, 5", "5,5", "5 5", "0, 0", "0,", ",0", "0x5", "5a", "a", "5.0",
                "5e0", "1_0", "5;", "'5'", '"5"', "9223372036854775808", "18446744073709551616",
                "18446744073709551621", "99999999999999999999999999", "\xb2", "5\xa0", "five")),
    ("twice the same", "Content-Length: 5\r\n" * 2),
    ("two different", "Content-Length: 5\r\nContent-Length: 6\r\n"),
    ("twice, other case", "Content-Length: 0\r\ncontent-length: 0\r\n"),
    ("with chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    ("behind chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    ("0 with chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    ("with an unknown coding", "Content-Length: 5\r\nTransfer-Encoding: x\r\n"),
    *((f"coding {v!r}", f"Transfer-Encoding: {v}\r\n")
      for v in ("chunked, chunked", "chunked,chunked", "", ",", "chunked;q=1", '"chunked"',
                "chun ked", "chunked x", "chunked\xa0")),
    ("chunked on two lines", "Transfer-Encoding: chunked\r\n" * 2),
]

# RFC 9112 6.1 asks for 501 where the coding is unknown; where chunked is not last, 6.3 asks for
# 400.
CODINGS = [(v, f"Transfer-Encoding: {v}\r\n") for v in (
    "gzip", "identity", "xchunked", "chunkedx", "x-chunked", "chunk", "gzip, chunked", "identity, chunked",
    "chunked, identity", "chunked, gzip", "chunked\r\nTransfer-Encoding: identity",
    "identity\r\nTransfer-Encoding: chunked", "gzip\r\nTransfer-Encoding: gzip, chunked")]

NOMINATIONS = [(v, f"Connection: {v}\r\n") for v in (
    "Host", "host", "close, Host", "X-Forwarded-For", "x-forwarded-FOR", "X-Forwarded-Proto",
    "X-Forwarded-Host", "Forwarded", "Content-Length", "Authorization", "Cookie", ":authority", "a b", '"a"',
    "a=b", "a;b", ", ".join(f"x{i}" for i in range(10)))]


def rows(table, prefix="", why="bad_head", status=400, wrap=None):
    return [pytest.param(why, status, wrap(head) if wrap else head, id=f"{prefix}{name}"[:60])
            for name, head in table]


def with_get(fields):
    return "GET / HTTP/1.1\r\n" + HOST + fields + "\r\n"


def with_post(fields):
    return "POST / HTTP/1.1\r\n" + HOST + fields + "\r\n"


CASES = (
    rows(START_LINES, "line: ")
    + rows([("four parts", "GET / x HTTP/1.1\r\n" + HOST + "\r\n")], "line: ", "bad_(head|target)")
    + rows(VERSIONS, "version ", "version", 505)
    + rows(TARGETS, "target ", "bad_(target|head)")
    + rows(FIELDS, "field: ", wrap=with_get)
    + rows(HOSTS, "host ", "bad_(host|head)", wrap=lambda f: "GET / HTTP/1.1\r\n" + f + "\r\n")
    + rows(LENGTHS, "length ", "bad_length", wrap=with_post)
    + rows(CODINGS, "coding ", "(bad_length|transfer_coding)", (400, 501), wrap=with_post)
    + rows(NOMINATIONS, "connection ", "bad_connection", wrap=with_get)
    + rows([
        ("first field begins with a blank", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        ("first field begins with a tab", "GET / HTTP/1.1\r\n\tX: y\r\nHost: h\r\n\r\n"),
    ])
    + rows([
        ("twice in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),
        ("missing in absolute-form", "GET http://h/ HTTP/1.1\r\n\r\n"),
        ("malformed in absolute-form", "GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ("twice in absolute-form", "GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    ], "host ", "bad_host")
    + rows([
        ("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("chunked, keep-alive in HTTP/1.0",
         "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("of GET, with chunked",
         "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ], "length ", "bad_length")
    + rows([("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")], "", "(version|bad_target)", (400, 505))
    + rows([
        ("authority-form", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),
    ], "connect ", "method", 405)
    + rows([
        ("origin-form", "CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("absolute-form", "CONNECT http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("asterisk-form", "CONNECT * HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("without a port", "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("empty host", "CONNECT :80 HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("userinfo", "CONNECT u@h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ], "connect ", "(bad_target|method)", (400, 405))
)


@pytest.mark.parametrize("reason, status, head", CASES)
def test_refused(weir, origin, reason, status, head):
    o = origin()
    p = weir("--workers", 1, o)
    raw = head.encode("latin-1")
    for split, behind in (("whole", request("GET", "/smuggled")), ("bytes", b""), (1, b""), (2, b"")):
        c = p.client()
        c.send(raw + behind, split)
        refused(c, status, "POST")
    nothing_upstream(p, o)
    why(p, reason)


REFUSED_HEAD = [
    ("bare LF", 400, b"HEAD / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"),
    ("NUL", 400, b"HEAD / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n"),
    ("bare CR, an empty line before", 400, b"\r\nHEAD / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"),
    ("blank before the colon", 400, b"HEAD / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n"),
    ("version", 505, b"HEAD / HTTP/3.0\r\nHost: h\r\n\r\n"),
    ("target", 414, b"HEAD /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("line without an end", 414, b"HEAD /" + b"a" * 40000),
    ("fields", 431, b"HEAD / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 200),
    ("field", 431, b"HEAD / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 40000),
    ("slow", 408, b"HEAD / HTTP/1.1\r\nHost: h\r\n"),
]


@pytest.mark.quick
@pytest.mark.parametrize("status, head", [pytest.param(s, h, id=n) for n, s, h in REFUSED_HEAD])
def test_refused_head(weir, origin, status, head):
    """RFC 9110 9.3.2: who sent HEAD takes what stands behind a head for the next one."""
    c = weir("--timeout-header", "200ms" if status == 408 else "10s", origin()).client()
    c.send(head)
    res = refused(c, status, "HEAD")
    assert int(res.get("Content-Length")) > 0


@pytest.mark.quick
@pytest.mark.parametrize("reason, status, head", CASES[::40])
def test_refused_second(weir, origin, reason, status, head):
    """The same behind a good request on one connection, which is answered first."""
    o = origin()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("GET", "/fence") + head.encode("latin-1"))
    assert c.receive().status == 200
    refused(c, status, "POST")
    assert [r.target for r in o.requests] == ["/fence"]
    assert len(o.conns) == 1 and o.conns[0].raw == o.requests[0].raw_head
