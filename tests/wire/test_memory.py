"""What a connection costs while it waits, and that a peak leaves nothing behind.

Counted is what the process itself has asked for: anonymous and shared memory and swap, as the
kernel says in smaps_rollup. The bounds lie some 10 % above what was measured, so that whoever makes
a connection heavier learns of it. A build with sanitizers has other figures: there only the traffic
is tested.
"""

import contextlib
import resource
import socket

import pytest

from weirtest import Authority, Client, binary, poll, request
from weirtest.h2 import H2

GIVEN_BACK = 0.9
# Nothing ends by itself, and no record waits to be written.
QUIET = ("--timeout-idle", "1h", "--timeout-upstream", "1h", "--access-log", "off")
WARM = 40


def sanitized():
    with open(binary(), "rb") as program:
        text = program.read()
    return b"__asan" in text or b"__tsan" in text


def memory(proxy):
    """Bytes."""
    kinds = ("Pss_Anon", "Pss_Shmem", "SwapPss")
    with open(f"/proc/{proxy.pid}/smaps_rollup") as f:
        lines = (line.split() for line in f)
        return 1024 * sum(int(words[1]) for words in lines if words[0].rstrip(":") in kinds)


@pytest.fixture(autouse=True)
def files():
    """Enough descriptors for the clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def silent():
    """The address of an origin that takes requests and never answers: nobody even accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield "127.0.0.1:%d" % listener.getsockname()[1]


def served(proxy):
    """An idle connection that has had a request."""
    client = Client(proxy.addresses[0])
    assert client.ask(request()).status == 200
    return client


def waiting(proxy):
    client = Client(proxy.addresses[0])
    client.send(request())
    return client


def secured(context):
    def connect(proxy):
        client = Client(proxy.addresses[0], tls=context, name="origin.test")
        assert client.ask(request()).status == 200
        return client
    return connect


def secured_h2(context):
    def connect(proxy):
        client = H2(Client(proxy.addresses[0], tls=context, name="origin.test").sock)
        assert client.receive(client.get(scheme="https")).get(":status") == "200"
        return client
    return connect


def hold(proxy, connect, count, upstream=0):
    """All of them open at once; and, where the requests go on, as many connections upstream."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(connect(proxy).close)
        poll(lambda: proxy.descriptors()["socket"] >= count + upstream, "not all are open")
        return stack.pop_all()


def check(proxy, connect, count, most, upstream=0):
    """At most `most` bytes each, and nearly nothing once they are gone."""
    listeners = proxy.descriptors()["socket"]
    hold(proxy, connect, WARM, upstream and WARM).close()
    poll(lambda: proxy.descriptors()["socket"] <= listeners + WARM, "connections stay")
    base = memory(proxy)
    with hold(proxy, connect, count, upstream and count):
        if not sanitized():
            poll(lambda: memory(proxy) - base <= most * count,
                 lambda: f"{(memory(proxy) - base) / count:.0f} bytes each")
        peak = memory(proxy)
    poll(lambda: proxy.descriptors()["socket"] <= listeners + WARM, "connections stay")
    if not sanitized():
        poll(lambda: peak - memory(proxy) >= GIVEN_BACK * (peak - base),
             lambda: f"base {base}, peak {peak}, now {memory(proxy)}")


def test_idle(weir, origin):
    check(weir(origin(), *QUIET, log=False), served, 2000, 400)


def test_waiting(weir, silent):
    check(weir(silent, *QUIET, log=False), waiting, 2000, 6000, upstream=1)


@pytest.mark.parametrize("protocol, connect, most", [
    ("http/1.1", secured, 15100),
    ("h2", secured_h2, 32000),
])
def test_idle_tls(weir, origin, tmp_path, protocol, connect, most):
    authority = Authority(tmp_path)
    crt, key = authority.certificate("server", "origin.test")
    p = weir(origin(), "--cert", crt, "--key", key, *QUIET, log=False, listen=(),
             listen_tls=("127.0.0.1:0",))
    check(p, connect(authority.client(alpn=(protocol,))), 400, most)
