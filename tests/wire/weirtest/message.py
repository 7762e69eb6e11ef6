"""Reading HTTP/1 messages from a socket, more strictly than any real peer.

What the proxy prints, either way, must be beyond doubt: one spelling of the framing, no bare CR or
LF, no stray blanks. So both the raw client and the scripted origin read through this module, and
whatever it refuses is a defect of the proxy. Text is decoded as latin-1, hence byte for byte.
"""

import re
import socket

WAIT = 10                       # seconds any condition may take before the test fails

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) (HTTP/1\.[01])\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")


class Malformed(AssertionError):
    """The proxy sent something that is not exactly HTTP/1.1."""


class Ended(Exception):
    """The connection ended. `how` is "fin" or "rst"; `partial` what had been read of a message."""

    def __init__(self, how, where, partial=None):
        super().__init__(f"connection ended ({how}) {where}")
        self.how = how
        self.partial = partial


class Message:
    """A head and what followed it. Fields keep their order and spelling."""

    def __init__(self, start, fields, raw_head):
        self.start = start          # the three parts of the first line
        self.fields = fields        # [(name, value)]
        self.raw_head = raw_head
        self.body = b""
        self.trailers = []
        self.framing = None         # "none", "length", "chunked", "close"
        self.interim = []           # the 1xx heads that came before a final response

    method = property(lambda self: self.start[0])
    target = property(lambda self: self.start[1])
    version = property(lambda self: self.start[0 if self.start[0].startswith("HTTP/") else 2])
    status = property(lambda self: int(self.start[1]))
    reason = property(lambda self: self.start[2])

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """The value of a field that may occur once, or None."""
        values = self.all(name)
        if len(values) > 1:
            raise Malformed(f"{name} occurs {len(values)} times: {values}")
        return values[0] if values else None

    def names(self):
        return [n for n, _ in self.fields]

    def __repr__(self):
        return f"<{' '.join(self.start)} {self.fields} {len(self.body)} body bytes>"


class Reader:
    """Buffered reads; `raw` keeps every byte that came, in order, unless `keep` is off."""

    def __init__(self, sock, keep=True):
        self.sock = sock
        self.buf = bytearray()
        self.raw = bytearray()
        self.keep = keep
        self.end = None             # "fin" or "rst" once seen

    def fill(self):
        """More bytes into the buffer; False at the end of the stream."""
        if self.end:
            return False
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.end = "rst"
            return False
        except socket.timeout:
            raise AssertionError(f"nothing came within {WAIT} s; before: {bytes(self.raw[-400:])!r}"
                                 ) from None
        if not data:
            self.end = "fin"
            return False
        self.buf += data
        if self.keep:
            self.raw += data
        return True

    def take(self, n):
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def exactly(self, n, partial=b""):
        while len(self.buf) < n:
            if not self.fill():
                raise Ended(self.end, f"after {len(self.buf)} of {n} bytes", partial + self.take(n))
        return self.take(n)

    def line(self, partial=b""):
        """One line without its CRLF. A bare LF or CR is a defect."""
        while (at := self.buf.find(b"\n")) < 0:
            if not self.fill():
                raise Ended(self.end, f"within the line {bytes(self.buf[:200])!r}", partial)
        line = self.take(at + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Malformed(f"bare CR or LF in {line!r}")
        return line[:-2]

    def rest(self):
        """Everything up to the end of the stream, and how it ended."""
        while self.fill():
            pass
        return self.take(len(self.buf)), self.end

    def head(self, pattern):
        """A head whose first line matches `pattern`; None at a clean end before its first byte."""
        if not self.buf and not self.fill():
            if self.end == "fin":
                return None
            raise Ended(self.end, "before a head")
        first = self.line()
        match = pattern.match(first)
        if not match:
            raise Malformed(f"first line {first!r}")
        fields, raw = self.fields(first + b"\r\n")
        return Message(tuple(g.decode("latin-1") for g in match.groups()), fields, raw)

    def fields(self, raw=b""):
        out = []
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name) or not VALUE.match(value):
                raise Malformed(f"field line {line!r}")
            if value[:1] != b" " and value:
                raise Malformed(f"no single space after the colon in {line!r}")
            value = value[1:]
            if value != value.strip(b" \t"):
                raise Malformed(f"blanks around the value in {line!r}")
            out.append((name.decode("latin-1"), value.decode("latin-1")))
            raw += line + b"\r\n"
        return out, raw + b"\r\n"

    def chunked(self):
        """A chunked body without extensions, and its trailers."""
        body = b""
        while True:
            size = self.line(body)
            if not CHUNK_SIZE.match(size):
                raise Malformed(f"chunk size {size!r}")
            n = int(size, 16)
            if n == 0:
                try:
                    return body, self.fields()[0]
                except Ended as end:
                    raise Ended(end.how, "within the trailers", body) from None
            body += self.exactly(n, body)
            if self.exactly(2, body) != b"\r\n":
                raise Malformed("no CRLF after chunk data")


def framing_of(msg):
    """ "chunked", "length" or None, refusing every doubtful combination."""
    te, length = msg.all("Transfer-Encoding"), msg.all("Content-Length")
    if len(te) > 1 or len(length) > 1 or (te and length):
        raise Malformed(f"ambiguous framing: {msg.fields}")
    if te:
        if te[0] != "chunked":
            raise Malformed(f"Transfer-Encoding: {te[0]!r}")
        return "chunked"
    if length:
        if not re.fullmatch(r"0|[1-9][0-9]*", length[0]):
            raise Malformed(f"Content-Length: {length[0]!r}")
        return "length"
    return None


def read_body(reader, msg, framing):
    """Reads the body into `msg`; a cut-off one raises Ended with what came as `partial`."""
    msg.framing = framing
    try:
        if framing == "chunked":
            msg.body, msg.trailers = reader.chunked()
        elif framing == "length":
            msg.body = reader.exactly(int(msg.get("Content-Length")))
        elif framing == "close":
            msg.body, how = reader.rest()
            if how != "fin":
                raise Ended(how, "within a close-delimited body", msg.body)
    except Ended as end:
        msg.body = end.partial or b""
        end.partial = msg
        raise


def read_request_head(reader):
    """The next request head as an origin sees it, or None at the end of the connection."""
    req = reader.head(REQUEST_LINE)
    if req is None:
        return None
    if len(req.all("Host")) != 1:
        raise Malformed(f"{len(req.all('Host'))} Host fields: {req.fields}")
    req.framing = framing_of(req) or "none"
    if req.framing == "chunked" and req.version != "HTTP/1.1":
        raise Malformed("chunked in an HTTP/1.0 request")
    return req


def read_response(reader, method="GET", body=True):
    """The next final response, with the 1xx heads before it in `interim`."""
    interim = []
    while True:
        res = reader.head(STATUS_LINE)
        if res is None:
            raise Ended(reader.end, "before a response", interim or None)
        if res.status >= 200 or res.status == 101:
            break
        if framing_of(res):
            raise Malformed(f"framing in a 1xx: {res.fields}")
        interim.append(res)
    res.interim = interim
    framing = framing_of(res)
    if method == "HEAD" or res.status in (204, 304, 101):
        res.framing = "none"
    else:
        res.framing = framing or "close"
    if body:
        read_body(reader, res, res.framing)
    return res
