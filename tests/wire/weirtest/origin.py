"""A scripted origin: real sockets, one thread per connection, every received byte kept.

A script is a function of the connection; when it returns, the connection is closed. `Origin(a, b)`
runs a for the first connection and b for all later ones; with `tls`, a context, each begins with a
handshake. What a script asserts, and whatever
message.py refuses in a request, fails the test when the origin stops.
"""

import os
import socket
import struct
import threading

from .message import WAIT, Ended, Malformed, Reader, read_body, read_request_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Stopped(Exception):
    """The test is over; a script that still runs unwinds."""


class Conn:
    """The origin's end of one upstream connection."""

    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number        # 0 for the first connection of this origin
        self.reader = Reader(sock)
        self.requests = []
        self.incomplete = None      # the request that was cut off, if one was
        self.ended = None           # "fin" or "rst" when the proxy ended it between requests

    raw = property(lambda self: bytes(self.reader.raw))

    def begin_tls(self, context):
        """The handshake; one that fails (a health check, a stranger) ends the connection."""
        self.sock = self.reader.sock = context.wrap_socket(self.sock, server_side=True,
                                                           do_handshake_on_connect=False)
        self.sock.do_handshake()

    def head(self):
        """The next request head, or None at the end of the connection."""
        try:
            req = read_request_head(self.reader)
        except Ended as end:
            self.note(ended=end.how)
            return None
        if req is None:
            self.note(ended=self.reader.end)
            return None
        with self.origin.changed:
            self.requests.append(req)
            self.origin.requests.append(req)
            self.origin.changed.notify_all()
        return req

    def body(self, req):
        """Reads the body of `req`; False if the proxy cut it off."""
        try:
            read_body(self.reader, req, req.framing)
        except Ended as end:
            self.note(incomplete=end.partial, ended=end.how)
            return False
        return True

    def request(self):
        """The next complete request, or None."""
        req = self.head()
        return req if req is not None and self.body(req) else None

    def note(self, **what):
        with self.origin.changed:
            self.__dict__.update(what)
            self.origin.changed.notify_all()

    def send(self, data):
        self.sock.sendall(data)

    def wait(self, event):
        assert event.wait(WAIT), "the test never gave the signal"
        if self.origin.stopping:
            raise Stopped

    def wait_end(self):
        """Until the proxy ends the connection; returns "fin" or "rst"."""
        self.reader.rest()
        self.note(ended=self.reader.end)
        return self.ended

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def serve(*responses):
    """A script that answers the requests of a connection in turn, the last answer again and again.
    A response is bytes, or a function of the request that returns bytes."""
    def script(conn):
        turn = 0
        while (req := conn.request()) is not None:
            answer = responses[min(turn, len(responses) - 1)]
            conn.send(answer(req) if callable(answer) else answer)
            turn += 1
    return script


def once(response, end="close"):
    """A script that answers one request and then ends the connection: "close" or "reset"."""
    def script(conn):
        if conn.request() is not None:
            conn.send(response)
            if end == "reset":
                conn.reset()
    return script


def echo(req):
    """For `serve`: the body comes back, and the target as a field."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(req.body)}\r\nX-Target: {req.target}\r\n\r\n"
    return head.encode("latin-1") + (b"" if req.method == "HEAD" else req.body)


class Origin:
    def __init__(self, *scripts, address=("127.0.0.1", 0), tls=None):
        self.scripts = scripts or (serve(OK),)
        self.tls = tls
        self.requests = []
        self.conns = []
        self.errors = []
        self.events = []
        self.stopping = False
        self.changed = threading.Condition()
        self.threads = []
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # for `refuse`
        self.sock.bind(address)
        self.sock.listen(1024)
        self.address = self.sock.getsockname()
        self._thread(self._accept)

    @property
    def name(self):
        """The address as the proxy's command line takes it."""
        if isinstance(self.address, str):
            return "unix:" + os.path.abspath(self.address)
        host, port = self.address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def event(self):
        """An event for a script to wait for; set at the end of the test in any case."""
        self.events.append(threading.Event())
        return self.events[-1]

    def wait(self, condition, what):
        """Until `condition()` holds; it is tried again whenever a connection or request comes."""
        with self.changed:
            assert self.changed.wait_for(condition, WAIT), f"origin never saw {what}: {self.seen()}"

    def wait_requests(self, n):
        self.wait(lambda: len(self.requests) >= n, f"{n} requests")
        return self.requests[n - 1]

    def seen(self):
        return [c.raw[:2000] for c in self.conns]

    def one(self):
        """The only request that came, on the only connection, with no byte beside it."""
        assert len(self.requests) == 1, f"not one request: {self.seen()}"
        return self.requests[0]

    def stop(self):
        """Ends all connections and scripts; raises what the first failed script raised."""
        self.stopping = True
        for event in self.events:
            event.set()
        self._shut(self.sock)
        with self.changed:
            for conn in self.conns:
                self._shut(conn.sock, keep=True)
        for thread in self.threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a script of the origin did not end"
        errors, self.errors = self.errors, []
        if errors:
            raise errors[0]

    def refuse(self):
        """From now on nobody listens at this address, whoever may ask for a port."""
        self._shut(self.sock)
        self.sock = socket.socket(self.sock.family)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(self.address)

    @staticmethod
    def _shut(sock, keep=False):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if not keep:
            sock.close()

    def _thread(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(None)   # an idle pooled connection may wait as long as the test
            with self.changed:
                conn = Conn(self, sock, len(self.conns))
                self.conns.append(conn)
                self.changed.notify_all()
                if self.stopping:       # `stop` did not know of it
                    self._shut(sock, keep=True)
            script = self.scripts[min(conn.number, len(self.scripts) - 1)]
            self._thread(self._run, script, conn)

    def _run(self, script, conn):
        try:
            if self.tls:
                conn.begin_tls(self.tls)
            script(conn)
        except (Stopped, OSError):
            pass                    # the proxy may hang up on a script at any time
        except Exception as error:  # assertions, malformed requests, mistakes in the test
            if not self.stopping or isinstance(error, Malformed):
                self.errors.append(error)
        finally:
            with self.changed:
                conn.sock.close()
                self.changed.notify_all()
