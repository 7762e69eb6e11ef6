"""HTTP/2 for clients: what a request and a response mean, whatever carries them upstream (here:
HTTP/1.1, so that each byte can be looked at)."""

import select
import signal
import threading

import pytest
from weirtest import chunks, echo, request, serve
from weirtest.h2 import (
    COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR, NO_ERROR, PREFACE, PRIORITY_UPDATE, H2, Gone, block, data, frame, h2, head, headers, ping,
    reset, settings)
from weirtest.records import APPLICATION_DATA, Records
from weirtest.tls import Authority

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=[False, True], ids=["h2c", "tls"])
def port(request, weir, tmp_path):
    """port(origin, options...) starts a proxy; port.connect() connects, by TLS or without."""
    class Port:
        def __call__(self, *args):
            if not request.param:
                self.proxy = weir("--h2c", *args)
            else:
                self.ca = Authority(tmp_path)
                crt, key = self.ca.certificate("site", "localhost")
                self.proxy = weir("--cert", crt, "--key", key, *args, listen=(),
                                  listen_tls=("127.0.0.1:0",))
            return self.connect()

        def connect(self, **options):
            tls = self.ca.client(alpn=("h2",)) if request.param else None
            return h2(self.proxy, tls=tls, **options)
    return Port()


# ---- plain exchanges -----------------------------------------------------------------------------

@pytest.mark.quick
def test_get(port, origin):
    origin = origin(serve(b"HTTP/1.1 200 Fine\r\nServer: it\r\nX-Case: a\r\nConnection: X-Hop\r\n"
                          b"X-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello"))
    c = port(origin)
    st = c.get("/a?b=c", "x-y: z", "user-agent: me")
    assert (st.status, st.body) == (200, b"hello")
    assert st.get("server") == "it" and st.get("x-case") == "a" and st.get("content-length") == "5"
    assert st.get("x-hop") is None and st.get("date")
    req = origin.one()
    assert (req.method, req.target, req.version) == ("GET", "/a?b=c", "HTTP/1.1")
    assert req.get("host") == "origin.test" and req.get("x-y") == "z"
    record = port.proxy.log()[0]
    assert record["status"] == 200 and record["version"] == "HTTP/2.0", record


def test_head(port, origin):
    c = port(origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")))
    st = c.receive(c.request("HEAD", "/"))
    assert (st.status, st.body, st.get("content-length")) == (200, b"", "12345")
    assert c.get("/x", authority="x y").status in (400, None)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_content(port, origin, status):
    c = port(origin(serve(f"HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n".encode())))
    st = c.get("/")
    assert (st.status, st.body, st.ended) == (int(status[:3]), b"", True)
    assert st.get("content-length") is None and st.get("etag") == '"a"'


FRAMINGS = [
    ("length", b"Content-Length: 8\r\n\r\nabcdefgh"),
    ("chunked", b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"abc", b"defgh")),
    ("until the end", b"Connection: close\r\n\r\nabcdefgh"),
]


@pytest.mark.parametrize("rest", [f[1] for f in FRAMINGS], ids=[f[0] for f in FRAMINGS])
def test_response_framings(port, origin, rest):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n" + rest)
    st = port(origin(script)).get("/")
    assert (st.status, st.body) == (200, b"abcdefgh")
    assert st.get("content-length") == ("8" if b"Length" in rest else None)


@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 3 * MIB])
@pytest.mark.parametrize("stated", [True, False], ids=["length", "no length"])
def test_upload_and_download(port, origin, size, stated):
    body = bytes(i * 7 & 255 for i in range(4096)) * (size // 4096) + b"z" * (size % 4096)
    c = port(origin(serve(echo)))
    fields = [f"content-length: {size}"] if stated else []
    st = c.receive(c.request("POST", "/up", *fields, body=body))
    assert st.status == 200 and st.body == body and st.get("x-target") == "/up"


def test_many_at_once(port, origin):
    """A hundred streams, each with a body of its own; twice, so that nothing of the first stays."""
    c = port(origin(serve(echo)))
    for turn in range(2):
        streams = {i: c.request("POST", f"/{i}", body=b"%d" % i * 3000) for i in range(100)}
        for i, st in streams.items():
            assert c.receive(st).body == b"%d" % i * 3000 and st.get("x-target") == f"/{i}"


def test_large_heads(port, origin):
    """Both ways, in several frames."""
    origin = origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                          + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 900) for i in range(50)) + b"\r\n"))
    c = port(origin)
    assert c.get("/", *[f"x-{i}: " + "w" * 700 for i in range(20)]).get("x-49") == "v" * 900
    assert origin.one().get("x-19") == "w" * 700


@pytest.mark.parametrize("count, size", [(180, 350), (1, 300_000)])
def test_largest_heads(weir, origin, count, size):
    """What an upstream may answer is more than nghttp2 sends by itself."""
    origin = origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                          + b"".join(b"X-%d: %s\r\n" % (i, b"v" * size) for i in range(count))
                          + b"\r\n"))
    c = h2(weir("--h2c", "--max-head", "1MiB", "--max-field", "1MiB", origin))
    assert c.get("/").get(f"x-{count - 1}") == "v" * size


def test_largest_value(weir, origin):
    """What is longer is not decoded, and so nothing behind it can be."""
    proxy = weir("--h2c", "--max-head", "1MiB", "--max-field", "1MiB", origin(serve(echo)))
    for size in (65000, 66000):
        c = h2(proxy)
        st = c.stream(1)
        text = block(head("GET", "/", "a: " + "v" * size))
        c.send(frame(HEADERS, END_STREAM, 1, text[:16384])
               + b"".join(frame(CONTINUATION, 0, 1, text[at:at + 16384])
                          for at in range(16384, len(text), 16384))
               + frame(CONTINUATION, END_HEADERS, 1, b""))
        if size == 65000:
            assert c.receive(st).status == 200
    assert c.rest()[1] == COMPRESSION_ERROR


# ---- trailers, interim heads ---------------------------------------------------------------------

def test_trailers_down(port, origin):
    origin = origin(serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          + chunks(b"abc", trailers="Grpc-Status: 0\r\nX-T: v\r\n")))
    st = port(origin).get("/", "te: trailers")
    assert (st.body, st.trailers) == (b"abc", [("grpc-status", "0"), ("x-t", "v")])


def test_trailers_up(port, origin):
    origin = origin(serve(OK))
    c = port(origin)
    st = c.request("POST", "/", body=b"abc", end=False)
    c.send(headers(st.number, [("x-t", "v"), ("authorization", "me")]))
    assert c.receive(st).status == 200
    assert origin.one().body == b"abc"
    assert origin.one().trailers == [("x-t", "v")], "RFC 9110 6.5.1"


def test_interim_heads(port, origin):
    go = threading.Event()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        conn.wait(go)
        conn.send(OK)
    c = port(origin(script))
    st = c.request()
    c.until(lambda: len(st.interim) == 2)       # while the response is still to come
    go.set()
    c.receive(st)
    assert [dict(f)[":status"] for f in st.interim] == ["103", "102"]
    assert dict(st.interim[0])["link"] == "</a>" and st.body == b"ok"


def test_expect(port, origin):
    """100 comes from the origin, or after a second from us; then the body does."""
    def script(conn):
        req = conn.head()
        assert req.get("expect") == "100-continue"
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body(req)
        conn.send(OK)
    c = port(origin(script))
    st = c.request("POST", "/", "expect: 100-continue", "content-length: 3", end=False)
    c.until(lambda: st.interim)
    c.upload(st, b"abc")
    assert c.receive(st).status == 200
    assert [dict(f)[":status"] for f in st.interim] == ["100"]


# ---- ends that come early ------------------------------------------------------------------------

def test_early_response(port, origin):
    """The answer comes whole, then NO_ERROR: the rest of the body need not be sent (8.1)."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 403 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")
        conn.wait_end()
    c = port(origin(script, serve(OK)))
    st = c.request("POST", "/", end=False)
    c.until(lambda: st.reset is not None)
    assert (st.status, st.body, st.ended, st.reset) == (403, b"stop", True, NO_ERROR)
    assert c.get("/next").status == 200


CUTS = [
    ("of a length", b"Content-Length: 10\r\n\r\nabc"),
    ("of chunks", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    ("behind a chunk", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("rest", [c[1] for c in CUTS], ids=[c[0] for c in CUTS])
def test_cut_off_bodies(port, origin, rest, end):
    """Seen as cut off: RST_STREAM, never END_STREAM."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n" + rest)
        if end == "reset":
            conn.reset()
    c = port(origin(script, serve(OK)))
    st = c.request()
    c.until(lambda: st.over)
    assert not st.ended and st.reset == INTERNAL_ERROR and b"abc".startswith(st.body[:2])
    assert c.get("/next").status == 200


def test_client_reset_cancels(port, origin):
    """The upstream connection of a request that nobody wants any more is closed."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc")
        conn.wait_end()
    origin = origin(script, serve(OK))
    c = port(origin, "--workers", 1)
    st = c.request()
    c.until(lambda: st.body == b"abc")
    c.send(reset(st.number))
    origin.wait(lambda: origin.conns[0].ended, "the end of the upstream connection")
    assert c.get("/next").status == 200
    assert port.proxy.log(2)[0].get("why") == "client_gone"


def test_client_reset_amid_upload(port, origin):
    """Again and again; what was received and not read gives its room back (the window of the
    connection is 1 MiB, and 4 are sent)."""
    def script(conn):
        req = conn.head()
        if req and req.target == "/last":
            conn.body(req)
            conn.send(OK)
        conn.wait_end()
    c = port(origin(script), "--workers", 1)
    c.until(lambda: c.acks and c.credit > MIB - 70000)
    for _ in range(64):
        st = c.request("POST", "/", end=False)
        c.upload(st, b"x" * 65536, end=False)
        c.send(reset(st.number))
        st.reset = None
    st = c.request("POST", "/last", body=b"y" * MIB)
    assert c.receive(st).status == 200


def test_client_that_hangs_up(port, origin):
    """All its requests are cancelled."""
    origin = origin(lambda conn: [conn.head(), conn.wait_end()])
    c = port(origin)
    for i in range(5):
        c.request("GET", f"/{i}")
    origin.wait_requests(5)
    c.close()
    origin.wait(lambda: all(x.ended for x in origin.conns) and len(origin.conns) == 5, "5 ends")
    assert {r["why"] for r in port.proxy.log(5)} == {"client_gone"}


def test_bodies_too_large(port, origin):
    origin = origin(serve(OK))
    c = port(origin, "--max-body", "1000")
    st = c.request("POST", "/", "content-length: 1001", end=False)
    c.until(lambda: st.ended)
    assert st.status == 413
    st = c.request("POST", "/", end=False)
    c.send(data(st.number, b"x" * 1001))
    c.until(lambda: st.over)
    assert st.status == 413 and not [r for r in origin.requests if r.body]
    assert c.get("/next").status == 200


# ---- windows -------------------------------------------------------------------------------------

def test_slow_origin_stops_the_client(weir, origin):
    """The stream's window follows the reader: what the origin does not take is not credited, and
    a stream that waits does not stop others."""
    go = threading.Event()

    def slow(conn):
        req = conn.head()
        if req.target == "/slow":
            conn.wait(go)
        conn.body(req)
        conn.send(OK)
    o = origin(slow)
    c = h2(weir("--h2c", o, "--timeout-upstream", "20s"))
    c.until(lambda: c.acks and c.credit > MIB - 70000)
    st = c.request("POST", "/slow", end=False)
    sent = 0
    while sent < 64 * MIB:          # sockets have room for some MiB; then it is the window's turn
        if (n := min(st.credit, c.credit, 16384)) > 0:
            c.send(data(st.number, b"x" * n))
            st.credit -= n
            c.credit -= n
            sent += n
            continue
        before = len(c.frames)
        c.pong()
        if not [f for f in c.frames[before:] if f.kind == 8]:
            c.pong()
            if st.credit == 0:
                break
    assert st.credit == 0 and sent < 32 * MIB, "it takes and takes"
    other = c.request("POST", "/other", body=b"y" * (2 * MIB))
    assert c.receive(other).status == 200
    go.set()
    c.upload(st, b"z")
    assert c.receive(st).status == 200
    assert len([r for r in o.requests if r.target == "/slow"][0].body) == sent + 1


def test_the_rest_of_a_window_is_used(weir, origin):
    """What is left of it waits for a moment, in case the client opens it; it does not wait for what
    others do meanwhile."""
    left = 2 * 16384 + 1000
    c = h2(weir("--h2c", origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"
                                      + b"x" * 50000))),
           settings=((INITIAL_WINDOW_SIZE, left),), credit=False)
    c.give(0, MIB)
    st = c.request()
    c.until(lambda: len(st.body) > 16384)
    for _ in range(500):
        if not c.buf and not select.select([c.sock], [], [], 0.02)[0]:
            c.give(0, 1)            # a window, not this one
            continue
        c.take()
        if len(st.body) == left:
            break
    assert len(st.body) == left


@pytest.mark.parametrize("end", [
    lambda c, st: None, lambda c, st: c.upload(st, b"y"), lambda c, st: c.upload(st, b""),
    lambda c, st: c.send(headers(st.number, [("x-t", "1")]))],
    ids=["none", "of its last piece", "alone", "trailers"])
def test_used_bodies_leave_the_window_to_others(weir, origin, end):
    """A hundred requests that run for long, each with a body that was used up: together they are
    more than the window of their connection."""
    def script(conn):
        if conn.head() is not None:
            conn.wait_end()
    c = h2(weir("--h2c", origin(script)))
    c.until(lambda: c.acks and c.credit > MIB - 70000)
    streams = [c.request("POST", "/", end=False) for _ in range(100)]
    for st in streams:
        c.upload(st, b"x" * 11000, False)
        end(c, st)
    assert not any(st.over for st in streams)


def test_priorities(weir, origin):
    """RFC 9218: of two responses that wait for a window, the more urgent one is sent first; a
    PRIORITY_UPDATE changes that."""
    def page(req):
        n = 100000 if req.target == "/1" else 8000
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n + b"x" * n
    o = origin(serve(page))
    c = h2(weir("--h2c", o), settings=((INITIAL_WINDOW_SIZE, 1 << 20),), credit=False)
    first = c.request("GET", "/1", "priority: u=6")
    c.until(lambda: c.window == 0)
    low = c.request("GET", "/2", "priority: u=5")
    high = c.request("GET", "/3", "priority: u=1")
    c.until(lambda: low.fields and high.fields)
    c.pong()
    c.give(0, 8000)
    c.until(lambda: c.window == 0)
    assert high.ended and not low.body, "the urgent one comes first"
    c.send(frame(PRIORITY_UPDATE, 0, 0, low.number.to_bytes(4, "big") + b"u=7"))
    c.give(0, 8000)
    c.until(lambda: c.window == 0)
    assert len(first.body) == 65535 + 8000 and not low.body, "it has become the least urgent"
    c.give(0, 200000)
    assert len(c.receive(first).body) == 100000 and len(c.receive(low).body) == 8000


def test_priority_before_the_request(weir, origin):
    """RFC 9218 7: a PRIORITY_UPDATE wins over the field, also when it comes first."""
    o = origin(serve(lambda req: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (n := {
        "/1": 70000}.get(req.target, 8000)) + b"x" * n))
    c = h2(weir("--h2c", o), settings=((INITIAL_WINDOW_SIZE, 1 << 20),), credit=False)
    first = c.request("GET", "/1", "priority: u=0")
    c.until(lambda: c.window == 0)
    c.send(frame(PRIORITY_UPDATE, 0, 0, (5).to_bytes(4, "big") + b"u=2, i=?0"))
    low = c.request("GET", "/2", "priority: u=3")
    high = c.request("GET", "/3", "priority: u=7")
    c.until(lambda: low.fields and high.fields)
    c.pong()
    c.give(0, 70000 - 65535 + 8000)
    c.until(lambda: c.window == 0)
    assert first.ended and high.ended and not low.body
    c.give(0, 8000)
    assert len(c.receive(low).body) == 8000


def test_frames_leave_together(weir, origin, tmp_path):
    """What many streams have to say while the socket is full leaves in few writes: here,
    records."""
    ca = Authority(tmp_path)
    crt, key = ca.certificate("site", "localhost")
    go = threading.Event()

    def script(conn):
        while (req := conn.request()) is not None:
            if req.target != "/first":
                conn.wait(go)
            conn.send(OK)
    o = origin(script)
    proxy = weir("--workers", 1, "--cert", crt, "--key", key, o, listen=(),
                 listen_tls=("127.0.0.1:0",))
    wire = Records(proxy.addresses[0], ca.client(alpn=("h2",)), name="localhost")
    proxy.clients.append(wire)
    wire.sendall = wire.send
    c = H2(wire)
    streams = [c.request("GET", f"/{i}") for i in range(40)]
    o.wait_requests(40)
    c.pong()
    mark = len(wire.seen)
    go.set()
    for st in streams:
        assert c.receive(st).status == 200
    frames = [f for f in c.frames if f.kind in (DATA, HEADERS)]
    records = [r for r in wire.records(mark) if r[0] == APPLICATION_DATA]
    assert len(frames) == 80 and len(records) < 80, "no two frames in one record"


# ---- one port for both ---------------------------------------------------------------------------

@pytest.mark.quick
def test_both_on_one_port(weir, origin):
    """A request of HTTP/1 that is shorter than the preface of HTTP/2 is answered at once."""
    proxy = weir("--h2c", origin(), "--timeout-header", "20s")
    short = b"GET / HTTP/1.0\r\n\r\n"
    assert len(short) < len(PREFACE)
    assert proxy.ask(short).status == 200
    for data_ in (short, request("GET", "/"), request("PUT", "/", body=b"PRI * HTTP/2.0\r\n\r\n")):
        client = proxy.client()
        assert client.ask(data_, split="bytes").status == 200
    assert h2(proxy).get("/").status == 200


@pytest.mark.parametrize("sent", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
                                  b"PRI / HTTP/2.0\r\n\r\n", b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_almost_the_preface(weir, origin, sent):
    o = origin()
    proxy = weir("--h2c", o)
    client = proxy.client()
    client.send(sent + b"SM\r\n\r\n" + settings())
    rest, how = client.reader.rest()
    assert how == "fin" and b" 200 " not in rest
    assert not o.requests


def test_not_without_the_option(weir, origin):
    client = weir(origin()).client()
    client.send(PREFACE + settings())
    assert client.receive().status in (400, 505)


# ---- the end of a connection ---------------------------------------------------------------------

def test_drain(port, origin):
    """SIGTERM: GOAWAY in two steps (6.8): what is sent before the second is served, what runs
    ends."""
    go = threading.Event()

    def script(conn):
        while (req := conn.request()) is not None:
            if req.target == "/slow":
                conn.wait(go)
            conn.send(OK)
    o = origin(script)
    c = port(o)
    slow = c.request("GET", "/slow")
    o.wait_requests(1)
    frames = c.frames
    c.mean, mean = (lambda f: mean(f) if f.kind != 6 or f.flags else None), c.mean   # no PONG yet
    port.proxy.signal(signal.SIGTERM)
    c.until(lambda: c.goaways)
    assert c.goaways[0][:2] == ((1 << 31) - 1, NO_ERROR)
    late = c.request("GET", "/late")
    assert c.receive(late).status == 200
    c.until(lambda: any(f.kind == 6 and not f.flags for f in frames))
    c.send(ping(next(f for f in frames if f.kind == 6 and not f.flags).payload, 1))
    c.until(lambda: len(c.goaways) == 2)
    assert c.goaways[1][:2] == (late.number, NO_ERROR)
    never = c.request("GET", "/never")
    go.set()
    assert c.receive(slow).status == 200
    assert c.rest()[1] == NO_ERROR and c.end == "fin"
    assert not never.over and not [r for r in o.requests if r.target == "/never"]
    port.proxy.wait(0)


def test_drain_without_a_pong(weir, origin):
    """A client that does not answer is not waited for."""
    proxy = weir("--h2c", origin())
    c = h2(proxy)
    assert c.get("/").status == 200
    c.mean, mean = (lambda f: mean(f) if f.kind != 6 else None), c.mean
    proxy.signal(signal.SIGTERM)
    assert c.rest()[1] == NO_ERROR and c.end == "fin"
    proxy.wait(0)


def test_grace_ends(weir, origin):
    proxy = weir("--h2c", "--grace", "300ms", origin(lambda conn: [conn.head(), conn.wait_end()]))
    c = h2(proxy)
    st = c.request()
    c.pong()
    proxy.signal(signal.SIGTERM)
    try:
        c.until(lambda: st.over)
        assert st.status == 503 or st.reset is not None
    except Gone:
        pass
    c.rest()
    proxy.wait(0)


@pytest.mark.parametrize("before", [0, 1], ids=["at first", "behind a request"])
def test_idle_timeout(port, origin, before):
    c = port(origin(), "--timeout-idle", "300ms")
    for _ in range(before):
        assert c.get("/").status == 200
    c.pong()
    assert c.rest()[1] == NO_ERROR and c.end == "fin"


def test_not_idle_with_a_stream(weir, origin):
    go = threading.Event()

    def script(conn):
        conn.request()
        go.wait(1)                  # several times the idle time
        conn.send(OK)
    c = h2(weir("--h2c", "--timeout-idle", "200ms", origin(script)))
    assert c.get("/").status == 200


def test_max_requests(port, origin):
    """The connection is wound up; what was sent meanwhile is served."""
    c = port(origin(), "--max-requests", 5)
    streams = [c.request("GET", f"/{i}") for i in range(8)]
    for st in streams:
        assert c.receive(st).status == 200
    assert c.rest()[1] == NO_ERROR and c.end == "fin"
    assert c.goaways[0][0] == (1 << 31) - 1 and c.goaways[1][0] == streams[-1].number
    assert port.connect().get("/").status == 200


def test_half_closed_by_the_client(weir, origin):
    """A FIN of the client: it cannot answer any more, so the connection ends; nothing leaks."""
    c = h2(weir("--h2c", origin()))
    assert c.get("/").status == 200
    c.sock.shutdown(1)
    c.rest()
    assert c.end == "fin"
