"""gRPC through the proxy: Debian's python3-grpcio on both ends, with stubs of plain bytes."""

import os
import threading
import time
from concurrent import futures

import pytest

from weirtest import Authority, poll, why

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
grpc = pytest.importorskip("grpc")

quick = pytest.mark.quick
NAME = "test.Test"
KINDS = {"Unary": "unary_unary", "Up": "stream_unary", "Down": "unary_stream", "Both": "stream_stream"}


class Behind:
    """What the methods do; what they saw."""

    def __init__(self):
        self.seen = {}
        self.cancelled = threading.Event()
        self.go = threading.Event()

    def note(self, ctx):
        ctx.add_callback(self.cancelled.set)
        self.remaining = ctx.time_remaining()
        self.seen = dict(ctx.invocation_metadata())     # last: tests wait for it

    def Unary(self, request, ctx):
        self.note(ctx)
        ctx.send_initial_metadata((("x-initial", "1"), ("x-bytes-bin", b"\0\xff")))
        ctx.set_trailing_metadata((("x-trailing", "2"), ("x-trailing-bin", b"\x01\x02")))
        if request == b"fail":
            ctx.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name: \u00e4 100%")
        if request == b"wait":
            self.go.wait(10)
        return request * 2

    def Up(self, requests, ctx):
        self.note(ctx)
        return b"".join(requests)

    def Down(self, request, ctx):
        self.note(ctx)
        for i in range(int(request)):
            yield b"%d" % i
        if request == b"3":
            ctx.abort(grpc.StatusCode.DATA_LOSS, "after three")

    def Both(self, requests, ctx):
        self.note(ctx)
        for r in requests:
            if r == b"early":
                return
            yield r + r


class Channel:
    """A client by whatever way."""

    def __init__(self, channel):
        self.channel = channel
        for name, kind in KINDS.items():
            setattr(self, name, getattr(channel, kind)(f"/{NAME}/{name}"))


@pytest.fixture
def rpc(weir):
    """rpc(options, ...) starts a server, a proxy and a client; ended before the proxy is looked
    at."""
    ends = []

    def start(*options, tls=None, **more):
        behind = Behind()
        server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {name: getattr(grpc, f"{kind}_rpc_method_handler")(getattr(behind, name))
                    for name, kind in KINDS.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
        if tls:
            crt, key = tls.certificate("origin", "origin.test")
            credentials = grpc.ssl_server_credentials([(key.read_bytes(), crt.read_bytes())])
            port = server.add_secure_port("127.0.0.1:0", credentials)
            front, secret = tls.certificate("front", "localhost")
            options += ("--upstream-tls", "origin.test", "--ca", tls.ca, "--cert", front, "--key",
                        secret)
            more = {"listen": (), "listen_tls": ("127.0.0.1:0",), **more}
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        ends.append(lambda: (behind.go.set(), server.stop(0).wait(10)))
        proxy = weir("--h2c", "--upstream-h2", *options, f"127.0.0.1:{port}", **more)
        target = "%s:%d" % proxy.addresses[0]
        if tls:
            channel = grpc.secure_channel(
                target, grpc.ssl_channel_credentials(tls.ca.read_bytes()),
                (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1)))
        else:
            channel = grpc.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),))
        ends.append(channel.close)
        client = Channel(channel)
        client.behind, client.proxy = behind, proxy
        return client
    yield start
    for end in reversed(ends):
        end()


@pytest.fixture(params=["h2c", "tls"])
def call(request, rpc, tmp_path):
    return rpc(tls=Authority(tmp_path) if request.param == "tls" else None)


@quick
def test_unary(call):
    """Message, metadata both ways, status."""
    got, info = call.Unary.with_call(b"hello", timeout=10,
                                     metadata=(("x-own", "yes"), ("x-own-bin", b"\xfe\0")))
    assert got == b"hellohello"
    assert info.code() == grpc.StatusCode.OK
    assert dict(info.initial_metadata())["x-bytes-bin"] == b"\0\xff"
    assert dict(info.trailing_metadata())["x-trailing"] == "2"
    assert dict(info.trailing_metadata())["x-trailing-bin"] == b"\x01\x02"
    assert call.behind.seen["x-own"] == "yes" and call.behind.seen["x-own-bin"] == b"\xfe\0"
    assert "grpc-python" in call.behind.seen["user-agent"]
    assert call.behind.remaining and call.behind.remaining < 10


@pytest.mark.parametrize("size", [0, 1, 4096, 65535, 1_000_000, 4_000_000])
def test_sizes(call, size):
    assert call.Up(iter([b"x" * size]), timeout=20) == b"x" * size


def test_status(call):
    """Words and details of a failure, as its server worded them."""
    with pytest.raises(grpc.RpcError) as error:
        call.Unary(b"fail", timeout=10)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "nothing of that name: \u00e4 100%"
    assert dict(error.value.trailing_metadata())["x-trailing"] == "2"


def test_no_such_method(call):
    """Trailers only: head and status in one."""
    with pytest.raises(grpc.RpcError) as error:
        call.channel.unary_unary(f"/{NAME}/None")(b"x", timeout=10)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert error.value.details() == "Method not found!"


def test_client_stream(call):
    assert call.Up((b"%d," % i for i in range(100)), timeout=10) == \
        b"".join(b"%d," % i for i in range(100))


def test_server_stream(call):
    assert list(call.Down(b"100", timeout=10)) == [b"%d" % i for i in range(100)]


def test_server_stream_that_fails(call):
    got = []
    with pytest.raises(grpc.RpcError) as error:
        for one in call.Down(b"3", timeout=10):
            got.append(one)
    assert got == [b"0", b"1", b"2"]
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.DATA_LOSS, "after three")


def test_both_streams(call):
    """Each message comes back before the next one is sent."""
    answered = threading.Semaphore(1)

    def messages():
        for i in range(50):
            assert answered.acquire(timeout=10)
            yield b"%d" % i
    got = []
    for one in call.Both(messages(), timeout=20):
        got.append(one)
        answered.release()
    assert got == [b"%d%d" % (i, i) for i in range(50)]


def test_server_ends_first(call):
    """Status while the client still sends."""
    def messages():
        yield b"a"
        yield b"early"
        while True:
            time.sleep(0.01)
            yield b"more"
    answers = call.Both(messages(), timeout=10)
    assert list(answers) == [b"aa"]
    assert answers.code() == grpc.StatusCode.OK


def test_deadline(call):
    """It reaches the server as grpc-timeout, and its end as a reset."""
    with pytest.raises(grpc.RpcError) as error:
        call.Unary(b"wait", timeout=1)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert call.behind.cancelled.wait(10)


def test_cancel(call):
    """The server hears of a client that gives up long before its deadline."""
    running = call.Unary.future(b"wait", timeout=100)
    poll(lambda: call.behind.seen, "the call at the server")
    assert not call.behind.cancelled.is_set()
    running.cancel()
    assert call.behind.cancelled.wait(10)
    why(call.proxy, "client_gone")


def test_many_at_once(call):
    futures_ = [call.Unary.future(b"%d" % i, timeout=20) for i in range(200)]
    assert [f.result() for f in futures_] == [b"%d%d" % (i, i) for i in range(200)]


def test_drain(rpc):
    """A call under way is answered while the proxy ends."""
    call = rpc()
    running = call.Unary.future(b"wait", timeout=20)
    poll(lambda: call.behind.seen, "the call at the server")
    call.proxy.signal(15)
    call.behind.go.set()
    assert running.result() == b"waitwait"
    call.proxy.wait()


def test_nobody_there(weir):
    """What a 502 means to gRPC."""
    proxy = weir("--h2c", "--upstream-h2", "127.0.0.1:1")
    with grpc.insecure_channel("%s:%d" % proxy.addresses[0]) as channel:
        with pytest.raises(grpc.RpcError) as error:
            Channel(channel).Unary(b"x", timeout=10)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
