"""Every program of the guide and the README is compiled against an installed copy and run as it
stands, and says what its page tells; every other piece of C in them compiles.

A program is a fenced block of C with a `main`. The HTML comment before it says how to try it:

    origin 9001                           an origin on 127.0.0.1 whose answers repeat the request
    origin 9002 503                       one that always answers with that status
    origin 9003 tls origin.example        one that speaks TLS under this name (CA: ca.crt)
    certificate server localhost          server.crt and server.key for this name, in the program's
                                          folder
    listens 2                             the program has so many listeners (1)
    GET 6188 /x | A: 1 => 200 | text      asks with the field A; status, and texts of the answer
    GET 6188 /x => 502 503 | ! text       one of these; a text that is not in the answer
    GET https 6189 /x => 200              the same over TLS
    until GET 6188 /x => 200 | text       asks again until it is so
    tcp 7000 hello => text | text         connects, says hello, ends, and reads to the end
    exit 0                                the program ends by itself, with this code
    stop 9001                             the origin is gone, its connections with it
    log "why":"dns"                       a text of the access log, now or soon
    stderr text                           the same of standard error
"""

import re
import socket

import pytest

from weirtest import WAIT, Authority, poll, request, serve
from weirtest.proxy import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- run\n(?P<steps>.*?)-->\n+)?^```c\n(?P<code>.*?)^```", re.M | re.S)
ASK = re.compile(r"(?P<method>[A-Z]+) (?P<tls>https )?(?P<port>\d+) (?P<target>\S+)"
                 r"(?P<fields>.*?) => (?P<status>\d+(?: \d+)*)(?P<texts>.*)")


def blocks():
    """(name, code, steps) of each block of C; steps: None without a comment."""
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("code"))
            yield pytest.param(match["code"], match["steps"], id=f"{page.stem}-{line}")


PROGRAMS = [b for b in blocks() if "int main(" in b.values[0]]
PIECES = [b for b in blocks() if "int main(" not in b.values[0]]


def repeat(req, port, status):
    """The answer of an origin: who it is, and what it was asked."""
    fields = "".join(f"{name}: {value}\n" for name, value in req.fields)
    body = f"origin {port}: {req.method} {req.target}\n{fields}".encode("latin-1") + req.body
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if req.method == "HEAD" else body)


class Steps:
    """What the comment says, step by step. Origins and certificates are there before all else."""

    def __init__(self, text, origin, folder):
        self.lines = [line for line in map(str.strip, (text or "").splitlines()) if line]
        self.origin = origin
        self.origins = {}
        self.listens = 1
        self.authority = Authority(folder) if re.search("tls|certificate", text) else None
        while self.lines and self.lines[0].split()[0] in ("origin", "listens", "certificate"):
            word, *values = self.lines.pop(0).split()
            getattr(self, f"set_{word}")(*values)

    def set_listens(self, n):
        self.listens = int(n)

    def set_certificate(self, file, *names):
        self.authority.certificate(file, *names)

    def set_origin(self, port, status="200", name=None):
        tls = self.authority.server(f"origin{port}", name) if status == "tls" else None
        status = "200" if tls else status
        self.origins[port] = self.origin(serve(lambda req: repeat(req, port, status)),
                                         address=("127.0.0.1", int(port)), tls=tls)

    def run(self, proxy):
        assert self.lines, "the comment asks nothing"
        for line in self.lines:
            word, _, rest = line.partition(" ")
            ask = ASK.fullmatch(line)
            if ask:
                self.ask(proxy, **ask.groupdict())
            else:
                getattr(self, f"do_{word}")(proxy, rest)

    def do_until(self, proxy, line):
        def holds():
            try:
                self.ask(proxy, **ASK.fullmatch(line).groupdict())
            except AssertionError:
                return False
            return True
        poll(holds, line)

    def ask(self, proxy, method, tls, port, target, fields, status, texts):
        listener = [a[1] for a in proxy.addresses].index(int(port))
        fields = [f.strip() for f in fields.split("|")[1:]]
        client = proxy.client(listener, tls=self.authority.client() if tls else None)
        res = client.ask(request(method, target, *fields))
        client.close()
        got = "".join(f"{n}: {v}\n" for n, v in res.fields) + res.body.decode("latin-1")
        assert str(res.status) in status.split(), (target, res, res.body)
        for text in (t.strip() for t in texts.split("|")[1:]):
            if text.startswith("! "):
                assert text[2:] not in got
            else:
                assert text in got, (target, text, got)

    def do_tcp(self, proxy, rest):
        port, said, texts = re.fullmatch(r"(\d+) (\S+) => (.*)", rest).groups()
        with socket.create_connection(("127.0.0.1", int(port)), WAIT) as conn:
            conn.sendall(said.encode())
            conn.shutdown(socket.SHUT_WR)
            got = conn.makefile("rb").read().decode()
        for text in texts.split(" | "):
            assert text in got, (rest, got)

    def do_exit(self, proxy, code):
        proxy.wait(int(code))

    def do_stop(self, proxy, port):
        self.origins.pop(port).stop()

    def do_log(self, proxy, text):
        poll(lambda: text in proxy.log_path.read_text(), lambda: f"no {text} in {proxy.log(1)}")

    def do_stderr(self, proxy, text):
        proxy.wait_text(re.escape(text))


@pytest.mark.parametrize("code, steps", PROGRAMS)
def test_program(network, installed, origin, weir, tmp_path, code, steps):
    assert steps, "a program without a comment that says how to try it"
    source = tmp_path / "program.c"
    source.write_text(code)
    todo = Steps(steps, origin, tmp_path)
    todo.run(weir(program=installed.compile(source), listen=range(todo.listens),
                  env=installed.env, cwd=tmp_path))


@pytest.mark.parametrize("code, steps", PIECES)
def test_piece(installed, tmp_path, code, steps):
    assert steps is None, "only a program can be run"
    source = tmp_path / "piece.c"
    source.write_text("#include <weir/weir.h>\n" + code)
    installed.check(source)
