"""weir_fetch: programs/fetch.c asks another service while a request waits, from each kind of
phase."""

import pathlib
import socket
import threading

import pytest

from weirtest import WAIT, Authority, binary, chunks, poll, request, serve, why

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/fetch"


@pytest.fixture
def fetch(weir):
    """fetch(upstream, options...)"""
    def start(up, *args):
        return weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log", *args,
                    up, program=PROGRAM)
    return start


@pytest.fixture
def dead():
    """An address at which nobody listens."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    yield "%s:%d" % sock.getsockname()
    sock.close()


def yes(body=b"yes", status="200 OK", *fields):
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def ask(url, *fields, method="GET", body=b""):
    return request(method, "/", f"Fetch: {url}", *fields, body=body)


def test_get(fetch, origin):
    service = origin(serve(yes()))
    p = fetch(origin())
    res = p.ask(ask(f"http://{service.name}/check?a=b", "Send-X: 1", "Cookie: secret"))
    assert res.body == b"200 yes"
    req = service.one()
    assert (req.method, req.target, req.get("Host")) == ("GET", "/check?a=b", service.name)
    assert req.get("X") == "1" and req.get("Cookie") is None and req.get("Via") == "1.1 weir"


@pytest.mark.parametrize("tail, target", [("", "/"), ("?q", "/?q"), ("/", "/"), ("/a%20b", "/a%20b")])
def test_targets(fetch, origin, tail, target):
    service = origin(serve(yes()))
    assert fetch(origin()).ask(ask(f"http://{service.name}{tail}")).status == 200
    assert service.one().target == target


@pytest.mark.parametrize("method, body, framing", [
    ("POST", None, "length"), ("POST", "abc", "length"), ("PUT", "abc", "length"),
    ("DELETE", None, "none"), ("QUERY", "abc", "length")])
def test_methods(fetch, origin, method, body, framing):
    service = origin(serve(yes()))
    fields = [f"Fetch-Body: {body}"] if body else []
    assert fetch(origin()).ask(ask(f"http://{service.name}/", f"Fetch-Method: {method}", *fields)
                               ).body == b"200 yes"
    req = service.one()
    assert (req.method, req.body, req.framing) == (method, (body or "").encode(), framing)


@pytest.mark.parametrize("answer, got", [
    (yes(b""), b"200 "), (yes(b"", "302 Found", "Location: /other"), b"302 "),
    (yes(b"no", "403 Forbidden"), b"403 no"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b"204 "),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n" + yes(), b"200 yes"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"ab", b"cd"), b"200 abcd")])
def test_answers(fetch, origin, answer, got):
    service = origin(serve(answer))
    assert fetch(origin()).ask(ask(f"http://{service.name}/")).body == got
    assert len(service.requests) == 1


def test_head(fetch, origin):
    service = origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
    assert fetch(origin()).ask(ask(f"http://{service.name}/", "Fetch-Method: HEAD")).body == b"200 "


def test_body_of_unknown_length(fetch, origin):
    service = origin(lambda c: (c.request(), c.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 70000)))
    assert fetch(origin()).ask(ask(f"http://{service.name}/")).body == b"200 " + b"x" * 70000


def test_connections_are_shared(fetch, origin):
    """With other fetches, and with requests that are forwarded to the same place."""
    service = origin(serve(yes()))
    p = fetch(service)
    c = p.client()
    for _ in range(3):
        assert c.ask(ask(f"http://{service.name}/")).body == b"200 yes"
        assert c.ask(request()).body == b"yes"
    assert len(service.conns) == 1


def test_stale_connection_is_replaced(fetch, origin):
    """A pooled connection whose peer has just closed it is nobody's fault."""
    def once(conn):
        conn.request()
        conn.send(yes())
        conn.head()             # the next one gets no answer
    service = origin(once, serve(yes()))
    p = fetch(origin())
    c = p.client()
    for _ in range(2):
        assert c.ask(ask(f"http://{service.name}/")).body == b"200 yes"
    assert len(service.conns) == 2


@pytest.mark.parametrize("phase", ["request_filter", "response_filter", "editors", "logging",
                                   "request_body_filter"])
def test_phases(fetch, origin, phase):
    service, up = origin(serve(yes())), origin()
    p = fetch(up)
    res = p.ask(ask(f"http://{service.name}/", f"Fetch-In: {phase}", method="POST", body=b"hello"))
    assert res.status == 200
    if phase == "response_filter":
        assert res.get("Fetched") == "200 yes"
    elif phase == "editors":
        assert (res.body, up.one().body) == (b"ok200 yes", b"hello200 yes")
    elif phase == "request_body_filter":
        assert up.one().body == b"200 yes"
    elif phase == "logging":
        p.wait_text("fetched in logging: 200 yes")
    else:
        assert res.body == b"200 yes"


def test_in_fail_to_proxy(fetch, origin, dead):
    service = origin(serve(yes()))
    res = fetch(dead).ask(ask(f"http://{service.name}/", "Fetch-In: fail_to_proxy"))
    assert (res.status, res.body) == (503, b"200 yes")


# What goes wrong is told, and decides nothing by itself.

@pytest.mark.parametrize("url, words", [
    ("ftp://127.0.0.1/", "not a URL"), ("/check", "not a URL"), ("http://", "not a URL"),
    ("http://user:pw@127.0.0.1/", "not a URL"), ("http://127.0.0.1/#x", "not a URL")])
def test_bad_urls(fetch, origin, url, words):
    p = fetch(origin())
    assert p.ask(ask(url)).status == 502
    p.wait_text(f"logged: filter: no answer: {words}")


def test_bad_method(fetch, origin):
    p = fetch(origin())
    assert p.ask(ask("http://127.0.0.1/", "Fetch-Method: CONNECT")).status == 502
    p.wait_text("no answer: not a method")


def test_refused(fetch, origin, dead):
    p = fetch(origin())
    assert p.ask(ask(f"http://{dead}/")).status == 502
    p.wait_text(f"logged: filter: no answer: {dead}: the upstream refused the connection")


def test_unknown_name(network, fetch, origin):
    """Where no name server can be asked."""
    p = fetch(origin())
    assert p.ask(ask("http://no-such-name.invalid/")).status == 502
    p.wait_text("no answer: no-such-name.invalid:80: ")


def test_name(fetch, origin):
    service = origin(serve(yes()))
    port = service.name.rpartition(":")[2]
    assert fetch(origin()).ask(ask(f"http://localhost:{port}/")).body == b"200 yes"
    assert service.one().get("Host") == f"localhost:{port}"


@pytest.mark.parametrize("script, words", [
    (lambda c: c.request(), "closed before a response head"),
    (lambda c: (c.request(), c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")), "cut off"),
    (lambda c: (c.request(), c.send(b"nonsense\r\n\r\n")), "malformed response head|line")])
def test_broken_answers(fetch, origin, script, words):
    service = origin(script)
    p = fetch(origin())
    assert p.ask(ask(f"http://{service.name}/")).status == 502
    p.wait_text(f"no answer: {service.name}: .*({words})")
    assert p.ask(request()).body == b"ok"


@pytest.mark.parametrize("size, status", [(10, 200), (11, 502)])
@pytest.mark.parametrize("chunked", [False, True])
def test_bound(fetch, origin, size, status, chunked):
    body = b"x" * size
    service = origin(serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body)
                           if chunked else yes(body)))
    p = fetch(origin())
    assert p.ask(ask(f"http://{service.name}/", "Fetch-Max: 10")).status == status
    if status == 502:
        p.wait_text("the body of the answer is too large")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_deadline(fetch, origin, part):
    """It bounds the whole, however far the answer got."""
    service = origin(lambda c: (c.request(), c.send(part), c.wait_end()))
    p = fetch(origin())
    assert p.ask(ask(f"http://{service.name}/", "Fetch-Timeout: 100ms")).status == 502
    p.wait_text("the upstream took too long to answer")


def test_request_timeout(fetch, origin):
    """The request's own deadline ends it, whatever the phase makes of that."""
    service = origin(lambda c: (c.request(), c.wait_end()))
    p = fetch(origin(), "--timeout-request", "200ms")
    assert p.ask(ask(f"http://{service.name}/")).status == 504
    why(p, "request_timeout")


def test_client_leaves(fetch, origin):
    service = origin(lambda c: (c.request(), c.wait_end()))
    p = fetch(origin())
    c = p.client()
    c.send(ask(f"http://{service.name}/"))
    service.wait_requests(1)
    c.reset()
    service.wait(lambda: service.conns[0].ended, "the end of the fetch")
    assert p.log()[0]["why"] == "client_gone"


def test_twice(fetch, origin):
    service = origin(serve(yes()))
    p = fetch(origin())
    assert p.ask(ask(f"http://{service.name}/", "Fetch-Twice: 1")).status == 502
    p.wait_text("fetched before")
    assert len(service.requests) == 1


def test_bad_field(fetch, origin):
    service = origin(serve(yes()))
    p = fetch(origin())
    assert p.ask(request("GET", "/", f"Fetch: http://{service.name}/", "Send-: x")).status == 502
    assert not service.requests


def test_loop(fetch, origin):
    """A service that asks itself comes to an end."""
    p = fetch(origin(), "--timeout-idle", "100ms")      # or its pool would keep its own connections
    me = "http://%s:%d/" % p.addresses[0]
    fields = [f"Fetch: {me}"] + [f"Via: 1.1 weir"] * 7
    assert p.ask(request("GET", "/", *fields)).status == 200
    assert p.ask(request("GET", "/", *fields, "Via: 1.0 weir")).status == 502
    p.wait_text("no answer: a loop")


# TLS and HTTP/2.

@pytest.mark.parametrize("alpn", [None, ["h2", "http/1.1"]])
def test_https(fetch, origin, weir, tmp_path, alpn):
    authority = Authority(tmp_path)
    if alpn is None:
        service = origin(serve(yes()), tls=authority.server("service", "localhost"))
        port = service.name.rpartition(":")[2]
    else:               # one that speaks HTTP/2: the binary before an origin
        authority.certificate("server", "localhost")
        back = origin(serve(yes()))
        front = weir("--cert", tmp_path / "server.crt", "--key", tmp_path / "server.key", back,
                     listen=(), listen_tls=("127.0.0.1:0",))
        port = front.addresses[0][1]
    p = fetch(origin())
    c = p.client()
    for _ in range(3):
        assert c.ask(ask(f"https://localhost:{port}/", f"Fetch-Ca: {authority.ca}")).body == b"200 yes"
    assert c.ask(ask(f"https://localhost:{port}/")).status == 502
    p.wait_text("certificate")
    p.close_clients()
    p.signal()          # and with it the connections in its pool, which `front` would count as its own
    p.wait()


def test_interim_heads_without_end(fetch, origin):
    """A service that says nothing else is given up before it has filled the memory."""
    def script(conn):
        conn.request()
        try:
            for _ in range(2000):
                conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
        except OSError:
            return
        conn.send(yes())
    p = fetch(origin())
    assert p.ask(ask(f"http://{origin(script).name}/")).status == 502
    p.wait_text("interim responses without an end")


# Sessions of their own: fetches beside requests.

def aside(url, *fields, **more):
    return ask(url, "Fetch-In: aside", *fields, **more)


def test_aside(fetch, origin):
    """The request is over long before; what the session has of it is a copy."""
    gate = threading.Event()

    def script(conn):
        conn.request()
        conn.wait(gate)
        conn.send(yes())
    service = origin(script)
    p = fetch(origin())
    client = p.client()
    assert client.ask(aside(f"http://{service.name}/x", "Send-X: 1")).body == b"ok"
    name = "%s:%d" % client.sock.getsockname()
    service.wait_requests(1)
    client.close()
    for _ in range(20):                 # whose memory is used again
        assert p.ask(request("GET", "/", "A: " + "b" * 1000)).body == b"ok"
    gate.set()
    p.wait_text(f"^aside: 200 yes, for {name}, state none$")
    assert service.one().get("X") == "1"


def test_aside_fails(fetch, origin, dead):
    """What has failed is in the log, with the id of the request."""
    p = fetch(origin())
    assert p.ask(aside(f"http://{dead}/")).status == 200
    said = p.wait_text(f'"id":"(\\w+)","why":"filter".*"detail":"aside: {dead}: the upstream refused .*'
                       '"client":"127.0.0.1:.*"method":"GET"')
    assert said[0][1] == p.log()[0]["id"]


@pytest.mark.parametrize("field, words", [("Answer", "there is no client to answer"),
                                          ("Connection-Ctx", "there is no client's connection")])
def test_aside_has_no_client(fetch, origin, field, words):
    service = origin(serve(yes()))
    p = fetch(origin())
    assert p.ask(aside(f"http://{service.name}/", f"{field}: 1")).body == b"ok"
    p.wait_text(f'"why":"invalid".*"detail":"{words}"')


def test_session_of_a_request_is_not_freed(fetch, origin):
    p = fetch(origin())
    assert p.ask(ask("http://127.0.0.1/", "Fetch-In: free")).status == 500
    p.wait_text('"detail":"weir_session_free: it is not one of weir_session_new"')
    assert p.ask(request()).body == b"ok"


def test_aside_loop(fetch, origin):
    """A copy for oneself comes to an end as well."""
    p = fetch(origin(), "--timeout-idle", "100ms")
    me = "http://%s:%d/" % p.addresses[0]
    assert p.ask(aside(me, f"Send-Fetch: {me}", "Send-Fetch-In: aside", "Send-Via: 1.1 other")
                 ).status == 200
    p.wait_text("^aside: 200 ok, ")
    assert p.ask(aside(me, *["Via: 1.1 weir"] * 8)).status == 200
    p.wait_text("aside: a loop")


def refused(address):
    try:
        socket.create_connection(address, WAIT).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_aside_is_drained(fetch, origin):
    """SIGTERM lets it come to its end."""
    gate = threading.Event()
    service = origin(lambda c: (c.request(), c.wait(gate), c.send(yes())))
    p = fetch(origin())
    assert p.ask(aside(f"http://{service.name}/")).body == b"ok"
    service.wait_requests(1)
    p.signal()
    poll(lambda: refused(p.addresses[0]), "no new clients")
    assert p.process.poll() is None
    gate.set()
    p.wait(0)
    p.wait_text("^aside: 200 yes")


def test_aside_is_cancelled(fetch, origin):
    """But not beyond the grace."""
    service = origin(lambda c: (c.request(), c.wait_end()))
    p = fetch(origin(), "--grace", "100ms")
    assert p.ask(aside(f"http://{service.name}/", "Fetch-Timeout: 1h")).body == b"ok"
    service.wait_requests(1)
    p.signal()
    p.wait(0)
    p.wait_text('"why":"shutdown"')
