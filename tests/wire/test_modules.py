"""Modules: programs/modules.c with its own, and with those that the library brings: access, basic
authentication, compression (RFC 9110 12.5.3); the filter of connections."""

import base64
import gzip
import pathlib
import re
import socket
import subprocess
import zlib

import pytest

from weirtest import binary, chunks, own_answer, request, serve, why
from weirtest.h2 import h2

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/modules"
PAGE = b"<p>hello, this is a page that says the same again and again</p>\n" * 400
WORDS = ["early_request_filter", "request_filter", "connected_to_upstream",
         "upstream_request_filter", "upstream_response_filter", "response_filter"]


@pytest.fixture
def modules(weir):
    """modules(upstream, options...)"""
    def start(up, *args):
        return weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log", *args,
                    up, program=PROGRAM)
    return start


def basic(text="ann:secret"):
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


def get(*fields, target="/"):
    return request("GET", target, *fields)


# Order and state.

def test_order(modules, origin):
    """From the client to the upstream and back, as in an onion."""
    o = origin()
    p = modules(o)
    res = p.ask(get(basic()))
    assert o.one().all("Seen-By") == ["first", "second", "proxy"]
    assert res.all("Seen-By") == ["second", "first", "proxy", "second", "first"]
    assert res.body == b"ok[second][first]" and res.framing == "length"
    for name in ("first", "second"):
        p.wait_text(f"^{name}: {' '.join(WORDS)}: none$")


def test_request_body(modules, origin):
    o = origin()
    assert modules(o).ask(request("POST", "/", basic(), body=b"hello")).status == 200
    assert o.one().body == b"hello[first][second]"


def test_a_module_answers(modules, origin):
    o = origin()
    p = modules(o)
    res = p.ask(get(basic(), "Refuse: 1"))
    assert (res.status, res.body) == (409, b"a module") and not o.requests
    p.wait_text("^first: early_request_filter request_filter: none$")
    p.wait_text("^second: early_request_filter: none$")


def test_off(modules, origin):
    """By itself, or by the proxy's own phases."""
    o = origin()
    p = modules(o)
    assert p.ask(get(basic(), "Off: 1")).body == b"ok"
    assert p.ask(get(basic(), "Use: not first")).all("Seen-By") == ["second", "proxy", "second"]


def test_for_one_request(modules, origin):
    o = origin()
    p = modules(o)
    c = p.client()
    assert c.ask(get(basic(), "Use: third")).body == b"ok[third][second][first]"
    assert c.ask(get(basic())).body == b"ok[second][first]"
    p.wait_text(f"^third: {' '.join(WORDS[1:])}: none$")


def trailing(*fields):
    head = "\r\n".join(["POST / HTTP/1.1", "Host: a", basic(), "TE: trailers", *fields,
                        "Transfer-Encoding: chunked", "", ""])
    return head.encode() + chunks(b"hello", trailers="X-Sum: 1\r\n")


TRAILED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           + chunks(b"done", trailers="X-Sum: 2\r\n"))


def test_trailers(modules, origin):
    """Upwards from the client, downwards from the upstream, each behind the body."""
    o = origin(serve(TRAILED))
    res = modules(o).ask(trailing())
    assert o.one().body == b"hello[first][second]"
    assert o.one().trailers == [("X-Sum", "1"), ("Seen-By", "first"), ("Seen-By", "second")]
    assert res.body == b"done[second][first]"
    assert res.trailers == [("X-Sum", "2"), ("Seen-By", "second"), ("Seen-By", "first")]


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host", "Set-Cookie"])
def test_trailers_that_would_lie(modules, origin, name):
    """What must not stand there (RFC 9110 6.5.1) does not go out."""
    o = origin(serve(TRAILED))
    res = modules(o).ask(trailing(f"Trail: {name}"))
    assert {n for n, _ in o.one().trailers} == {n for n, _ in res.trailers} == {"X-Sum", "Seen-By"}


def test_trailers_that_a_module_lets_pass(modules, origin):
    o = origin(serve(TRAILED))
    res = modules(o).ask(trailing("Pass: 1"))
    assert (o.one().body, o.one().trailers) == (b"hello", [("X-Sum", "1")])
    assert (res.body, res.trailers) == (b"done", [("X-Sum", "2")])


def test_a_trailer_filter_fails(modules, origin):
    """Behind a request: an error page, and the upstream does not get a whole one."""
    o = origin()
    own_answer(modules(o).ask(trailing("Trail: fail")), 500)
    assert not o.requests


def test_no_trailers_no_filter(modules, origin):
    o = origin()
    res = modules(o).ask(request("POST", "/", basic(), "Trail: fail", body=b"hello"))
    assert res.status == 200 and o.one().trailers == []


@pytest.mark.parametrize("who, trace", [("first", WORDS[:3]), ("second", WORDS[:3])])
def test_a_module_refuses_a_connection(modules, origin, who, trace):
    """Nothing was sent on it: it is kept."""
    o = origin()
    p = modules(o)
    own_answer(p.ask(get(basic(), f"Lost: {who}")), 503)
    p.wait_text(f"^first: {' '.join(trace)} fail_to_proxy: filter$")
    assert p.ask(get(basic())).status == 200
    assert len(o.conns) == 1


@pytest.mark.parametrize("page, status, first, second", [
    ("none", 502, "fail_to_proxy", "fail_to_proxy"),
    ("first", 599, "fail_to_proxy", "fail_to_proxy"),
    ("second", 599, "fail_to_proxy(answered)", "fail_to_proxy")])
def test_fail_to_proxy(modules, page, status, first, second):
    """All are told; one may answer, and it stays with that."""
    p = modules("127.0.0.1:1")
    res = p.ask(get(basic(), f"Page: {page}"))
    assert res.status == status and (res.body == page.encode()) == (status == 599)
    for name, last in (("first", first), ("second", second)):
        p.wait_text(f"^{name}: {' '.join(WORDS[:2])} {re.escape(last)}: connect_refused$")


def test_fail_to_proxy_without_a_request(modules, origin):
    p = modules(origin())
    own_answer(p.ask(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400)
    for name in ("first", "second"):
        p.wait_text(f"^{name}: fail_to_proxy: bad_head$")


@pytest.mark.parametrize("bad, words", [("level", "out of its range"), ("name", "a name is missing"),
                                        ("net", "modules: ")])
def test_bad_configuration(tmp_path, bad, words):
    r = subprocess.run([PROGRAM, "--listen", "127.0.0.1:0", "--bad", bad, "127.0.0.1:1"],
                       capture_output=True, text=True, cwd=tmp_path, timeout=10, check=False)
    assert r.returncode == 1 and words in r.stderr and "listening" not in r.stderr


# Access.

def test_access(modules, origin):
    p = modules(origin())
    assert p.client(source="127.0.0.1").ask(get(basic())).status == 200
    assert p.client(source="127.0.0.2").ask(get(basic())).status == 403


def test_connection_filter(modules, origin):
    """Before a byte is read: no answer, no line in the log, and others are served."""
    p = modules(origin(), "--refuse", "127.0.0.2")
    sock = socket.create_connection(p.addresses[0], source_address=("127.0.0.2", 0))
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass
    sock.close()
    assert p.client(source="127.0.0.3").ask(get(basic())).status == 200
    assert len(p.log()) == 1


# Basic authentication.

@pytest.mark.parametrize("fields, status", [
    ([], 401), ([basic()], 200), ([basic("bob:a:b")], 200), ([basic("ann:")], 401),
    ([basic("ann:secre")], 401), ([basic("ann:secretsecret")], 401), ([basic("bob:secret")], 401),
    ([basic(":")], 401), ([basic("ann")], 401), (["Authorization: Basic"], 401),
    (["Authorization: Basic !!"], 401), (["Authorization: Basic YW5uOnNlY3JldA"], 200),
    (["Authorization: basic  YW5uOnNlY3JldA=="], 200), (["Authorization: Bearer x"], 401),
    ([basic(), basic()], 401)])
def test_basic_auth(modules, origin, fields, status):
    o = origin()
    res = modules(o).ask(get(*fields))
    assert res.status == status
    if status == 401:
        assert res.get("WWW-Authenticate") == 'Basic realm="here", charset="UTF-8"'
        assert not o.requests
    else:
        assert o.one().get("Authorization") is None and o.one().get("User") in ("ann", "bob")


# Compression.

def page(body=PAGE, *fields, kind="text/html; charset=utf-8", status="200 OK", chunked=False):
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    kind = [f"Content-Type: {kind}"] if kind else []
    head = "\r\n".join([f"HTTP/1.1 {status}", *kind, *fields, length, "", ""]).encode()
    half = len(body) // 2
    return head + (chunks(body[:half], body[half:]) if chunked else body)


DECODE_BR = """
import ctypes, sys
lib = ctypes.CDLL("libbrotlidec.so.1")
data = sys.stdin.buffer.read()
out = ctypes.create_string_buffer(1 << 20)
size = ctypes.c_size_t(len(out))
assert lib.BrotliDecoderDecompress(ctypes.c_size_t(len(data)), data, ctypes.byref(size), out) == 1
sys.stdout.buffer.write(out.raw[:size.value])
"""

DECODE_ZSTD = """
import ctypes, sys
lib = ctypes.CDLL("libzstd.so.1")
lib.ZSTD_createDStream.restype = ctypes.c_void_p
lib.ZSTD_decompressStream.restype = ctypes.c_size_t
class Buf(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]
data = ctypes.create_string_buffer(sys.stdin.buffer.read())
out = ctypes.create_string_buffer(1 << 20)
a, b = Buf(ctypes.addressof(data), len(data) - 1, 0), Buf(ctypes.addressof(out), len(out), 0)
left = lib.ZSTD_decompressStream(ctypes.c_void_p(lib.ZSTD_createDStream()), ctypes.byref(b),
                                 ctypes.byref(a))
assert left == 0, left
sys.stdout.buffer.write(out.raw[:b.pos])
"""


def decode(res, field="Content-Encoding"):
    """What the body says, by the libraries themselves."""
    coding = res.get(field)
    if coding is None:
        return res.body
    if coding == "gzip":
        return gzip.decompress(res.body)
    program = {"br": DECODE_BR, "zstd": DECODE_ZSTD}[coding]
    return subprocess.run(["/usr/bin/python3", "-c", program], input=res.body, capture_output=True,
                          check=True).stdout


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, br, zstd", "zstd"),
    ("gzip, br", "br"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("*", "zstd"),
    ("gzip;q=1, br;q=0.5", "gzip"), ("gzip;q=0.1, *;q=0", "gzip"), ("zstd;q=0, *", "br"),
    ("gzip;q=0", None), ("identity", None), ("deflate", None), ("", None), ("*;q=0", None),
    ("gzip;q=0.5, identity;q=1", None), ("gzip;q=0.5, identity;q=0.5", "gzip"),
    ("identity;q=0, gzip", "gzip"), ("br;q=0.001", "br"), ("br; q=0.0", None),
    ("gzip;q=nonsense", None), ("gzip ; q=1.000", "gzip"), ("\"gzip\"", None)])
def test_negotiation(modules, origin, accept, coding, chunked):
    o = origin(serve(page(PAGE, 'ETag: "a"', "Accept-Ranges: bytes", chunked=chunked)))
    res = modules(o, "--pages").ask(get(f"Accept-Encoding: {accept}"))
    assert res.get("Content-Encoding") == coding and res.get("Vary") == "Accept-Encoding"
    assert decode(res) == PAGE
    if coding:
        assert len(res.body) < len(PAGE) / 10
        assert res.get("ETag") == 'W/"a"' and res.get("Accept-Ranges") is None
    else:
        assert res.get("ETag") == '"a"' and res.get("Accept-Ranges") == "bytes"


def test_without_accept_encoding(modules, origin):
    res = modules(origin(serve(page())), "--pages").ask(get())
    assert (res.get("Content-Encoding"), res.get("Vary"), res.body) == (None, "Accept-Encoding", PAGE)


@pytest.mark.parametrize("answer", [
    page(PAGE, "Cache-Control: public, no-transform"), page(PAGE, "Content-Encoding: deflate"),
    page(PAGE, kind="image/png"), page(PAGE, kind="application/zip"), page(PAGE, kind=None),
    page(PAGE, kind="text/"), page(PAGE[:255]),
    page(PAGE, "Content-Range: bytes 0-9/10", status="206 Partial Content")])
def test_left_alone(modules, origin, answer):
    res = modules(origin(serve(answer)), "--pages").ask(get("Accept-Encoding: gzip, br, zstd"))
    assert res.framing == "length" and res.body in (PAGE, PAGE[:255]) and res.get("Vary") is None


@pytest.mark.parametrize("vary, want", [("Origin", "Origin, Accept-Encoding"), ("*", "*"),
                                        ("accept-encoding, x", "accept-encoding, x")])
def test_vary(modules, origin, vary, want):
    res = modules(origin(serve(page(PAGE, f"Vary: {vary}"))), "--pages").ask(
        get("Accept-Encoding: gzip"))
    assert res.get("Vary") == want and decode(res) == PAGE


def test_head(modules, origin):
    """The same fields as for GET, but for the length that nobody knows."""
    head = page().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    res = modules(origin(serve(head)), "--pages").ask(
        request("HEAD", "/", "Accept-Encoding: gzip"))
    assert res.get("Content-Encoding") == "gzip" and res.get("Content-Length") is None
    assert res.get("Vary") == "Accept-Encoding"


def test_range_passes(modules, origin):
    o = origin(serve(page(PAGE, "Content-Range: bytes 0-9/10", status="206 Partial Content")))
    res = modules(o, "--pages").ask(get("Accept-Encoding: gzip", "Range: bytes=0-9"))
    assert res.status == 206 and o.one().get("Range") == "bytes=0-9"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_behind_an_editor(modules, origin, coding):
    """What the proxy's own editor wrote is compressed, not the other way round."""
    res = modules(origin(serve(page())), "--pages").ask(get(f"Accept-Encoding: {coding}", "Sign: 1"))
    assert decode(res) == PAGE + b"<!-- signed -->"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_large_and_over_h2(modules, origin, coding):
    body = bytes((i * i * 7919 >> 5) & 0xff for i in range(300000))
    c = h2(modules(origin(serve(page(body))), "--pages"))
    st = c.get("/", ("accept-encoding", coding))
    c.receive(st)
    assert st.get("content-encoding") == coding
    assert decode(st, "content-encoding") == body
    c.close()


def test_what_has_come_is_not_kept_back(modules, origin):
    """A stream of events: each leaves when it came, compressed or not."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n" + b"9\r\ndata: 1\n\n\r\n")
        conn.wait(go)
        conn.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    o = origin(script)
    go = o.event()
    c = modules(o, "--pages").client()
    c.send(get("Accept-Encoding: gzip"))
    assert c.receive(body=False).get("Content-Encoding") == "gzip"
    z, text = zlib.decompressobj(31), b""
    while b"data: 1\n\n" not in text:
        size = int(c.reader.line(), 16)
        text += z.decompress(c.reader.exactly(size + 2)[:-2])
    go.set()
    text += z.decompress(c.reader.chunked()[0])
    assert text == b"data: 1\n\ndata: 2\n\n" and z.eof


@pytest.mark.parametrize("accept, packed", [("", False), ("br", False), ("gzip;q=0, *", False),
                                            ("gzip", True), ("*", True), (None, False)])
def test_decompression(modules, origin, accept, packed):
    o = origin(serve(page(gzip.compress(PAGE), "Content-Encoding: gzip", 'ETag: "a"')))
    fields = [f"Accept-Encoding: {accept}"] if accept is not None else []
    res = modules(o, "--pages").ask(get(*fields))
    assert res.get("Content-Encoding") == ("gzip" if packed else None)
    assert res.get("ETag") == ('"a"' if packed else 'W/"a"') and res.get("Vary") == "Accept-Encoding"
    assert decode(res) == PAGE


def test_decompression_of_members(modules, origin):
    packed = gzip.compress(PAGE) + gzip.compress(b"and more") + gzip.compress(b"")
    res = modules(origin(serve(page(packed, "Content-Encoding: gzip"))), "--pages").ask(get())
    assert res.body == PAGE + b"and more"


BROKEN = {
    "cut": gzip.compress(PAGE)[:-3],
    "hardly begun": gzip.compress(PAGE)[:12],
    "nonsense": b"\x1f\x8bnonsense, all of it",
    "more behind": gzip.compress(PAGE) + b"more",
}


@pytest.mark.parametrize("packed", BROKEN.values(), ids=BROKEN)
def test_broken_input_never_looks_complete(modules, origin, packed):
    p = modules(origin(serve(page(packed, "Content-Encoding: gzip"))), "--pages")
    c = p.client()
    c.send(get())
    try:
        assert c.receive().status == 502
    except Exception as end:            # the head had left: cut off
        assert type(end).__name__ == "Ended"
    why(p, "bad_response_body")


def test_bomb(modules, origin):
    """32 MiB of zeros in 32 KiB: they come through, and never at once into memory."""
    packed = gzip.compress(bytes(32 << 20))
    p = modules(origin(serve(page(packed, "Content-Encoding: gzip"))), "--pages")
    assert len(p.ask(get()).body) == 32 << 20


def test_per_request(modules, origin):
    p = modules(origin(serve(page())), "--plain")
    c = p.client()
    assert c.ask(get("Accept-Encoding: gzip")).get("Content-Encoding") is None
    assert c.ask(get("Accept-Encoding: gzip", "Use: compression")).get("Content-Encoding") == "gzip"
