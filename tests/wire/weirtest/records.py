"""A TLS client whose ciphertext is in our hands: cut as we like, and seen record by record."""

import select
import socket
import ssl

from .message import WAIT, Reader, read_response

APPLICATION_DATA = 23


class Records:
    """One connection. `split`: how many bytes of ciphertext go out at once (None: all)."""

    def __init__(self, address, context, name="origin.test", split=None, session=None):
        self.sock = socket.create_connection(address, timeout=WAIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.split = split
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name,
                                    session=session)
        self.seen = bytearray()     # ciphertext that came, whole
        self._step(self.tls.do_handshake)
        self.reader = Reader(self)

    def _flush(self):
        data = self.outgoing.read()
        step = self.split or len(data) or 1
        for at in range(0, len(data), step):
            self.sock.sendall(data[at:at + step])

    def _fetch(self):
        """More ciphertext; False at the end of the TCP stream."""
        data = self.sock.recv(65536)
        if not data:
            self.incoming.write_eof()
            return False
        self.seen += data
        self.incoming.write(data)
        return True

    def _step(self, call):
        while True:
            try:
                result = call()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                self._fetch()

    def send(self, data):
        self._step(lambda: self.tls.write(data))

    def send_and_take(self, data):
        """Sends much while what comes meanwhile is taken off the wire, to be read later."""
        pending = b""
        for at in range(0, len(data), 100_000):
            self.tls.write(data[at:at + 100_000])
            pending += self.outgoing.read()
            while pending:
                readable, writable, _ = select.select([self.sock], [self.sock], [], WAIT)
                assert readable or writable, f"the proxy took no bytes for {WAIT} s"
                if readable:
                    assert self._fetch(), "the connection ended"
                if writable:
                    pending = pending[self.sock.send(pending):]

    def recv(self, n):
        """As of a socket: b"" only if the peer said that it has ended."""
        try:
            return self._step(lambda: self.tls.read(n))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            raise ConnectionResetError("no close_notify") from None

    def receive(self, method="GET"):
        return read_response(self.reader, method, True)

    def ask(self, data):
        self.send(data)
        return self.receive(data.split(b" ", 1)[0].decode())

    def say_end(self):
        """close_notify, and no FIN: we still read."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def closed(self):
        """Waits for the end; "fin" is one with close_notify, "rst" one without."""
        return self.reader.rest()[1]

    def records(self, start=0):
        """(type, length) of the records that came since `start` (a former len(seen))."""
        out, at = [], start
        while at + 5 <= len(self.seen):
            length = int.from_bytes(self.seen[at + 3:at + 5], "big")
            out.append((self.seen[at], length))
            at += 5 + length
        return out

    def close(self):
        self.sock.close()
