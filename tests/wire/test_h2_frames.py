"""One case for each MUST of RFC 9113 that a server has to keep about frames, numbered by section:
what is sent, and what must come back. Over plain TCP and over TLS. (Fields are in
test_h2_messages.py, what costs us in test_h2_abuse.py.)

What must come back is one of
  goaway(code)    GOAWAY with this code, and the end of the connection
  rst(code)       RST_STREAM with this code for stream 1; the connection goes on
  served          stream 1 is answered with 200; the connection goes on
"""

import struct

import pytest
from weirtest import Origin, Proxy, serve
from weirtest.h2 import (
    ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM,
    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR, PADDED, PING, PREFACE, PRIORITY,
    PRIORITY_UPDATE, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, Silent,
    WINDOW_UPDATE, WITH_PRIORITY, block, data, ended, field, frame, h2, head, headers, number,
    ping, reset, settings, update)
from weirtest.tls import Authority

GET = head()
POST = head("POST")
SERVED = "served"


def goaway(code):
    return ("goaway", code)


def rst(code):
    return ("rst", code)


def split(fields, *cuts, last=END_HEADERS, end=True):
    """A block in HEADERS and CONTINUATION frames, cut at these bytes."""
    whole = block(fields)
    ends = [*cuts, len(whole)]
    pieces = [whole[a:b] for a, b in zip([0, *cuts], ends)]
    out = frame(HEADERS, END_STREAM if end else 0, 1, pieces[0])
    for i, piece in enumerate(pieces[1:], 2):
        out += frame(CONTINUATION, last if i == len(pieces) else 0, 1, piece)
    return out


def tail(n):
    """Where to cut a GET so that n frames of a byte follow."""
    size = len(block(GET))
    return range(size - n, size)


def padded(payload, n, lie=None):
    return bytes([n if lie is None else lie]) + payload + b"\0" * n


def weight(stream, exclusive=False):
    return struct.pack(">IB", stream | (exclusive << 31), 15)


OPEN = headers(1, POST, end=False)

# section, what is sent behind the preface, what comes back
CASES = [
    # frames
    ("4.1 unknown type is ignored", frame(0xbb, 0xff, 0, b"x" * 50) + headers(1, GET), SERVED),
    ("4.1 unknown type on an idle stream", frame(0xbb, 0, 77, b"x") + headers(1, GET), SERVED),
    ("4.1 unknown type amid a stream", OPEN + frame(0xbb, 1, 1, b"x") + data(1, b"", True), SERVED),
    ("4.1 unused flags are ignored", headers(1, GET, flags=END_HEADERS | 0xd2 & ~PADDED & ~WITH_PRIORITY),
     SERVED),
    ("4.1 unused flags of PING", ping(flags=0xfe) + headers(1, GET), SERVED),
    ("4.1 the reserved bit is ignored", headers(1 | 1 << 31, GET), SERVED),
    ("4.2 DATA too large", OPEN + data(1, b"x" * 16385), goaway(FRAME_SIZE_ERROR)),
    ("4.2 HEADERS too large", frame(HEADERS, 5, 1, block(GET) + field("a", "x" * 16384)),
     goaway(FRAME_SIZE_ERROR)),
    ("4.2 SETTINGS too large", settings(*[(0x99, 1)] * 2731), goaway(FRAME_SIZE_ERROR)),
    ("4.2 an unknown frame too large", frame(0xbb, 0, 0, b"x" * 16385), goaway(FRAME_SIZE_ERROR)),
    ("4.2 the largest DATA", OPEN + data(1, b"x" * 16384, True), SERVED),
    ("4.3 index 0", headers(1, b"\x80"), goaway(COMPRESSION_ERROR)),
    ("4.3 an index that is not there", headers(1, b"\xff\x7f"), goaway(COMPRESSION_ERROR)),
    ("4.3 a number without end", headers(1, b"\xff" + b"\xff" * 12), goaway(COMPRESSION_ERROR)),
    ("4.3 a string past the block", headers(1, b"\x00\x05abc"), goaway(COMPRESSION_ERROR)),
    ("4.3 Huffman: EOS", headers(1, b"\x00\x84\xff\xff\xff\xff\x00"), goaway(COMPRESSION_ERROR)),
    ("4.3 Huffman: padding of zeros", headers(1, b"\x00\x81\x18\x00"), goaway(COMPRESSION_ERROR)),
    ("4.3 Huffman: padding of a byte", headers(1, b"\x00\x82\x1f\xff\x00"),
     goaway(COMPRESSION_ERROR)),
    ("4.3 a table larger than allowed", headers(1, number(4097, 5, 0x20) + block(GET)),
     goaway(COMPRESSION_ERROR)),
    ("4.3 a table size behind a field", headers(1, block(GET) + b"\x20"), goaway(COMPRESSION_ERROR)),
    ("4.3 a smaller table", headers(1, b"\x20\x3f\xe1\x1f" + block(GET)), SERVED),
    ("4.3 a block of many frames", split(GET, 1, 9, 20), SERVED),
    ("4.3 a block with an empty frame", split(GET, 0, 5, 5), SERVED),
    ("4.3 a block whose frames have a byte each", split(GET, *tail(8)), SERVED),
    ("4.3 a block in more frames than we take", split(GET, *tail(9)), goaway(ENHANCE_YOUR_CALM)),
    ("4.3 DATA amid a block", frame(HEADERS, 1, 1, block(GET)) + data(1, b"x"),
     goaway(PROTOCOL_ERROR)),
    ("4.3 HEADERS amid a block", frame(HEADERS, 1, 1, block(GET)) + headers(3, GET),
     goaway(PROTOCOL_ERROR)),
    ("4.3 PING amid a block", frame(HEADERS, 1, 1, block(GET)) + ping(), goaway(PROTOCOL_ERROR)),
    ("5.5 an unknown frame amid a block", frame(HEADERS, 1, 1, block(GET)) + frame(0xbb, 0, 1),
     goaway(PROTOCOL_ERROR)),
    # states
    ("5.1 idle: DATA", data(1, b"x"), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: RST_STREAM", reset(1), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: WINDOW_UPDATE", update(1, 1), goaway(PROTOCOL_ERROR)),
    ("5.1 idle: CONTINUATION", frame(CONTINUATION, 4, 1, block(GET)), goaway(PROTOCOL_ERROR)),
    ("5.1 half-closed: DATA", headers(1, head("GET", "/slow")) + data(1, b"x"),
     (("rst", STREAM_CLOSED), ("goaway", STREAM_CLOSED))),
    ("5.1 half-closed: HEADERS", headers(1, head("GET", "/slow")) + headers(1, GET),
     (("rst", STREAM_CLOSED), ("goaway", STREAM_CLOSED))),
    ("5.1 half-closed: CONTINUATION", headers(1, head("GET", "/slow"))
     + frame(CONTINUATION, 4, 1, block(GET)), goaway(PROTOCOL_ERROR)),
    ("5.1 closed by a reset: DATA", OPEN + reset(1) + data(1, b"x"), goaway(STREAM_CLOSED)),
    ("5.1 closed by a reset: HEADERS", OPEN + reset(1) + headers(1, GET), goaway(STREAM_CLOSED)),
    ("5.1 closed: WINDOW_UPDATE is ignored", OPEN + reset(1) + update(1, 5) + headers(3, GET), 3),
    ("5.1 closed: RST_STREAM is ignored", OPEN + reset(1) + reset(1) + headers(3, GET), 3),
    ("5.1 closed: PRIORITY is ignored", OPEN + reset(1) + frame(PRIORITY, 0, 1, weight(3))
     + headers(3, GET), 3),
    ("5.1.1 an even number", headers(2, GET), goaway(PROTOCOL_ERROR)),
    ("5.1.1 a smaller number", headers(5, GET) + headers(3, GET),
     (("goaway", PROTOCOL_ERROR), ("goaway", STREAM_CLOSED))),
    ("5.3.1 depends on itself (HEADERS)", headers(1, weight(1) + block(GET), flags=END_HEADERS | WITH_PRIORITY),
     (("goaway", PROTOCOL_ERROR), ("rst", PROTOCOL_ERROR))),
    ("5.3.1 depends on itself (PRIORITY)", frame(PRIORITY, 0, 1, weight(1)), goaway(PROTOCOL_ERROR)),
    ("5.4.2 no RST_STREAM for a RST_STREAM", OPEN + reset(1, 0xdead) + headers(3, GET), 3),
    # each type
    ("6.1 DATA on stream 0", data(0, b"x"), goaway(PROTOCOL_ERROR)),
    ("6.1 padding", OPEN + frame(DATA, PADDED | END_STREAM, 1, padded(b"abc", 7)), SERVED),
    ("6.1 nothing but padding", OPEN + frame(DATA, PADDED | END_STREAM, 1, padded(b"", 255)), SERVED),
    ("6.1 padding as long as the frame", OPEN + frame(DATA, PADDED, 1, padded(b"", 3, lie=4)),
     goaway(PROTOCOL_ERROR)),
    ("6.1 padded and empty", OPEN + frame(DATA, PADDED, 1, b""),
     (("goaway", FRAME_SIZE_ERROR), ("goaway", PROTOCOL_ERROR))),
    ("6.2 HEADERS on stream 0", headers(0, GET), goaway(PROTOCOL_ERROR)),
    ("6.2 padding", frame(HEADERS, PADDED | 5, 1, padded(block(GET), 9)), SERVED),
    ("6.2 padding longer than the frame", frame(HEADERS, PADDED | 5, 1, padded(block(GET), 1, lie=250)),
     goaway(PROTOCOL_ERROR)),
    ("6.2 with a priority", headers(1, weight(3) + block(GET), flags=END_HEADERS | WITH_PRIORITY),
     SERVED),
    ("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, weight(1)), goaway(PROTOCOL_ERROR)),
    ("6.3 PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, b"\0\0\0\3"),
     (("goaway", FRAME_SIZE_ERROR), ("rst", FRAME_SIZE_ERROR))),
    ("6.3 PRIORITY of an idle stream", frame(PRIORITY, 0, 1, weight(3)) + headers(1, GET), SERVED),
    ("6.4 RST_STREAM on stream 0", reset(0), goaway(PROTOCOL_ERROR)),
    ("6.4 RST_STREAM of 3 bytes", OPEN + frame(RST_STREAM, 0, 1, b"\0\0\0"),
     goaway(FRAME_SIZE_ERROR)),
    ("6.5 an ACK with content", frame(SETTINGS, ACK, 0, b"\0" * 6), goaway(FRAME_SIZE_ERROR)),
    ("6.5 on a stream", frame(SETTINGS, 0, 1, b""), goaway(PROTOCOL_ERROR)),
    ("6.5 5 bytes", frame(SETTINGS, 0, 0, b"\0" * 5), goaway(FRAME_SIZE_ERROR)),
    ("6.5.2 ENABLE_PUSH of 2", settings((ENABLE_PUSH, 2)), goaway(PROTOCOL_ERROR)),
    ("6.5.2 a window above 2^31-1", settings((INITIAL_WINDOW_SIZE, 1 << 31)),
     goaway(FLOW_CONTROL_ERROR)),
    ("6.5.2 frames below 16384", settings((MAX_FRAME_SIZE, 16383)), goaway(PROTOCOL_ERROR)),
    ("6.5.2 frames above 2^24-1", settings((MAX_FRAME_SIZE, 1 << 24)), goaway(PROTOCOL_ERROR)),
    ("6.5.2 an unknown setting is ignored", settings((0x4242, 7)) + headers(1, GET), SERVED),
    ("6.5.2 larger frames are no demand", settings((MAX_FRAME_SIZE, 1 << 20))
     + headers(1, head("GET", "/big")), SERVED),
    ("8441 3 ENABLE_CONNECT_PROTOCOL of 2", settings((8, 2)), goaway(PROTOCOL_ERROR)),
    ("9218 2.1 NO_RFC7540_PRIORITIES of 2", settings((9, 2)), goaway(PROTOCOL_ERROR)),
    ("9218 2.1 NO_RFC7540_PRIORITIES that changes", settings((9, 1)), goaway(PROTOCOL_ERROR)),
    ("6.6 PUSH_PROMISE from a client", OPEN + frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + block(GET)),
     goaway(PROTOCOL_ERROR)),
    ("6.7 PING on a stream", frame(PING, 0, 1, b"12345678"), goaway(PROTOCOL_ERROR)),
    ("6.7 PING of 7 bytes", frame(PING, 0, 0, b"1234567"), goaway(FRAME_SIZE_ERROR)),
    ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, b"\0" * 8), goaway(PROTOCOL_ERROR)),
    ("6.8 GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, b"\0" * 7), goaway(FRAME_SIZE_ERROR)),
    ("6.8 streams before GOAWAY are served", headers(1, GET) + frame(GOAWAY, 0, 0, b"\0" * 8),
     ("served, then closed",)),
    ("6.8 a stream behind the client's own GOAWAY", OPEN + frame(GOAWAY, 0, 0, b"\0" * 8)
     + headers(3, GET), 3),
    ("6.9 WINDOW_UPDATE of 0 on a stream", OPEN + update(1, 0),
     (("rst", PROTOCOL_ERROR), ("goaway", PROTOCOL_ERROR))),
    ("6.9 WINDOW_UPDATE of 0 on the connection", update(0, 0), goaway(PROTOCOL_ERROR)),
    ("6.9 WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), goaway(FRAME_SIZE_ERROR)),
    ("6.9.1 more than 2^31-1 on a stream", OPEN + update(1, (1 << 31) - 1), rst(FLOW_CONTROL_ERROR)),
    ("6.9.1 more than 2^31-1 on the connection", update(0, (1 << 31) - 1),
     goaway(FLOW_CONTROL_ERROR)),
    ("6.9.2 SETTINGS that overflow a window", OPEN + update(1, (1 << 31) - 1 - 65535)
     + settings((INITIAL_WINDOW_SIZE, 65536)), goaway(FLOW_CONTROL_ERROR)),
    ("6.10 CONTINUATION on stream 0", frame(HEADERS, 1, 1, block(GET)) + frame(CONTINUATION, 4, 0, b""),
     goaway(PROTOCOL_ERROR)),
    ("6.10 CONTINUATION on another stream", frame(HEADERS, 1, 1, block(GET))
     + frame(CONTINUATION, 4, 3, b""), goaway(PROTOCOL_ERROR)),
    ("6.10 CONTINUATION behind END_HEADERS", OPEN + frame(CONTINUATION, 4, 1, block([("a", "b")])),
     goaway(PROTOCOL_ERROR)),
    ("6.10 CONTINUATION behind DATA", OPEN + data(1, b"x") + frame(CONTINUATION, 4, 1, b""),
     goaway(PROTOCOL_ERROR)),
    ("7 unknown error codes mean nothing special", OPEN + reset(1, 0xffffffff) + headers(3, GET), 3),
    ("9218 7.1 PRIORITY_UPDATE is accepted", headers(1, head("GET", "/slow", "priority: u=1, i"))
     + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=5"), SERVED),
    ("9218 7.1 PRIORITY_UPDATE of an idle stream", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=0")
     + headers(1, GET), SERVED),
    ("9218 7.1 PRIORITY_UPDATE that cannot be read", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1\"u=9,")
     + headers(1, GET), SERVED),
    ("9218 7.1 PRIORITY_UPDATE that is long", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1" + b"a," * 500)
     + headers(1, GET), SERVED),
    ("9218 7.1 PRIORITY_UPDATE of 3 bytes", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0"),
     goaway(FRAME_SIZE_ERROR)),
    ("9218 7.1 PRIORITY_UPDATE of as many as may be", b"".join(
        frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", i) + b"u=1") for i in range(1, 201, 2))
     + headers(1, GET), SERVED),
    ("9218 7.1 PRIORITY_UPDATE of one more", b"".join(
        frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", i) + b"u=1") for i in range(1, 203, 2)),
     goaway(PROTOCOL_ERROR)),
    ("9218 7.1 PRIORITY_UPDATE of a pushed stream", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\2u=5"),
     goaway(PROTOCOL_ERROR)),
    ("9218 7.1 PRIORITY_UPDATE on a stream", OPEN + frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=5"),
     goaway(PROTOCOL_ERROR)),
    ("9218 7.1 PRIORITY_UPDATE for stream 0", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=5"),
     goaway(PROTOCOL_ERROR)),
]

# what takes the place of the preface, or follows it; only where TLS says that it is HTTP/2
PREFACES = [
    ("3.4 another preface", PREFACE[:-2] + b"\n\n" + settings(), goaway(PROTOCOL_ERROR)),
    ("3.4 a request of HTTP/1", b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n", goaway(PROTOCOL_ERROR)),
]
FIRST = [
    ("3.4 no SETTINGS first", PREFACE + headers(1, GET), goaway(PROTOCOL_ERROR)),
    ("3.4 an ACK first", PREFACE + frame(SETTINGS, ACK), goaway(PROTOCOL_ERROR)),
    ("3.4 a PING first", PREFACE + ping(), goaway(PROTOCOL_ERROR)),
]


@pytest.fixture
def silent():
    upstream = Silent()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """One proxy for all cases: what the ones do wrong must not concern the others."""
    folder = tmp_path_factory.mktemp("h2")
    ca = Authority(folder)
    crt, key = ca.certificate("site", "localhost")
    origin = Origin(serve(lambda req: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
        (60000, b"x" * 60000) if req.target == "/big" else (2, b"ok"))))
    proxy = Proxy(folder, "--h2c", "--cert", crt, "--key", key, origin.name,
                  listen_tls=("127.0.0.1:0",))

    def connect(secure=False, **options):
        context = ca.client(alpn=("h2",)) if secure else None
        return h2(proxy, int(secure), context, **options)
    connect.proxy = proxy
    yield connect
    try:
        proxy.close_clients()
        origin.stop()
    finally:
        proxy.finish()


def outcome(c, stream=1):
    """What became of stream 1 and the connection."""
    st = c.stream(stream)
    try:
        c.until(lambda: st.over or c.goaways)
    except Exception:
        if not c.goaways:
            raise
    if st.reset is not None and st.status is None:
        return ("rst", st.reset)
    if c.goaways and c.goaways[-1][1] != NO_ERROR:
        assert c.rest()[1] == c.goaways[-1][1], c.goaways
        assert c.end == "fin", "GOAWAY must arrive, so the end is no reset"
        return ("goaway", c.goaways[-1][1])
    assert st.ended and st.status == 200, st
    return SERVED


def check(c, sent, want):
    c.send(sent)
    if want == ("served, then closed",):
        assert outcome(c) == SERVED
        assert c.rest()[1] == NO_ERROR and c.end == "fin"
        return
    stream = want if isinstance(want, int) else 1
    for silent in range(1, stream, 2):
        c.stream(silent)
    got = outcome(c, stream)
    if isinstance(want, int):
        assert got == SERVED
        assert all(c.streams[n].reset is None for n in range(1, stream, 2)), c.streams
    else:
        allowed = want if isinstance(want[0], tuple) else (want,)
        assert got in allowed, f"{got}, not {want}: {c.frames}"
    if got[0] != "goaway":
        c.next = 101
        assert c.get("/after").status == 200, "the connection goes on"


@pytest.mark.quick
@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "tls"])
@pytest.mark.parametrize("sent, want", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_frames(port, secure, sent, want):
    check(port(secure), sent, want)


@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "tls"])
@pytest.mark.parametrize("sent, want", [c[1:] for c in FIRST], ids=[c[0] for c in FIRST])
def test_first_frame(port, secure, sent, want):
    check(port(secure, greet=False), sent, want)


@pytest.mark.parametrize("sent, want", [c[1:] for c in PREFACES], ids=[c[0] for c in PREFACES])
def test_preface(port, sent, want):
    check(port(True, greet=False), sent, want)


@pytest.mark.quick
@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "tls"])
def test_server_preface(port, secure):
    """3.4, 6.5.3: SETTINGS comes first (the reader insists) and ours are acknowledged, each
    time."""
    c = port(secure)
    c.send(settings((0x7777, 1)) + settings())
    c.until(lambda: c.acks == 3)
    assert c.settings[3] == 100             # MAX_CONCURRENT_STREAMS
    assert c.settings[4] == 65536           # INITIAL_WINDOW_SIZE
    assert c.settings[6] == 32768           # MAX_HEADER_LIST_SIZE
    assert c.settings[9] == 1               # NO_RFC7540_PRIORITIES
    assert c.settings.get(2, 0) == 0        # a server pushes nothing here


def test_the_log_names_the_fault(weir, origin):
    proxy = weir("--h2c", origin())
    c = h2(proxy)
    c.send(data(0, b"x"))
    assert outcome(c) == goaway(PROTOCOL_ERROR)
    ended(proxy, "h2_protocol", "PROTOCOL_ERROR")


def test_ping_comes_back(port):
    """6.7: with the same bytes; an ACK is answered by nothing."""
    c = port()
    c.send(ping(b"\0\1\2\3\4\5\6\xff") + ping(b"answered", ACK) + ping(b"the last"))
    c.until(lambda: b"the last" in c.pongs)
    assert c.pongs == [b"\0\1\2\3\4\5\6\xff", b"the last"]


def test_settings_in_order(port):
    """6.5.3: the last of several values for one setting holds; and 6.9.2: a window that becomes
    negative is waited out."""
    c = port(settings=((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 30)), credit=False)
    c.stream_window = 30
    st = c.request("GET", "/big")
    c.until(lambda: len(st.body) == 30)
    c.send(settings((INITIAL_WINDOW_SIZE, 0)))
    c.until(lambda: c.acks == 2)
    st.window -= 30                         # it is -30 now
    c.give(st, 30)
    c.pong()
    assert len(st.body) == 30, "sent into a window of 0"
    c.give(st, 1)
    c.until(lambda: len(st.body) == 31)
    c.send(settings((INITIAL_WINDOW_SIZE, 60)))
    st.window += 60
    c.until(lambda: len(st.body) == 91)
    c.auto_credit = True
    c.stream_window = 60
    c.give(st, 60000)
    assert len(c.receive(st).body) == 60000


def test_streams_behind_the_own_goaway(port):
    """6.8: a client that says GOAWAY may go on with what it opens; the end comes with the last of
    its streams."""
    c = port()
    first = c.request("POST", "/", end=False)
    c.send(frame(GOAWAY, 0, 0, b"\0" * 8))
    assert all(c.get(f"/{i}").status == 200 for i in range(5))
    c.send(data(first.number, b"", True))
    assert c.receive(first).status == 200
    assert c.rest()[1] == NO_ERROR and c.end == "fin"


def test_tables(port):
    """7541 4.2, 6.3: the client's table becomes smaller and larger again amid responses; each
    change is told in the next block."""
    c = port()
    for size in (4096, 0, 100, 4096, 10, 65536, 0):
        c.send(settings((HEADER_TABLE_SIZE, size)))
        c.decoder.max_allowed_table_size = max(size, c.decoder.header_table_size)
        c.pong()
        for i in range(3):
            assert c.get(f"/{i}").status == 200
        assert c.decoder.header_table_size <= size
        c.decoder.max_allowed_table_size = size


def test_padding_comes_back(port):
    """6.9.1: padding counts in the windows, and gives its room back like what is between."""
    c = port()
    c.until(lambda: c.acks)
    st = c.request("POST", "/", end=False)
    one = frame(DATA, PADDED, 1, padded(b"x", 255))
    for _ in range(3000):
        while min(st.credit, c.credit) < 257:
            c.take()
        st.credit -= 257
        c.credit -= 257
        c.send(one)
    c.send(data(1, b"", True))
    assert c.receive(st).status == 200


def test_updates_before_their_streams(port):
    """9218 7.1: as many as it likes, as long as the streams are opened, or passed over."""
    c = port()
    for i in range(1, 1000, 4):
        c.send(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", i) + b"u=1"))
        c.send(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", i + 2) + b"u=1"))
        c.next = i + 2
        assert c.get().status == 200


def test_connection_window(port):
    """6.9.1: all streams together send no more than the connection's window."""
    c = port(settings=((INITIAL_WINDOW_SIZE, 1 << 20),), credit=False)
    streams = [c.request("GET", "/big") for _ in range(3)]
    c.until(lambda: c.window == 0)
    c.pong()
    assert sum(len(st.body) for st in streams) == 65535
    c.give(0, 1 << 20)
    for st in streams:
        assert len(c.receive(st).body) == 60000


@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "tls"])
def test_byte_by_byte(port, secure):
    """Frames may be cut anywhere."""
    c = port(secure, greet=False)
    c.stream(1)
    c.bytewise(PREFACE + settings((3, 9)) + frame(HEADERS, PADDED, 1, padded(block(POST), 3))
               + frame(CONTINUATION, 0, 1, block([("a", "b")])) + frame(CONTINUATION, 4, 1, b"")
               + frame(PRIORITY, 0, 5, weight(1)) + ping(b"in bytes") + data(1, b"hello")
               + headers(1, [("t", "v")]))
    assert c.receive(c.streams[1]).status == 200
    assert c.pongs == [b"in bytes"]


def test_more_than_our_window(weir, silent):
    """6.9.1: nobody reads the body yet, as the upstream does not even accept."""
    c = h2(weir("--h2c", silent.name))
    c.pong()                            # it knows that we know how large the window is
    st = c.stream(1)
    c.send(OPEN)
    c.send(data(1, b"x" * 16384) * 4)
    c.pong()
    assert not st.over
    c.send(data(1, b"x"))
    assert outcome(c) in (("rst", FLOW_CONTROL_ERROR), ("goaway", FLOW_CONTROL_ERROR))


def test_stream_numbers_end(port):
    """5.1.1: the largest number there is may be used."""
    c = port()
    st = c.stream((1 << 31) - 1)
    c.send(headers(st.number, GET))
    assert c.receive(st).status == 200


def test_more_streams_than_advertised(port):
    """5.1.2: what is too many is refused, so that it may be sent again."""
    c = port(settings=((INITIAL_WINDOW_SIZE, 0),))
    streams = [c.request("GET", "/") for _ in range(101)]
    c.until(lambda: c.goaways or streams[100].over)
    assert streams[100].reset in (7, 1) or c.goaways, streams[100]
