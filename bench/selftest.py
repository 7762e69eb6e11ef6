#!/usr/bin/python3
"""bench/selftest.py -- tests the benchmark's own tools: a load generator that believes anything, or
a verdict that is always "reached", would be worse than none.

usage: selftest.py DIRECTORY      (of load, origin and relay, as built)
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import xml.dom.minidom
from dataclasses import replace
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report                                                                   # noqa: E402
from lib import BenchError                                                      # noqa: E402
from lib.attack import measure_attack                                           # noqa: E402
from lib.cases import CASES, Bound, Part                                        # noqa: E402
from lib.certs import make_certificate                                          # noqa: E402
from lib.figures import cheapest, judge                                         # noqa: E402
from lib.measure import Bench, check_kept, check_tls, measure_open, measure_reuse  # noqa: E402
from lib.memory import measure_memory                                           # noqa: E402
from lib.processes import raise_file_limit                                      # noqa: E402
from lib.proxies import PROXIES                                                 # noqa: E402
from lib.report import about_program, keep, summarise                           # noqa: E402

TOOLS = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 else ".")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# name, what the server says, whether it closes then, the kind of failure ("" = none)
RESPONSES = [
    ("length", OK, False, ""),
    ("length, closed later", OK, True, ""),
    ("chunked", CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nx: y\r\n\r\n", False, ""),
    ("1xx first", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, False, ""),
    ("old version, length", OK.replace(b"1.1", b"1.0"), True, ""),
    ("announced close", OK.replace(b"\r\n\r\n", b"\r\nConnection: x, Close\r\n\r\n"), True, ""),
    ("announced close not kept", OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False,
     "timeout"),
    ("nothing", b"", False, "timeout"),
    ("closed at once", b"", True, "closed"),
    ("closed within a head", OK[:20], True, "closed"),
    ("closed within a body", OK[:-1], True, "closed"),
    ("closed within a chunk", CHUNKED + b"5\r\nhel", True, "closed"),
    ("closed before the last chunk", CHUNKED + b"5\r\nhello\r\n", True, "closed"),
    ("another status", OK.replace(b"200", b"404"), False, "status"),
    ("unasked 101", OK.replace(b"200", b"101"), False, "framing"),
    ("another length", OK.replace(b": 5", b": 4")[:-1], False, "length"),
    ("a longer chunked body", CHUNKED + b"6\r\nhello!\r\n0\r\n\r\n", False, "length"),
    ("bytes behind the body", OK + b"!", False, "framing"),
    ("bytes behind the last chunk", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n!", False, "framing"),
    ("no length", b"HTTP/1.1 200 OK\r\n\r\nhello", True, "framing"),
    ("lengths that differ", OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 6\r\n\r\n"), False,
     "framing"),
    ("length beside chunked", CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"), False,
     "framing"),
    ("signed length", OK.replace(b": 5", b": +5"), False, "framing"),
    ("huge length", OK.replace(b": 5", b": 9999999999999999999"), False, "framing"),
    ("another coding", CHUNKED.replace(b"chunked", b"gzip, chunked"), False, "framing"),
    ("blank before the colon", OK.replace(b"Length:", b"Length :"), False, "framing"),
    ("bare LF", OK.replace(b"OK\r\n", b"OK\n"), False, "framing"),
    ("bare CR", OK.replace(b"\r\n\r\n", b"\r\na: b\rc\r\n\r\n"), False, "framing"),
    ("no HTTP", b"SSH-2.0-x\r\n\r\n", False, "framing"),
    ("0x in a chunk size", CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", False, "framing"),
    ("no chunk size", CHUNKED + b"\r\nhello\r\n0\r\n\r\n", False, "framing"),
    ("chunk longer than its size", CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", False, "framing"),
    ("endless chunk size", CHUNKED + b"0000000000000005\r\nhello\r\n0\r\n\r\n", False, "framing"),
]


def tool(name):
    return os.path.join(TOOLS, name)


def load(*args, status):
    """Runs the load generator, checks its exit status, returns its result."""
    run = subprocess.run([tool("load"), *args], capture_output=True, text=True, timeout=60,
                         stdin=subprocess.DEVNULL)
    assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
    return json.loads(run.stdout.splitlines()[-1]) if run.stdout else run.stderr


@contextlib.contextmanager
def server(name, *args):
    """origin or relay; yields the process and its address, and expects a clean life."""
    with subprocess.Popen([tool(name), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            yield process, process.stderr.readline().split()[2]
        finally:
            process.terminate()
            said = process.communicate(timeout=10)[1]
    assert process.returncode in (0, -signal.SIGTERM), (process.returncode, said)


@contextlib.contextmanager
def scripted(serve):
    """A listener that gives each connection to `serve`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def loop():
            with contextlib.suppress(OSError):
                while True:
                    conn = listener.accept()[0]
                    threading.Thread(target=serve, args=(conn,), daemon=True).start()
        threading.Thread(target=loop, daemon=True).start()
        yield "127.0.0.1:%d" % listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def read_head(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece:
            break
        data += piece
    return data


def counters(process):
    process.send_signal(signal.SIGUSR1)
    return json.loads(process.stdout.readline())


class Load(unittest.TestCase):
    def test_responses(self):
        for name, said, closes, kind in RESPONSES:
            # by single bytes, the load may be content before the surplus one has come
            for step in (len(said) + 1,) if "behind" in name else (len(said) + 1, 1):
                def serve(conn):
                    with conn, contextlib.suppress(OSError):
                        if read_head(conn):
                            for i in range(0, len(said), step):
                                conn.sendall(said[i:i + step])
                            if not closes:
                                conn.recv(1)    # until the load generator closes
                with self.subTest(name, step=step), scripted(serve) as address:
                    result = load("-c", "1", "-n", "1", "--length", "5", "--timeout", "200ms",
                                  address, status=1 if kind else 0)
                    self.assertEqual(list(result["failure_kinds"]), [kind] if kind else [])
                    served = kind == "" or (kind == "timeout" and said)
                    self.assertEqual(result["requests"], 1 if served else 0)

    def test_unasked_bytes(self):
        said = threading.Event()

        def serve(conn):
            with conn:
                conn.sendall(OK)
                said.set()
                conn.recv(1)
        with scripted(serve) as address, \
                subprocess.Popen([tool("load"), "-c", "1", "-t", "30s", "--hold", "idle", address],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            self.assertTrue(said.wait(10))
            holder.stdin.close()
            self.assertEqual(json.loads(holder.stdout.readline())["failure_kinds"], {"framing": 1})

    def test_refused_connection(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "127.0.0.1:%d" % listener.getsockname()[1]
        self.assertEqual(load("-c", "2", "-t", "1s", address, status=1)["requests"], 0)

    def test_usage(self):
        for args in (["-t", "1s", "192.0.2.1:80"], ["-t", "1s", "[2001:db8::1]:80"],
                     ["127.0.0.1:80"], ["-t", "1", "127.0.0.1:80"], ["-n", "-1", "127.0.0.1:80"],
                     ["-n", "1", "localhost:80"], ["-n", "1", "--header", "x", "127.0.0.1:80"]):
            with self.subTest(args):
                load(*args, status=2)

    def test_open_loop_counts_from_the_intended_start(self):
        """20 requests due within 20 ms over one connection that takes 20 ms for each."""
        with server("origin", "--delay", "20ms", "127.0.0.1:0") as (_, address):
            result = load("-c", "1", "-n", "20", "--rate", "1000", address, status=0)
        self.assertEqual(result["requests"], 20)
        self.assertGreaterEqual(result["classes"][0]["max_us"], 379000)
        self.assertGreaterEqual(result["classes"][0]["p50_us"], 180000)

    def test_open_loop_reports_what_it_could_not_send(self):
        with server("origin", "--delay", "50ms", "127.0.0.1:0") as (_, address):
            result = load("-c", "1", "-t", "100ms", "--rate", "500", "--timeout", "100ms", address,
                          status=1)
        self.assertEqual(list(result["failure_kinds"]), ["unsent"])

    def test_classes_and_bodies(self):
        with server("origin", "127.0.0.1:0") as (origin, address):
            result = load("-n", "2000", "--class", "name=small,weight=3,path=/b/7,length=7",
                          "--class", "name=big,path=/b/300000,length=300000,post=100KiB", address,
                          status=0)
            small, big = result["classes"]
            count = counters(origin)
        self.assertEqual(small["requests"] + big["requests"], 2000)
        self.assertLess(300, big["requests"])
        self.assertLess(big["requests"], 700)
        self.assertEqual(count["requests"], 2000)
        self.assertEqual(count["body_in"], big["requests"] * (100 << 10))
        self.assertEqual(count["body_out"], small["requests"] * 7 + big["requests"] * 300000)

    def test_connections(self):
        with server("origin", "127.0.0.1:0") as (origin, address):
            load("-c", "5", "-n", "100", address, status=0)
            self.assertEqual(counters(origin)["accepted"], 5)
            load("-c", "5", "-n", "100", "--close", address, status=0)
            self.assertEqual(counters(origin)["accepted"], 105)

    def test_hold(self):
        for what, requests in ("idle", 0), ("served", 50), ("waiting", 50):
            with self.subTest(what), server("origin", "127.0.0.1:0") as (origin, address), \
                    subprocess.Popen([tool("load"), "-c", "50", "-t", "30s", "--hold", what,
                                      address],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
                holder.stdout.readline()
                load("-c", "1", "-n", "1", address, status=0)   # comes behind all of them
                count = counters(origin)
                self.assertEqual(count["requests"], requests + 1)
                holder.stdin.close()
                result = json.loads(holder.stdout.readline())
                self.assertEqual((result["open"], result["failures"]), (50, 0))


class Tls(unittest.TestCase):
    """Between our own two programs; the load generator is as strict over TLS as without."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.files = make_certificate(cls.directory.name)
        cls.served = ["--cert", cls.files.cert, "--key", cls.files.key, "127.0.0.1:0"]

    def test_handshakes(self):
        # options, sessions taken up, what was agreed on
        for options, resumed, agreed in (
                (["-n", "300"], 0, "TLSv1.3"), (["-n", "300", "--close"], 0, "TLSv1.3"),
                (["-n", "300", "--close", "--resume"], 300 - 8, "TLSv1.3"),
                (["-n", "300", "--close", "--resume", "--tls-version", "1.2"], 300 - 8, "TLSv1.2"),
                (["-n", "20", "--post", "1MiB", "--path", "/b/1000000", "--length", "1000000"], 0,
                 "TLSv1.3")):
            with self.subTest(options), server("origin", *self.served) as (origin, address):
                result = load("-c", "8", "--tls", *options, address, status=0)
                self.assertEqual(result["requests"], int(options[1]))
                self.assertEqual(result["resumed"], resumed)
                self.assertEqual(counters(origin)["resumed"], resumed)
                self.assertTrue(result["tls"].startswith(agreed + " "), result["tls"])

    def test_hold(self):
        with server("origin", *self.served) as (origin, address), \
                subprocess.Popen([tool("load"), "-c", "50", "-t", "30s", "--tls", "--hold", "served",
                                  address],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            self.assertEqual(counters(origin)["requests"], 50)
            holder.stdin.close()
            self.assertEqual(json.loads(holder.stdout.readline())["open"], 50)

    def test_not_tls(self):
        def serve(conn):
            with conn:
                conn.recv(65536)
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with scripted(serve) as address:
            result = load("-c", "1", "-n", "1", "--tls", address, status=1)
        self.assertEqual(list(result["failure_kinds"]), ["connect"])
        self.assertIn("wrong version number", result["first_failure"])

    def test_usage(self):
        for args in (["--resume"], ["--tls-version", "1.3"], ["--tls", "--tls-version", "1.1"],
                     ["--tls", "--attack", "heads"]):
            with self.subTest(args):
                load("-n", "1", *args, "127.0.0.1:80", status=2)


class Attack(unittest.TestCase):
    def attack(self, what, address, span):
        run = subprocess.run([tool("load"), "-c", "20", "-t", span, "--every", "20ms", "--attack",
                              what, address],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout.splitlines()[-1])

    def test_cut(self):
        """The origin closes who has not sent a whole head."""
        with server("origin", "--idle-close", "200ms", "127.0.0.1:0") as (_, address):
            result = self.attack("heads", address, "30s")
        self.assertEqual([result[key] for key in ("begun", "refused", "cut", "open")],
                         [20, 0, 20, 0])
        self.assertGreaterEqual(result["first_cut_ms"], 199)
        self.assertGreater(result["sips"], 20)

    def test_not_cut(self):
        for what in "heads", "bodies", "readers":
            with self.subTest(what), server("origin", "127.0.0.1:0") as (origin, address):
                result = self.attack(what, address, "300ms")
                self.assertEqual([result[key] for key in ("begun", "cut", "open")], [20, 0, 20])
                self.assertGreater(result["sips"], 20)
                self.assertEqual(counters(origin)["requests"], 20 if what == "readers" else 0)

    def test_answered(self):
        def serve(conn):
            with conn:
                read_head(conn)
                conn.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with scripted(serve) as address:
            result = self.attack("bodies", address, "30s")
        self.assertEqual((result["cut"], result["statuses"]), (20, {"408": 20}))


class Origin(unittest.TestCase):
    def exchange(self, address, said):
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 10) as conn:
            conn.sendall(said)
            conn.shutdown(socket.SHUT_WR)
            got = b""
            while piece := conn.recv(65536):
                got += piece
        return got

    def test_requests(self):
        close = b"Connection: close\r\n\r\n"
        table = [
            (b"GET /b/3 HTTP/1.1\r\n" + close, b"200 OK", b"\r\n\r\nabc"),
            (b"HEAD /b/3 HTTP/1.1\r\n" + close, b"Content-Length: 3", b"\r\n\r\n"),
            (b"GET /b/2 HTTP/1.0\r\n\r\n", b"200 OK", b"\r\n\r\nab"),
            (b"GET /b/1 HTTP/1.1\r\n\r\nGET /b/2 HTTP/1.1\r\n" + close, b"\r\n\r\naHTTP/1.1 200",
             b"\r\n\r\nab"),
            (b"POST /b/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"
             b"GET /b/2 HTTP/1.1\r\n" + close, b"\r\n\r\naHTTP/1.1 200", b"\r\n\r\nab"),
            (b"POST /b/1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" + close + b"x",
             b"HTTP/1.1 100", b"\r\n\r\na"),
            (b"GET /b/1\r\n\r\n", b"400", b"\r\n\r\n"),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400",
             b"\r\n\r\n"),
        ]
        for options in [], ["--delay", "1ms"]:
            with server("origin", *options, "127.0.0.1:0") as (_, address):
                for said, has, end in table:
                    with self.subTest(said, options=options):
                        got = self.exchange(address, said)
                        self.assertIn(has, got)
                        self.assertTrue(got.endswith(end), got)

    def test_idle_close(self):
        with server("origin", "--idle-close", "20ms", "127.0.0.1:0") as (origin, address):
            host, port = address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), 10) as conn:
                self.assertEqual(conn.recv(1), b"")
            self.assertEqual(counters(origin)["closed_idle"], 1)


class Relay(unittest.TestCase):
    def test_both_ways_and_half_close(self):
        sent = os.urandom(3 << 20)

        def serve(conn):
            with conn:
                got = b""
                while piece := conn.recv(65536):
                    got += piece
                conn.sendall(got[::-1])
        with scripted(serve) as upstream, server("relay", "127.0.0.1:0", upstream) as (_, address):
            host, port = address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), 10) as conn:
                conn.sendall(sent)
                conn.shutdown(socket.SHUT_WR)
                got = b""
                while piece := conn.recv(65536):
                    got += piece
        self.assertEqual(got[::-1], sent)


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "a measurement needs two cores")
class Run(unittest.TestCase):
    """The whole way, with the relay as the only proxy."""

    def run_it(self, build, *args):
        cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:2])
        run = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
        return subprocess.run(
            [sys.executable, run, "keepalive", "--build", build, "--cores", cores, "--no-calls",
             "--rounds", "2", "--seconds", "0.1", "--warmup", "0.1", *args],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def setUp(self):
        """A build whose weir is a script of ours."""
        self.directory = tempfile.TemporaryDirectory()
        self.build = self.directory.name
        self.addCleanup(self.directory.cleanup)
        os.symlink(TOOLS, os.path.join(self.build, "bench"))
        os.mkdir(os.path.join(self.build, "gateway"))

    def write_weir(self, script):
        path = os.path.join(self.build, "gateway/weir")
        with open(path, "w") as f:
            f.write("#!/bin/sh\n[ $1 = --version ] && exit\n" + script)
        os.chmod(path, 0o755)

    def test_good(self):
        self.write_weir(f'for origin; do :; done; exec {tool("relay")} 127.0.0.1:0 "$origin"\n')
        kept = os.path.join(self.build, "kept")
        run = self.run_it(self.build, "--only", "weir,floor", "--result", kept)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        with open(kept) as f:
            summary, = json.load(f)
        self.assertEqual(len(summary["rounds"]), 2)
        for figures in summary["rounds"]:
            for name in "weir", "floor":
                self.assertGreater(figures[name]["cpu_us"], 0)
                self.assertGreater(figures[name]["requests"], 0)
        to_floor, to_nginx = summary["bounds"][:2]
        self.assertEqual(to_floor["verdict"], "undecided: fewer than 9 rounds")
        self.assertEqual(to_nginx["verdict"], "no figure")      # nginx was not asked for
        run = self.run_it(self.build, "--only", "floor", "--result", kept)
        with open(kept) as f:
            self.assertEqual([list(s["medians"]) for s in json.load(f)], [["weir", "floor"],
                                                                         ["floor"]])

    def test_a_proxy_that_dies_has_no_figure(self):
        self.write_weir("echo out of luck >&2; exit 3\n")
        run = self.run_it(self.build, "--only", "weir,floor")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn("weir: no figure: weir died with status 3: out of luck", run.stdout)

    def test_a_proxy_that_loses_requests_has_no_figure(self):
        self.write_weir(f'exec {tool("origin")} 127.0.0.1:0\n')    # answers without the origin
        run = self.run_it(self.build, "--only", "weir")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertRegex(run.stdout, "weir: no figure: the load counts [0-9]+ requests, the "
                                     "origin 0")

    def test_a_missing_build(self):
        run = self.run_it(self.build, "--only", "weir")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn("build it: ./dev build", run.stdout)


# A proxy as the kinds of case see it: it answers by itself, keeps 256 KiB for each connection, and
# cuts a head that is not there after CUT seconds.
PRETENDER = """#!/usr/bin/python3
import socket, sys, threading
answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: 1024\\r\\n\\r\\n" + b"x" * 1024
def serve(conn):
    kept, data = bytearray(b"k" * (256 << 10)), b""
    conn.settimeout(CUT)
    try:
        while piece := conn.recv(65536):
            data += piece
            if data.endswith(b"\\r\\n\\r\\n"):
                conn.settimeout(None)
                conn.sendall(answer)
                data = b""
            elif len(data) > 60:    # not the first piece: no more time
                conn.settimeout(0.01)
    except OSError:
        pass
    conn.close()
listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
print("listening on 127.0.0.1:%d (http)" % listener.getsockname()[1], file=sys.stderr, flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "a measurement needs two cores")
class Kinds(unittest.TestCase):
    """The other kinds of case, on a proxy whose figures are known."""

    @contextlib.contextmanager
    def bench(self, part, script=""):
        with tempfile.TemporaryDirectory() as build:
            os.symlink(TOOLS, os.path.join(build, "bench"))
            os.mkdir(os.path.join(build, "gateway"))
            path = os.path.join(build, "gateway/weir")
            with open(path, "w") as f:
                f.write(script)
            os.chmod(path, 0o755)
            cores = tuple(sorted(os.sched_getaffinity(0))[:2])
            options = argparse.Namespace(build=build, cores=cores, seconds=0.2, warmup=0.1)
            with Bench(part, options, build, raise_file_limit()) as bench:
                yield bench

    def test_memory(self):
        for load in ["--hold", "served"], ["--hold", "waiting", "--header", "x: y"]:
            with mock.patch("lib.memory.GIVEN_BACK_AFTER", 0.5), \
                    mock.patch("lib.memory.WARM_REQUESTS", 32), \
                    self.bench(Part("", load, connections=50),
                               PRETENDER.replace("CUT", "None")) as bench:
                figures = measure_memory(bench, "weir")
                bench.join()
                self.assertEqual(bench.failed, {})
            self.assertGreater(figures["each_b"], 256 << 10)
            self.assertLess(figures["each_b"], 400 << 10)
            self.assertGreater(figures["given_back"], 0.7)

    def test_attack(self):
        part = Part("", ["-c", "2", "--rate", "50"], attack="heads", connections=20, deadline=0.5)
        for cut, share in ("0.4", 1.0), ("None", 0.0):
            with mock.patch("lib.attack.GRACE_SECONDS", 9 if share else 0), \
                    self.bench(part, PRETENDER.replace("CUT", cut)
                               .replace("settimeout(0.01)", "settimeout(%s)" % cut)) as bench:
                figures = measure_attack(bench, "weir")
            self.assertEqual(figures["cut"], share)
            self.assertEqual(figures["attackers"]["begun"], 20)
            self.assertEqual(figures["last_cut_s"] is None, share == 0)
            self.assertGreater(figures["p99_ratio"], 0)

    def test_open_and_reuse(self):
        with self.bench(Part("", ["--length", "1024"], connections=500)) as bench:
            figures = measure_open(bench, "floor")
            self.assertEqual(figures["open"], 500)
            self.assertGreater(figures["growth"], 0.1)
            self.assertEqual(bench.notes, {})
        with self.bench(Part("", ["-c", "20", "--rate", "500", "--close"])) as bench:
            self.assertEqual(measure_reuse(bench, "floor")["opened"], 100000)

    def test_connections_that_do_not_stay(self):
        with self.bench(Part("", ["-c", "4"])) as bench, \
                self.assertRaisesRegex(BenchError, "had to be opened again"):
            check_kept({"opened": 3, "closed_by_peer": 3}, bench.part.load)

    def test_handshakes(self):
        tls = ["--tls", "--tls-version", "1.3"]
        for load, agreed, opened, resumed, why in (
                (tls, "TLSv1.3 x", 5, 0, None), (tls, "TLSv1.2 x", 5, 0, "wants TLS 1.3"),
                (tls, "TLSv1.3 x", 5, 1, "1 were resumed, not 0"),
                ([*tls, "--resume"], "TLSv1.3 x", 5, 5, None),
                ([*tls, "--resume"], "TLSv1.3 x", 5, 4, "4 were resumed, not 5")):
            with self.subTest(agreed=agreed, load=load, resumed=resumed), \
                    contextlib.nullcontext() if not why else self.assertRaisesRegex(BenchError, why):
                check_tls(load, {"tls": agreed, "opened": opened, "resumed": resumed})

    def test_a_setting_that_nobody_reads(self):
        with self.bench(Part("", [])) as bench:
            os.rename(os.path.join(bench.options.build, "gateway/weir"),
                      os.path.join(bench.options.build, "burn"))
            proxy = replace(PROXIES["weir-nosteal"], binary="{build}/burn")
            with self.assertRaisesRegex(BenchError, "does not know WEIR_TEST_PLACE"):
                proxy.path(bench.options.build)


class Report(unittest.TestCase):
    def make(self, results, remarks=""):
        """The page and the pictures' texts."""
        with tempfile.TemporaryDirectory() as directory:
            files = []
            for i, kept in enumerate(results):
                files.append(os.path.join(directory, f"{i}.json"))
                with open(files[-1], "w") as f:
                    f.write("[]")
                for summary in kept:
                    keep(files[-1], summary)
            with open(os.path.join(directory, "remarks.md"), "w") as f:
                f.write(remarks)
            report.main([*files, "--out", directory, "--remarks",
                         os.path.join(directory, "remarks.md")])
            pictures = {}
            for name in os.listdir(os.path.join(directory, "performance")):
                with open(os.path.join(directory, "performance", name)) as f:
                    pictures[name] = f.read()
                xml.dom.minidom.parseString(pictures[name])
            with open(os.path.join(directory, "performance.md")) as f:
                return f.read(), pictures

    def summary(self, when, weir):
        case = CASES["post"]
        rounds = [{n: {"cpu_us": us, "foreign": 0.2} for n, us in
                   (("weir", weir), ("nginx", 20.0), ("haproxy", 30.0))}] * 9
        options = argparse.Namespace(seconds=1)
        return {**summarise(case, case.parts[0], ["weir", "nginx", "haproxy"], options,
                            {"weir": "1", "nginx": "1.22"}, TOOLS,
                            {"rounds": rounds, "calls": {"weir": {"read": 2.0}}, "failed":
                             {"h2o": "it\n died"}, "notes": ["a note"]}), "when": when}

    def test_page(self):
        program = about_program("parser", "512 heads: 143 ns", TOOLS)
        page, pictures = self.make([[self.summary("2026-01-02", 25.0), program],
                                    [self.summary("2026-01-01", 10.0)]],
                                   "# Remarks\n\n## post\n\nTried this.\n\n## fields\n\nNot here.\n")
        self.assertIn("| weir | 25.00 | - | - | - | - | - | 2.00 | 1.250 [1.250, 1.250] |", page)
        self.assertIn("| post | POST 16 KiB, 64 connections | weir: cpu_us at most 0.95 x nginx | "
                      "1.250 [1.250, 1.250] | NOT reached |", page)
        self.assertIn("- post, POST 16 KiB, 64 connections: nginx 20.00 against 25.00 (CPU us), in "
                      "9 of 9 rounds.", page)
        self.assertNotIn("haproxy 30.00 against", page)
        self.assertIn("a note. No figure for h2o: it died. In 9 of 9 rounds others used", page)
        self.assertIn("\nTried this.\n", page)
        self.assertNotIn("Not here.", page)
        self.assertIn("512 heads: 143 ns", page)
        self.assertEqual(list(pictures), ["post-post-16-kib-64-connections.svg"])
        self.assertIn(">30.00</text>", pictures["post-post-16-kib-64-connections.svg"])
        self.assertIn("](performance/post-post-16-kib-64-connections.svg)", page)

    def test_nothing(self):
        with self.assertRaisesRegex(SystemExit, "no results"):
            self.make([[]])


class Figures(unittest.TestCase):
    def rounds(self, ratios):
        return [{"weir": {"cpu_us": 10.0 * (i + 1) * r}, "nginx": {"cpu_us": 10.0 * (i + 1)},
                 "haproxy": {"cpu_us": 20.0 * (i + 1)}} for i, r in enumerate(ratios)]

    def test_verdicts(self):
        for ratios, verdict in (
                ([0.9] * 9, "reached"), ([1.0] * 9, "reached"), ([1.1] * 9, "NOT reached"),
                ([0.9] * 8, "undecided: fewer than 9 rounds"),
                ([0.9, 0.9, 0.9, 0.9, 1.05, 1.1, 1.1, 1.1, 1.1], "reached"),  # the interval has it
                ([0.99] + [1.1] * 10, "NOT reached")):
            with self.subTest(ratios):
                bound = Bound("cpu_us", ("nginx", "haproxy", "h2o"), 1.0)
                result = judge(self.rounds(ratios), bound)
                self.assertEqual((result["reference"], result["verdict"]), ("nginx", verdict))

    def test_modes(self):
        rounds = [{"weir": {"x": 30.0}, "floor": {"x": 10.0}}] * 9
        for mode, reference, most, verdict in (
                ("times", ("floor",), 3.0, "reached"), ("times", ("floor",), 2.9, "NOT reached"),
                ("plus", ("floor",), 20, "reached"), ("plus", ("floor",), 19, "NOT reached"),
                ("alone", (), 30, "reached"), ("alone", (), 29, "NOT reached"),
                ("least", (), 30, "reached"), ("least", (), 31, "NOT reached"),
                ("plus", ("nginx",), 20, "no figure")):
            with self.subTest(mode, most=most):
                self.assertEqual(judge(rounds, Bound("x", reference, most, mode))["verdict"],
                                 verdict)
        nothing = [{"weir": {"x": 0.0}, "floor": {"x": 0.0}}] * 9     # is a figure, too
        self.assertEqual(judge(nothing, Bound("x", ("floor",), 20, "plus"))["verdict"], "reached")

    def test_without_figures(self):
        self.assertEqual(judge([], Bound("cpu_us", ("nginx",), 1.0))["verdict"], "no figure")
        self.assertIsNone(cheapest([], "cpu_us", ("nginx",)))


if __name__ == "__main__":
    unittest.main()
