"""HTTP/2 where it hurts: ends amid a frame, windows that leak, interim heads without end."""

import pathlib
import re
import signal
import struct
import threading

from test_h2_abuse import sanitized
from weirtest import binary, request
from weirtest.h2 import DATA, INITIAL_WINDOW_SIZE, data, h2, head, headers, reset, update
from weirtest.h2origin import h2_script
from weirtest.message import WAIT

MIB = 1024 * 1024
PHASES = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/phases"


def peak(proxy):
    """The most memory it has had, in bytes."""
    with open(f"/proc/{proxy.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def most(proxy):
    """How much more it may take for heads that come without end: a part of what is sent."""
    return (32 if sanitized(proxy) else 16) * MIB


def drain(sock, seconds):
    """What comes until nothing has for so long."""
    out = bytearray()
    sock.settimeout(seconds)
    try:
        while more := sock.recv(65536):
            out += more
    except OSError:
        pass
    return out


def test_nothing_follows_a_frame_that_was_cut(weir, origin):
    """The grace is over while large answers leave to a client that did not read for a while; one
    request takes its time to end. What the client gets then is a beginning of what was to come, and
    no later frame in the place of the rest of an earlier one."""
    def script(conn):
        letter = conn.request().target[1:].encode()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 33))
        while True:
            conn.send(letter * 65536)   # until the proxy hangs up
    proxy = weir("--listen", "127.0.0.1:0", "--h2c", "--grace", "200ms", origin(script),
                 program=PHASES)
    c = h2(proxy, settings=((INITIAL_WINDOW_SIZE, 1 << 30),), rcvbuf=4096)
    c.send(update(0, 1 << 30) + headers(1, head("GET", "/a"))
           + headers(3, head("GET", "/b", "do: fail_to_proxy=hold")))
    c.window, c.auto_credit = 1 << 30, False
    both = c.stream(1), c.stream(3)
    c.until(lambda: all(st.body for st in both))
    proxy.signal(signal.SIGTERM)
    proxy.wait_text("waiting in fail_to_proxy")
    buf = c.buf + drain(c.sock, 0.1)
    (proxy.folder / "go").touch()
    buf += drain(c.sock, WAIT)
    frames = 0
    while len(buf) >= 9:
        n, kind, stream = int.from_bytes(buf[:3], "big"), buf[3], struct.unpack(">I", buf[5:9])[0]
        assert n <= 16384 and kind < 10 and stream <= 3, "this is no frame"
        payload = buf[9:9 + n]
        if kind == DATA:
            assert payload.count(b"?ab"[(stream + 1) // 2]) == len(payload), payload[-100:]
        del buf[:9 + n]
        frames += 1
    assert frames > 10
    proxy.over = True
    proxy.process.wait(WAIT)


def test_a_request_in_one_read_gives_its_window_back(weir, origin):
    """Begun, filled and reset in the same bytes: nobody ever reads it, and its body must not count
    against those to come."""
    proxy = weir("--h2c", origin())
    c = h2(proxy)
    c.until(lambda: c.acks and c.credit > MIB // 2)
    piece = b"x" * 16000
    for _ in range(66):
        st = c.stream()
        while c.credit < len(piece):
            c.take()
        c.credit -= len(piece)
        c.send(headers(st.number, head("POST"), end=False) + data(st.number, piece)
               + reset(st.number))
        c.pong()
    st = c.request("POST", "/", body=b"y" * 100000)
    assert c.receive(st).status == 200


def test_interim_heads_that_nobody_takes(weir, origin):
    """They are in no window. A client that is slow to take them costs no memory."""
    over = threading.Event()

    def script(peer):
        st = peer.accept()
        one = headers(st.number, [(":status", "103"), ("link", "<a>" * 60)], end=False)
        for _ in range(2000):
            if st.over or not peer.send(one * 100):
                break
        over.set()
        st.wait_reset()
    proxy = weir("--upstream-h2", origin(h2_script(script)))
    before = peak(proxy)
    c = proxy.client(rcvbuf=4096)
    c.send(request())
    assert over.wait(WAIT)
    assert peak(proxy) - before < most(proxy), f"{(peak(proxy) - before) / MIB:.1f} MiB more"


def test_interim_heads_without_end(weir, origin):
    """An upstream that says nothing else does not fill the memory of a request."""
    def script(conn):
        conn.request()
        try:
            for _ in range(4000):
                conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
        except OSError:
            return
    proxy = weir(origin(script))
    before = peak(proxy)
    c = proxy.client()
    c.send(request())
    try:
        while c.sock.recv(65536):
            pass
    except OSError:
        pass
    assert peak(proxy) - before < most(proxy), f"{(peak(proxy) - before) / MIB:.1f} MiB more"
