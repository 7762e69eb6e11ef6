"""A build that injects faults (-Dfault=true, src/base/inject.h): one call in so many fails, each
time another one, as the seed says. Whatever fails, clients get an answer that is whole or an end
that cannot be taken for one; nobody is forgotten; the process goes on serving, never spins, and at
its end has given everything back.

Only with such a build, and WEIR_FAULT_BUILD=1. WEIR_FAULT_SEEDS="FIRST COUNT" has other seeds; a
failure names its own."""

import http.client
import http.server
import os
import pathlib
import random
import re
import select
import socket
import subprocess
import threading

import pytest

from weirtest import WAIT, Authority, poll
from weirtest.proxy import Proxy, binary, environment, no_reports

pytestmark = pytest.mark.fault
FIRST, COUNT = map(int, os.environ.get("WEIR_FAULT_SEEDS", "1 40").split())
REPORT = re.compile(r"^fault injection: (\d+) of (\d+) calls failed, (\d+) turns, "
                    r"(-?\d+) descriptors left$", re.M)
DEADLINES = [word for name in ("header", "body", "send", "idle", "connect", "upstream", "tunnel")
             for word in (f"--timeout-{name}", "1s")]
CLIENTS, REQUESTS = 6, 8


def text_of(path):
    """What the origin says: long for some paths."""
    return (path.encode() + b".") * (8000 if "long" in path else 3)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        """None: it was cut off."""
        length = int(self.headers.get("Content-Length", 0))
        got = self.rfile.read(length)
        if len(got) < length:
            return None
        while "Transfer-Encoding" in self.headers:
            size = self.rfile.readline()
            chunk = self.rfile.read(int(size or b"0", 16) + 2)
            if not chunk.endswith(b"\r\n"):
                return None
            if chunk == b"\r\n":
                break
            got += chunk[:-2]
        return got

    def answer(self):
        got = self.body()
        if got is None:
            self.close_connection = True
            return
        body = text_of(self.path) if self.command == "GET" else got
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args):      # a proxy that broke off
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    authority.certificate("server", "localhost")
    return authority


@pytest.fixture(scope="module")
def origins(authority):
    """Two, plain and with TLS; their ports."""
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    context = authority.server("origin", "origin.test", "localhost")
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True,
                                            do_handshake_on_connect=False)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield [server.server_address[1] for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(conn, dice):
    """One request of some kind; its answer, if there is one, is right."""
    path = f"/{dice.choice(['short', 'long'])}/{dice.randrange(1000)}"
    if dice.random() < 0.4:
        body = text_of(path)
        conn.request("POST", path, body)
    else:
        body = None
        conn.request("GET", path)
    res = conn.getresponse()
    if not res.getheader("Content-Length"):     # the line may be there, and its value cut off
        raise http.client.HTTPException("cut off amid its head, which this client does not mind")
    got = res.read()
    if res.status == 200:
        assert got == (body or text_of(path)), (path, len(got), res.getheaders())
    else:
        assert res.status in (408, 500, 502, 503, 504), res.status
    return res.status


def client(address, context, dice, seen, ask=ask):
    """Its requests one by one, on as few connections as it gets. What goes wrong is counted: who
    waits for ever (no deadline of the proxy is above a second) is what must not be."""
    conn, asked, connects = None, 0, 0
    while asked < REQUESTS and connects < 100 * REQUESTS:
        try:
            if conn is None:
                connects += 1
                conn = http.client.HTTPConnection(*address, timeout=WAIT)
                conn.connect()
                if context:
                    conn.sock = context.wrap_socket(conn.sock, server_hostname="localhost")
            asked += 1
            seen.append(ask(conn, dice))
            if conn.sock is None:
                conn = None
            elif dice.random() < 0.1:
                conn.sock.shutdown(socket.SHUT_RDWR)
        except TimeoutError:
            seen.append("forgotten")
            return
        except AssertionError as wrong:
            seen.append(f"wrong: {wrong}")
            return
        except (OSError, http.client.HTTPException):
            seen.append("broken")
            if conn is not None:
                conn.close()
            conn = None
    if conn is not None:
        conn.close()


def curl(address, seen):
    """The same by HTTP/2, all at once on one connection."""
    port = address[1]
    urls = [f"http://127.0.0.1:{port}/{kind}/{i}" for i in range(6) for kind in ("short", "long")]
    command = ["/usr/bin/curl", "-sS", "--http2-prior-knowledge", "-Z", "--max-time", str(WAIT),
               "-w", "%{http_code} %{exitcode}\n", "-o", "/dev/null"]
    done = subprocess.run(command + [x for url in urls for x in (url, "-o", "/dev/null")][:-2],
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        status, code = line.split()
        seen.append("forgotten" if code == "28" else int(status) if code == "0" else "broken")


def load(p, seed, contexts, h2, ask):
    """All clients at once; what they saw."""
    seen, threads = [], []
    for i in range(CLIENTS):
        args = p.addresses[0], contexts, random.Random(seed * 100 + i), seen, ask
        threads.append(threading.Thread(target=client, args=args))
    if h2:
        threads.append(threading.Thread(target=curl, args=(p.addresses[0], seen)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def options(seed, origins, authority):
    """One kind of service in turn."""
    kind = ("plain", "tls", "h2c", "tls up", "two")[seed % 5]
    args = ["--workers", "2" if kind == "two" else "1", "--grace", "1s", *DEADLINES]
    if kind == "tls":
        args += ["--cert", authority.folder / "server.crt", "--key", authority.folder / "server.key"]
    if kind == "h2c":
        args += ["--h2c"]
    if kind == "tls up":
        return kind, [*args, "--upstream-tls", "origin.test", "--ca", authority.ca,
                      f"127.0.0.1:{origins[1]}"]
    return kind, [*args, f"127.0.0.1:{origins[0]}"]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_serving(authority, origins, tmp_path, seed):
    rate = (20, 60, 200)[seed % 3]
    kind, args = options(seed, origins, authority)
    listen = {"listen": (), "listen_tls": ("127.0.0.1:0",)} if kind == "tls" else {}
    p = Proxy(tmp_path, *args, env={"WEIR_FAULT": f"{seed} {rate}"}, **listen)
    serve(p, seed, rate, kind, authority.client() if kind == "tls" else None)


def serve(p, seed, rate, kind, context=None, ask=ask, hops=1):
    """From load to end. A request costs so many times what a forwarded one does."""
    try:
        seen = load(p, seed, context, kind == "h2c", ask)
        assert p.process.poll() is None, "it died"
        assert not [s for s in seen if s == "forgotten" or str(s).startswith("wrong")], seen
        assert rate < 60 or 200 in seen
        assert not re.search(r'"why":"h2_(protocol|abuse)"', p.text), "clients keep the rules"
        # all is served again, soon: accepting has resumed (a request may still be unlucky)
        poll(lambda: 200 in load_one(p, seed, context, ask), "it serves again")
        p.signal()
        p.wait(0)
        judge(p.text, hops * len(seen), failed=rate < 200)
    except BaseException:
        print(f"seed {seed}, {kind}, one in {rate}:\n{p.text[-4000:]}\n{p._reports()}")
        raise
    finally:
        p.kill()
    no_reports(p.folder)


def load_one(p, seed, context, ask):
    seen = []
    client(p.addresses[0], context, random.Random(seed), seen, ask)
    return seen


def judge(text, requests, failed=1):
    """The report at the end: nothing is left, and no turn was for nothing again and again. At least
    so many calls have failed."""
    count, calls, turns, left = map(int, REPORT.search(text).groups())
    assert left == 0 and count >= failed
    assert turns < 500 + 50 * requests, (turns, calls, requests)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_starting(authority, origins, tmp_path, seed):
    """Whatever fails at the start: it says what, and ends with 1; or it serves, and ends with 0."""
    _, args = options(5, origins, authority)        # plain
    rate = (3, 10, 30, 100)[seed % 4]
    process = subprocess.Popen([binary(), "proxy", "--listen", "127.0.0.1:0", *map(str, args)],
                               env=environment(tmp_path, WEIR_FAULT=f"{seed} {rate} start"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    text = ""
    try:
        for line in process.stderr:
            text += line
            if line.startswith("listening on"):
                process.terminate()
        code = process.wait(WAIT)
        assert code in (0, 1), (seed, rate, code, text)
        assert code == 0 or re.search("cannot|out of memory|no descriptor", text), text
        assert " 0 descriptors left" in text, text
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    no_reports(tmp_path)


def test_no_descriptors(origins, tmp_path):
    """A process at its limit pauses, tells one who waits every 100 ms that there are too many, and
    accepts again when there is room; at no time does it turn round for nothing. (Counted by the
    same report; no call is made to fail.)"""
    p = Proxy(tmp_path, "--workers", "1", "--max-connections", "1000", f"127.0.0.1:{origins[0]}",
              env={"WEIR_FAULT": "1 1000000000000"}, under=["prlimit", "--nofile=48"])
    try:
        conns = [socket.create_connection(p.addresses[0], WAIT) for _ in range(60)]
        p.wait_text("cannot accept on .*: Too many open files; trying again every 100 ms")
        readable, _, _ = select.select(conns, [], [], WAIT)     # 503 without having been asked
        assert readable, "nobody was told"
        refused = [c for c in conns if c in readable]
        answer = refused[0].makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 503 ") and answer.endswith(b"too many connections\n")
        record = p.log()[0]
        assert record["why"] == "max_connections" and record["status"] == 503
        for conn in conns[:40]:
            conn.close()
        poll(lambda: answered(p.addresses[0]) == 200, "it accepts again")
        for conn in conns:
            conn.close()
        p.signal()
        p.wait(0)
        judge(p.text, 60, failed=0)
    finally:
        p.kill()
    no_reports(tmp_path)


def answered(address):
    conn = http.client.HTTPConnection(*address, timeout=WAIT)
    try:
        conn.request("GET", "/")
        return conn.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        conn.close()


def echoed(address, text):
    """What comes back; b"" also if the connection broke, but not if nothing ever came."""
    try:
        with socket.create_connection(address, WAIT) as conn:
            conn.sendall(text)
            conn.shutdown(socket.SHUT_WR)
            return conn.makefile("rb").read()
    except TimeoutError:
        raise
    except OSError:
        return b""


def build_of(path):
    return pathlib.Path(binary()).resolve().parents[1] / path


def in_some_case(dice, name):
    """Each is another name to whoever remembers them."""
    return "".join(dice.choice((c.upper(), c)) for c in name)


def fetching(origins, authority):
    """Requests during which programs/fetch.c asks another service, which it knows by name."""
    def ask(conn, dice):
        phase = dice.choice(("request_filter", "response_filter", "request_body_filter", "editors",
                             "fail_to_proxy", "aside", "logging"))
        kind = "long" if phase != "response_filter" and dice.random() < 0.5 else "short"
        path = f"/{kind}/{dice.randrange(1000)}"
        scheme, port = dice.choice((("http", origins[0]), ("https", origins[1])))
        conn.request("POST", path, path, {
            "Fetch": f"{scheme}://{in_some_case(dice, 'localhost')}:{port}{path}",
            "Fetch-In": phase, "Fetch-Timeout": "1s", "Fetch-Ca": str(authority.ca),
            "Padding": "x" * dice.randrange(8000)})     # a copy of it takes memory of its own
        res = conn.getresponse()
        if not res.getheader("Content-Length") and res.getheader("Transfer-Encoding") != "chunked":
            raise http.client.HTTPException("cut off amid its head")
        got, fetched = res.read(), b"200 " + text_of(path)
        may = {"request_filter": [fetched], "request_body_filter": [fetched, b""],
               "editors": [path.encode() + fetched * n for n in range(3)]}.get(phase, [path.encode()])
        if res.status == 200:
            assert got in may, (phase, path, len(got), res.getheaders())
            assert res.getheader("Fetched", fetched.decode()) == fetched.decode()
        else:
            assert res.status in (408, 500, 502, 503, 504), res.status
        return res.status
    return ask


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_fetching(authority, origins, tmp_path, seed):
    rate = (20, 60, 200)[seed % 3]
    p = Proxy(tmp_path, "--listen", "127.0.0.1:0", "--workers", 1 + seed % 2, "--grace", "2s",
              *DEADLINES, f"127.0.0.1:{origins[0]}", program=build_of("tests/wire/programs/fetch"),
              env={"WEIR_FAULT": f"{seed} {rate}"})
    serve(p, seed, rate, "fetch", ask=fetching(origins, authority), hops=4)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_client(authority, origins, tmp_path, seed):
    """examples/client.c: fetches, and serves nothing. It has all of it, or ends with 1."""
    dice = random.Random(seed)
    paths = [f"/{kind}/{i}" for i in range(4) for kind in ("short", "long")]
    urls = [f"http://{in_some_case(dice, 'localhost')}:{origins[0]}{path}" for path in paths]
    when = dice.choice(("", " start"))
    done = subprocess.run(
        [build_of("examples/example_client"), *DEADLINES, *urls], stdin=subprocess.DEVNULL,
        env=environment(tmp_path, WEIR_FAULT=f"{seed} {dice.choice((10, 30, 100))}{when}"),
        capture_output=True, text=True, cwd=tmp_path, timeout=WAIT)
    no_reports(tmp_path)
    assert done.returncode in (0, 1) and " 0 descriptors left" in done.stderr, done
    assert done.returncode == 1 or all(text_of(path).decode() in done.stdout for path in paths)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 4))
def test_program(network, tmp_path, seed):
    """examples/echo.c: a program without HTTP. It begins with what may fail, and may end there."""
    try:
        p = Proxy(tmp_path, program=build_of("examples/example_echo"), log=False,
                  env={"WEIR_FAULT": f"{seed} {(10, 40)[seed % 2]}"})
    except AssertionError as never_listened:
        assert " 0 descriptors left" in str(never_listened)
        no_reports(tmp_path)
        return
    text = text_of("/long/echo")
    try:
        for _ in range(40):
            got = echoed(p.addresses[0], text)
            assert text.startswith(got)
        poll(lambda: echoed(p.addresses[0], b"hello") == b"hello", "it serves again")
        p.signal()
        p.wait(0)
        judge(p.text, 40)
    except BaseException:
        print(f"seed {seed}:\n{p.text[-4000:]}\n{p._reports()}")
        raise
    finally:
        p.kill()
    no_reports(tmp_path)
