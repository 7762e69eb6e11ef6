"""Checks of upstreams in the background: who dies is passed over, who comes back is used again."""

import json
import re
import socket

import pytest

from weirtest import own_answer, poll, request, run, why

quick = pytest.mark.quick
OFTEN = ("--health-every", "50ms", "--health-timeout", "200ms")
DOWN, UP = r'^.*"the backend is unhealthy.*$', r'^.*"the backend is healthy again".*$'


def records(p, pattern, count=1):
    return [json.loads(m.group()) for m in p.wait_text(pattern, count)]


class Dead:
    """A port at which nobody listens, until `origin` does."""

    def __init__(self, host="127.0.0.1"):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.bind((host, 0))
        self.address = self.sock.getsockname()[:2]
        self.name = f"[{host}]:{self.address[1]}" if ":" in host else f"{host}:{self.address[1]}"

    def __str__(self):
        return self.name

    def come_alive(self, origin):
        self.sock.close()
        return origin(address=self.address)


@pytest.fixture
def black_hole():
    """An address that drops SYNs: a listener whose backlog is full."""
    socks = [socket.socket() for _ in range(3)]
    socks[0].bind(("127.0.0.1", 0))
    socks[0].listen(0)
    for sock in socks[1:]:
        sock.setblocking(False)
        sock.connect_ex(socks[0].getsockname())
    yield f"127.0.0.1:{socks[0].getsockname()[1]}"
    for sock in socks:
        sock.close()


def ask(p, n):
    """So many requests over one connection; all must be answered by an origin."""
    c = p.client()
    for _ in range(n):
        assert c.ask(request()).body == b"ok"


@quick
@pytest.mark.parametrize("workers", [1, 3])
def test_dies_and_comes_back(weir, origin, workers):
    a, b, dead = origin(), origin(), Dead()
    p = weir("--workers", workers, *OFTEN, a, dead, b)
    [down] = records(p, DOWN)
    assert down["upstream"] == dead.name and down["why"] == "connect_refused"
    assert (down["level"], down["healthy"], down["backends"]) == ("warning", 2, 3)
    ask(p, 20)
    assert all(r["tries"] == 1 for r in p.log(20)), "the dead one was tried"
    assert len(a.requests) == len(b.requests) == 10, "one of the two got more than its share"
    c = dead.come_alive(origin)
    [up] = records(p, UP)
    assert up["upstream"] == dead.name and "why" not in up
    assert (up["level"], up["healthy"], up["backends"]) == ("notice", 3, 3)
    ask(p, 30)
    assert len(c.requests) == 10
    assert len(records(p, DOWN)) == len(records(p, UP)) == 1, "a change is told once"


@quick
def test_dies_while_it_serves(weir, origin):
    """What is under way at an origin whose listener went is finished; new ones go elsewhere."""
    a, b = origin(), origin()
    p = weir(*OFTEN, "--health-fall", 2, a, b)
    ask(p, 2)
    a.refuse()
    records(p, DOWN)
    served = len(a.requests)
    ask(p, 6)
    assert len(a.requests) == served and len(b.requests) == 7


@quick
def test_nobody_is_healthy(weir, origin):
    dead = [Dead(), Dead()]
    p = weir(*OFTEN, *dead)
    last = records(p, DOWN, 2)[-1]
    assert (last["level"], last["healthy"], last["backends"]) == ("error", 0, 2)
    c = p.client()
    for _ in range(3):
        own_answer(c.ask(request()), 503)
    why(p, "no_upstream")
    assert p.log(3)[-1].get("tries", 0) == 0
    o = dead[0].come_alive(origin)
    records(p, UP)
    ask(p, 2)
    assert len(o.requests) == 2


@pytest.mark.parametrize("kind", ["v4", "v6", "unix"])
def test_a_check_is_polite(weir, origin, tmp_path, kind):
    """It connects, sends nothing, and ends by FIN; it takes no part in requests."""
    address = {"v4": ("127.0.0.1", 0), "v6": ("::1", 0), "unix": str(tmp_path / "o")}[kind]
    o = origin(lambda conn: conn.wait_end(), address=address)
    weir(*OFTEN, "--health", "tcp", o)
    o.wait(lambda: len([c for c in o.conns if c.ended]) >= 5, "five checks")
    assert all(c.raw == b"" and c.ended == "fin" for c in o.conns if c.ended)


@pytest.mark.parametrize("kind", ["v6", "unix"])
def test_other_kinds_of_addresses(weir, origin, tmp_path, kind):
    path = str(tmp_path / "o")
    dead = Dead("::1") if kind == "v6" else f"unix:{path}"
    p = weir(*OFTEN, dead)
    [down] = records(p, DOWN)
    assert down["upstream"] == getattr(dead, "name", dead)
    o = dead.come_alive(origin) if kind == "v6" else origin(address=path)
    records(p, UP)
    ask(p, 3)
    assert len(o.requests) == 3


@pytest.mark.alone
def test_black_hole(weir, origin, black_hole):
    """Nobody answers: a check takes its timeout, requests do not."""
    o = origin()
    p = weir(*OFTEN, "--timeout-connect", "1h", black_hole, o)
    [down] = records(p, DOWN)
    assert down["upstream"] == black_hole and down["why"] == "connect_timeout"
    ask(p, 6)
    assert len(o.requests) == 6


def test_the_end_does_not_wait_for_checks(weir, origin, black_hole):
    o = origin()
    p = weir("--health-every", "10ms", "--health-timeout", "1h", "--grace", "1h", o, black_hole)
    o.wait(lambda: len(o.conns) >= 3, "three checks")
    p.signal()
    p.wait(0)


def test_off_by_default(weir, origin):
    """No check reaches an origin unless it is asked for; --health off wins over the other
    options."""
    o = origin()
    for options in [(), ("--health", "off", "--health-every", "10ms"),
                    ("--health-every", "10ms", "--health", "off")]:
        before = len(o.conns)
        p = weir(*options, o)
        ask(p, 10)
        assert len(o.conns) == before + 1
        p.close_clients()
        p.signal()
        p.wait(0)


def test_many_upstreams(weir, origin):
    """More upstreams than there are checks at once; half of them are dead."""
    alive, dead = [origin() for _ in range(20)], [Dead() for _ in range(20)]
    p = weir(*OFTEN, *[x for pair in zip(alive, dead) for x in pair])
    assert {r["upstream"] for r in records(p, DOWN, 20)} == {d.name for d in dead}
    ask(p, 40)
    assert [len(o.requests) for o in alive] == [2] * 20


def test_name(weir, origin):
    """A name's addresses are checked one by one."""
    o = origin()
    p = weir(*OFTEN, f"localhost:{o.address[1]}")
    poll(lambda: len([c for c in o.conns if c.raw == b""]) >= 2, "checks of a name's address")
    ask(p, 4)
    assert len(o.requests) == 4
    assert not re.search(r'"upstream":"127.0.0.1', p.text), "the healthy one was said to be dead"


@quick
@pytest.mark.parametrize("option, values", [
    ("--health", ["http", "", "on", "TCP"]),
    ("--health-every", ["0", "5", "off", "1ms", "-1s"]),
    ("--health-timeout", ["0", "5", "off", "9ms"]),
    ("--health-rise", ["0", "-1", "1x", "off", "1001", "99999999999999999999"]),
    ("--health-fall", ["0", "", "+1"]),
])
def test_wrong_options(tmp_path, option, values):
    for value in values:
        done = run(tmp_path, "proxy", option, value, "127.0.0.1:9")
        assert done.returncode == 2 and f'weir: {option}: "{value}": ' in done.stderr, done
