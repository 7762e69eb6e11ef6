"""What a client may do that costs us and brings it nothing: floods, bombs, and hands in the lap.

Each flood ends with GOAWAY and a reason in the log, while another client of the same process is
served as before; the origin never has more of a connection's requests than were advertised; and
what one connection can make the process keep is bounded."""

import re
import select
import threading

import pytest
from weirtest import poll, request, serve
from weirtest.h2 import (
    ACK, CONTINUATION, DATA, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, NO_ERROR, Gone, PADDED, PREFACE, PRIORITY, PRIORITY_UPDATE,
    Silent, block, data, ended, field, frame, h2, head, headers, ping, reset,
    settings, update)
from weirtest.h2origin import long_headers

MIB = 1024 * 1024
GET, POST = head(), head("POST")
STREAMS = 100                   # as advertised


@pytest.fixture
def silent():
    upstream = Silent()
    yield upstream
    upstream.close()


def rss(proxy):
    """Its memory, in bytes, that no file backs."""
    with open(f"/proc/{proxy.pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) * 1024


def sanitized(proxy):
    """Sanitizers keep what was freed, and room around each block."""
    with open(f"/proc/{proxy.pid}/maps") as maps:
        return bool(re.search(r"lib[at]san", maps.read()))


def grew(proxy, before, most):
    """By more than `most`?"""
    more = rss(proxy) - before
    print(f"{more / MIB:.1f} MiB more, of {most / MIB:.0f}")
    return more >= most * (6 if sanitized(proxy) else 1)


def odd(n, first=1):
    return range(first, first + 2 * n, 2)


def calm_end(proxy, c):
    """GOAWAY has arrived, and the log tells why. (Streams may be open until our resets have left:
    then there are too many of them first.)"""
    goaway = c.rest()
    assert goaway, (c.end, c.frames[-3:])
    assert goaway[1] == ENHANCE_YOUR_CALM or b"max concurrent" in goaway[2], goaway
    ended(proxy, "h2_abuse" if goaway[1] == ENHANCE_YOUR_CALM else "h2_protocol", ".")


def rapid_reset(c):
    for i in odd(400):
        c.stream(i)
        if not c.send(headers(i, GET) + reset(i)):
            return


def provoked(make):
    """A stream that we make the proxy reset, again and again (CVE-2025-8671)."""
    def flood(c):
        for i in odd(400):
            c.stream(i)
            if not c.send(make(i)):
                return
    return flood


def repeat(bytes_once, n=20000):
    def flood(c):
        for _ in range(n // 100):
            if not c.send(bytes_once * 100):
                return
    return flood


def on_stream(bytes_once, n=20000, opening=headers(1, POST, end=False)):
    def flood(c):
        c.stream(1)
        c.send(opening)
        repeat(bytes_once, n)(c)
    return flood


def continuation(empty):
    def flood(c):
        c.stream(1)
        c.send(frame(HEADERS, 0, 1, block(GET)))
        for _ in range(1000):
            if not c.send(frame(CONTINUATION, 0, 1, b"" if empty else field("a", "b" * 16000))):
                return
    return flood


def settings_changes(c):
    for i in range(5000):
        if not c.send(settings((INITIAL_WINDOW_SIZE, 100 + i % 2))):
            return


def hpack_bomb(c):
    """4 KiB in the table, and then a byte for each time that it is named (CVE-2016-6581)."""
    c.stream(1)
    bomb = field("x", "y" * 4000, index=True) + b"\xbe" * 12000
    c.send(headers(1, block(GET) + bomb))


# a stream that the proxy has reset: what comes for it may have been on its way
OVER = headers(1, POST + [("content-length", "1")], end=False) + data(1, b"ab")

FLOODS = [
    ("rapid reset", rapid_reset),
    ("resets provoked: a length that does not match", provoked(
        lambda i: headers(i, POST + [("content-length", "1")], end=False) + data(i, b"ab"))),
    ("resets provoked: a window above 2^31-1", provoked(
        lambda i: headers(i, POST, end=False) + update(i, (1 << 31) - 1))),
    ("resets provoked: bad trailers", provoked(
        lambda i: headers(i, POST, end=False) + headers(i, [("X", "y")]))),
    ("resets provoked: heads that are malformed", provoked(
        lambda i: headers(i, GET + [("connection", "close")]))),
    ("PING", repeat(ping())),
    ("PING answers", repeat(ping(flags=ACK))),
    ("SETTINGS", repeat(settings())),
    ("SETTINGS that change windows", settings_changes),
    ("PRIORITY", repeat(frame(PRIORITY, 0, 9, b"\0\0\0\3\0"))),
    ("PRIORITY_UPDATE", repeat(frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1"))),
    ("WINDOW_UPDATE", repeat(update(0, 1))),
    ("WINDOW_UPDATE on a stream", on_stream(update(1, 1))),
    ("empty DATA", on_stream(data(1))),
    ("empty DATA, padded", on_stream(frame(DATA, PADDED, 1, b"\x05\0\0\0\0\0"))),
    ("empty DATA on a stream that is over", on_stream(data(1), opening=OVER)),
    ("trailers for a stream that is over", on_stream(headers(1, [("a", "b")]), opening=OVER)),
    ("GOAWAY", on_stream(frame(GOAWAY, 0, 0, b"\0" * 8))),
    ("unknown frames", repeat(frame(0xbb, 0, 0, b"x"))),
    ("CONTINUATION", continuation(False)),
    ("empty CONTINUATION", continuation(True)),
    ("an HPACK bomb", hpack_bomb),
]


@pytest.mark.parametrize("flood", [f[1] for f in FLOODS], ids=[f[0] for f in FLOODS])
def test_floods(weir, silent, flood):
    """The upstream does not answer, so what is begun stays begun: worse is not possible."""
    proxy = weir("--h2c", silent.name, "--timeout-connect", "20s")
    before = rss(proxy)
    c = h2(proxy)
    c.pong()
    sender = threading.Thread(target=flood, args=(c,), daemon=True)
    sender.start()
    try:
        calm_end(proxy, c)
    finally:
        c.close()
        sender.join()
    other = h2(proxy)
    assert other.get("not a path").status in (400, None), "others are served"
    assert not grew(proxy, before, 4 * MIB)


# docs/http2.md: what a frame costs of the 2,000 that a connection has at first
PRICES = [
    ("RST_STREAM", 10, lambda i: headers(i, GET) + reset(i)),
    ("PING", 10, lambda i: ping()),
    ("PING answers", 10, lambda i: ping(flags=ACK)),
    ("SETTINGS", 20, lambda i: settings()),
    ("empty DATA", 10, lambda i: headers(1, POST, end=False) if i == 1 else data(1)),
    ("PRIORITY", 2, lambda i: frame(PRIORITY, 0, 9, b"\0\0\0\3\0")),
    ("PRIORITY_UPDATE", 2, lambda i: frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1")),
    ("unknown frames", 2, lambda i: frame(0xbb, 0, 0, b"x")),
    ("WINDOW_UPDATE", 1, lambda i: update(0, 1)),
]
PROVOKED = [
    ("a length that does not match", 20, lambda i: headers(
        i, POST + [("content-length", "1")], end=False) + data(i, b"ab")),
    ("a window above 2^31-1", 40, lambda i: headers(i, POST, end=False) + update(i, (1 << 31) - 1)),
    ("a malformed head", 40, lambda i: headers(i, GET + [("connection", "close")])),
]


@pytest.mark.parametrize("price, make, provoked", [p[1:] + (p in PROVOKED,) for p in PRICES + PROVOKED],
                         ids=[p[0] for p in PRICES + PROVOKED])
def test_prices(weir, origin, price, make, provoked):
    """What can be paid is no flood, whatever else nghttp2 counts: the connection goes on."""
    c = h2(weir("--h2c", "--workers", 1, origin()))
    c.until(lambda: c.acks)
    streams = [c.stream(i) for i in odd(2000 // price)]
    c.send(b"".join(make(st.number) for st in streams))
    if provoked:
        c.until(lambda: all(st.reset for st in streams))
    assert c.get("/after").status == 200


def test_resets_of_what_was_read(weir, origin):
    """Who reads of a response before it resets that has paid for it, however often."""
    body = b"x" * 100000
    c = h2(weir("--h2c", origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                                      + body))), settings=((INITIAL_WINDOW_SIZE, 40000),))
    c.auto_credit = False
    for _ in range(400):
        st = c.request()
        c.until(lambda: len(st.body) == 40000)
        c.send(reset(st.number))
        c.give(0, 40000)
    c.auto_credit = True
    assert c.get().body == body


def test_others_are_served(weir, origin):
    """While six connections do their worst, another one has each of its 120 requests answered."""
    origin = origin()
    proxy = weir("--h2c", "--workers", 2, origin)
    stop = threading.Event()

    def abuse(flood):
        while not stop.is_set():
            c = h2(proxy)
            try:
                flood(c)
            except Exception:
                pass                # the proxy hangs up; that is the idea
            c.close()
    floods = [dict(FLOODS)[n] for n in ("rapid reset", "PING", "an HPACK bomb", "CONTINUATION",
                                        "empty DATA", "SETTINGS")]
    threads = [threading.Thread(target=abuse, args=(f,), daemon=True) for f in floods]
    for t in threads:
        t.start()
    try:
        good, plain = h2(proxy), proxy.client()
        for i in range(60):
            assert good.get(f"/{i}").status == 200
            assert plain.ask(request("GET", f"/{i}")).status == 200
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not good.goaways


def goes_on(conn):
    """Its end has not come, whether its thread has seen it or not."""
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return not waiting.poll(0)


def test_origin_sees_no_more_than_advertised(weir, origin):
    """Requests that were reset count until they have ended at the origin, too (CVE-2023-44487).

    What the client may send in their place waits: to it they are over, so refusing would be our
    fault, not its."""
    lock, now, most = threading.Lock(), [], [0]

    def script(conn):
        while (conn.head()) is not None:
            with lock:
                now.append(conn)
                most[0] = max(most[0], sum(map(goes_on, now)))
            conn.wait_end()
            with lock:
                now.remove(conn)
    origin = origin(script)
    proxy = weir("--h2c", "--workers", 2, origin)
    c = h2(proxy)
    first = odd(90)
    for i in first:
        c.stream(i)
        c.send(headers(i, GET))
    poll(lambda: most[0] == 90, "90 requests")
    later = [c.stream(i) for i in odd(90, 181)]
    c.send(b"".join(map(reset, first)) + b"".join(headers(s.number, GET) for s in later))
    poll(lambda: len(origin.conns) == 180 and len(now) == 90, "the other 90")
    assert most[0] <= STREAMS
    c.send(b"".join(reset(s.number) for s in later))
    poll(lambda: not now, "the end of them all")
    assert not any(s.reset for s in later)


def test_windows_by_the_byte(weir, origin):
    """A response asked for byte by byte (CVE-2019-9511)."""
    proxy = weir("--h2c", origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
                                       + b"x" * 60000)))
    c = h2(proxy, settings=((INITIAL_WINDOW_SIZE, 0),), credit=False)
    st = c.request()
    c.until(lambda: st.fields)
    try:
        for i in range(20000):
            c.give(st, 1)
            c.until(lambda: len(st.body) == i + 1)
    except Gone:
        pass
    calm_end(proxy, c)
    assert len(st.body) < 4000


def test_zero_window(weir, origin):
    """Nobody reads: what is kept is a piece for each stream, and after --timeout-send it is
    gone."""
    body = b"x" * (4 * MIB)
    origin = origin(lambda conn: [conn.request(), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)])
    proxy = weir("--h2c", "--timeout-send", "500ms", origin)
    proxy.ask(request("GET", "/warm"))
    before = rss(proxy)
    c = h2(proxy, settings=((INITIAL_WINDOW_SIZE, 0),), credit=False)
    streams = [c.request("GET", f"/{i}") for i in range(STREAMS)]
    c.until(lambda: all(st.fields for st in streams))
    assert not grew(proxy, before, 8 * MIB)
    c.until(lambda: all(st.over for st in streams))
    assert {st.reset for st in streams} <= {2, 8} and not any(st.body for st in streams)
    assert c.get("/", authority="x y").status in (400, None), "the connection goes on"


def test_small_answers_that_nobody_reads(weir, origin):
    """The request is over for the origin and for us, but its answer cannot leave."""
    proxy = weir("--h2c", "--timeout-send", "500ms", origin())
    c = h2(proxy, settings=((INITIAL_WINDOW_SIZE, 0),), credit=False)
    streams = [c.request("GET", f"/{i}") for i in range(STREAMS)]
    c.until(lambda: all(st.over for st in streams))
    assert {st.reset for st in streams} == {8}


def test_reader_that_never_reads(weir, origin):
    """Windows are open, but the socket is full: the connection is cut after --timeout-send."""
    body = b"x" * (16 * MIB)
    origin = origin(lambda conn: [conn.request(), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)])
    proxy = weir("--h2c", "--timeout-send", "500ms", origin)
    before = rss(proxy)
    c = h2(proxy, rcvbuf=4096, settings=((INITIAL_WINDOW_SIZE, 1 << 30),))
    c.send(update(0, 1 << 30) + b"".join(headers(i, GET) for i in odd(20)))
    ended(proxy, "send_timeout")
    assert not grew(proxy, before, 8 * MIB)


def greeted(weir, silent):
    """A proxy in front of who says nothing, a client of it, and the memory it takes so far."""
    proxy = weir("--h2c", silent.name, "--timeout-connect", "20s")
    c = h2(proxy)
    c.until(lambda: c.acks)
    c.pong()
    return proxy, c, rss(proxy)


def test_stops_a_client_whose_body_nobody_reads(weir, silent):
    """A window for each stream, and one for all of them: 64 KiB and 1 MiB, whatever is sent."""
    proxy, c, before = greeted(weir, silent)
    sent = 0
    for i in odd(STREAMS):
        st = c.stream(i)
        st.credit = 65536
        c.send(headers(i, POST, end=False))
        while (n := min(16384, st.credit, c.credit)) > 0:
            c.send(data(i, b"x" * n))
            st.credit -= n
            c.credit -= n
            sent += n
    c.pong()
    assert sent == MIB
    assert c.credit == 0 and not any(st.over for st in c.streams.values())
    assert not grew(proxy, before, 4 * MIB)


def test_crumbs(weir, silent):
    """As many cookie crumbs as a head has room for, on each stream: they become one field each."""
    proxy = weir("--h2c", silent.name, "--timeout-connect", "20s", "--max-fields", 1000)
    before = rss(proxy)
    c = h2(proxy)
    crumbs = field("cookie", "a=" + "b" * 60, index=True) + b"\xbe" * 150
    for i in odd(STREAMS):
        c.stream(i)
        c.send(headers(i, block(GET) + (crumbs if i == 1 else b"\xbe" * 150)))
    c.pong()
    assert not grew(proxy, before, 8 * MIB)
    assert not any(st.over for st in c.streams.values())


def test_largest_messages(weir, silent):
    """Heads, bodies and trailers as large as they may be, on as many streams."""
    proxy, c, before = greeted(weir, silent)
    large = [(name, "y" * 15900) for name in ("x-a", "x-b")]
    for st in [c.stream(i) for i in odd(STREAMS)]:
        c.send(long_headers(st.number, POST + large, False))
    for i in odd(STREAMS):
        c.send(data(i, b"x" * 10000))
    for i in odd(STREAMS):
        c.send(long_headers(i, large, True))
    c.pong()
    assert not grew(proxy, before, 12 * MIB)
    assert not any(st.over for st in c.streams.values())


def test_idle_streams(weir, origin):
    """Begun and left alone: the client is told after --timeout-body, and the connection goes on."""
    proxy = weir("--h2c", "--timeout-body", "300ms", origin())
    c = h2(proxy)
    streams = [c.request("POST", "/", end=False) for _ in range(STREAMS)]
    for st in streams:
        assert c.receive(st).status == 408
    assert c.get("/").status == 200


@pytest.mark.parametrize("sent", [
    b"", frame(HEADERS, 0, 1, block(GET)), frame(HEADERS, 5, 1, block(GET))[:-1],
    frame(HEADERS, 0, 1, block(GET)) + frame(CONTINUATION, 0, 1, field("a", "b"))],
    ids=["no preface", "no CONTINUATION", "a byte is missing", "two frames"])
def test_slow_heads(weir, origin, sent):
    """--timeout-header holds for the preface, and for a field block from its first byte to its
    last. A little now and then does not make it longer."""
    proxy = weir("--h2c", "--timeout-header", "300ms", origin())
    c = h2(proxy, greet=False)
    c.auto_ack = False
    c.send(PREFACE)
    if sent:
        c.stream(1)
        c.send(settings())
        c.until(lambda: c.acks)
        c.send(sent)
    assert c.rest()[1] == NO_ERROR and c.end == "fin"
    ended(proxy, "header_timeout")


def test_trailers_of_a_stream_that_is_over(weir, origin):
    """nghttp2 drops such a block silently; the clock of heads must not go on."""
    hold = threading.Event()

    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    origin = origin(script, lambda conn: [conn.request(), hold.wait(1), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    proxy = weir("--h2c", "--timeout-header", "300ms", origin)
    c = h2(proxy)
    st = c.request("POST", "/", end=False)
    c.receive(st)
    if st.reset is None:
        c.until(lambda: st.reset is not None)
    assert (st.status, st.reset) == (413, NO_ERROR)
    slow = c.request("GET", "/slow")
    c.send(headers(1, [("t", "v")]))
    assert c.receive(slow).status == 200, "it took longer than a head may"
