"""Rows of docs/conformance.md that no other file shows, for HTTP/1 and HTTP/2 on either side."""

import hashlib
import pathlib
import threading
import time

import pytest

from weirtest import Authority, binary, poll
from weirtest import h2 as wire
from weirtest.h2origin import Cut
from weirtest.pairs import VERSIONS, Down, ends

from test_pairs import hello, pair  # noqa: F401

PROGRAMS = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs"
MIB = 1 << 20


def options_of(versions):
    return ["--h2c", *(["--upstream-h2"] if versions[1] == "h2" else [])]


# Whom we speak to, and how.

@pytest.mark.parametrize("up", VERSIONS)
@pytest.mark.parametrize("down", VERSIONS)
def test_tls_on_both_sides(weir, origin, tmp_path, down, up):
    alpn = {"h1": "http/1.1", "h2": "h2"}
    authority = Authority(tmp_path)
    crt, key = authority.certificate("site", "localhost")
    o = origin(ends(hello)[up], tls=authority.server("up", "origin.test", alpn=[alpn[up]]))
    p = weir("--cert", crt, "--key", key, "--upstream-tls", "origin.test", "--ca", authority.ca,
             *options_of((down, up))[1:], o, listen=(), listen_tls=("127.0.0.1:0",))
    c = Down(p, down, tls=authority.client([alpn[down]]))
    for i in range(2):
        res = c.ask("POST", "/", body=b"small")
        assert (res.status, res.body, res.whole) == (200, b"hello", True)
        assert p.log(i + 1)[i]["version"] == {"h1": "HTTP/1.1", "h2": "HTTP/2.0"}[down]
    assert len(o.conns) == 1


@pytest.mark.parametrize("down", VERSIONS)
def test_what_a_phase_sees(weir, origin, tmp_path, down):
    """Addresses and version, of a client that speaks TLS."""
    authority = Authority(tmp_path)
    crt, key = authority.certificate("site", "localhost")
    p = weir("--listen", "127.0.0.1:0", "--cert", crt, "--key", key, origin(),
             program=PROGRAMS / "session")
    c = Down(p, down, tls=authority.client(["h2" if down == "h2" else "http/1.1"]))
    res = c.ask("GET", "/a")
    sock = c.conn.sock if down == "h2" else c.client.sock
    assert res.get("Client-Version") == {"h1": "HTTP/1.1", "h2": "HTTP/2.0"}[down]
    assert res.get("Server-Address") == "%s:%d" % p.addresses[0]
    assert res.get("Summary") == "GET origin.test/a from %s:%d" % sock.getsockname()


def test_unix_sockets(weir, origin, tmp_path):
    """On both sides, each version of a client to each of an origin."""
    for up in VERSIONS:
        o = origin(ends(hello)[up], address=str(tmp_path / f"{up}.sock"))
        p = weir(*options_of(("", up)), o, listen=[f"unix:{tmp_path}/{up}.weir"])
        for i in range(4):
            c = c if i % 2 else Down(p, VERSIONS[i // 2])
            assert c.ask("GET").body == b"hello"
            p.log(i + 1)
        assert len(o.conns) == 1


# A connection that the origin closes while it is used again.

@pytest.mark.parametrize("method, size, status", [
    ("GET", 0, 200), ("PUT", 0, 200), ("PUT", 1000, 200), ("PUT", 65536, 200), ("PUT", 65537, 502),
    # The origin may have done what it was asked for; the reference sends it again all the same.
    ("POST", 0, 502), ("POST", 1000, 502), ("POST", 65537, 502)])
def test_dropped_connection(pair, method, size, status):  # noqa: F811
    def answer(x):
        x.kept = bytes(x.read())
        if x.target == "/drop" and len(pair.seen) == 2:
            if x.version == "h2":
                x.st.peer.close()
            raise Cut("the connection")
        x.begin(200, length=0)
    c = pair(answer)
    assert c.ask("GET").status == 200
    pair.proxy.log()            # the connection is back
    body = bytes(i * 7 % 251 for i in range(size))
    assert c.ask(method, "/drop", body=body).status == status
    again = pair.seen[1:]
    assert len(again) == (2 if status == 200 else 1)
    assert {(x.method, x.kept) for x in again} == {(method, body)}
    assert len(pair.origin.conns) == len(again)


# 1xx.

def test_interim_then_the_end(pair):  # noqa: F811
    """What came before the origin died was no answer."""
    def answer(x):
        x.read()
        x.interim(103, "Link: </a>")
        x.cut()
    res = pair(answer).ask("GET")
    assert res.status == 502 and [s for s, _ in res.interim] == [103]


def test_continue_before_the_answer_to_head(pair):  # noqa: F811
    def answer(x):
        x.read()
        x.interim(100)
        x.begin(200, "Content-Length: 5", body=False)
    c = pair(answer)
    for _ in range(2):
        res = c.ask("HEAD")
        assert (res.status, res.body, res.get("Content-Length"), res.whole) == (200, b"", "5", True)


# Bodies.

def test_upload_of_15_mb(pair):  # noqa: F811
    def answer(x):
        sum_ = hashlib.sha256(x.read()).hexdigest().encode()
        x.begin(200, length=len(sum_))
        x.piece(sum_)
    body = bytes(range(251)) * (15 * MIB // 251)
    res = pair(answer).ask("POST", "/", body=body)
    assert res.body == hashlib.sha256(body).hexdigest().encode()


def test_duplex(pair):  # noqa: F811
    """The answer begins first, the upload ends first, and both connections go on."""
    def answer(x):
        x.begin(200)
        x.piece(b"hello")
        size = len(x.read())
        x.piece(b" %d" % size)
        x.finish()
    c = pair(lambda x: hello(x) if x.method == "GET" else answer(x))
    sent = c.request("POST", "/", length=MIB)
    assert sent.head().status == 200
    sent.piece(b"x" * MIB)
    if c.version == "h2":
        sent.finish()
        body = c.conn.receive(sent.stream).body
    else:
        body = c.client.reader.chunked()[0]
    assert body == b"hello %d" % MIB
    pair.proxy.log(1)
    assert c.ask("GET").whole and len(pair.origin.conns) == 1


@pytest.mark.alone
def test_slow_reader(pair):  # noqa: F811
    """--timeout-send is for who takes nothing: who takes little has all the time that --min-rate
    leaves him, however much the kernel holds for him."""
    size, begun = 16 * MIB, time.monotonic()

    def answer(x):
        x.read()
        x.begin(200, length=size)
        x.piece(b"x" * size)
    pair(answer, "--timeout-send", "1s", "--min-rate", "1KiB")
    c = Down(pair.proxy, pair.versions[0], rcvbuf=32 << 10, mss=1400)
    sent = c.request("GET")
    assert sent.head().status == 200
    got = 0
    while got < size:
        if time.monotonic() - begun < 3:    # three times as long as the deadline
            time.sleep(0.02)
        if c.version == "h2":
            c.conn.until(lambda: len(sent.stream.body) > got or sent.stream.over)
            assert len(sent.stream.body) > got
            got = len(sent.stream.body)
        else:
            got += len(c.client.reader.exactly(min(size - got, 8 << 10)))
    assert got == size


@pytest.mark.parametrize("pair", [(down, "h2") for down in VERSIONS], indirect=True,
                         ids="{0[0]}-{0[1]}".format)
@pytest.mark.parametrize("known", [True, False])
def test_stream_without_an_end(pair, known):  # noqa: F811
    """An origin that forgets END_STREAM: its stream is reset in time, and nobody takes what came
    without a length for all of it. (The reference gives the connection up; the others on it are
    none the worse here.)"""
    codes = []

    def answer(x):
        x.read()
        if x.target == "/good":
            return hello(x)
        x.begin(200, length=6 if known else None)
        x.st.data(b"world")
        codes.append(x.st.wait_reset())
        return None
    c = pair(answer, "--timeout-upstream", "500ms")
    res = c.ask("GET", "/bad")
    assert res.status == 200 and res.body == b"world" and not res.whole
    res = pair.down().ask("GET", "/good")
    assert (res.status, res.body) == (200, b"hello")
    poll(lambda: codes == [wire.CANCEL], lambda: f"not reset, or otherwise: {codes}")


# Filters that fail.

@pytest.fixture
def filters(weir, pair):  # noqa: F811
    """filters(handler) is a client of programs/phases.c."""
    def start(origin, handler):
        p = weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log",
                 *options_of(pair.versions), origin(ends(handler)[pair.versions[1]]),
                 program=PROGRAMS / "phases")
        return Down(p, pair.versions[0])
    return start


@pytest.mark.parametrize("phase", ["request_filter", "upstream_request_filter", "response_filter"])
def test_error_before_the_head(filters, origin, phase):
    c = filters(origin, hello)
    res = c.ask("GET", "/", f"Do: {phase}=fail")
    assert res.status == 418 and res.whole
    assert c.ask("GET").body == b"hello"


def test_error_after_the_head(filters, origin):
    """The stream is reset, its connection goes on; in HTTP/1 the connection ends amid the body."""
    go = threading.Event()

    def answer(x):
        x.read()
        x.begin(200)
        x.piece(b"hello")
        assert go.wait(10)
        x.piece(b" world")
        x.finish()
    c = filters(origin, lambda x: hello(x) if x.target == "/good" else answer(x))
    sent = c.request("GET", "/", "Do: response_body_filter=failend")
    assert sent.head().status == 200
    go.set()
    if c.version == "h1":
        assert not c.client.reader.rest()[0].endswith(b"0\r\n\r\n")
    else:
        res = sent.answer()
        assert not res.whole and sent.stream.reset not in (None, wire.NO_ERROR)
        assert c.ask("GET", "/good").body == b"hello"
