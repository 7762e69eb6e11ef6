"""A raw client: sends exactly the bytes it is given, in pieces of our choice, and reads
strictly."""

import random
import socket
import struct

from .message import WAIT, Ended, Malformed, Reader, read_response


def request(method="GET", target="/", *fields, body=b"", version="HTTP/1.1", host="origin.test"):
    """The bytes of a request. `fields` are "Name: value" lines; a body brings its length along."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += fields
    if body and not any(f.lower().startswith("transfer-encoding:") for f in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + body


def chunks(*pieces, trailers=""):
    """A chunked body of these pieces; empty ones are left out, as they would end it."""
    out = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p)
    return out + b"0\r\n" + trailers.encode("latin-1") + b"\r\n"


class Client:
    """One connection. `address` is (host, port) or the path of a Unix socket. With `tls`, a
    context, it asks for `name` and verifies it. `mss`: in smaller segments than loopback has."""

    def __init__(self, address, rcvbuf=None, mss=None, source=None, tls=None, name="localhost"):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if mss:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(WAIT)
        self.sock.connect(address)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.reader = Reader(self.sock)

    def send(self, data, split="whole"):
        """`split`: "whole", "bytes" (one by one), or a seed for random pieces.

        A proxy that refuses early may have closed: what it said before that decides, so a failed
        send is no error here. Returns whether everything was sent."""
        if split == "whole":
            pieces = [data]
        elif split == "bytes":
            pieces = [data[i:i + 1] for i in range(len(data))]
        else:
            rnd, pieces, at = random.Random(split), [], 0
            while at < len(data):
                n = rnd.choice((1, 1, 2, 3, 7, 16, 50))
                pieces.append(data[at:at + n])
                at += n
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        except socket.timeout:
            raise AssertionError(f"the proxy took no bytes for {WAIT} s") from None
        return True

    def receive(self, method="GET", body=True):
        """The next final response."""
        return read_response(self.reader, method, body)

    def ask(self, data, method=None, split="whole"):
        """Sends a request and reads its response."""
        self.send(data, split)
        return self.receive(method or data.split(b" ", 1)[0].decode("latin-1"))

    def closed(self):
        """Waits for the end of the connection, which must come without another byte."""
        extra, how = self.reader.rest()
        if extra:
            raise Malformed(f"bytes after the last response: {extra[:400]!r}")
        return how

    def truncated(self, method="GET"):
        """Reads a response that must be seen to be cut off; returns what came of it."""
        try:
            res = self.receive(method)
        except Ended as end:
            return end.partial
        if res.framing == "close":
            raise Malformed("a cut-off body was ended by a clean close")
        raise Malformed(f"a cut-off body looks complete: {res}")

    def finish(self):
        """No more bytes from us (FIN), while we still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()
