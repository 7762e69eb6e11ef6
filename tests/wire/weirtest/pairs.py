"""Clients and origins that can do the same in HTTP/1 and HTTP/2, for what must not depend on
versions.

`Down(proxy, version)` is a client's connection; `ends(handler)[version]` an origin's script that
calls handler(x) for each request.
"""

from . import h2 as wire
from .client import chunks
from .h2 import Gone, h2
from .h2origin import Cut, h2_serve, long_headers, pairs
from .message import Ended, read_body

VERSIONS = ("h1", "h2")
HOST = "origin.test"
SETTINGS = ((wire.INITIAL_WINDOW_SIZE, 1 << 20),)


class Answer:
    """What a client got; `whole`: it looked complete."""

    def __init__(self, status, fields, body, trailers, interim, whole):
        self.status, self.fields, self.body = status, fields, body
        self.trailers, self.interim, self.whole = trailers, interim, whole

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        assert len(values) < 2, f"{name}: {values}"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.fields} {len(self.body)} bytes {self.trailers} whole={self.whole}>"


class Sent1:
    """A request of HTTP/1 on its way."""

    def __init__(self, down, method, chunked, trailers):
        self.down, self.method, self.chunked, self.trailers = down, method, chunked, trailers
        self.client = down.client

    def piece(self, data):
        self.client.send(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def finish(self):
        if self.chunked:
            lines = "".join(f"{n}: {v}\r\n" for n, v in self.trailers)
            self.client.send(b"0\r\n" + lines.encode("latin-1") + b"\r\n")

    def answer(self):
        try:
            res, whole = self.client.receive(self.method), True
        except Ended as end:
            res, whole = end.partial, False
        if res is None or isinstance(res, list):
            return None
        interim = [(r.status, r.fields) for r in res.interim]
        return Answer(res.status, res.fields, res.body, res.trailers, interim, whole)

    def head(self):
        """The final head; the body is left."""
        res = self.client.receive(self.method, body=False)
        return Answer(res.status, res.fields, b"", [], [(r.status, r.fields) for r in res.interim], None)

    def leave(self):
        self.client.reset()


class Sent2:
    """A request of HTTP/2 on its way."""

    def __init__(self, down, stream, trailers):
        self.conn, self.stream, self.trailers = down.conn, stream, trailers

    def piece(self, data):
        self.conn.upload(self.stream, data, False)

    def finish(self):
        if self.trailers:
            self.conn.send(wire.headers(self.stream.number, self.trailers))
        else:
            self.conn.send(wire.data(self.stream.number, b"", True))

    def answer(self):
        st = self.stream
        try:
            self.conn.receive(st)
        except Gone:
            pass
        if st.fields is None:
            return None
        interim = [(int(dict(f)[":status"]), f[1:]) for f in st.interim]
        whole = st.ended and st.reset in (None, wire.NO_ERROR)
        return Answer(st.status, st.fields[1:], st.body, st.trailers or [], interim, whole)

    def head(self):
        st = self.stream
        self.conn.until(lambda: st.fields is not None or st.over)
        return Answer(st.status, st.fields[1:], b"", [],
                      [(int(dict(f)[":status"]), f[1:]) for f in st.interim], None)

    def leave(self):
        self.conn.send(wire.reset(self.stream.number))


class Down:
    """A client. `request` begins one: with `length` a body of that many bytes follows, with
    `length=None` one of unknown length, with neither none."""

    def __init__(self, proxy, version, tls=None, **socket):
        self.version = version
        if version == "h1":
            self.client = proxy.client(tls=tls, **socket)
        else:
            self.conn = h2(proxy, tls=tls, settings=SETTINGS, **socket)

    def request(self, method="GET", target="/", *fields, length=0, trailers=(), host=HOST):
        fields, body = list(fields), length != 0
        if self.version == "h1":
            if trailers:
                fields.append("Trailer: " + ", ".join(n for n, _ in trailers))
            if length is None:
                fields.append("Transfer-Encoding: chunked")
            elif body:
                fields.append(f"Content-Length: {length}")
            lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
            self.client.send("\r\n".join(lines).encode("latin-1"))
            return Sent1(self, method, length is None, trailers)
        if body and length is not None:
            fields.append(f"content-length: {length}")
        st = self.conn.stream(method=method)
        low = [(n.lower(), v) for n, v in pairs(fields)]
        self.conn.send(long_headers(st.number, wire.head(method, target, *low, authority=host),
                                    end=not body))
        return Sent2(self, st, trailers)

    def ask(self, method="GET", target="/", *fields, body=b"", known=True, trailers=()):
        """A whole exchange."""
        known = known and not trailers
        sent = self.request(method, target, *fields, trailers=trailers,
                            length=(len(body) if known else None) if body or trailers else 0)
        if body:
            sent.piece(body)
        if (body or trailers) and (self.version == "h2" or not known):
            sent.finish()
        return sent.answer()


# The origin's side

class At1:
    def __init__(self, conn, req):
        self.conn, self.req = conn, req
        self.chunked = False

    method = property(lambda self: self.req.method)
    target = property(lambda self: self.req.target)
    host = property(lambda self: self.req.get("Host"))
    all = property(lambda self: self.req.all)
    get = property(lambda self: self.req.get)
    names = property(lambda self: {n.lower() for n in self.req.names()} - {"host"})
    trailers = property(lambda self: [(n.lower(), v) for n, v in self.req.trailers])
    version = "h1"

    def read(self):
        try:
            read_body(self.conn.reader, self.req, self.req.framing)
        except Ended as end:
            raise Cut(str(end)) from None
        return self.req.body

    def lines(self, status, fields):
        text = "".join(f"{n}: {v}\r\n" for n, v in pairs(fields))
        self.conn.send(f"HTTP/1.1 {status} Whatever\r\n{text}\r\n".encode("latin-1"))

    def interim(self, status, *fields):
        self.lines(status, fields)

    def begin(self, status=200, *fields, length=None, body=True):
        self.chunked = body and length is None
        how = [f"Content-Length: {length}"] if length is not None else \
              ["Transfer-Encoding: chunked"] if body else []
        self.lines(status, [*fields, *how])

    def piece(self, data):
        self.conn.send(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def finish(self, *trailers):
        if self.chunked:
            self.conn.send(chunks(trailers="".join(f"{n}: {v}\r\n" for n, v in pairs(trailers))))

    def cut(self):
        self.conn.reset()
        raise Cut("by the origin")

    def gone(self):
        """Until the proxy has given the request up."""
        self.conn.wait_end()
        raise Cut("by the proxy")


class At2:
    version = "h2"

    def __init__(self, st):
        self.st = st

    method = property(lambda self: self.st.method)
    target = property(lambda self: self.st.target)
    host = property(lambda self: self.st.authority)
    all = property(lambda self: self.st.all)
    get = property(lambda self: self.st.get)
    names = property(lambda self: {n for n, _ in self.st.fields if n[0] != ":"})
    trailers = property(lambda self: self.st.trailers)

    def read(self):
        return self.st.read()

    def interim(self, status, *fields):
        self.st.head(status, *low(fields))

    def begin(self, status=200, *fields, length=None, body=True):
        more = [f"content-length: {length}"] if length is not None else []
        self.ended, self.left = not body or length == 0, length
        self.st.head(status, *low(fields), *more, end=self.ended)

    def piece(self, data):
        if self.left is not None:
            self.left -= len(data)
            self.ended = self.left == 0
        self.st.data(data, self.left == 0)

    def finish(self, *trailers):
        if self.ended:
            return
        if trailers:
            self.st.trail(*low(trailers))
        else:
            self.st.data(b"", True)

    def cut(self):
        self.st.reset(wire.INTERNAL_ERROR)
        raise Cut("by the origin")

    def gone(self):
        self.st.wait_reset()
        raise Cut("by the proxy")


def low(fields):
    return [(n.lower(), v) for n, v in pairs(fields)]


def ends(handler, **options):
    """A script for each version."""
    def script(conn):
        while (req := conn.head()) is not None:
            try:
                handler(At1(conn, req))
            except Cut:
                return
    return {"h1": script, "h2": h2_serve(lambda st: handler(At2(st)), **options)}


__all__ = ["Answer", "At1", "At2", "Down", "HOST", "SETTINGS", "VERSIONS", "ends"]
