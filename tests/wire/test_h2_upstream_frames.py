"""Rules of RFC 9113 that an upstream breaks, numbered by section: what it sends in place of an
answer, what it hears, and what the client gets: never more than the upstream meant to say. Another
request is answered behind each.

What the upstream hears is one of
  goaway(code)    GOAWAY with this code: the connection ends
  rst(code)       RST_STREAM with this code: the connection goes on
  SERVED          nothing: it was no error
"""

import struct

import pytest
from weirtest import Origin, Proxy
from weirtest.h2 import (
    ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM,
    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING, PRIORITY, PRIORITY_UPDATE,
    PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, data, field,
    frame, h2, head, headers, ping, reset, settings, update)
from weirtest.h2origin import h2_script

MOST = (1 << 31) - 1
SERVED = "served"


def goaway(code):
    return ("goaway", code)


def rst(code):
    return ("rst", code)


def begun(n, *fields):
    return headers(n, [(":status", "200"), *fields], end=False)


def whole(n):
    return begun(n) + data(n, b"ok", True)


def pushed(n, promised=2):
    return frame(PUSH_PROMISE, END_HEADERS, n, struct.pack(">I", promised) + block(head()))


def many(bytes_once, times=3000):
    return lambda n: bytes_once * times


# section, what is sent for a request on stream n, what comes back
CASES = [
    ("4.1 unknown type", lambda n: frame(0xbb, 0xff, n, b"x") + whole(n), SERVED),
    ("4.2 DATA too large", lambda n: begun(n) + data(n, b"x" * 16385), goaway(FRAME_SIZE_ERROR)),
    ("4.2 HEADERS too large", lambda n: headers(n, field("a", "x" * 16384)),
     goaway(FRAME_SIZE_ERROR)),
    ("4.3 an index that is not there", lambda n: headers(n, b"\xff\x7f"), goaway(COMPRESSION_ERROR)),
    ("4.3 a table larger than allowed", lambda n: headers(n, b"\x3f\xe2\x1f\x88"),
     goaway(COMPRESSION_ERROR)),
    ("4.3 DATA amid a block", lambda n: frame(HEADERS, 0, n, b"\x88") + data(n, b"x"),
     goaway(PROTOCOL_ERROR)),
    ("4.3 a head in two frames", lambda n: frame(HEADERS, END_STREAM, n, b"")
     + frame(CONTINUATION, END_HEADERS, n, b"\x88"), SERVED),
    ("5.1 DATA before a head", lambda n: data(n, b"x"),
     (goaway(PROTOCOL_ERROR), rst(PROTOCOL_ERROR))),
    ("5.1 idle: DATA", lambda n: data(n + 100, b"x"), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: HEADERS", lambda n: headers(n + 100, b"\x88"), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: RST_STREAM", lambda n: reset(n + 100), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: WINDOW_UPDATE", lambda n: update(n + 100, 1), goaway(PROTOCOL_ERROR)),
    ("5.1 a stream of its own", lambda n: headers(2, b"\x88"), goaway(PROTOCOL_ERROR)),
    ("5.1 DATA on a stream of its own", lambda n: data(2, b"x"), goaway(PROTOCOL_ERROR)),
    ("5.1 half-closed: DATA", lambda n: headers(n, b"\x88") + data(n, b"x"), SERVED),
    ("5.1 closed: RST_STREAM", lambda n: whole(n) + reset(n), SERVED),
    ("5.1 closed: WINDOW_UPDATE", lambda n: whole(n) + update(n, 1), SERVED),
    ("6.1 DATA on stream 0", lambda n: data(0, b"x"), goaway(PROTOCOL_ERROR)),
    ("6.1 padding", lambda n: begun(n) + frame(DATA, PADDED | END_STREAM, n, b"\x04ok\0\0\0\0"),
     SERVED),
    ("6.1 padding as long as the frame", lambda n: begun(n) + frame(DATA, PADDED, n, b"\x04\0\0\0"),
     goaway(PROTOCOL_ERROR)),
    ("6.2 HEADERS on stream 0", lambda n: headers(0, b"\x88"), goaway(PROTOCOL_ERROR)),
    ("6.3 PRIORITY", lambda n: frame(PRIORITY, 0, n, b"\0\0\0\0\1") + whole(n), SERVED),
    ("6.4 RST_STREAM on stream 0", lambda n: reset(0), goaway(PROTOCOL_ERROR)),
    ("6.4 RST_STREAM of 3 bytes", lambda n: frame(RST_STREAM, 0, n, b"\0\0\0"),
     goaway(FRAME_SIZE_ERROR)),
    ("6.5 an ACK with content", lambda n: frame(SETTINGS, ACK, 0, b"\0" * 6),
     goaway(FRAME_SIZE_ERROR)),
    ("6.5 an ACK too many", lambda n: frame(SETTINGS, ACK), goaway(PROTOCOL_ERROR)),
    ("6.5 on a stream", lambda n: frame(SETTINGS, 0, n), goaway(PROTOCOL_ERROR)),
    ("6.5 5 bytes", lambda n: frame(SETTINGS, 0, 0, b"\0" * 5), goaway(FRAME_SIZE_ERROR)),
    ("6.5.2 ENABLE_PUSH of a server", lambda n: settings((ENABLE_PUSH, 1)), goaway(PROTOCOL_ERROR)),
    ("6.5.2 ENABLE_PUSH of 0", lambda n: settings((ENABLE_PUSH, 0)) + whole(n), SERVED),
    ("6.5.2 a window above 2^31-1", lambda n: settings((INITIAL_WINDOW_SIZE, 1 << 31)),
     goaway(FLOW_CONTROL_ERROR)),
    ("6.5.2 frames below 16384", lambda n: settings((MAX_FRAME_SIZE, 16383)),
     goaway(PROTOCOL_ERROR)),
    ("6.5.2 an unknown setting", lambda n: settings((0x4242, 7)) + whole(n), SERVED),
    ("6.6 PUSH_PROMISE", pushed, goaway(PROTOCOL_ERROR)),
    ("6.6 PUSH_PROMISE on stream 0", lambda n: pushed(0), goaway(PROTOCOL_ERROR)),
    ("6.7 PING on a stream", lambda n: frame(PING, 0, n, b"12345678"), goaway(PROTOCOL_ERROR)),
    ("6.7 PING of 7 bytes", lambda n: frame(PING, 0, 0, b"1234567"), goaway(FRAME_SIZE_ERROR)),
    ("6.7 PING", lambda n: ping() + whole(n), SERVED),
    ("6.8 GOAWAY on a stream", lambda n: frame(GOAWAY, 0, n, b"\0" * 8), goaway(PROTOCOL_ERROR)),
    ("6.8 GOAWAY of 7 bytes", lambda n: frame(GOAWAY, 0, 0, b"\0" * 7), goaway(FRAME_SIZE_ERROR)),
    ("6.8 GOAWAY whose last stream rises", lambda n: frame(GOAWAY, 0, 0, struct.pack(">II", n, 0))
     + frame(GOAWAY, 0, 0, struct.pack(">II", n + 100, 0)), goaway(PROTOCOL_ERROR)),
    ("6.9 WINDOW_UPDATE of 0", lambda n: update(0, 0), goaway(PROTOCOL_ERROR)),
    ("6.9 WINDOW_UPDATE of 0 on a stream", lambda n: update(n, 0),
     (rst(PROTOCOL_ERROR), goaway(PROTOCOL_ERROR))),
    ("6.9 WINDOW_UPDATE of 3 bytes", lambda n: frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"),
     goaway(FRAME_SIZE_ERROR)),
    ("6.9.1 more than 2^31-1", lambda n: update(0, MOST), goaway(FLOW_CONTROL_ERROR)),
    ("6.9.1 more than 2^31-1 on a stream", lambda n: update(n, MOST), rst(FLOW_CONTROL_ERROR)),
    ("6.9.1 more than our window", lambda n: begun(n) + data(n, b"x" * 16384) * 65,
     (goaway(FLOW_CONTROL_ERROR), rst(FLOW_CONTROL_ERROR))),
    ("6.10 CONTINUATION on stream 0", lambda n: frame(HEADERS, 1, n, b"\x88")
     + frame(CONTINUATION, 4, 0), goaway(PROTOCOL_ERROR)),
    ("6.10 CONTINUATION behind nothing", lambda n: frame(CONTINUATION, 4, n, b"\x88"),
     goaway(PROTOCOL_ERROR)),
    ("8.1 trailers without the end", lambda n: begun(n) + headers(n, [("a", "b")], end=False),
     rst(PROTOCOL_ERROR)),
    ("8.1 two final heads", lambda n: begun(n) + begun(n), rst(PROTOCOL_ERROR)),
    ("8.1 DATA behind an interim head", lambda n: headers(n, [(":status", "103")], end=False)
     + data(n, b"x", True), rst(PROTOCOL_ERROR)),
    ("8.1 a status in trailers", lambda n: begun(n) + headers(n, [(":status", "200")]),
     rst(PROTOCOL_ERROR)),
    ("8.1.1 less than its length", lambda n: begun(n, ("content-length", "3")) + data(n, b"ok", True),
     rst(PROTOCOL_ERROR)),
    ("8.1.1 more than its length", lambda n: begun(n, ("content-length", "1")) + data(n, b"ok", True),
     rst(PROTOCOL_ERROR)),
    ("8.1.1 a length, and nothing", lambda n: headers(n, [(":status", "200"), ("content-length", "1")]),
     rst(PROTOCOL_ERROR)),
    ("8.1.1 204 with a body", lambda n: headers(n, [(":status", "204")], end=False)
     + data(n, b"x", True), (rst(PROTOCOL_ERROR), rst(CANCEL))),
    ("8.1.1 304 with a body", lambda n: headers(n, [(":status", "304")], end=False)
     + data(n, b"x", True), (rst(PROTOCOL_ERROR), rst(CANCEL))),
    ("9218 7.1 PRIORITY_UPDATE", lambda n: frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", n) + b"u=1"),
     goaway(PROTOCOL_ERROR)),
    ("10.5 CONTINUATION without end", lambda n: frame(HEADERS, 1, n, b"\x88")
     + frame(CONTINUATION, 0, n, b"") * 100, goaway(ENHANCE_YOUR_CALM)),
    ("10.5 PING", many(ping()), goaway(ENHANCE_YOUR_CALM)),
    ("10.5 SETTINGS", many(settings()), goaway(ENHANCE_YOUR_CALM)),
    ("10.5 PRIORITY", many(frame(PRIORITY, 0, 9, b"\0\0\0\0\1")), goaway(ENHANCE_YOUR_CALM)),
    ("10.5 empty DATA", lambda n: begun(n) + data(n) * 3000, goaway(ENHANCE_YOUR_CALM)),
    ("10.5.1 a block that grows out of its table", lambda n: headers(
        n, b"\x88" + field("x", "y" * 4000, index=True) + b"\xbe" * 12000),
     goaway(ENHANCE_YOUR_CALM)),
]


@pytest.fixture(scope="module")
def between(tmp_path_factory):
    """One proxy and one upstream for all cases; connections are used until one breaks them."""
    def answer(peer):
        while (st := peer.accept()) is not None:
            if st.target == "/case":
                peer.send(answer.case(st.number))
            else:
                st.answer(200, b"ok")
    origin = Origin(h2_script(answer))
    proxy = Proxy(tmp_path_factory.mktemp("h2"), "--upstream-h2", "--h2c", origin.name)
    yield proxy, origin, answer
    try:
        proxy.close_clients()
        origin.stop()
    finally:
        proxy.finish()


def heard(st):
    """What the upstream has heard about its answer on `st`."""
    peer = st.peer
    peer.wait(lambda: st.over or peer.goaways, "a word about it")
    if st.code is not None:
        return rst(st.code)
    peer.wait_end()
    return goaway(peer.goaways[-1][1] if peer.goaways else peer.end)


@pytest.mark.quick
@pytest.mark.parametrize("sent, want", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_frames(between, sent, want):
    proxy, origin, answer = between
    answer.case = sent
    c = h2(proxy)
    got = c.receive(c.request("POST", "/case"))
    st = [r for r in origin.requests if r.target == "/case"][-1]
    if want == SERVED:
        assert (got.status, got.ended, got.reset) == (200, True, None)
    else:
        whole = (502, 204, 304)     # two of which are complete with their head
        assert got.status in whole if got.ended else got.status in (None, 200), got
        assert heard(st) in (want if isinstance(want[0], tuple) else (want,)), st.peer.frames
    assert c.get("/after").body == b"ok", "the client's connection goes on"
    if want == SERVED or heard(st)[0] == "rst":
        assert origin.requests[-1].peer is st.peer, "and so does the upstream's"
