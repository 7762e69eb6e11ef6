"""Bodies that are large enough to pass without being looked at: every byte arrives, in both
directions, and an end that is none never looks like one."""

import hashlib
import threading

import pytest

from weirtest import Ended, request

SIZES = [15 << 10, 16 << 10, 17 << 10, (32 << 10) - 1, 48 << 10, 64 << 10, (64 << 10) + 1, (1 << 20) + 17, 64 << 20]
H = b"HTTP/1.1 200 OK\r\n"


def body_of(size):
    block = bytes((i * 2654435761 >> 13) & 255 for i in range(4099))
    return (block * (size // len(block) + 1))[:size]


def length(body):
    return H + b"Content-Length: %d\r\n\r\n" % len(body)


def answer(conn, raw):
    if conn.request() is not None:
        conn.send(raw)


@pytest.mark.parametrize("size", SIZES)
def test_down(weir, origin, size):
    body = body_of(size)
    o = origin(lambda conn: [answer(conn, length(body) + body) for _ in range(2)])
    p = weir("--workers", 1, o)
    c = p.client()
    for _ in range(2):
        assert c.ask(request()).body == body
    assert len(o.conns) == 1 and len(o.requests) == 2, o.seen()
    c.close()


def test_a_head_alone_is_not_held_back(weir, origin):
    """What came of the body with the head leaves although nothing follows."""
    body = body_of(1 << 20)
    o = origin()
    go = o.event()

    def script(conn):
        answer(conn, length(body) + body[:100])
        conn.wait(go)
        conn.send(body[100:])

    o.scripts = (script,)
    c = weir("--workers", 1, o).client()
    c.send(request())
    got = b""
    while len(got.partition(b"\r\n\r\n")[2]) < 100:
        got += c.sock.recv(4096)
    go.set()
    while len(got.partition(b"\r\n\r\n")[2]) < len(body):
        got += c.sock.recv(1 << 20)
    assert got.partition(b"\r\n\r\n")[2] == body


def test_ended_by_closing(weir, origin):
    """To a client of HTTP/1.0, as both sides end it so."""
    body = body_of(3 << 20)
    o = origin(lambda conn: answer(conn, H + b"\r\n" + body))
    c = weir("--workers", 1, o).client()
    assert c.ask(request(version="HTTP/1.0")).body == body


@pytest.mark.parametrize("size", SIZES)
def test_up(weir, origin, size):
    body = body_of(size)
    o = origin(lambda conn: [answer(conn, H + b"Content-Length: 0\r\n\r\n") for _ in range(2)])
    p = weir("--workers", 1, o)
    c = p.client()
    for _ in range(2):
        assert c.ask(request("PUT", body=body)).status == 200
    seen = [hashlib.sha256(r.body).digest() for r in o.requests]
    assert seen == 2 * [hashlib.sha256(body).digest()]
    c.close()


def test_a_slow_reader_gets_all(weir, origin):
    body = body_of(8 << 20)
    o = origin(lambda conn: answer(conn, length(body) + body))
    c = weir("--workers", 1, o).client(rcvbuf=4096)
    assert c.ask(request()).body == body


def got_of_cut(c):
    """What comes of a body that must be seen to be cut off."""
    c.send(request())
    try:
        res = c.receive()
    except Ended as end:
        return bytes(getattr(end.partial, "body", b""))
    assert res.status == 502, "a cut-off body looks complete"
    return b""


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("sent", [1, 40 << 10, (1 << 20) - 1])
def test_cut_off_down(weir, origin, end, sent):
    body = body_of(1 << 20)

    def script(conn):
        answer(conn, length(body) + body[:sent])
        if end == "reset":
            conn.reset()

    p = weir("--workers", 1, origin(script))
    c = p.client()
    partial = got_of_cut(c)
    assert body.startswith(partial) and len(partial) <= sent


@pytest.mark.parametrize("end", ["finish", "reset"])
def test_cut_off_up(weir, origin, end):
    body = body_of(1 << 20)
    o = origin(lambda conn: conn.request())
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("PUT", body=body)[:-1000])
    o.wait(lambda: o.requests, "the head")
    getattr(c, end)()
    o.wait(lambda: o.conns and o.conns[0].incomplete is not None, "the upload is seen to be cut off")


def test_the_upstream_answers_early(weir, origin):
    """A large upload that it does not read to the end: the answer arrives, and the next request is
    served."""
    body = body_of(16 << 20)

    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    p = weir("--workers", 1, origin(script))
    c = p.client()
    sender = threading.Thread(target=c.send, args=(request("PUT", body=body),))
    sender.start()
    assert c.receive("PUT").status == 413
    sender.join()


def test_what_a_client_left_behind_reaches_nobody(weir, origin):
    """It resets amid a large body; the next one gets its own."""
    first, second = body_of(4 << 20), bytes(200 << 10)
    o = origin(lambda conn: answer(conn, length(first) + first),
               lambda conn: answer(conn, length(second) + second))
    p = weir("--workers", 1, o)
    c = p.client(rcvbuf=4096)
    c.send(request())
    assert c.sock.recv(100)
    c.reset()
    assert p.ask(request()).body == second
