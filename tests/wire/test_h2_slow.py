"""Who keeps a stream waiting: the client, or other streams of its connection?

--timeout-send and --min-rate are for clients that do not take what they asked for. A stream that
waits behind others of higher priority is not slow; one that gets no window is, whatever else is
read meanwhile."""

import time

import pytest
from weirtest import serve
from weirtest.h2 import CANCEL, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, ended, h2

MIB = 1024 * 1024
PART = 4000
SMALL = 4 * PART
DEADLINE = 3
LONG = 7                        # more than twice that, and more than the grace of the rate
CUT = {INTERNAL_ERROR, CANCEL}   # of a stream whose writer waits; of one whose writer has ended
WRITERS = pytest.mark.parametrize("size", [MIB, SMALL], ids=["its writer waits",
                                                            "its writer has ended"])


class Stalled(Exception):
    """The machine was so busy that the client was slow indeed."""


@pytest.fixture
def sized(origin):
    """An origin whose paths are sizes. Small bodies come in chunks that are copied, so that nobody
    waits for them to be taken; pieces of others are not."""
    def script(conn):
        while (req := conn.request()) is not None:
            size = int(req.target[1:])
            part = PART if size == SMALL else 65536
            conn.sock.settimeout(60)    # its reader waits as well
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(size // part):
                conn.send(b"%x\r\n" % part + b"x" * part + b"\r\n")
            conn.send(b"0\r\n\r\n")
    return origin(script)


@pytest.fixture
def slow(weir, sized):
    return weir("--h2c", "--timeout-send", f"{DEADLINE}s", sized)


def begun(proxy, *requests, **options):
    """A client with requests of these paths and priorities; its windows are opened by hand."""
    c = h2(proxy, credit=False, **options)
    return c, *[c.request("GET", f"/{size}", f"priority: u={urgency}")
                for size, urgency in requests]


def trickle(c, streams, seconds, piece, cut=()):
    """Opens the window of the connection, and those of `streams`, by a piece at a time, for so
    long, or until one of `cut` is over. No other one may be."""
    every, begin = c.streams.values(), time.monotonic()
    others = [st for st in every if st not in cut]
    while (last := time.monotonic()) < begin + seconds and not any(st.over for st in cut):
        want = sum(len(st.body) for st in every) + piece
        for st in streams:
            c.give(st, piece)
        c.give(0, piece)
        c.until(lambda want=want: sum(len(st.body) for st in every) >= want
                or any(st.over for st in every))
        time.sleep(0.02)
        if time.monotonic() > last + DEADLINE / 2:
            raise Stalled
        assert not any(st.over for st in others), others


def undisturbed(scenario, *given):
    """As often as it takes for the client to be steady."""
    for _ in range(5):
        try:
            return scenario(*given)
        except Stalled:
            continue
    raise Stalled


def behind_others(proxy, size):
    """Several urgent ones, so that one of them has bytes at any time."""
    c, *urgent = begun(proxy, *[(64 * MIB, 0)] * 4)
    for st in urgent:
        c.give(st, 64 * MIB)
    c.until(lambda: all(st.fields for st in urgent) and c.window == 0)
    low = c.request("GET", f"/{size}", "priority: u=7")
    c.until(lambda: low.fields)
    trickle(c, [], LONG, 5000)
    c.give(0, 512 * MIB)
    c.give(low, MIB)
    c.until(lambda: low.over)
    c.close()
    assert low.reset is None and len(low.body) == size


def amid_a_piece(proxy):
    c, st = begun(proxy, (MIB, 3), settings=((INITIAL_WINDOW_SIZE, 0),))
    trickle(c, [st], LONG, 300)
    c.give(0, MIB)
    c.give(st, MIB)
    c.until(lambda: st.over)
    assert st.reset is None and len(st.body) == MIB


def no_window_of_its_own(proxy, size):
    c, first, never = begun(proxy, (64 * MIB, 0), (size, 0), settings=((INITIAL_WINDOW_SIZE, 300),))
    trickle(c, [first], 20, 2000, cut=[never])
    assert never.reset in CUT and first.reset is None


@pytest.mark.alone
@WRITERS
def test_behind_others(slow, size):
    """Who could be sent, but others are, is neither too late nor too slow."""
    undisturbed(behind_others, slow, size)


@pytest.mark.alone
def test_amid_a_piece(slow):
    """Bytes of its own count, also those that do not finish what was handed on in one piece."""
    undisturbed(amid_a_piece, slow)


@pytest.mark.alone
@WRITERS
def test_no_window_of_its_own(slow, size):
    """It is cut, however much of another one is read, and though its first window was used."""
    undisturbed(no_window_of_its_own, slow, size)


def test_pings_are_no_progress(weir, sized):
    """The window of the connection stays shut. What the client says besides counts for nobody."""
    proxy = weir("--h2c", "--timeout-send", "500ms", sized)
    c, *streams = begun(proxy, (MIB, 3), (MIB, 3))
    c.until(lambda: c.window == 0)
    streams.append(c.request("GET", f"/{SMALL}"))
    while not all(st.over for st in streams):
        c.pong()
        time.sleep(0.1)
    assert all(st.reset in CUT for st in streams)


def test_rate_of_the_connection(weir, origin):
    """It takes less than it has to from its socket, all streams together."""
    proxy = weir("--h2c", "--min-rate", "100MiB", "--timeout-send", "1m", origin(serve(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * MIB) + b"x" * (4 * MIB))))
    c = h2(proxy, rcvbuf=4096, settings=((INITIAL_WINDOW_SIZE, 1 << 30),))
    c.give(0, 1 << 30)
    for _ in range(4):
        c.request()
    ended(proxy, "min_rate")
