"""HTTP/2 to upstreams: who shares a connection, when another is opened, and what becomes of
requests whose connection or stream ends, in whatever state."""

import socket
import threading
import time

import hpack
import pytest

from weirtest import OK, Authority, Client, chunks, own_answer, poll, request, serve, why
from weirtest import h2 as wire
from weirtest.h2 import h2
from weirtest.h2origin import h2_script, h2_serve

quick = pytest.mark.quick
H2 = "--upstream-h2"


def hello(st):
    st.read()
    st.answer(200, b"hello")


def get(proxy, target="/", *fields, method="GET", body=b""):
    """A request on a connection of its own."""
    return proxy.ask(request(method, target, *fields, body=body))


def at_once(proxy, n, target="/", method="GET"):
    """n requests on connections of their own, sent before any answer is read."""
    clients = [proxy.client() for _ in range(n)]
    for i, c in enumerate(clients):
        c.send(request(method, f"{target}{i}"))
    return clients


def conns(o, n):
    o.wait(lambda: len(o.conns) >= n, f"{n} connections")
    return o.conns


# Sharing.

@quick
def test_all_share_one(weir, origin):
    go = threading.Event()

    def handler(st):
        assert go.wait(10)
        st.answer(200, st.target.encode())
    o = origin(h2_serve(handler))
    p = weir(H2, o)
    clients = at_once(p, 50)
    o.wait_requests(50)
    go.set()
    for i, c in enumerate(clients):
        assert c.receive().body == b"/%d" % i
    assert len(o.conns) == 1


def test_a_hundred_then_another(weir, origin):
    """The default bound; what was opened for more is used for more."""
    go = threading.Event()

    def handler(st):
        assert go.wait(10)
        st.answer(200, b"x")
    o = origin(h2_serve(handler))
    p = weir(H2, o)
    clients = at_once(p, 101)
    o.wait_requests(101)
    assert sorted(len(c.requests) for c in o.conns) == [1, 100]
    go.set()
    assert all(c.receive().status == 200 for c in clients)


@pytest.mark.parametrize("most", [1, 2, 7])
def test_as_many_as_the_peer_allows(weir, origin, most):
    go = threading.Event()
    worst = []

    def handler(st):
        with st.peer.changed:
            worst.append(len(st.peer.streams))
        assert go.wait(10)
        st.answer(200, b"x")
    o = origin(h2_serve(handler, settings=((wire.MAX_CONCURRENT_STREAMS, most),)))
    p = weir(H2, o)
    clients = at_once(p, 15)
    o.wait_requests(15)
    go.set()
    assert all(c.receive().status == 200 for c in clients)
    assert max(worst) <= most and len(o.conns) == -(-15 // most)


def test_peer_that_takes_none_for_a_while(weir, origin):
    """SETTINGS fall to 0 amid a request: that ends in order, new ones go elsewhere, until they rise
    again (RFC 9113 6.5.2)."""
    none, both, back = threading.Event(), threading.Event(), threading.Event()

    def take(peer, most):
        peer.send(wire.settings((wire.MAX_CONCURRENT_STREAMS, most)))
        peer.ping()

    def first(peer):
        st = peer.accept()
        take(peer, 0)
        none.set()
        assert both.wait(10)
        st.answer(200, b"first")
        take(peer, 100)
        back.set()
        peer.accept().answer(200, b"back")
        peer.wait_end()

    def second(peer):
        st = peer.accept()
        take(peer, 0)
        st.answer(200, b"second")
        peer.wait_end()
    o = origin(h2_script(first), h2_script(second))
    p = weir(H2, o)
    c = p.client()
    c.send(request("POST"))
    assert none.wait(10)
    assert get(p, method="POST").body == b"second"
    both.set()
    assert c.receive("POST").body == b"first"
    assert back.wait(10)
    assert get(p, method="POST").body == b"back"
    assert [len(c.requests) for c in o.conns] == [2, 1]


def test_others_wait_for_the_settings(weir, origin):
    """One connection is opened; its first request goes at once, others when it is known how many it
    takes."""
    go = threading.Event()

    def script(peer):
        first = peer.accept()
        assert go.wait(10)
        peer.send(wire.settings((wire.MAX_CONCURRENT_STREAMS, 100)))
        first.answer(200, b"x")
        while (st := peer.accept()) is not None:
            st.answer(200, b"x")
    o = origin(h2_script(script, manual=True))
    p = weir(H2, "--workers", 1, o)
    clients = at_once(p, 10)
    o.wait_requests(1)
    go.set()
    assert all(c.receive().status == 200 for c in clients)
    assert len(o.conns) == 1


def test_those_who_wait_fail_with_the_attempt(weir, origin):
    """Nobody tries again what has just failed for another."""
    go = threading.Event()

    def script(conn):
        assert go.wait(10)
    o = origin(script)
    p = weir(H2, o)
    clients = at_once(p, 10)
    conns(o, 1)
    go.set()
    for c in clients:
        assert c.receive().status == 502


def test_who_opens_leaves(weir, origin):
    """Its connection is no affair of its own: those who wait go on."""
    go = threading.Event()

    def script(conn):
        if conn.number == 0:
            assert go.wait(10)
        return h2_serve(hello)(conn)
    o = origin(script)
    p = weir(H2, "--workers", 1, o)
    first = p.client()
    first.send(request("GET", "/first"))
    conns(o, 1)
    others = at_once(p, 5)
    first.reset()
    why(p, "client_gone")
    go.set()
    assert all(c.receive().body == b"hello" for c in others)


def test_wait_has_a_deadline(weir, origin):
    """A peer that never says anything: those who wait for its word give up."""
    def script(peer):
        peer.wait_end()
    o = origin(h2_script(script, manual=True))
    p = weir(H2, "--timeout-connect", "300ms", "--timeout-upstream", "8s", o)
    first = p.client()
    first.send(request("GET", "/"))
    o.wait_requests(1)
    assert get(p).status == 504
    why(p, "connect_timeout")


def test_idle_and_again(weir, origin):
    """A connection without a stream becomes idle, holds no coroutine, and serves again."""
    o = origin(h2_serve(hello))
    p = weir(H2, o)
    for _ in range(3):
        assert get(p).body == b"hello"
        time.sleep(0.15)        # it is idle after 100 ms; whichever state it is in, it has to serve
    assert len(o.conns) == 1 and [r.number for r in o.requests] == [1, 3, 5]


def test_idle_connection_that_closed(weir, origin):
    """Another one takes its place, without an error, whatever the method."""
    def script(peer):
        st = peer.accept()
        st.answer(200, b"x")
    o = origin(h2_script(script))
    p = weir(H2, o)
    for i in range(4):
        assert get(p, method="POST").status == 200
        o.conns[-1].peer.wait_end()
        poll(lambda: o.conns[i].sock.fileno() == -1, "the end of a connection")
        poll(lambda: p.descriptors()["socket"] <= p.before["socket"], "our end of it")


# GOAWAY, REFUSED_STREAM.

@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b"")])
def test_goaway_below_ours(weir, origin, method, body):
    """What it has not processed goes out once more, elsewhere; what it has is answered."""
    def leaving(peer):
        first, second = peer.accept(), peer.accept()
        peer.goaway(first.number)
        first.answer(200, b"first")
        assert second.number > first.number
        peer.wait_end()
    o = origin(h2_script(leaving), h2_serve(hello))
    p = weir(H2, o)
    clients = at_once(p, 2, method=method)
    assert sorted(c.receive().body for c in clients) == [b"first", b"hello"]
    assert get(p).body == b"hello"      # no new ones on the old connection
    assert [len(c.requests) for c in o.conns] == [2, 2]


def test_goaway_in_two_steps(weir, origin):
    """The first one announces: streams under way end in order; new ones go elsewhere."""
    go = threading.Event()

    def leaving(peer):
        st = peer.accept()
        peer.goaway(2 ** 31 - 1)
        peer.ping()
        go.set()
        peer.goaway(st.number)
        st.answer(200, b"old")
        assert peer.wait_end() == "fin"
    o = origin(h2_script(leaving), h2_serve(hello))
    p = weir(H2, o)
    c = p.client()
    c.send(request())
    assert go.wait(10)
    assert get(p).body == b"hello"
    assert c.receive().body == b"old"


def refusing(peer):
    while (st := peer.accept()) is not None:
        st.reset(wire.REFUSED_STREAM)


@quick
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "FOO"])
def test_refused_stream_is_sent_again(weir, origin, method):
    def script(peer):
        peer.accept().reset(wire.REFUSED_STREAM)
        while (st := peer.accept()) is not None:
            st.answer(200, b"again")
    o = origin(h2_script(script))
    p = weir(H2, o)
    assert get(p, method=method).body == b"again"
    assert len(o.requests) == 2
    assert p.log()[0]["tries"] == 2


def test_refused_for_ever(weir, origin):
    """Not too often."""
    o = origin(h2_script(refusing))
    p = weir(H2, o)
    own_answer(get(p), 503)
    why(p, "stream_refused")
    assert len(o.requests) == 4


def test_refused_before_the_body_came(weir, origin):
    """A body that nobody has touched is still there."""
    def script(peer):
        peer.accept().reset(wire.REFUSED_STREAM)
        st = peer.accept()
        st.answer(200, st.read())
    o = origin(h2_script(script))
    p = weir(H2, "--workers", 1, o)
    c = p.client()
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
    o.wait_requests(2)
    c.send(b"hello")
    assert c.receive("POST").body == b"hello"


def test_refused_after_the_body_went(weir, origin):
    """Where it is not kept it is gone: no second try with half of it."""
    def script(peer):
        st = peer.accept()
        st.read()
        st.reset(wire.REFUSED_STREAM)
        peer.wait_end()
    o = origin(h2_script(script))
    p = weir(H2, o, "--replay", "off")
    own_answer(get(p, method="POST", body=b"hello"), 503)
    assert len(o.requests) == 1


# A connection that is lost, with streams in all states.

@pytest.mark.parametrize("how", ["close", "reset"])
def test_connection_lost(weir, origin, how):
    """Before a head: 502, not sent again on the same word; behind one: cut off; complete:
    complete."""
    def lost(peer):
        waits, begun, whole = peer.accept(), peer.accept(), peer.accept()
        begun.head(200)
        begun.data(b"part")
        whole.answer(200, b"whole")
        peer.ping()
        if how == "reset":
            peer.reset()
        assert waits is not None
    o = origin(h2_script(lost), h2_serve(hello))
    p = weir(H2, "--h2c", o)
    c = h2(p)
    streams = [c.request("POST", f"/{i}") for i in range(3)]
    for st in streams:
        c.receive(st)
    by_status = sorted((st.status, st.body, st.ended) for st in streams)    # they came in any order
    assert by_status == [(200, b"part", False), (200, b"whole", True),
                         (502, b"502 Bad Gateway\n", True)]


def test_stale_connection(weir, origin):
    """What may be repeated is, if the connection that was there ends before a byte of an answer."""
    def script(peer):
        peer.accept().answer(200, b"x")
        peer.accept()
    o = origin(h2_script(script), h2_serve(hello))
    p = weir(H2, o)
    assert get(p).status == 200
    assert get(p).body == b"hello"
    assert [len(c.requests) for c in o.conns] == [2, 1]


def test_stale_connection_and_post(weir, origin):
    def script(peer):
        peer.accept().answer(200, b"x")
        peer.accept()
    o = origin(h2_script(script), h2_serve(hello))
    p = weir(H2, o)
    assert get(p).status == 200
    own_answer(get(p, method="POST"), 502)
    assert [len(c.requests) for c in o.conns] == [2]


# PING.

def test_silent_connection_is_asked(weir, origin):
    """One that answers PINGs may take its time."""
    go = threading.Event()

    def script(peer):
        st = peer.accept()
        peer.wait(lambda: peer.pings, "a PING")
        assert go.wait(10)
        st.answer(200, b"late")
        peer.wait_end()
    o = origin(h2_script(script))
    p = weir(H2, "--upstream-ping", "100ms", o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    poll(lambda: o.conns[0].peer.pings, "a PING")
    time.sleep(0.7)             # a third PING would have come by now
    assert len(o.conns[0].peer.pings) <= 2
    go.set()
    assert c.receive().body == b"late"


def test_dead_connection(weir, origin):
    """One that does not answer has ended: its requests fail, in words; the next goes elsewhere."""
    def dead(peer):
        st = peer.accept()
        st.head(200)
        peer.accept()
        peer.answer_pings = False
        st.data(b"x")           # behind another frame it is asked again
        peer.wait_end()
    o = origin(h2_script(dead), h2_serve(hello))
    p = weir(H2, "--h2c", "--upstream-ping", "200ms", o)
    c = h2(p)
    begun = c.request("GET", "/begun")
    c.until(lambda: begun.fields)
    waits = c.request("POST", "/waits")
    c.receive(waits)
    c.receive(begun)
    assert waits.status == 502 and not begun.ended and begun.status == 200
    assert get(p).body == b"hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_idle_connection_that_died(weir, origin, method):
    """After a silence nothing is sent on it before it has answered; so any request can go
    elsewhere."""
    def dying(peer):
        peer.accept().answer(200, b"x")
        peer.answer_pings = False
        peer.wait_end()
    o = origin(h2_script(dying), h2_serve(hello))
    p = weir(H2, "--upstream-ping", "500ms", o)
    assert get(p).status == 200
    time.sleep(0.6)             # the silence
    assert get(p, method=method).body == b"hello"
    assert [len(c.requests) for c in o.conns] == [1, 1]
    assert len(o.conns[0].peer.pings) == 1


def test_idle_connection_that_lives(weir, origin):
    o = origin(h2_serve(hello))
    p = weir(H2, "--upstream-ping", "500ms", o)
    assert get(p).status == 200
    time.sleep(0.6)
    assert get(p, method="POST").status == 200
    assert len(o.conns) == 1 and len(o.conns[0].peer.pings) == 1


# Windows.

def test_upload_waits_for_windows(weir, origin):
    """Nothing beyond them, and no byte lost."""
    def script(peer):
        st = peer.accept()
        got = 0
        while not st.ended:
            peer.wait(lambda: len(st.body) > got or st.ended, "more of the body")
            new, got = len(st.body) - got, len(st.body)
            if new:
                peer.give(st, new)
        st.answer(200, str(len(st.body)).encode())
        peer.wait_end()
    o = origin(h2_script(script, settings=((wire.INITIAL_WINDOW_SIZE, 1000),), credit=False))
    p = weir(H2, o)
    assert get(p, method="POST", body=b"x" * 200_000).body == b"200000"


def test_window_that_becomes_negative(weir, origin):
    """RFC 9113 6.9.2: nothing is sent before it is above 0 again."""
    def script(peer):
        peer.accept().answer(200, b"x")     # by then it knows our windows
        st = peer.accept()
        st.wait(lambda: len(st.body) == 30000, "a window full")
        peer.send(wire.settings((wire.INITIAL_WINDOW_SIZE, 10)))
        peer.give(st, 29990)    # it is 0 now
        peer.ping()
        peer.ping()
        assert len(st.body) == 30000
        peer.give(st, 200_000)
        st.answer(200, str(len(st.read())).encode())
        peer.wait_end()
    o = origin(h2_script(script, settings=((wire.INITIAL_WINDOW_SIZE, 30000),), credit=False))
    p = weir(H2, o)
    assert get(p).body == b"x"
    assert get(p, method="POST", body=b"x" * 100_000).body == b"100000"


def test_upload_that_nobody_reads(weir, origin):
    """504 within the deadline, and the stream is reset."""
    def script(peer):
        st = peer.accept()
        assert st.wait_reset() == wire.CANCEL
        peer.wait_end()
    o = origin(h2_script(script, settings=((wire.INITIAL_WINDOW_SIZE, 1000),), credit=False))
    p = weir(H2, "--timeout-upstream", "300ms", o)
    c = p.client()
    c.send(request("POST", "/", body=b"x" * 100_000))
    own_answer(c.receive("POST"), 504)
    why(p, "upstream_timeout")


def test_many_uploads_share_the_window(weir, origin):
    def handler(st):
        st.answer(200, str(len(st.read())).encode())
    o = origin(h2_serve(handler))
    p = weir(H2, "--h2c", o)
    c = h2(p)
    streams = [c.request("POST", "/", end=False) for _ in range(20)]
    for st in streams:
        c.upload(st, b"x" * 50_000)
    assert all(c.receive(st).body == b"50000" for st in streams)


def test_response_beyond_what_is_read(weir, origin):
    """A client that does not read holds up its own stream, not the origin's others."""
    def handler(st):
        st.head(200)
        st.data(b"x" * (2_000_000 if st.target == "/big" else 10), True)
    o = origin(h2_serve(handler))
    p = weir(H2, o)
    c = p.client(rcvbuf=4096)
    c.send(request("GET", "/big"))
    o.wait_requests(1)
    for _ in range(5):
        assert len(get(p, "/small").body) == 10
    assert len(c.receive().body) == 2_000_000
    assert len(o.conns) == 1


# What becomes of a request.

@pytest.mark.parametrize("lines, authority, path", [
    ("GET / HTTP/1.1\r\nHost: a:81", "a:81", "/"),
    ("GET http://b/x HTTP/1.1\r\nHost: a", "b", "/x"),
    ("GET http://b?x HTTP/1.1\r\nHost: b", "b", "/?x"),
    ("OPTIONS http://b HTTP/1.1\r\nHost: b", "b", "*"),
    ("OPTIONS * HTTP/1.1\r\nHost: a", "a", "*"),
    ("GET / HTTP/1.1\r\nHost:", None, "/"),
    ("GET / HTTP/1.0", None, "/")])
def test_authority_and_path(weir, origin, lines, authority, path):
    """RFC 9113 8.3.1: neither is empty; who names no host means whom we ask."""
    o = origin(h2_serve(hello))
    assert weir(H2, o).ask(lines.encode() + b"\r\n\r\n").status == 200
    assert (o.requests[0].authority, o.requests[0].target) == (authority or o.name, path)


def test_fields_of_the_connection(weir, origin):
    """RFC 9113 8.2.2: none of them goes up, nor what they name (the origin insists); an upgrade to
    HTTP/2 is nobody's but the next hop's."""
    o = origin(h2_serve(hello))
    assert get(weir(H2, o), "/", "Connection: Upgrade, HTTP2-Settings, X-A, close", "X-A: 1",
               "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Keep-Alive: 5",
               "Proxy-Connection: close", "TE: gzip, trailers", "Trailer: x").status == 200
    assert {n for n, _ in o.requests[0].fields if not n.startswith((":", "x-forwarded"))} == {"te"}


def never_indexed(block):
    """The fields of the first block of a connection that no hop may keep in a table."""
    return {n.decode() for field in hpack.Decoder().decode(block, raw=True)
            if not field.indexable for n in field[:1]}


def test_secret_fields(weir, origin):
    """RFC 7541 6.2.3: what is never indexed on one side is not on the other, both ways. A cookie
    is, if one of its crumbs is."""
    def literal(name, value):
        return b"\x10" + wire.field(name, value)[1:]

    def script(peer):
        st = peer.accept()
        seen.append(peer._block)
        peer.send(wire.frame(wire.HEADERS, wire.END_HEADERS, st.number, wire.block([(":status", "200")])
                             + literal("set-cookie", "a=1") + wire.field("x-open", "1"))
                  + wire.data(st.number)
                  + wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, st.number,
                               literal("x-late", "2")))
        peer.wait_end()
    seen = []
    c = h2(weir(H2, "--h2c", origin(h2_script(script))))
    st = c.stream(1)
    c.send(wire.headers(1, wire.block(wire.head()) + wire.field("cookie", "b=2") + wire.field("x-open", "1")
                        + literal("cookie", "a=1") + literal("x-key", "k")))
    assert c.receive(st).status == 200 and st.trailers == [("x-late", "2")]
    assert never_indexed(seen[0]) == {"cookie", "x-key"}
    blocks = [f.payload for f in c.frames if f.kind == wire.HEADERS]
    assert never_indexed(blocks[0]) == {"set-cookie"}


# What is wrong about it.

@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                                    b"\0\0\0\0\0\0\0\0\0", b"220 mail\r\n"])
def test_peer_that_does_not_speak_it(weir, origin, answer):
    def script(conn):
        conn.reader.fill()
        conn.send(answer)
        conn.wait_end()
    p = weir(H2, origin(script))
    own_answer(get(p), 502)
    why(p, "upstream_h2")


BAD_HEADS = [
    ("no status", [("x-a", "1")]),
    ("status of two digits", [(":status", "20")]),
    ("status 099", [(":status", "099")]),
    ("two of them", [(":status", "200"), (":status", "200")]),
    ("a pseudo-field of requests", [(":status", "200"), (":path", "/")]),
    ("a pseudo-field behind others", [("x-a", "1"), (":status", "200")]),
    ("upper case", [(":status", "200"), ("X-A", "1")]),
    ("connection", [(":status", "200"), ("connection", "close")]),
    ("transfer-encoding", [(":status", "200"), ("transfer-encoding", "chunked")]),
    ("CR in a value", [(":status", "200"), ("x-a", "1\r2")]),
    ("LF in a value", [(":status", "200"), ("x-a", "1\nx-b: 2")]),
    ("NUL in a value", [(":status", "200"), ("x-a", "1\0")]),
    ("blank in a name", [(":status", "200"), ("x a", "1")]),
    ("two lengths", [(":status", "200"), ("content-length", "1"), ("content-length", "2")]),
    ("no number as length", [(":status", "200"), ("content-length", "1x")]),
    ("101", [(":status", "101")]),
    ("an interim head that ends the stream", [(":status", "103"), ("link", "</a>")]),
    ("100 that ends the stream", [(":status", "100")]),
]


@pytest.mark.parametrize("fields", [pytest.param(f, id=n) for n, f in BAD_HEADS])
def test_bad_response_heads(weir, origin, fields):
    """502, no byte of it reaches the client, and the connection goes on."""
    def script(peer):
        peer.headers(peer.accept().number, fields, True)
        while (st := peer.accept()) is not None:
            st.answer(200, b"x")
    o = origin(h2_script(script))
    p = weir(H2, o)
    own_answer(get(p), 502)
    assert p.log()[0]["why"] in ("upstream_h2", "bad_response_head", "bad_response_length",
                                 "unexpected_switch")
    assert get(p).status == 200


def test_trailers_that_are_wrong(weir, origin):
    def handler(st):
        st.head(200)
        st.data(b"x")
        st.peer.headers(st.number, [("x-a", "1"), (":status", "200")], True)
    p = weir(H2, origin(h2_serve(handler)))
    c = p.client()
    c.send(request())
    assert c.truncated().body in (b"x", b"")


def test_pushed(weir, origin):
    """We have said that we take none."""
    def script(peer):
        st = peer.accept()
        peer.send(wire.frame(wire.PUSH_PROMISE, wire.END_HEADERS, st.number,
                             b"\0\0\0\2" + wire.block(wire.head())))
        peer.wait_end()
    p = weir(H2, origin(h2_script(script)))
    own_answer(get(p), 502)
    why(p, "upstream_h2")


@pytest.mark.parametrize("begun", [False, True], ids=["no head", "part of a body"])
def test_reset_without_an_error(weir, origin, begun):
    """NO_ERROR or not: nothing more comes."""
    def handler(st):
        st.read()
        if begun:
            st.head(200)
            st.data(b"part")
        st.reset(wire.NO_ERROR)
    p = weir(H2, "--h2c", origin(h2_serve(handler)))
    c = h2(p)
    st = c.receive(c.request("POST", "/", body=b"x"))
    assert (st.status, st.ended) == ((200, False) if begun else (502, True))


def test_many_resets_of_theirs(weir, origin):
    """An origin that resets each stream behind its answer is in its right, however many there
    are."""
    def script(peer):
        while (st := peer.accept()) is not None:
            st.answer(200, b"x")
            if not st.ended:
                st.reset(wire.NO_ERROR)
    o = origin(h2_script(script))
    p = weir(H2, "--h2c", o)
    c = h2(p)
    for _ in range(10):
        streams = [c.request("POST", "/", end=False) for _ in range(50)]
        for st in streams:
            c.receive(st)
            assert st.status == 200 and st.body == b"x"
    assert len(o.conns) == 1


# TLS: what is negotiated, what is remembered.

@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def secure(ca):
    return ("--upstream-tls", "origin.test", "--ca", ca.ca)


@quick
def test_tls(weir, origin, ca):
    o = origin(h2_serve(hello), tls=ca.server("two", "origin.test", alpn=("h2", "http/1.1")))
    p = weir(H2, *secure(ca), o)
    for _ in range(3):
        assert get(p).body == b"hello"
    assert len(o.conns) == 1 and o.requests[0].get(":scheme") == "https"


def test_tls_with_h1(weir, origin, ca):
    """A peer that cannot is spoken to as it can, and is not asked by one request after the
    other."""
    o = origin(tls=ca.server("one", "origin.test", alpn=("http/1.1",)))
    p = weir(H2, *secure(ca), o)
    c = p.client()
    for _ in range(5):
        assert c.ask(request()).body == b"ok"
    assert len(o.conns) == 1
    many = at_once(p, 10)
    assert all(c.receive().status == 200 for c in many)


def test_change_of_mind(weir, origin, ca):
    """A peer that was known for HTTP/1 may be asked for HTTP/2 whenever a connection is made."""
    context = ca.server("both", "origin.test", alpn=("http/1.1",))

    def script(conn):
        if conn.sock.selected_alpn_protocol() == "h2":
            return h2_serve(hello)(conn)
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    o = origin(script, tls=context)
    p = weir(H2, *secure(ca), o)
    assert get(p).body == b"ok"
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert get(p).body == b"hello" and get(p).body == b"hello"
    assert len(o.conns) == 2
    context.set_alpn_protocols(["http/1.1"])
    o.conns[1].peer.close()
    o.conns[1].peer.wait_end()
    poll(lambda: p.descriptors()["socket"] <= p.before["socket"], "our end of it")
    assert get(p).body == b"ok"


@pytest.mark.parametrize("way", ["stream", "goaway"])
def test_http_1_1_required(weir, origin, ca, way):
    """The request goes out again in HTTP/1.1, and so do all that follow."""
    def script(conn):
        if conn.sock.selected_alpn_protocol() != "h2":
            return serve(OK)(conn)

        def refuse(peer):
            st = peer.accept()
            if way == "stream":
                st.reset(wire.HTTP_1_1_REQUIRED)
            else:
                peer.goaway(0, wire.HTTP_1_1_REQUIRED)
            peer.wait_end()
        h2_script(refuse)(conn)
    o = origin(script, tls=ca.server("old", "origin.test", alpn=("h2", "http/1.1")))
    p = weir(H2, *secure(ca), o)
    c = p.client()
    for _ in range(4):
        assert c.ask(request("POST")).body == b"ok"
    assert len(o.conns) == 2


def test_http_1_1_required_by_prior_knowledge(weir, origin):
    def script(peer):
        peer.accept().reset(wire.HTTP_1_1_REQUIRED)
        peer.wait_end()
    p = weir(H2, origin(h2_script(script)))
    own_answer(get(p), 502)
    why(p, "upstream_wants_h1")


# Shutdown.

def test_drain(weir, origin):
    """What runs is answered; then the connection says GOAWAY and closes."""
    go = threading.Event()

    def handler(st):
        if st.target == "/busy":
            assert go.wait(10)
        st.answer(200, b"x")
    o = origin(h2_serve(handler))
    p = weir(H2, o)
    c = p.client()
    c.send(request("GET", "/busy"))
    o.wait_requests(1)
    p.signal()
    peer = o.conns[0].peer
    go.set()
    assert c.receive().body == b"x"
    assert peer.wait_end() == "fin" and peer.goaways
    p.wait()


def test_drain_idle(weir, origin):
    o = origin(h2_serve(hello))
    p = weir(H2, o)
    assert get(p).status == 200
    time.sleep(0.2)             # idle by now, as far as that matters
    p.signal()
    p.wait()
    peer = o.conns[0].peer
    assert peer.wait_end() == "fin" and peer.goaways


def test_clients_by_the_hundred(weir, origin):
    """Requests of all workers, over a few connections with few streams each, many times over."""
    def handler(st):
        st.answer(200, st.read() + st.target.encode())
    o = origin(h2_serve(handler, settings=((wire.MAX_CONCURRENT_STREAMS, 5),)))
    p = weir(H2, "--workers", 4, o)
    errors = []

    def client(i):
        c = Client(p.addresses[0])
        for k in range(20):
            got = c.ask(request("POST", f"/{i}-{k}", body=b"b" * k)).body
            if got != b"b" * k + f"/{i}-{k}".encode():
                errors.append(got)
        c.close()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not errors and len(o.requests) == 400
    assert len(o.conns) <= 20


def test_chunked_up(weir, origin):
    """Of unknown length: no content-length, and the end is seen."""
    def handler(st):
        assert st.get("content-length") is None
        st.answer(200, st.read())
    p = weir(H2, origin(h2_serve(handler)))
    res = p.ask(request("POST", "/", "Transfer-Encoding: chunked") + chunks(b"one", b"two"), "POST")
    assert res.body == b"onetwo"


def test_unreachable(weir):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))    # and does not listen
        p = weir(H2, "127.0.0.1:%d" % s.getsockname()[1])
        clients = at_once(p, 5)
        for c in clients:
            own_answer(c.receive(), 502)
        why(p, "connect_refused")
