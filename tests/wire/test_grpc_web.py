"""gRPC-Web to gRPC: binary and text, over HTTP/1 and HTTP/2, with the trailers in the body."""

import base64
import struct

import pytest

from test_grpc import NAME, rpc  # noqa: F401 (a fixture)
from weirtest import chunks, poll, request, why
from weirtest.h2origin import h2_serve
from weirtest.pairs import VERSIONS, Down

quick = pytest.mark.quick
BINARY, TEXT = "application/grpc-web", "application/grpc-web-text"
WEB = ("--grpc-web", "--h2c", "--upstream-h2")


def message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


def parse(body):
    """Messages, and the fields of the frame of trailers, which has to be the last."""
    messages, trailers = [], None
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        assert trailers is None and len(body) >= 5 + size
        data, body = body[5:5 + size], body[5 + size:]
        if flag == 0x80:
            lines = data.decode().split("\r\n")
            assert lines.pop() == ""
            trailers = dict(line.split(": ", 1) for line in lines)
        else:
            assert flag == 0
            messages.append(data)
    return messages, trailers


def plain(text):
    """The bytes behind base64 in pieces, each of them padded or not."""
    out, at = b"", 0
    while at < len(text):
        out += base64.b64decode(text[at:at + 4], validate=True)
        at += 4
    return out


def ask(proxy, version, body, kind=BINARY, *fields, path=f"/{NAME}/Unary"):
    down = Down(proxy, version)
    return down.ask("POST", path, f"Content-Type: {kind}", "X-Grpc-Web: 1", *fields, body=body)


# Against the real one.

@quick
@pytest.mark.parametrize("suffix", ["", "+proto"])
@pytest.mark.parametrize("version", VERSIONS)
def test_binary(rpc, version, suffix):  # noqa: F811
    call = rpc("--grpc-web")
    res = ask(call.proxy, version, message(b"hello"), BINARY + suffix)
    assert (res.status, res.whole) == (200, True)
    assert res.get("Content-Type").startswith(BINARY) and not res.trailers
    assert res.get("x-initial") == "1"
    messages, trailers = parse(res.body)
    assert messages == [b"hellohello"]
    assert trailers["grpc-status"] == "0" and trailers["x-trailing"] == "2"
    assert call.behind.seen["x-grpc-web"] == "1"


@pytest.mark.parametrize("version", VERSIONS)
def test_text(rpc, version):  # noqa: F811
    call = rpc("--grpc-web")
    res = ask(call.proxy, version, base64.b64encode(message(b"hello")), TEXT)
    assert res.get("Content-Type").startswith(TEXT) and res.whole
    assert parse(plain(res.body))[0] == [b"hellohello"]
    assert parse(plain(res.body))[1]["grpc-status"] == "0"


@pytest.mark.parametrize("kind, body", [(BINARY, message(b"100")),
                                        (TEXT, base64.b64encode(message(b"100")))])
def test_server_stream(rpc, kind, body):  # noqa: F811
    res = ask(rpc("--grpc-web").proxy, "h1", body, kind, path=f"/{NAME}/Down")
    messages, trailers = parse(plain(res.body) if kind == TEXT else res.body)
    assert messages == [b"%d" % i for i in range(100)] and trailers["grpc-status"] == "0"


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_sizes(rpc, kind, size):  # noqa: F811
    body = message(bytes(i % 251 for i in range(size)))
    sent = base64.b64encode(body) if kind == TEXT else body
    res = ask(rpc("--grpc-web").proxy, "h1", sent, kind, path=f"/{NAME}/Up")
    got = plain(res.body) if kind == TEXT else res.body
    assert parse(got)[0] == [body[5:]]


def test_status(rpc):  # noqa: F811
    """A status of its own, with words as gRPC sends them."""
    res = ask(rpc("--grpc-web").proxy, "h1", message(b"fail"))
    messages, trailers = parse(res.body)
    assert not messages and trailers["grpc-status"] == "5"
    assert trailers["grpc-message"].startswith("nothing of that name: %C3%A4 100%25")


def test_no_such_method(rpc):  # noqa: F811
    """Trailers only: they are in the head, and stay there."""
    res = ask(rpc("--grpc-web").proxy, "h1", message(b"x"), path="/no.Such/Method")
    assert (res.status, res.get("grpc-status"), res.body) == (200, "12", b"")
    assert res.get("Content-Type").startswith(BINARY)


def test_beside_grpc(rpc):  # noqa: F811
    """What is gRPC already passes as ever."""
    assert rpc("--grpc-web").Unary(b"x", timeout=10) == b"xx"


# Against one that is scripted.

@pytest.fixture
def scripted(weir, origin):
    """scripted(handler) -> the proxy; .seen has the requests."""
    def start(handler, *options):
        o = origin(h2_serve(handler))
        proxy = weir(*WEB, *options, o)
        proxy.origin = o
        return proxy
    return start


def answering(*messages, kind="application/grpc", trailers=("grpc-status: 0",)):
    def handler(st):
        st.read()
        st.head(200, f"content-type: {kind}")
        for one in messages:
            st.data(one)
        st.trail(*trailers)
    return handler


def test_request_as_grpc(scripted):
    p = scripted(answering(message(b"x")))
    assert ask(p, "h1", message(b"hello"), "application/grpc-web+json",
               "Accept: application/grpc-web+json").status == 200
    st = p.origin.requests[0]
    assert st.get("content-type") == "application/grpc+json" and st.get("te") == "trailers"
    assert bytes(st.body) == message(b"hello") and st.get("accept") is None


@pytest.mark.parametrize("kind, accept, text", [
    (BINARY, None, False), (TEXT, None, True), (TEXT, BINARY, False), (BINARY, TEXT, True),
    (TEXT, TEXT + "+proto", True), (TEXT, "*/*", True), (BINARY, f"text/html, {TEXT}", True)])
def test_form_of_the_answer(scripted, kind, accept, text):
    p = scripted(answering(message(b"x")))
    body = message(b"hello")
    res = ask(p, "h1", base64.b64encode(body) if kind == TEXT else body, kind,
              *([f"Accept: {accept}"] if accept else []))
    assert res.get("Content-Type") == (TEXT if text else BINARY)
    assert parse(plain(res.body) if text else res.body)[0] == [b"x"]
    assert bytes(p.origin.requests[0].body) == body


def test_base64_in_any_pieces(scripted):
    """Cut anywhere, and padded amid the body."""
    p = scripted(answering(message(b"x")))
    text = base64.b64encode(b"a") + base64.b64encode(b"bc") + base64.b64encode(b"def") + \
        base64.b64encode(message(b"hello" * 100))
    want = b"abcdef" + message(b"hello" * 100)
    for n in (1, 2, 3, 5, 7, 64):
        pieces = [text[i:i + n] for i in range(0, len(text), n)]
        res = p.ask(request("POST", "/", f"Content-Type: {TEXT}", "Transfer-Encoding: chunked")
                    + chunks(*pieces), "POST")
        assert res.status == 200
        assert bytes(p.origin.requests[-1].body) == want


@pytest.mark.parametrize("text", [b"a", b"ab", b"abc", b"abcde", b"ab=c", b"a===", b"====", b"ab*=",
                                  b"abcd\n", b"QQ==Q", b"QR==", b"QUJ=", b"ab-_"])
def test_no_base64(scripted, text):
    """400, and what came before never looks complete upstream."""
    p = scripted(answering(message(b"x")))
    assert ask(p, "h1", text, TEXT).status == 400
    why(p, "bad_body")
    poll(lambda: not any(st.ended for st in p.origin.requests), "no complete request")


@pytest.mark.parametrize("status, kind", [(404, "text/html"), (503, "text/plain"),
                                          (200, "application/json"), (200, "application/grpcx")])
def test_no_grpc_answer(scripted, status, kind):
    """It passes as it came, with its length and its trailers."""
    def handler(st):
        st.read()
        st.head(status, f"content-type: {kind}", "content-length: 5")
        st.data(b"hello")
        st.trail("x-trailing: 1")
    p = scripted(handler)
    res = ask(p, "h1", base64.b64encode(message(b"x")), TEXT)
    assert (res.status, res.body, res.get("Content-Type")) == (status, b"hello", kind)
    assert res.get("Content-Length") == "5"


def test_trailers_of_all_kinds(scripted):
    """Any number, empty ones, and none of them beside the body."""
    p = scripted(answering(message(b"x"), trailers=["grpc-status: 3", ("grpc-message", ""),
                                                    f"x-long: {'y' * 5000}"]))
    for version in VERSIONS:
        res = ask(p, version, message(b"hello"))
        assert not res.trailers and res.whole
        _, trailers = parse(res.body)
        assert trailers == {"grpc-status": "3", "grpc-message": "", "x-long": "y" * 5000}


def test_cut_off(scripted):
    """An answer that is cut off has no frame of trailers and does not look complete."""
    def handler(st):
        st.read()
        st.head(200, "content-type: application/grpc")
        st.data(message(b"x"))
        st.reset(2)
    for kind in (BINARY, TEXT):
        p = scripted(handler)
        body = message(b"hello")
        res = ask(p, "h1", base64.b64encode(body) if kind == TEXT else body, kind)
        assert res is None or not res.whole or res.status == 502


@pytest.mark.parametrize("method, kind", [("GET", BINARY), ("POST", "application/grpc-webx"),
                                          ("POST", "text/plain"), ("OPTIONS", BINARY)])
def test_not_for_us(scripted, method, kind):
    def handler(st):
        st.read()
        st.answer(200, b"", "content-type: application/grpc")
    p = scripted(handler)
    res = p.ask(request(method, "/", f"Content-Type: {kind}"))
    assert res.get("Content-Type") == "application/grpc"
    assert p.origin.requests[0].get("content-type") == kind


def test_not_unless_asked_for(weir, origin):
    def handler(st):
        st.read()
        st.answer(200, b"", "content-type: application/grpc")
    o = origin(h2_serve(handler))
    res = ask(weir("--h2c", "--upstream-h2", o), "h1", message(b"x"))
    assert res.get("Content-Type") == "application/grpc"
    assert o.requests[0].get("content-type") == BINARY


def test_upstream_of_http_1(weir, origin):
    """Trailers of a chunked body will do."""
    def script(conn):
        while conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n"
                      + chunks(message(b"x"), trailers="Grpc-Status: 0\r\n"))
    o = origin(script)
    res = ask(weir("--grpc-web", o), "h1", message(b"hello"))
    assert parse(res.body) == ([b"x"], {"grpc-status": "0"})
