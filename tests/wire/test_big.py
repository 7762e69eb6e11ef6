"""Bodies larger than 32 bits can count, both ways, every byte compared as it arrives."""

import os
import threading

import pytest

from weirtest import OK, Malformed, binary, request

pytestmark = pytest.mark.big

BLOCK = 1048573                 # a prime: what is lost, doubled or swapped cannot fit by chance
PATTERN = bytes((i * 2654435761 >> 13) & 255 for i in range(4099)) * 256
PATTERN = PATTERN[:BLOCK]
TWICE = PATTERN + PATTERN


def sanitized():
    with open(binary(), "rb") as program:
        return b"__asan" in program.read()


@pytest.fixture
def size():
    """5 GiB, but for sanitizer builds, which take too long over it."""
    return 5 << 30 if os.environ.get("WEIR_BIG") or not sanitized() else 300 << 20


def pieces(size):
    """The body: the pattern again and again, `size` bytes in all."""
    while size >= BLOCK:
        yield PATTERN
        size -= BLOCK
    if size:
        yield PATTERN[:size]


def send_plain(sock, size):
    for piece in pieces(size):
        sock.sendall(piece)


def send_chunks(sock, size):
    """All but the last chunk."""
    for piece in pieces(size):
        sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))


class Checker:
    """Compares what comes with the body that should."""

    def __init__(self):
        self.count = 0

    def take(self, data):
        at = self.count % BLOCK
        if data != TWICE[at:at + len(data)]:
            raise Malformed(f"another byte than expected behind {self.count}")
        self.count += len(data)


def read_plain(reader, size):
    checker = Checker()
    checker.take(bytes(reader.buf))
    reader.buf.clear()
    while checker.count < size:
        data = reader.sock.recv(min(BLOCK, size - checker.count))  # as much as TWICE can tell
        assert data, f"the end after {checker.count} bytes"
        checker.take(data)


def read_chunked(reader):
    """Returns the length of the body."""
    checker = Checker()
    while n := int(reader.line(), 16):
        while n:
            if not reader.buf:
                assert reader.fill(), f"the end after {checker.count} bytes"
            data = reader.take(min(n, len(reader.buf)))
            checker.take(data)
            n -= len(data)
        assert reader.exactly(2) == b"\r\n"
    assert reader.line() == b""
    return checker.count


def test_download(weir, origin, size):
    def script(conn):
        while conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            send_plain(conn.sock, size)
    p = weir(origin(script))
    c = p.client()
    c.send(request())
    res = c.receive(body=False)
    assert res.get("Content-Length") == str(size)
    c.reader.keep = False
    read_plain(c.reader, size)
    assert p.log(1)[0]["sent"] == size
    assert c.ask(request("HEAD")).status == 200


def test_upload(weir, origin, size):
    def script(conn):
        conn.reader.keep = False
        while (req := conn.head()) is not None:
            if req.framing == "length":
                assert req.get("Content-Length") == str(size)
                read_plain(conn.reader, size)
            conn.send(OK)
    p = weir("--max-body", "off", origin(script))
    c = p.client()
    c.send(request("POST", "/", f"Content-Length: {size}"))
    send_plain(c.sock, size)
    assert c.receive("POST").body == b"ok"
    assert p.log(1)[0]["received"] == size
    assert c.ask(request()).body == b"ok"


def test_chunked_both_ways(weir, origin):
    """100 MB up and 100 MB down at the same time, on one request."""
    size = 100_000_000
    errors = []

    def script(conn):
        conn.reader.keep = False
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        down = threading.Thread(target=send_chunks, args=(conn.sock, size))
        down.start()
        try:
            assert read_chunked(conn.reader) == size
        finally:
            down.join()
        conn.send(b"0\r\n\r\n")     # a response that ends before its request would end that

    def upload():
        try:
            send_chunks(c.sock, size)
            c.send(b"0\r\n\r\n")
        except BaseException as error:
            errors.append(error)

    p = weir(origin(script))
    c = p.client()
    c.reader.keep = False
    c.send(request("POST", "/", "Transfer-Encoding: chunked"))
    up = threading.Thread(target=upload)
    up.start()
    c.receive("POST", body=False)
    assert read_chunked(c.reader) == size
    up.join()
    assert not errors
    record, = p.log(1)
    assert (record["sent"], record["received"]) == (size, size)
