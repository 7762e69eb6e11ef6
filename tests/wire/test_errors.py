"""Upstreams that are not there, go away, or talk nonsense: the status, the word, and life after
it."""

import os
import resource
import socket

import pytest

from weirtest import OK, Ended, own_answer, request, serve, why

quick = pytest.mark.quick


@quick
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_nobody_listens(weir, origin, method):
    o = origin()
    o.refuse()
    p = weir(o.name)
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request(method, body=b"abc" if method == "POST" else b"")), 502)
    why(p, "connect_refused")


@pytest.mark.parametrize("make", ["absent", "file", "dead"])
def test_nobody_at_a_unix_socket(weir, tmp_path, make):
    path = str(tmp_path / "origin.sock")
    if make == "file":
        open(path, "w").close()
    elif make == "dead":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
    p = weir(f"unix:{path}")
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request()), 502)
    why(p, "connect_(refused|failed)")


def lowest_free(p):
    """The number that its next descriptor will have."""
    used = {int(fd) for fd in os.listdir(f"/proc/{p.pid}/fd")}
    return next(fd for fd in range(len(used) + 1) if fd not in used)


@quick
def test_no_descriptor_for_an_upstream(weir, origin):
    """It is our trouble: no other backend is tried, and all is well as soon as there is one."""
    o, other = origin(), origin()
    p = weir("--workers", 1, o, other)
    c = p.client()
    assert c.ask(request("OPTIONS", "/", "Max-Forwards: 0")).status == 200  # accepted, no more
    limits = resource.prlimit(p.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (lowest_free(p), limits[1]))
    for _ in range(2):
        own_answer(c.ask(request()), 503)
    record = p.log(3)[2]
    assert (record["why"], record["status"], record["tries"]) == ("descriptors", 503, 1)
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, limits)
    assert c.ask(request()).body == b"ok"


def test_comes_back(weir, origin, tmp_path):
    """An upstream that was away is used again as soon as it is there."""
    path = str(tmp_path / "origin.sock")
    p = weir(f"unix:{path}")
    c = p.client()
    own_answer(c.ask(request()), 502)
    origin(address=path)
    assert c.ask(request()).body == b"ok"
    os.unlink(path)


@quick
def test_another_upstream_takes_over(weir, origin):
    """A refused connection is tried with the next upstream: nothing of the request was sent."""
    dead, alive = origin(), origin()
    dead.refuse()
    p = weir("--workers", 1, dead.name, alive)
    c = p.client()
    for method in ("GET", "POST", "GET", "POST"):
        assert c.ask(request(method, body=b"abc" if method == "POST" else b"")).body == b"ok"
    assert len(alive.requests) == 4
    assert p.log(4)[-1]["upstream"] == alive.name


def test_all_upstreams_are_down(weir, origin):
    dead = [origin() for _ in range(5)]
    for o in dead:
        o.refuse()
    p = weir(*[o.name for o in dead])
    own_answer(p.client().ask(request()), (502, 503))
    why(p, "(connect_refused|no_upstream)")


@quick
@pytest.mark.parametrize("end, words", [("finish", "upstream_closed"), ("reset", "upstream_(reset|closed)")])
@pytest.mark.parametrize("part", [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
                                  b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r"])
def test_ends_before_its_head(weir, origin, end, words, part):
    def script(conn):
        conn.request()
        conn.send(part)
        if end == "reset":
            conn.reset()
    o = origin(script, script, serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    own_answer(c.ask(request("POST", body=b"abc")), 502)
    own_answer(c.ask(request("HEAD")), 502)
    why(p, words)
    assert c.ask(request()).body == b"ok"
    assert len(o.requests) == 3, "a request was sent twice"


def test_ends_at_once(weir, origin):
    """Connections that end before the request could be read."""
    o = origin(lambda conn: None, lambda conn: conn.reset(), serve(OK))
    p = weir("--workers", 1, o)
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request("POST", body=b"abc")), 502)
    why(p, "upstream_(closed|reset)")
    assert c.ask(request()).body == b"ok"


@quick
def test_dies_within_the_body(weir, origin):
    """After a 200 only the cut tells: the client connection ends with too few bytes."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    p = weir("--workers", 1, origin(script))
    c = p.client()
    c.send(request())
    with pytest.raises(Ended) as ended:
        res = c.receive()
        own_answer(res, 502)
    assert ended.value.partial is None or ended.value.partial.body in (b"", b"12345")
    why(p, "response_cut_off")


def test_client_leaves_while_the_origin_thinks(weir, origin):
    """The upstream connection ends with the client; nothing waits for a response nobody wants."""
    o = origin(lambda conn: (conn.request(), conn.wait_end()))
    p = weir(o)
    for leave in ("reset", "close"):
        c = p.client()
        n = len(o.requests)
        c.send(request())
        o.wait_requests(n + 1)
        getattr(c, leave)()
        o.wait(lambda: o.conns[-1].ended, "the end of its connection")
    why(p, "client_gone")


def test_client_leaves_after_a_request_that_came_early(weir, origin):
    """The next request is there when the connection would have gone idle: it is looked after all
    the same."""
    def script(conn):
        conn.request()
        conn.wait(go)
        conn.send(OK)
        conn.request()
        conn.wait_end()
    o = origin(script)
    go = o.event()
    p = weir(o)
    c = p.client()
    c.send(request("GET", "/1"))
    o.wait_requests(1)
    c.send(request("GET", "/2"))
    go.set()
    assert c.receive().status == 200
    o.wait_requests(2)
    c.reset()
    o.wait(lambda: o.conns[0].ended, "the end of the connection to the origin")


def test_client_leaves_within_the_body(weir, origin):
    def script(conn):
        if conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
            while True:
                conn.send(b"x" * 65536)
    o = origin(script)
    p = weir(o)
    for leave in ("reset", "close"):
        c = p.client()
        c.send(request())
        c.receive(body=False)
        getattr(c, leave)()
        o.wait(lambda: o.conns[-1].sock.fileno() < 0, "the end of its connection")
    why(p, "client_gone")


@quick
def test_half_closed_client(weir, origin):
    """A client may end its sending side behind its last request: it is still answered or let go,
    and pipelined requests before are answered."""
    def script(conn):
        while (req := conn.request()) is not None:
            conn.wait(go)
            conn.send(OK)
    o = origin(script)
    go = o.event()
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request("GET", "/1") + request("POST", "/2", body=b"abc"))
    o.wait_requests(1)
    go.set()
    assert c.receive().body == b"ok"
    c.finish()
    data, how = c.reader.rest()
    assert how in ("fin", "rst") and (not data or data.startswith(b"HTTP/1.1 200 "))


def test_host_name(weir, origin):
    """`localhost:port`: all its addresses become upstreams (which of them listens varies)."""
    o = origin()
    p = weir(f"localhost:{o.address[1]}")
    c = p.client()
    for _ in range(4):
        assert c.ask(request()).body == b"ok"


def no_network():
    return os.geteuid() != 0 or os.system("unshare -n true 2>/dev/null") != 0


@quick
@pytest.mark.skipif(no_network(), reason="no network namespaces")
def test_unknown_host_name(weir, tmp_path):
    """A name without an address is a warning at start and a 503. In a namespace without network, so
    that no name server is asked."""
    p = weir("no-such-host.invalid:80", listen=[f"unix:{tmp_path}/w"], under=("unshare", "-n"))
    c = p.client()
    for _ in range(2):
        own_answer(c.ask(request()), 503)
    assert p.log(2)[-1]["why"] == "dns"
    p.wait_text("no-such-host.invalid")
