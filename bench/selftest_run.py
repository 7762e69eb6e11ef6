#!/usr/bin/python3
"""bench/selftest_run.py -- tests the measurement: a verdict that is always "reached", or a figure
of something else, would be worse than none.

usage: selftest_run.py DIRECTORY      (of load, origin and relay, as built)
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom
from dataclasses import replace
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report                                                                   # noqa: E402
from lib import BenchError                                                      # noqa: E402
from lib.attack import measure_attack                                           # noqa: E402
from lib.beside import figures_of, measure_beside                               # noqa: E402
from lib.cases import CASES, Bound, Part                                        # noqa: E402
from lib.figures import cheapest, judge                                         # noqa: E402
from lib.flood import measure_flood                                             # noqa: E402
from lib.measure import Bench, check_kept, check_tls, measure_open, measure_reuse  # noqa: E402
from lib.memory import measure_memory                                           # noqa: E402
from lib.processes import go_first, go_last, raise_file_limit                   # noqa: E402
from lib.proxies import PROXIES                                                 # noqa: E402
from lib.report import about_program, keep, summarise                           # noqa: E402

TOOLS = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 else ".")


def tool(name):
    return os.path.join(TOOLS, name)


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
            # on a busy machine who goes last would not get there in time
            with mock.patch("lib.attack.GRACE_SECONDS", 9 if share else 0), \
                    mock.patch("lib.attack.go_last") as last, \
                    self.bench(part, PRETENDER.replace("CUT", cut)
                               .replace("settimeout(0.01)", "settimeout(%s)" % cut)) as bench:
                figures = measure_attack(bench, "weir")
            # a busy machine may lose one of them
            self.assertAlmostEqual(figures["cut"], share, delta=0.2)
            self.assertEqual(figures["attackers"]["begun"], 20)
            self.assertEqual(figures["last_cut_s"] is None, figures["cut"] == 0)
            self.assertGreater(figures["p99_ratio"], 0)
            self.assertGreater(figures["sink_ratio"], 0)
            self.assertEqual(last.call_count, 4)    # attackers twice, their sink, the watch

    def test_flood(self):
        """The origin as the proxy: it speaks h2, and does not mind."""
        part = Part("", ["-c", "2", "--h2", "--rate", "50"], attack="pings", connections=2, h2=True,
                    deadline=0.5)
        script = f"#!/bin/sh\nexec {tool('origin')} --h2 127.0.0.1:0\n"
        with mock.patch("lib.attack.go_last") as last, self.bench(part, script) as bench:
            figures = measure_flood(bench, "weir")
        self.assertEqual((figures["told"], figures["flooders"]["refused"], last.call_count),
                         (0 if not figures["cut"] else figures["told"], 0, 1))
        self.assertGreater(figures["p99_ratio"], 0)
        self.assertGreater(figures["longest_s"], 0)

    def test_who_goes_first(self):
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
            go_last(process.pid)
            self.assertEqual(os.sched_getscheduler(process.pid), os.SCHED_IDLE)
            first = go_first(process.pid)
            self.assertEqual(os.sched_getscheduler(process.pid),
                             os.SCHED_FIFO if first else os.SCHED_IDLE)

    def test_open_and_reuse(self):
        with self.bench(Part("", ["--length", "1024"], connections=500)) as bench:
            figures = measure_open(bench, "floor")
            self.assertEqual(figures["open"], 500)
            self.assertGreater(figures["growth"], 0.1)
            self.assertEqual(bench.notes, {})
        with self.bench(Part("", ["-c", "20", "--rate", "500", "--close"])) as bench:
            self.assertEqual(measure_reuse(bench, "floor")["opened"], 100000)

    def test_beside(self):
        part = Part("", ["-c", "4", "--rate", "200"], beside=["-c", "8", "--rate", "100"],
                    origin=["--delay", "20ms"], connections=50, least_us=20000)
        with self.bench(part) as bench:
            figures = measure_beside(bench, "floor")
            self.assertGreater(figures["cpu_us"], 0)
            self.assertGreater(figures["wait_us"], 0)
            bench.part = replace(part, least_us=60000000)
            with self.assertRaisesRegex(BenchError, "should wait take"):
                measure_beside(bench, "floor")

    def test_what_is_added(self):
        def run(us, *requests):
            return {"us": us, "busy": 0.5, "foreign": 0.0, "steal": 0.0, "results": [
                {"requests": n, "rate": n, "classes": [{"p50_us": 50000, "p99_us": 1}]}
                for n in requests]}
        runs = {"quiet": [run(900, 100), run(1100, 100)], "alone": [run(4000, 200)] * 2,
                "both": [run(4500 + 1000 * 0.6, 100, 200)] * 2}
        figures = figures_of(runs)      # 10 us each; 20 us; 11 us are left
        self.assertAlmostEqual(figures["added"], 1.1)
        self.assertAlmostEqual(figures["wait_us"], 20)
        self.assertAlmostEqual(figures["waiting"], 10)

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
            wrong = self.assertRaisesRegex(BenchError, why) if why else contextlib.nullcontext()
            with self.subTest(agreed=agreed, load=load, resumed=resumed), wrong:
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
                             {"h2o": "it\n died"}, "cannot": {"pingora": "by nature"},
                             "notes": ["a note"]}), "when": when}

    def test_page(self):
        program = about_program("parser", "512 heads: 143 ns\nAVX2  143.1  0.278  0.263 to 0.308  "
                                "at most 0.45: reached\n", TOOLS)
        page, pictures = self.make([[self.summary("2026-01-02", 25.0), program],
                                    [self.summary("2026-01-01", 10.0)]],
                                   "# Remarks\n\n## post\n\nTried this.\n\n"
                                   "## fields\n\nNot here.\n")
        self.assertIn("| weir | 25.00 | - | - | - | - | - | 2.00 | 1.250 [1.250, 1.250] |", page)
        self.assertIn("| post | POST 16 KiB, 64 connections | weir: cpu_us at most 0.95 x nginx | "
                      "1.250 [1.250, 1.250] | NOT reached |", page)
        self.assertIn("- post, POST 16 KiB, 64 connections: nginx 20.00 against 25.00 (CPU us), in "
                      "9 of 9 rounds.", page)
        self.assertNotIn("haproxy 30.00 against", page)
        self.assertIn("- post, POST 16 KiB, 64 connections: weir cpu_us at most 0.95 x nginx is not "
                      "reached: 1.250 [1.250, 1.250].", page)
        self.assertIn("(#post-request-bodies-of-16-kib)\n", page)
        self.assertIn("\n## post: request bodies of 16 KiB\n", page)
        self.assertIn("| parser | AVX2 | at most 0.45 | 0.278 [0.263, 0.308] | reached |", page)
        self.assertIn("| fields | 20 + 15 fields, 1 KiB, 64 connections | weir: cpu_us at most 0.9 x "
                      "haproxy | - | not measured |", page)
        self.assertIn("| pingora | - | - | - | - | - | - | - | - |", page)
        self.assertIn("a note. No figure for h2o: it died. No figure for pingora: by nature. In 9 "
                      "of 9 rounds others used", page)
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
