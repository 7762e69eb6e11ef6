"""A raw HTTP/2 client: frames by hand, exactly as a test wants them, and a strict reader.

Heads are encoded by ten lines of our own, each field a literal without Huffman, so that a field can
be as wrong as needed; what comes back is decoded by Debian's python3-hpack. What the proxy sends is
held to RFC 9113: a frame beyond a window, on a stream that is over, or with a field that HTTP/2 does
not have, is a defect of the proxy and raises Malformed.
"""

import socket
import ssl
import struct

import hpack

from .message import WAIT, Malformed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
PRIORITY_UPDATE = 16
NAMES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
         "WINDOW_UPDATE", "CONTINUATION"]

END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = range(14)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE = range(1, 7)

WINDOW = 65535                  # of streams and of the connection, at first
CONNECTION_FIELDS = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
                     "http2-settings", "te"}


def number(n, prefix, first=0):
    """An integer of RFC 7541 5.1."""
    most = (1 << prefix) - 1
    if n < most:
        return bytes([first | n])
    out, n = bytearray([first | most]), n - most
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def text(s):
    s = s if isinstance(s, bytes) else s.encode("latin-1")
    return number(len(s), 7) + s


def field(name, value, index=False):
    """A literal; with `index` it goes into the table."""
    return (b"\x40" if index else b"\x00") + text(name) + text(value)


def block(fields):
    return b"".join(field(n, v) for n, v in fields)


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """The bytes of a frame; `length`: what it says of itself, if that is to be a lie."""
    n = len(payload) if length is None else length
    return n.to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def update(stream, n):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", n))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(payload=b"12345678", flags=0):
    return frame(PING, flags, 0, payload)


def headers(stream, fields, end=True, flags=END_HEADERS):
    """`fields`: pairs, or the bytes of a block."""
    payload = fields if isinstance(fields, bytes) else block(fields)
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, payload)


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def head(method="GET", path="/", *fields, authority="origin.test", scheme="http"):
    """The fields of a request; a pseudo-field that is None is left out, more are "name: value"."""
    pseudo = ((":method", method), (":scheme", scheme), (":authority", authority), (":path", path))
    more = (tuple(f.split(": ", 1)) if isinstance(f, str) else f for f in fields)
    return [(n, v) for n, v in pseudo if v is not None] + list(more)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def __repr__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else self.kind
        return f"<{name} flags={self.flags:#x} stream={self.stream} {self.payload[:40]!r}>"


class Stream:
    """What came on one stream."""

    def __init__(self, number, window):
        self.number = number
        self.interim = []           # 1xx heads
        self.fields = None          # the final head, [(name, value)]
        self.trailers = None
        self.body = b""
        self.ended = False          # END_STREAM
        self.reset = None           # the code of RST_STREAM
        self.window = window        # what it may still send
        self.credit = WINDOW        # what we may still send
        self.method = None

    status = property(lambda self: int(dict(self.fields)[":status"]) if self.fields else None)
    over = property(lambda self: self.ended or self.reset is not None)

    def get(self, name):
        values = [v for n, v in self.fields if n == name]
        if len(values) > 1:
            raise Malformed(f"{name} occurs {len(values)} times: {values}")
        return values[0] if values else None

    def __repr__(self):
        return (f"<stream {self.number}: {self.fields}, {len(self.body)} body bytes, "
                f"ended={self.ended} reset={self.reset}>")


class Gone(Exception):
    """The proxy ended the connection before what was waited for."""


class H2:
    """One connection. `sock` is connected, and shaken hands with. `greet`: our preface, with
    `settings`, goes out at once. `credit`: what was received is given back to the windows."""

    def __init__(self, sock, settings=(), greet=True, credit=True):
        self.sock = sock
        self.auto_credit = credit
        self.auto_ack = True        # of its settings
        self.buf = bytearray()
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.streams = {}
        self.next = 1
        self.window = WINDOW        # what the proxy may still send on the connection
        self.credit = WINDOW        # and what we may
        self.stream_window = dict(settings).get(INITIAL_WINDOW_SIZE, WINDOW)
        self.initial = WINDOW       # for new streams of ours, by its settings
        self.settings = {}          # the proxy's
        self.acks = 0               # of our settings
        self.pongs = []
        self.goaways = []           # (last stream, code, text)
        self.frames = []            # all that came
        self.end = None             # "fin" or "rst"
        self.partial = None         # of a header block: the first frame
        if greet:
            self.send(PREFACE + globals()["settings"](*settings))

    # sending

    def send(self, data):
        """As of the client of HTTP/1: what it said before it closed decides."""
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise AssertionError(f"the proxy took no bytes for {WAIT} s") from None
        except OSError:             # of TLS and of a socket that we have closed, too
            return False
        return True

    def bytewise(self, data):
        return all(self.send(data[i:i + 1]) for i in range(len(data)))

    def stream(self, number=None, method="GET"):
        """A stream of ours, known to the reader before anything comes for it."""
        if number is None:
            number, self.next = self.next, self.next + 2
        st = self.streams.setdefault(number, Stream(number, self.stream_window))
        st.method = method
        st.credit = self.initial
        self.next = max(self.next, number + 2)
        return st

    def request(self, method="GET", path="/", *fields, body=None, end=None, **pseudo):
        """Sends a request; `body`: as far as windows allow, `end`: is it complete."""
        st = self.stream(method=method)
        end = (True if end is None else end)
        self.send(headers(st.number, head(method, path, *fields, **pseudo), end=end and body is None))
        if body is not None:
            self.upload(st, body, end)
        return st

    def get(self, path="/", *fields, **more):
        return self.receive(self.request("GET", path, *fields, **more))

    def upload(self, st, body, end=True):
        """As DATA frames, waiting for windows."""
        at = 0
        while at < len(body):
            n = min(len(body) - at, st.credit, self.credit, 16384)
            if n <= 0:
                if st.over:
                    return at
                self.take()
                continue
            st.credit -= n
            self.credit -= n
            self.send(data(st.number, body[at:at + n], end and at + n == len(body)))
            at += n
        if not body and end:
            self.send(data(st.number, b"", True))
        return at

    # receiving

    def fill(self, n):
        while len(self.buf) < n:
            if self.end:
                raise Gone(f"ended ({self.end}); frames: {self.frames[-8:]}")
            try:
                more = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                more, self.end = b"", "rst"     # of TLS: without close_notify
            except socket.timeout:
                raise AssertionError(f"nothing came within {WAIT} s; frames before: "
                                     f"{self.frames[-8:]}") from None
            if not more:
                self.end = self.end or "fin"
            self.buf += more

    def take(self):
        """The next frame, with what it means."""
        self.fill(9)
        length = int.from_bytes(self.buf[:3], "big")
        if length > 16384:
            raise Malformed(f"a frame of {length} bytes")
        self.fill(9 + length)
        stream = struct.unpack(">I", self.buf[5:9])[0]
        if stream >> 31:
            raise Malformed("the reserved bit is set")
        f = Frame(self.buf[3], self.buf[4], stream, bytes(self.buf[9:9 + length]))
        del self.buf[:9 + length]
        if not self.frames and f.kind != SETTINGS:
            raise Malformed(f"its preface is no SETTINGS frame: {f}")
        self.frames.append(f)
        self.mean(f)
        return f

    def mean(self, f):
        if self.partial and f.kind != CONTINUATION:
            raise Malformed(f"{f} amid a header block")
        if f.kind == SETTINGS:
            self.settled(f)
        elif f.kind == PING and f.flags & ACK:
            self.pongs.append(f.payload)
        elif f.kind == PING:
            self.send(ping(f.payload, ACK))
        elif f.kind == GOAWAY:
            last, code = struct.unpack(">II", f.payload[:8])
            self.goaways.append((last, code, f.payload[8:]))
        elif f.kind == WINDOW_UPDATE:
            self.credited(f)
        elif f.kind in (HEADERS, DATA, RST_STREAM, CONTINUATION):
            self.on_stream(f)
        elif f.kind < len(NAMES):
            raise Malformed(f"a server does not send {f}")

    def settled(self, f):
        if f.flags & ACK:
            self.acks += 1
            return
        for at in range(0, len(f.payload), 6):
            key, value = struct.unpack(">HI", f.payload[at:at + 6])
            self.settings[key] = value
        change = self.settings.get(INITIAL_WINDOW_SIZE, self.initial) - self.initial
        self.initial += change
        for st in self.streams.values():
            st.credit += change
        if self.auto_ack:
            self.send(frame(SETTINGS, ACK))

    def credited(self, f):
        n = struct.unpack(">I", f.payload)[0]
        if n == 0:
            raise Malformed("a WINDOW_UPDATE of 0")
        if f.stream == 0:
            self.credit += n
        elif f.stream in self.streams:
            self.streams[f.stream].credit += n
        else:
            raise Malformed(f"{f}: nobody has opened that")

    def on_stream(self, f):
        st = self.streams.get(f.stream)
        if st is None:
            raise Malformed(f"{f}: nobody has opened that")
        if st.reset is not None:
            raise Malformed(f"{f} after RST_STREAM({st.reset})")
        if st.ended and not (f.kind == RST_STREAM):
            raise Malformed(f"{f} after END_STREAM")
        if f.kind == RST_STREAM:
            st.reset = struct.unpack(">I", f.payload)[0]
        elif f.kind == DATA:
            self.on_data(st, f)
        else:
            self.on_block(st, f)

    def on_data(self, st, f):
        if st.fields is None or st.trailers is not None:
            raise Malformed(f"{f} outside of a body")
        st.window -= len(f.payload)
        self.window -= len(f.payload)
        if st.window < 0 or self.window < 0:
            raise Malformed(f"{f} is more than the window: {st.window} and {self.window}")
        st.body += f.payload
        st.ended = bool(f.flags & END_STREAM)
        if self.auto_credit and f.payload:
            self.give(0, len(f.payload))
            if not st.ended:
                self.give(st, len(f.payload))

    def give(self, st, n):
        """Makes a window larger: a stream's, or with 0 the connection's."""
        if st == 0:
            self.window += n
            return self.send(update(0, n))
        st.window += n
        return self.send(update(st.number, n))

    def on_block(self, st, f):
        if f.kind == HEADERS:
            self.partial = f
        elif not self.partial or self.partial.stream != f.stream:
            raise Malformed(f"{f} without HEADERS")
        else:
            self.partial.payload += f.payload
        if not f.flags & END_HEADERS:
            return
        first, self.partial = self.partial, None
        fields = [(n.decode("latin-1"), v.decode("latin-1"))
                  for n, v in self.decoder.decode(first.payload, raw=True)]
        self.check_fields(fields)
        st.ended = bool(first.flags & END_STREAM)
        if st.fields is not None:
            if not st.ended or any(n.startswith(":") for n, _ in fields):
                raise Malformed(f"no trailers: {fields}")
            st.trailers = fields
        elif fields[0][0] != ":status":
            raise Malformed(f"no response head: {fields}")
        elif fields[0][1].startswith("1"):
            if st.ended:
                raise Malformed(f"an interim head that ends the stream: {fields}")
            st.interim.append(fields)
        else:
            st.fields = fields

    @staticmethod
    def check_fields(fields):
        for i, (name, value) in enumerate(fields):
            if name != name.lower() or name in CONNECTION_FIELDS:
                raise Malformed(f"the field {name!r}")
            if name.startswith(":") and (i > 0 or name != ":status"):
                raise Malformed(f"a pseudo-field out of place: {fields}")
            if any(c in value for c in "\r\n\0") or value != value.strip(" \t"):
                raise Malformed(f"the value {value!r} of {name}")

    # waiting

    def until(self, condition):
        """Takes frames until `condition()`; Gone if the connection ends before."""
        while not condition():
            self.take()
        return self

    def receive(self, st):
        """Until the stream is over."""
        self.until(lambda: st.over)
        if st.ended and st.reset is None:
            stated = st.get("content-length")
            if stated is not None and st.method != "HEAD" and st.status not in (204, 304) \
                    and int(stated) != len(st.body):
                raise Malformed(f"content-length is not what came: {st}")
        return st

    def pong(self):
        """All that we sent before has been read: a PING has come back. (It may overtake others.)"""
        mark = struct.pack(">Q", len(self.frames) | 0xbe << 56)
        self.send(ping(mark))
        return self.until(lambda: mark in self.pongs)

    def rest(self):
        """Until the end of the connection; the last GOAWAY, or None."""
        try:
            self.until(lambda: False)
        except Gone:
            pass
        return self.goaways[-1] if self.goaways else None

    def close(self):
        self.sock.close()


def h2(proxy, listener=0, tls=None, name="localhost", rcvbuf=None, mss=None, **options):
    """A connection to `proxy`, closed with its other clients. `tls`: a context that offers h2."""
    address = proxy.addresses[listener]
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if mss:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    sock.settimeout(WAIT)
    sock.connect(address)
    if tls:
        sock = tls.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
        assert sock.selected_alpn_protocol() == "h2"
    connection = H2(sock, **options)
    proxy.clients.append(connection)
    return connection


def ended(proxy, why, detail=None):
    """The error log tells that a client's connection ended, why, and whose it was."""
    detail = f'"detail":"[^"]*{detail}[^"]*",' if detail else ""
    proxy.wait_text(rf'"level":"notice","why":"{why}","msg":"[^"]+",{detail}'
                    r'"client":"127\.0\.0\.1:\d+"}$')


class Silent:
    """An upstream that nobody accepts at: whoever connects waits, and reads nothing meanwhile."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(0)
        self.name = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.fill = socket.create_connection(self.sock.getsockname())

    def close(self):
        self.fill.close()
        self.sock.close()
