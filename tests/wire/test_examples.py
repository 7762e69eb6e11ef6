"""Every program of examples/: compiled against an installed copy, shared and static, run as it stands
between real clients and origins at the addresses that it names. What its head comment promises is
asserted here, and that it is no longer than its counterpart of the reference."""

import pytest

from weirtest import LINKAGES, OK, examples, lines_of_code, request, serve
from weirtest.proxy import ROOT

# Lines without blanks and comments; the reference's program of the same purpose has as many.
LONGEST = {
    "backoff_retry": 59,
    "connection_log": 61,       # the reference's connection filter is the nearest
    "ctx": 63,
    "hello": None,              # has none
    "load_balancer": 60,
    "modify_response": 102,
    "multi_lb": 57,
    "router": 94,               # the reference calls it a gateway
}

both = pytest.mark.parametrize("linkage", LINKAGES)


@pytest.fixture
def example(installed, weir):
    """example(name, linkage, ready=N) starts one; `ready` is the number of its listeners."""
    def start(name, linkage, ready=1, *args, **options):
        program = installed.compile(ROOT / "examples" / f"{name}.c", linkage)
        return weir(*args, program=program, listen=range(ready), env=installed.env, **options)
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
    assert res.get("X-Request-Id") == p.log(3)[2]["id"]


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
