"""An origin that speaks HTTP/2: scripts for `Origin`, over the frames of h2.py.

`h2_serve(handler)` calls handler(stream) for each request, in a thread of its own. `h2_script(fn)`
calls fn(peer) once, which takes requests by `peer.accept()` and may break any rule. In both a thread
reads what comes, keeps it, and holds it to RFC 9113: a request with a field that HTTP/2 does not
have, with a length that is not the body's, or beyond a window, fails the test.
"""

import socket
import struct
import threading

import hpack

from .h2 import (ACK, CONNECTION_FIELDS, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
                 INITIAL_WINDOW_SIZE, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE,
                 block, data, frame, headers, ping, reset, settings, update)
from .message import WAIT, Malformed

PSEUDO = {":method", ":scheme", ":authority", ":path", ":protocol"}


class Cut(Exception):
    """The stream or its connection ended before its message."""


class Served:
    """One request as the origin sees it, and the answer to it."""

    def __init__(self, peer, number, fields, ended):
        self.peer, self.number, self.fields, self.ended = peer, number, fields, ended
        self.body = bytearray()
        self.trailers = []
        self.code = None            # of the RST_STREAM that came
        self.window = peer.initial  # what we may send
        self.credit = peer.mine     # what it may still send
        self.frames = 0             # of DATA
        check_request(fields)

    method = property(lambda self: self.get(":method"))
    target = property(lambda self: self.get(":path"))
    authority = property(lambda self: self.get(":authority"))
    over = property(lambda self: self.code is not None or self.peer.end is not None)

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise Malformed(f"{name} occurs {len(values)} times: {values}")
        return values[0] if values else None

    def wait(self, condition, what="what it waits for"):
        """Until `condition()`; Cut if the stream ends before."""
        self.peer.wait(lambda: condition() or self.over, what)
        if not condition():
            raise Cut(f"stream {self.number}: reset {self.code}, connection {self.peer.end}")

    def read(self):
        """The whole body."""
        self.wait(lambda: self.ended, "the end of a request")
        stated = self.get("content-length")
        if stated is not None and int(stated) != len(self.body):
            raise Malformed(f"content-length {stated}, but {len(self.body)} bytes came")
        return bytes(self.body)

    def wait_reset(self):
        self.peer.wait(lambda: self.over, "a reset")
        return self.code

    # the answer

    def head(self, status=200, *fields, end=False):
        self.peer.headers(self.number, [(":status", str(status))] + pairs(fields), end)

    def data(self, bytes_, end=False):
        """As far as the windows let it, and then the rest."""
        at = 0
        while at < len(bytes_):
            self.wait(lambda: min(self.window, self.peer.window) > 0, "a window")
            with self.peer.changed:
                n = min(len(bytes_) - at, self.window, self.peer.window, 16384)
                if n <= 0:
                    continue
                self.window -= n
                self.peer.window -= n
                self.peer.send(data(self.number, bytes_[at:at + n], end and at + n == len(bytes_)))
            at += n
        if not bytes_:
            self.peer.send(data(self.number, b"", end))

    def trail(self, *fields):
        self.peer.headers(self.number, pairs(fields), True)

    def answer(self, status=200, body=b"", *fields):
        self.head(status, *fields, end=not body)
        if body:
            self.data(body, True)

    def reset(self, code):
        self.peer.send(reset(self.number, code))


def pairs(fields):
    return [tuple(f.split(": ", 1)) if isinstance(f, str) else f for f in fields]


def long_headers(stream, fields, end):
    """What is above a frame's size goes out as CONTINUATION."""
    encoded = block(fields)
    first, rest = encoded[:16384], encoded[16384:]
    out = headers(stream, first, end, 0 if rest else END_HEADERS)
    while rest:
        piece, rest = rest[:16384], rest[16384:]
        out += frame(CONTINUATION, 0 if rest else END_HEADERS, stream, piece)
    return out


def check_request(fields):
    names = [n for n, _ in fields]
    regular = False
    for name, value in fields:
        if name.startswith(":"):
            if regular or name not in PSEUDO or names.count(name) > 1:
                raise Malformed(f"pseudo-fields: {fields}")
            continue
        regular = True
        if name != name.lower() or (name in CONNECTION_FIELDS and (name, value) != ("te", "trailers")):
            raise Malformed(f"the field {name!r}: {value!r}")
        if any(c in value for c in "\r\n\0") or value != value.strip(" \t"):
            raise Malformed(f"the value {value!r} of {name}")
    if ":method" not in names or "host" in names:
        raise Malformed(f"no request head of ours: {fields}")


class Peer:
    """The origin's end of one connection."""

    def __init__(self, conn, settings_=(), manual=False, credit=True):
        self.conn, self.sock = conn, conn.sock
        self.changed = threading.Condition(threading.RLock())
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.streams = {}
        self.waiting = []           # accepted by nobody yet
        self.window, self.initial = WINDOW, WINDOW
        self.mine = WINDOW          # what new streams may send; ours, once it has acknowledged it
        self.asked = dict(settings_).get(INITIAL_WINDOW_SIZE, WINDOW)
        self.credit, self.auto = WINDOW, credit
        self.manual = manual        # it says nothing by itself
        self.settings = {}
        self.pings, self.pongs, self.goaways = [], [], []
        self.answer_pings = True
        self.frames = []
        self.end = None
        self.error = None
        self.new = None             # called with each request
        conn.peer = self
        if not manual:
            self.send(settings(*settings_))
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def send(self, bytes_):
        with self.changed:
            try:
                self.sock.sendall(bytes_)
                return True
            except OSError:
                return False

    def headers(self, stream, fields, end):
        self.send(long_headers(stream, fields, end))

    def goaway(self, last, code=0, text=b""):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + text))

    def ping(self):
        """Until the proxy has handled all that we sent."""
        mark = struct.pack(">Q", len(self.frames) | 0xee << 56)
        self.send(ping(mark))
        self.wait(lambda: mark in self.pongs or self.end, "an answer to a PING")

    def wait(self, condition, what, seconds=WAIT):
        with self.changed:
            assert self.changed.wait_for(lambda: condition() or self.conn.origin.stopping or self.error,
                                         seconds), f"not in time: {what}; frames: {self.frames[-8:]}"
        if self.error:
            raise self.error
        if not condition():
            raise Cut("the test is over")

    def accept(self):
        """The next request, or None at the end of the connection. Others may take as long as they
        take before it comes."""
        self.wait(lambda: self.waiting or self.end, "a request", None)
        with self.changed:
            return self.waiting.pop(0) if self.waiting else None

    def wait_end(self):
        self.wait(lambda: self.end, "the end of the connection")
        return self.end

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with a RST, which leaves only once nobody reads any more: a recv that
        is under way keeps the socket open."""
        self.sock.shutdown(socket.SHUT_RD)
        self.thread.join(WAIT)
        self.conn.reset()

    # reading

    def _bytes(self, n):
        out = b""
        while len(out) < n:
            more = self.sock.recv(min(n - len(out), 65536))
            if not more:
                raise EOFError
            out += more
        return out

    def _read(self):
        end = "fin"
        try:
            if self._bytes(len(PREFACE)) != PREFACE:
                raise Malformed("no preface")
            while True:
                h = self._bytes(9)
                stream = struct.unpack(">I", h[5:9])[0]
                payload = self._bytes(int.from_bytes(h[:3], "big"))
                with self.changed:
                    self.frames.append((h[3], h[4], stream, len(payload)))
                    self._mean(h[3], h[4], stream, payload)
                    self.changed.notify_all()
        except EOFError:
            pass
        except OSError:
            end = "rst"
        except Exception as error:
            self.error = error
        with self.changed:
            self.end = end
            self.changed.notify_all()

    def _mean(self, kind, flags, stream, payload):
        st = self.streams.get(stream)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                self.settings[key] = value
            change = self.settings.get(INITIAL_WINDOW_SIZE, self.initial) - self.initial
            self.initial += change
            for one in self.streams.values():
                one.window += change
            if not self.manual:
                self.send(frame(SETTINGS, ACK))
        elif kind == SETTINGS:
            for one in self.streams.values():
                one.credit += self.asked - self.mine
            self.mine = self.asked
        elif kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind == PING:
            self.pings.append(payload)
            if self.answer_pings:
                self.send(ping(payload, ACK))
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack(">II", payload[:8]))
        elif kind == WINDOW_UPDATE:
            if stream == 0:
                self.window += struct.unpack(">I", payload)[0]
            elif st is not None:
                st.window += struct.unpack(">I", payload)[0]
        elif kind == RST_STREAM and st is not None:
            st.code = struct.unpack(">I", payload)[0]
        elif kind == DATA:
            self._data(st, flags, payload)
        elif kind == HEADERS:
            self._block, self._first = payload, flags
            if flags & END_HEADERS:
                self._head(stream)
        elif kind == CONTINUATION:
            self._block += payload
            if flags & END_HEADERS:
                self._head(stream)

    def _data(self, st, flags, payload):
        if st is None or st.ended:
            raise Malformed("DATA where there is no body")
        st.credit -= len(payload)
        self.credit -= len(payload)
        if st.credit < 0 or self.credit < 0:
            raise Malformed("DATA beyond a window")
        st.body += payload
        st.frames += 1
        st.ended = bool(flags & END_STREAM)
        if self.auto and payload:
            self.give(st, len(payload))

    def give(self, st, n):
        """Makes the windows larger."""
        self.credit += n
        out = update(0, n)
        if not st.ended:
            st.credit += n
            out += update(st.number, n)
        self.send(out)

    def _head(self, stream):
        fields = [(n.decode("latin-1"), v.decode("latin-1"))
                  for n, v in self.decoder.decode(self._block, raw=True)]
        st, ended = self.streams.get(stream), bool(self._first & END_STREAM)
        if st is not None:
            if st.ended or not ended or any(n.startswith(":") for n, _ in fields):
                raise Malformed(f"no trailers: {fields}")
            st.trailers, st.ended = fields, True
            return
        st = self.streams[stream] = Served(self, stream, fields, ended)
        origin = self.conn.origin
        with origin.changed:
            self.conn.requests.append(st)
            origin.requests.append(st)
            origin.changed.notify_all()
        if self.new is not None:
            self.new(st)
        else:
            self.waiting.append(st)


def h2_script(fn, settings=(), **options):
    """A script for `Origin`: fn(peer), then the connection is closed."""
    def script(conn):
        peer = Peer(conn, settings, **options)
        try:
            fn(peer)
        except Cut:
            pass
        peer.close()
        peer.thread.join(WAIT)
        if peer.error:
            raise peer.error
    return script


def h2_serve(handler, settings=(), **options):
    """A script for `Origin`: handler(stream) for each request, each in a thread."""
    def fn(peer):
        threads, errors = [], []

        def run(st):
            try:
                handler(st)
            except Cut:
                pass
            except Exception as error:
                errors.append(error)
        while (st := peer.accept()) is not None:
            threads.append(threading.Thread(target=run, args=(st,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(WAIT)
        if errors and not peer.conn.origin.stopping:
            raise errors[0]
    return h2_script(fn, settings, **options)
