"""Every program of examples/: compiled against an installed copy, shared and static, run as it
stands between real clients and origins at the addresses that it names. What its head comment
promises is asserted here, and that it is no longer than its counterpart of the reference."""

import gzip
import socket
import struct
import subprocess
import threading

import pytest

from weirtest import LINKAGES, OK, WAIT, Authority, examples, lines_of_code, poll, request, serve
from weirtest.proxy import ROOT

# Lines without blanks and comments; the reference's program of the same purpose has as many.
LONGEST = {
    "auth_fetch": None,         # has none
    "backoff_retry": 59,
    "body_router": None,
    "client": 41,
    "connection_filter": 61,
    "connection_log": 61,       # the reference's connection filter is the nearest
    "ctx": 63,
    "echo": 66,
    "gateway": 94,
    "hello": None,              # has none
    "load_balancer": 60,
    "mirror": None,
    "modify_body": 102,         # the reference has one for heads and bodies
    "modify_response": 102,
    "multi_lb": 57,
    "rate_limiter": 96,
    "router": 94,               # without the figures of its gateway
    "use_module": 79,
    "tcp_proxy": 82,            # the application that passes bytes
    "websocket": None,
}

both = pytest.mark.parametrize("linkage", LINKAGES)


@pytest.fixture
def example(installed, weir):
    """example(name, linkage, ready=N) starts one; `ready` is the number of its listeners."""
    def start(name, linkage, ready=1, *args, env=None, **options):
        program = installed.compile(ROOT / "examples" / f"{name}.c", linkage)
        env = {**installed.env, **(env or {})}
        return weir(*args, program=program, listen=range(ready), env=env, **options)
    return start


def at(origin, port, *fields, status="200 OK"):
    """An origin at the port that an example names; its body tells which one it is."""
    name = str(port).encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(name)}", "", ""])
    return origin(serve(head.encode() + name), address=("127.0.0.1", port))


@pytest.mark.parametrize("source", examples(), ids=lambda path: path.stem)
def test_length(source):
    """None is longer than its counterpart, and none is without an entry here."""
    longest = LONGEST[source.stem]
    count = lines_of_code(source)
    print(f"{source.stem}: {count} lines, the reference: {longest}")
    assert longest is None or count <= longest
    if source.stem == "load_balancer":
        assert len(source.read_text().splitlines()) <= 45


@both
def test_hello(network, origin, example, linkage):
    up = at(origin, 9001)
    p = example("hello", linkage)
    assert p.ask(request("GET", "/hello")).body == b"hello\n"
    assert p.ask(request("GET", "/x/../%68ello/you")).body == b"hello\n"
    assert not up.requests
    res = p.ask(request("GET", "/helloyou"))
    assert res.body == b"9001" and up.one().target == "/helloyou"
    assert res.get("X-Request-Id") in [r["id"] for r in p.log(3)]


def served(res):
    return tuple(map(int, res.get("X-Served").replace(" here, ", " ").split()[:2]))


@both
def test_ctx(network, origin, example, linkage):
    at(origin, 9001), at(origin, 9002)
    p = example("ctx", linkage, ready=2)
    first, second = p.client(0), p.client(1)
    answers = [first.ask(request()), first.ask(request("GET", "/", "beta: 1")),
               first.ask(request()), second.ask(request("GET", "/", "Beta: 1"))]
    assert [a.body for a in answers] == [b"9001", b"9002", b"9001", b"9002"]
    assert [served(a) for a in answers] == [(1, 1), (2, 2), (3, 3), (1, 4)]


@both
def test_multi_lb(network, origin, example, linkage):
    """Port 343 is dead in both clusters: nobody notices."""
    at(origin, 9001), at(origin, 9002), at(origin, 9003)
    p = example("multi_lb", linkage)
    client = p.client()
    for path, bodies in (("/one", {b"9001", b"9002"}), ("/one/x", {b"9001", b"9002"}),
                         ("/onex", {b"9003"}), ("/", {b"9003"})):
        answers = [client.ask(request("GET", path)) for _ in range(6)]
        assert {a.status for a in answers} == {200} and {a.body for a in answers} == bodies


@both
def test_modify_response(network, origin, example, linkage):
    up = at(origin, 9001, "Server: Apache/1.3", "X-Powered-By: PHP/4", "Set-Cookie: a=1",
            "Content-Type: text/html", "Set-Cookie: b=2; Path=/")
    p = example("modify_response", linkage)
    res = p.ask(request())
    assert up.one().get("Host") == "origin.example"
    assert res.get("Server") == "gateway" and res.get("X-Powered-By") is None
    assert res.get("Cache-Control") == "private, max-age=60"
    assert res.all("Set-Cookie") == ["a=1; HttpOnly", "b=2; Path=/; HttpOnly"]


@both
def test_rate_limiter(network, origin, example, linkage):
    """Ten are served in each window; who asks for more is refused, and nobody else."""
    up = at(origin, 9001)
    p = example("rate_limiter", linkage)
    client = p.client()

    def ask(appid):
        return client.ask(request("GET", "/", *([f"Appid: {appid}"] if appid else [])))
    answers = []
    poll(lambda: answers.append(ask("a")) or answers[-1].status == 429, "more than ten a second")
    res = answers.pop()
    assert res.get("Retry-After") == "1" and res.get("X-Rate-Limit-Limit") == "10"
    assert res.body == b"slow down\n"
    assert len(answers) >= 10 and {a.status for a in answers} == {200}
    assert len(up.requests) == len(answers)         # what is refused goes nowhere
    assert ask("b").status == ask("A").status == 200
    assert {ask(None).status for _ in range(30)} == {200}
    poll(lambda: ask("a").status == 200, "the next window")


@both
def test_router(network, origin, example, linkage):
    at(origin, 9001)
    second = at(origin, 9002, "Server: Apache/1.3", 'Alt-Svc: h3=":443"')
    third = at(origin, 9003, "Server: Apache/1.3", 'Alt-Svc: h3=":443"')
    p = example("router", linkage)

    def bodies(path, n=4):
        answers = [p.ask(request("GET", path)) for _ in range(n)]
        assert {a.get("Server") for a in answers if a.status == 200} <= {"gateway"}
        assert all(a.get("Alt-Svc") is None for a in answers)
        return {(a.status, a.body) for a in answers}
    assert bodies("/family/x") == {(200, b"9001")}
    assert bodies("/familyx") == {(200, b"9002"), (200, b"9003")}
    assert bodies("/login", 1) == bodies("/x/../login/y", 1) == {(403, b"no way!\n")}
    assert p.ask(request("GET", "/login", "Authorization: password")).status == 200
    second.stop()
    assert bodies("/") == {(200, b"9003")}      # another server is tried at once
    third.stop()
    assert p.ask(request()).status == 502


def failed_connects():
    """How many connections could not be made in this network namespace."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Tcp:")]
    return int(dict(zip(names, values))["AttemptFails"])


@both
def test_backoff_retry(network, origin, example, linkage):
    """Nobody is there when the request comes, and it is answered all the same."""
    p = example("backoff_retry", linkage)
    client = p.client()
    client.send(request("POST", "/", body=b"x"))
    poll(lambda: failed_connects() >= 3, "three failed connections")
    up = at(origin, 9001)
    assert client.receive("POST").body == b"9001" and up.one().body == b"x"
    assert p.log()[0]["tries"] >= 4


@pytest.mark.alone
def test_backoff_ends_with_the_request(network, example):
    p = example("backoff_retry", "shared", 1, "--timeout-request", "200ms")
    assert p.ask(request()).status == 504 and p.log()[0]["why"] == "request_timeout"


def test_backoff_ends_with_its_client(network, example):
    """Who has left is not tried for any more."""
    p = example("backoff_retry", "shared")
    client = p.client()
    client.send(request())
    poll(lambda: failed_connects() >= 2, "two failed connections")
    client.close()
    record = p.log()[0]
    assert record["why"] == "client_gone" and record["tries"] == failed_connects() < 10


@both
def test_connection_log(network, origin, example, linkage):
    ends = [at(origin, 9001), at(origin, 9002)]
    p = example("connection_log", linkage)
    asked = []

    def both_reused():
        asked.append(p.ask(request()).status)
        return all(f"a reused connection to 127.0.0.1:{n}" in p.text for n in (9001, 9002))
    poll(both_reused, "a reused connection to each server")
    taken = p.wait_text(r"^(\w{16}): a (new|reused) connection to 127.0.0.1:(900[12]) \((\d+) new, "
                        r"(\d+) reused so far\)$", len(asked))
    counts = {"new": 0, "reused": 0}
    for m in taken:
        counts[m[2]] += 1
        assert (int(m[4]), int(m[5])) == (counts["new"], counts["reused"])
    assert set(asked) == {200} and {m[3] for m in taken if m[2] == "new"} == {"9001", "9002"}
    assert {m[1] for m in taken} == {r["id"] for r in p.log(len(asked))}
    p.wait_text(r" got 200 and 4 bytes after 1 tries: no error$", len(asked))
    for end in ends:
        end.stop()
    assert p.ask(request("POST", "/", body=b"x")).status == 502
    p.wait_text(r"127.0.0.1:\d+ got 502 and \d+ bytes after \d tries: the upstream \w+")

@both
def test_echo(network, example, linkage):
    """Many at once, bytes in order, half-closed connections served to their end; and a stop that
    waits for who is being served."""
    p = example("echo", linkage, log=False)
    conns = [socket.create_connection(p.addresses[0], WAIT) for _ in range(50)]
    for i, conn in enumerate(conns):
        conn.sendall(b"%d," % i * 1000)
        conn.shutdown(socket.SHUT_WR)
    for i, conn in enumerate(conns[:-1]):
        assert conn.makefile("rb").read() == b"%d," % i * 1000
        conn.close()
    late = socket.create_connection(p.addresses[0], WAIT)
    late.sendall(b"before")
    assert late.recv(100) == b"before"
    p.signal()
    poll(lambda: refused(p.addresses[0]), "no new clients")
    late.sendall(b"after")
    assert late.recv(100) == b"after" and p.process.poll() is None
    late.close()
    assert conns[-1].makefile("rb").read() == b"49," * 1000
    conns[-1].close()
    p.wait(0)


def refused(address):
    try:
        socket.create_connection(address, WAIT).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


@both
def test_tcp_proxy(network, example, linkage):
    """Both directions end by themselves; what breaks on one side breaks on the other."""
    p = example("tcp_proxy", linkage, log=False)
    with socket.create_server(("127.0.0.1", 7001)) as server:
        server.settimeout(WAIT)
        client = socket.create_connection(p.addresses[0], WAIT)
        up, _ = server.accept()
        client.sendall(b"x" * 300_000)
        client.shutdown(socket.SHUT_WR)
        assert len(up.makefile("rb").read()) == 300_000
        up.sendall(b"y" * 300_000)
        up.close()
        assert len(client.makefile("rb").read()) == 300_000
        client.close()

        client = socket.create_connection(p.addresses[0], WAIT)
        up, _ = server.accept()
        up.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        up.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()
    with pytest.raises(ConnectionResetError):       # nobody is behind it
        socket.create_connection(p.addresses[0], WAIT).recv(1)


@both
def test_load_balancer(network, origin, example, linkage, tmp_path):
    """The design's program: TLS on both sides, an upstream that never was there, and the end."""
    authority = Authority(tmp_path)
    authority.certificate("server", "localhost")
    ups = [origin(serve(OK), address=("127.0.0.1", port),
                  tls=authority.server(f"origin{port}", "origin.example")) for port in (9001, 9002)]
    p = example("load_balancer", linkage, 2, cwd=tmp_path, env={"SSL_CERT_FILE": authority.ca})
    plain, tls = p.client(0), p.client(1, tls=authority.client(["http/1.1"]))
    assert tls.sock.selected_alpn_protocol() == "http/1.1"
    for _ in range(6):
        assert plain.ask(request()).body == tls.ask(request()).body == b"ok"
    h2 = subprocess.run(["/usr/bin/curl", "-s", "-w", " HTTP/%{http_version}", "--cacert",
                         authority.ca, "https://localhost:6189/"], capture_output=True, text=True)
    assert h2.stdout == "ok HTTP/2", h2
    seen = [r for up in ups for r in up.requests]
    assert len(seen) == 13 and all(up.requests for up in ups)
    assert {r.get("Host") for r in seen} == {"origin.example"}
    p.wait_text('the backend is unhealthy.*"127.0.0.1:343"')
    for up in ups:
        up.stop()
    poll(lambda: plain.ask(request()).status == 503, "a 503 when nobody is healthy")


@both
def test_auth_fetch(network, origin, example, linkage):
    def verdict(req):
        known = req.get("Authorization") == "Key ann" and req.get("X-Target") == "/page"
        return (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nann" if known else
                b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
    up = at(origin, 9001)
    service = origin(serve(verdict), address=("127.0.0.1", 9009))
    p = example("auth_fetch", linkage)
    assert p.ask(request("GET", "/page", "Authorization: Key ann")).body == b"9001"
    assert up.one().get("X-User") == "ann" and up.one().get("Authorization") is None
    res = p.ask(request("GET", "/page"))
    assert (res.status, res.body) == (403, b"no way!\n")
    service.stop()
    assert p.ask(request("GET", "/page")).status == 503
    p.wait_text("auth service: 127.0.0.1:9009: ")
    assert len(up.requests) == 1


@both
def test_modify_body(network, origin, example, linkage):
    page = b"<p>one\n<!-- internal: two -->\n<p>three\n<p>four internal: end"
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nETag: \"a\"\r\nContent-Length: %d\r\n\r\n%s")
    up = origin(serve(lambda req: answer % (b"text/html" if req.target == "/" else b"text/plain",
                                            len(page), page)), address=("127.0.0.1", 9001))
    p = example("modify_body", linkage)
    res = p.ask(request("GET", "/", "Accept-Encoding: gzip"))
    assert res.body == b"<p>one\n<p>three\n<!-- via gateway -->\n" and res.get("ETag") == 'W/"a"'
    assert up.one().get("Accept-Encoding") is None
    res = p.ask(request("GET", "/other"))
    assert res.body == page and res.get("ETag") == '"a"'


@both
def test_use_module(network, origin, example, linkage):
    page = b"say it again\n" * 100
    up = origin(serve(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                      % len(page) + page), address=("127.0.0.1", 9001))
    p = example("use_module", linkage)
    assert p.ask(request()).status == 403
    p.wait_text(r"^acl: refused 127.0.0.1:\d+$")
    res = p.ask(request("GET", "/", "Api-Key: sesame", "Accept-Encoding: gzip"))
    assert res.get("Content-Encoding") == "gzip" and gzip.decompress(res.body) == page
    assert up.one().get("Api-Key") is None


@both
def test_gateway(network, origin, example, linkage):
    at(origin, 9001)
    second = at(origin, 9002, "Server: Apache/1.3", 'Alt-Svc: h3=":443"')
    at(origin, 9003, "Server: Apache/1.3", 'Alt-Svc: h3=":443"')
    p = example("gateway", linkage, ready=2)
    client, figures = p.client(0), p.client(1)
    assert client.ask(request("GET", "/family/x")).body == b"9001"
    answers = [client.ask(request()) for _ in range(4)]
    assert {a.body for a in answers} == {b"9002", b"9003"}
    assert {a.get("Server") for a in answers} == {"gateway"}
    assert all(a.get("Alt-Svc") is None for a in answers)
    assert client.ask(request("GET", "/login")).body == b"no way!\n"
    assert client.ask(request("GET", "/login", "Authorization: password")).status == 200
    p.log(7)
    res = figures.ask(request("GET", "/metrics"))
    assert (res.status, res.body) == (200, b"gateway_requests 7\ngateway_failed 0\n")
    second.stop()
    p.wait_text('the backend is unhealthy.*"127.0.0.1:9002"')
    assert {p.ask(request()).body for _ in range(4)} == {b"9003"}


@both
def test_client(network, origin, example, linkage):
    """One connection for both; an answer of any status is one."""
    service = origin(serve(lambda req: b"HTTP/1.1 %d X\r\nA: b\r\nContent-Length: 2\r\n\r\nhi" %
                           (404 if req.target == "/no" else 200)), address=("127.0.0.1", 9001))
    p = example("client", linkage, 0, "http://127.0.0.1:9001/a", "http://127.0.0.1:9001/no")
    p.wait(0)
    answer = "%d\nA: b\nContent-Length: 2\n\nhi\n"
    assert (p.folder / "stdout").read_text() == answer % 200 + answer % 404
    assert [r.target for r in service.requests] == ["/a", "/no"] and len(service.conns) == 1


def test_client_fails(network, example):
    p = example("client", "shared", 0, "http://127.0.0.1:9001/")
    p.wait(1)
    p.wait_text("127.0.0.1:9001: the upstream refused the connection")


@both
def test_body_router(network, origin, example, linkage):
    at(origin, 9001), at(origin, 9002)
    client = example("body_router", linkage).client()
    for body, where in ((b'{"region":"eu"}', b"9002"), (b'{"n":1,"region":"us"}', b"9001"),
                        (b"x" * 65000 + b'"region":"eu"', b"9002"), (b'"region":"e', b"9001")):
        assert client.ask(request("POST", "/", body=body)).body == where
    assert client.ask(request()).body == b"9001"
    client.send(request("POST", "/", f"Content-Length: {65 * 1024}"))
    assert client.receive().status == 413


@both
def test_connection_filter(network, origin, example, linkage, tmp_path):
    """Refused before a handshake: not a byte comes."""
    authority = Authority(tmp_path)
    authority.certificate("server", "localhost")
    at(origin, 9001)
    p = example("connection_filter", linkage, cwd=tmp_path)
    with socket.create_connection(p.addresses[0], WAIT, ("127.0.0.66", 0)) as sock:
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
    res = p.client(source="127.0.0.3", tls=authority.client(["http/1.1"])).ask(request())
    assert res.body == b"9001" and res.get("X-Refused") == "1"
    assert len(p.log()) == 1


@both
def test_mirror(network, origin, example, linkage):
    """The copy has all that the client has sent, and its answer is nobody's."""
    first, second = at(origin, 9001), at(origin, 9002)
    client = example("mirror", linkage).client()
    for ask in (request("POST", "/a?b=c", "X: 1", "Cookie: d", body=b"hello"),
                request("PUT", "/", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
                request("GET", "/e", "Via: 1.1 other")):
        assert client.ask(ask).body == b"9001"
    second.wait_requests(3)
    for a, b in zip(first.requests, sorted(second.requests, key=lambda r: -len(r.body))):
        assert (a.method, a.target, a.body) == (b.method, b.target, b.body)
        for name in ("Host", "X", "Cookie", "Content-Length"):
            assert a.get(name) == b.get(name)
    assert {r.get("Via") for r in second.requests} == {"1.1 weir"}


@both
def test_mirror_is_dead(network, origin, example, linkage):
    at(origin, 9001)
    p = example("mirror", linkage)
    assert p.ask(request("POST", "/", body=b"x")).body == b"9001"
    said = p.wait_text(r'"id":"(\w+)","why":"filter".*"detail":"mirror: 127.0.0.1:9002: the upstream '
                       r'refused the connection"')
    record = p.log()[0]
    assert said[0][1] == record["id"] and record["status"] == 200 and "why" not in record


def test_mirror_is_slow(network, origin, example):
    """It never answers: clients do not wait, no more copies than the bound are under way, and the
    process ends when they have come to their deadline."""
    lock, state = threading.Lock(), {"now": 0, "most": 0}

    def count(by):
        with lock:
            state["now"] += by
            state["most"] = max(state["now"], state["most"])

    def silent(conn):
        if conn.request() is not None:
            count(1)
            conn.wait_end()
            count(-1)
    at(origin, 9001)
    second = origin(silent, address=("127.0.0.1", 9002))
    p = example("mirror", "shared")
    client = p.client()
    for _ in range(150):
        assert client.ask(request()).body == b"9001"
    second.wait_requests(1)
    client.close()
    p.signal()
    p.wait(0)
    assert 1 <= state["most"] <= 100
    p.wait_text("mirror: 127.0.0.1:9002: the upstream took too long to answer")


def chat(conn):
    """Switches, and says each message again."""
    if conn.request() is None:
        return
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Accept: y\r\n\r\n")
    while conn.reader.buf or conn.reader.fill():
        conn.send(conn.reader.take(len(conn.reader.buf)))
    conn.finish()


@both
def test_websocket(network, origin, example, linkage):
    up = origin(chat, address=("127.0.0.1", 9001))
    p = example("websocket", linkage)
    ask = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x",
           "Sec-WebSocket-Extensions: permessage-deflate"]
    page = "Origin: https://chat.example"
    assert p.ask(request("GET", "/chat", page)).status == 404
    assert p.ask(request("GET", "/other", *ask, page)).status == 404
    assert p.ask(request("GET", "/chat", *ask, "Origin: https://evil.example")).status == 403
    assert not up.requests
    client = p.client()
    client.send(request("GET", "/chat", *ask, page))
    res = client.receive()
    assert res.status == 101 and res.get("Sec-WebSocket-Accept") == "y"
    for message in (b"hello", b"\0\xff" * 1000):
        client.send(message)
        assert client.reader.exactly(len(message)) == message
    req = up.one()
    assert req.get("X-Client") == "%s:%d" % client.sock.getsockname()
    assert req.get("Sec-WebSocket-Key") == "x" and req.get("Sec-WebSocket-Extensions") is None
    client.close()
    p.wait_text("^a chat of 2005 bytes up and 2005 down$")
