"""Both directions at once: answers that come before the request has been sent, uploads that an
upstream stops reading, and clients that leave, in the versions of HTTP."""

import threading

import pytest

from weirtest import OK, poll, request, serve, why
from weirtest import h2 as wire
from weirtest.h2 import h2
from weirtest.h2origin import h2_script, h2_serve

BIG = 8 << 20
FINISH = "--finish-when-client-leaves"


# Answers that come early.

def test_response_while_the_request_is_sent(weir, origin):
    """Pieces of both bodies pass in turn."""
    def script(conn):
        req = conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            conn.send(conn.reader.exactly(1))
        assert req.method == "POST"
        conn.head()
    o = origin(script)
    p = weir(o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 5"))
    o.wait_requests(1)
    c.send(b"abcde")
    assert c.receive("POST").body == b"abcde"


@pytest.mark.parametrize("up", ["h1", "h2"])
def test_response_ends_before_the_request(weir, origin, up):
    """The connection ends with it: there is too much still to come."""
    def h1_script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        conn.wait_end()

    def script2(peer):
        st = peer.accept()
        st.answer(403, b"no")
        st.wait_reset()
    o = origin(h1_script if up == "h1" else h2_script(script2))
    p = weir("--h2c", *(["--upstream-h2"] if up == "h2" else []), o)
    c = p.client()
    c.send(request("POST", "/", f"Content-Length: {BIG}") + b"x" * 1000)
    res = c.receive("POST")
    assert (res.status, res.body) == (403, b"no")
    # in HTTP/2 its end may come in a frame of its own, when our head has left: then it just closes
    assert res.get("Connection") == "close" or up == "h2"
    assert c.closed()


@pytest.mark.parametrize("up", ["h1", "h2"])
def test_response_ends_before_the_request_of_http2(weir, origin, up):
    """The client is told not to send the rest."""
    def h1_script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        conn.wait_end()

    def script2(peer):
        st = peer.accept()
        st.answer(403, b"no")
        st.wait_reset()
    o = origin(h1_script if up == "h1" else h2_script(script2))
    p = weir("--h2c", *(["--upstream-h2"] if up == "h2" else []), o)
    c = h2(p)
    st = c.request("POST", "/", body=b"x" * 1000, end=False)
    c.until(lambda: st.ended)
    assert (st.status, st.body) == (403, b"no")
    c.until(lambda: st.reset is not None)
    assert st.reset == wire.NO_ERROR


@pytest.mark.parametrize("how", ["answers and closes", "answers and resets"])
def test_upload_that_the_upstream_stopped_reading(weir, origin, how):
    """What it has said explains it: its answer is heard before its end. It may be lost with a
    reset."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        if how == "answers and resets":
            conn.wait(conn.origin.heard)
            conn.reset()
        else:
            conn.finish()
            conn.wait_end()
    o = origin(script)
    o.heard = o.event()
    p = weir(o)
    c = p.client()
    c.send(request("POST", "/", f"Content-Length: {BIG}") + b"x" * 100000)
    res = c.receive("POST")
    o.heard.set()
    assert (res.status, res.body) == (413, b"no")


# Clients that leave.

def leave_h1(p):
    c = p.client()
    c.send(request())
    return c.reset


def leave_h1_by_fin(p):
    c = p.client()
    c.send(request())
    return c.close


def leave_h2(p):
    c = h2(p)
    st = c.request()
    return lambda: c.send(wire.reset(st.number))


def leave_h2_whole(p):
    c = h2(p)
    c.request()
    return c.close


LEAVE = {"h1": leave_h1, "h1 by FIN": leave_h1_by_fin,
         "h2 stream": leave_h2, "h2 connection": leave_h2_whole}


@pytest.mark.parametrize("down", LEAVE)
def test_upstream_is_cancelled_at_once(weir, origin, down):
    ended = threading.Event()

    def script(conn):
        conn.request()
        conn.wait_end()
        ended.set()
    o = origin(script)
    p = weir("--h2c", o)
    leave = LEAVE[down](p)
    o.wait_requests(1)
    leave()
    assert ended.wait(10)
    why(p, "client_gone")


@pytest.mark.parametrize("down", LEAVE)
def test_upstream_stream_is_reset_at_once(weir, origin, down):
    """Others on its connection go on."""
    codes = []

    def handler(st):
        if st.target == "/" and not codes:
            codes.append(st.wait_reset())
        else:
            st.answer(200, b"ok")
    o = origin(h2_serve(handler))
    p = weir("--h2c", "--upstream-h2", o)
    leave = LEAVE[down](p)
    o.wait_requests(1)
    leave()
    why(p, "client_gone")
    assert p.ask(request("GET", "/next")).body == b"ok"
    poll(lambda: codes, "what its handler was told")
    assert codes == [wire.CANCEL] and len(o.conns) == 1


@pytest.mark.parametrize("down", LEAVE)
@pytest.mark.parametrize("up", ["h1", "h2"])
def test_it_goes_on(weir, origin, down, up):
    """Where the service wants that: the response is read to its end, and the connection used
    again."""
    go = threading.Event()
    size = 1 << 20

    def script(conn):
        conn.request()
        assert go.wait(10)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        serve(OK)(conn)

    def handler(st):
        if len(o.requests) == 1:
            assert go.wait(10)
            st.answer(200, b"x" * size)
        else:
            st.answer(200, b"ok")
    o = origin(script if up == "h1" else h2_serve(handler))
    p = weir("--h2c", "--workers", 1, FINISH, *(["--upstream-h2"] if up == "h2" else []), o)
    leave = LEAVE[down](p)
    o.wait_requests(1)
    leave()
    go.set()
    record = p.log(1)[0]
    assert record["why"] == "client_gone" and record["upstream_time"]
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 1


def wait_for_go(o):
    def script(conn):
        while conn.request():
            assert o.go.wait(10)
            conn.send(OK)
    return script


def test_pipelined_requests_are_served_behind_their_end(weir, origin):
    """RFC 9112 9.6: it was known when they were read, and tells nothing but that no more will
    come."""
    o = origin(lambda conn: wait_for_go(o)(conn))
    o.go = o.event()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("GET", "/1") + request("POST", "/2", body=b"hello") + request("GET", "/3"))
    o.wait_requests(1)
    c.finish()
    o.go.set()
    assert [c.receive().body for _ in range(3)] == [b"ok"] * 3
    assert c.closed() == "fin"
    assert [r.target for r in o.requests] == ["/1", "/2", "/3"]


def test_request_that_came_with_its_end(weir, origin):
    """All of it waits to be accepted: whoever reads the request knows the end, too."""
    o = origin()
    p = weir("--workers", 1, "--max-connections", 1, o)
    first, c = p.client(), p.client()
    assert first.ask(request()).body == b"ok"
    c.send(request())
    c.finish()
    first.close()
    assert c.receive().body == b"ok"
    assert c.closed() == "fin"


def test_client_that_half_closes_and_waits(weir, origin):
    """Where leaving cancels nothing it has its answer in any case."""
    o = origin(lambda conn: wait_for_go(o)(conn))
    o.go = o.event()
    p = weir(FINISH, o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    c.finish()
    o.go.set()
    assert c.receive().body == b"ok"
    assert c.closed() == "fin"


def test_it_does_not_go_on_without_its_body(weir, origin):
    o = origin(lambda conn: conn.request())
    p = weir(FINISH, o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 5") + b"he")
    o.wait_requests(1)
    c.reset()
    o.wait(lambda: o.conns[0].incomplete is not None, "the end of the upload")
    why(p, "client_gone")


def test_it_ends_with_the_process(weir, origin):
    """The grace is all it gets."""
    o = origin(lambda conn: (conn.request(), conn.wait_end()))
    p = weir(FINISH, "--grace", "200ms", o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    c.reset()
    p.signal()
    p.wait(0)
