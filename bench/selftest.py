#!/usr/bin/python3
"""bench/selftest.py -- tests the benchmark's own programs: a load generator that believes anything
would be worse than none. The measurement itself is tested by selftest_run.py.

usage: selftest.py DIRECTORY      (of load, origin and relay, as built)
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib.certs import make_certificate                                          # noqa: E402

# The tools are ended by signals, amid connections: what these hold is no leak.
os.environ["ASAN_OPTIONS"] = "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")

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
                    result = load("-c", "1", "-n", "1", "--length", "5", "--timeout",
                                  "500ms" if kind == "timeout" else "20s", address,
                                  status=1 if kind else 0)
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
                subprocess.Popen([tool("load"), "-c", "50", "-t", "30s", "--tls", "--hold",
                                  "served", address],
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


class H2(unittest.TestCase):
    """Between our own two programs, over TLS and by prior knowledge."""

    @contextlib.contextmanager
    def origin(self, tls):
        with tempfile.TemporaryDirectory() as directory:
            files = make_certificate(directory)
            served = ["--cert", files.cert, "--key", files.key] if tls else []
            with server("origin", "--h2", *served, "127.0.0.1:0") as (origin, address):
                yield origin, ["--h2", *(["--tls"] if tls else []), address]

    def test_requests(self):
        for tls in False, True:
            for options, back in (
                    (["-c", "4", "--streams", "10", "-n", "3000", "--length", "1024"], 1024),
                    (["-c", "2", "--streams", "3", "-n", "30", "--path", "/b/1000000", "--length",
                      "1000000", "--fields", "30", "--header", "X-Case: Kept"], 1000000),
                    (["-c", "1", "-n", "5", "--post", "3MiB", "--path", "/b/0", "--length", "0"],
                     0)):
                with self.subTest(options, tls=tls), self.origin(tls) as (origin, target):
                    n = int(options[options.index("-n") + 1])
                    result = load(*options, *target, status=0)
                    self.assertEqual((result["requests"], result["body_in"]), (n, n * back))
                    self.assertEqual(result["classes"][0]["requests"], n)
                    count = counters(origin)
                    self.assertEqual((count["requests"], count["accepted"], count["refused"]),
                                     (n, int(options[1]), 0))
                    self.assertEqual(count["body_in"], n * (3 << 20) if back == 0 else 0)

    def test_failures(self):
        with self.origin(True) as (_, target):
            wrong = load("-c", "1", "-n", "3", "--length", "5", *target, status=1)
            self.assertEqual(wrong["failure_kinds"], {"length": 3})
        with self.origin(False) as (origin, target), \
                subprocess.Popen([tool("load"), "-c", "2", "--streams", "5", "-n", "10", "--path",
                                  "/b/100000000000", *target], stdout=subprocess.PIPE) as asking:
            while counters(origin)["requests"] < 10:
                time.sleep(0.01)
            origin.terminate()
            result = json.loads(asking.stdout.readline())
            self.assertEqual(result["failure_kinds"].get("closed", 0) +
                             result["failure_kinds"].get("reset", 0), 10)

    def test_a_server_of_http_1(self):
        with tempfile.TemporaryDirectory() as directory:
            files = make_certificate(directory)
            with server("origin", "--cert", files.cert, "--key", files.key, "127.0.0.1:0") as \
                    (_, address):
                result = load("-c", "1", "-n", "1", "--h2", "--tls", address, status=1)
            self.assertIn("does not speak h2", result["first_failure"])
            self.assertEqual(list(result["failure_kinds"]), ["connect"])

    def test_usage(self):
        for args in (["--streams", "2"], ["--h2", "--close"], ["--h2", "--attack", "heads"]):
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
        self.assertGreaterEqual(result["first_cut_ms"], 150)    # the two clocks start apart

    def test_not_cut(self):
        for what in "heads", "bodies", "readers":
            for span in "300ms", "3s", "20s":       # longer where the machine has no time for it
                with self.subTest(what), server("origin", "127.0.0.1:0") as (origin, address):
                    result = self.attack(what, address, span)
                    self.assertEqual([result[key] for key in ("begun", "cut", "open")],
                                     [20, 0, 20])
                    self.assertEqual(counters(origin)["requests"], 20 if what == "readers" else 0)
                if result["sips"] > 20:
                    break
            self.assertGreater(result["sips"], 20, what)

    def test_answered(self):
        def serve(conn):
            with conn:
                read_head(conn)
                conn.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with scripted(serve) as address:
            result = self.attack("bodies", address, "30s")
        self.assertEqual((result["cut"], result["statuses"]), (20, {"408": 20}))


class Flood(unittest.TestCase):
    KINDS = ("resets", "pings", "settings", "empty", "continuation", "windows")

    def flood(self, what, address, *more):
        run = subprocess.run([tool("load"), "-c", "3", "-t", "400ms", "--every", "10ms", "--flood",
                              what, *more, address],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout.splitlines()[-1])

    def test_told(self):
        """GOAWAY with an error once some frames have come, in pieces; each comes back."""
        goaway = b"\0\0\x02\x06\0\0\0\0\0ab" + b"\0\0\x09\x07\0\0\0\0\0" \
            + b"\0\0\0\x01" + b"\0\0\0\x0b" + b"x"

        def serve(conn):
            with conn, contextlib.suppress(OSError):
                conn.recv(100)
                conn.sendall(goaway[:15])
                conn.recv(65536)
                conn.sendall(goaway[15:])
                while conn.recv(65536):
                    pass
        for what in self.KINDS[:-1]:
            with self.subTest(what), scripted(serve) as address:
                result = self.flood(what, address, "-n", "5")
                self.assertEqual((result["refused"], result["hangups"]), (0, 0))
                self.assertEqual(result["goaways"], result["codes"].get("11", 0))
                self.assertLessEqual(result["opened"], 5)

    def test_hung_up(self):
        def serve(conn):
            with conn:
                conn.recv(10)
        for what in self.KINDS:
            with self.subTest(what), scripted(serve) as address:
                result = self.flood(what, address)
                self.assertEqual((result["goaways"], result["codes"]), (0, {}))
                self.assertLessEqual(result["begun"], result["opened"])

    def test_usage(self):
        for args in (["-n", "1"], ["-t", "1s", "--h2"], ["-t", "1s", "--attack", "heads"]):
            with self.subTest(args):
                load("--flood", "pings", *args, "127.0.0.1:80", status=2)


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


if __name__ == "__main__":
    unittest.main()
