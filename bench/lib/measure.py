"""One measurement: a proxy alone on its core, load and origin on the other.

The load warms up, stops, and says so; then the readings are taken while nothing moves, the
counted phase runs to its last response, and the readings are taken again. So the count of the
origin and the run time of the proxy belong to exactly the same requests.
"""

import contextlib
import json
import os
import signal
import threading
import time

from lib import BenchError
from lib.certs import make_certificate
from lib.processes import TICKS, Process, core_ticks, go_first
from lib.proxies import PROXIES, Setup

OPEN_WARMUP = 1.0       # seconds in which each of many connections is used at least once
PATIENCE = 30           # seconds beyond what a phase should take


class Bench:
    """What stays the same over the rounds of one part: the origin, the certificate, the directory.
    Leaving it waits for what was put off by later()."""

    def __init__(self, part, options, directory, files):
        self.part, self.options, self.dir, self.files = part, options, directory, files
        self.proxy_core, self.load_core = options.cores
        self.origin = None
        self.certificate = make_certificate(directory) if part.tls or part.origin_tls else None
        self.threads = []
        self.failed = {}        # by proxy: what later() could not do
        self.notes = {}         # whatever a reader of the figures has to know, once

    def __enter__(self):
        tls = ["--cert", self.certificate.cert, "--key", self.certificate.key] \
            if self.part.origin_tls else []
        self.origin = self.tool("origin", [*tls, *self.part.origin, "127.0.0.1:0"])
        try:
            self.origin_address = self.origin.wait_ready_line()
        except BaseException:
            self.origin.stop()
            raise
        return self

    def __exit__(self, *_):
        self.join()
        self.origin.stop()

    def note(self, text):
        self.notes[text] = True

    def join(self):
        for thread in self.threads:
            thread.join()
        self.threads.clear()

    def later(self, name, seconds, work):
        """Does `work` in so many seconds, while other proxies are measured: for what only takes
        time and no processor."""
        due = time.monotonic() + seconds

        def run():
            time.sleep(max(0, due - time.monotonic()))
            try:
                work()
            except BenchError as e:
                self.failed[name] = str(e)
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def tool(self, name, argv):
        path = os.path.join(self.options.build, "bench", name)
        return Process(name, [path, *argv], {self.load_core},
                       os.path.join(self.dir, f"{name}.log"))

    @contextlib.contextmanager
    def proxy(self, name, connections=0):
        """Running; able to hold so many connections, if that is more than usual."""
        part = self.part
        setup = Setup(self.options.build, self.dir, self.options.cores, self.origin_address,
                      self.files, part.extra, self.certificate if part.tls else None, part.h2,
                      part.origin_tls, part.origin_h2, part.pool, connections)
        process, address = PROXIES[name].launch(setup)
        with process:
            yield process, address

    def counters(self):
        """The origin's."""
        self.origin.check_alive()
        os.kill(self.origin.pid, signal.SIGUSR1)
        return json.loads(self.origin.line(PATIENCE, "counters"))

    @contextlib.contextmanager
    def warm_load(self, address, more, warmup=0):
        """A load that has warmed up, for so long at least, and waits at its gate."""
        warmup = max(warmup, self.options.warmup)
        argv = [*self.part.load, "--gate", "--warmup", f"{int(warmup * 1000)}ms", *more, address]
        with self.tool("load", argv) as load:
            load.line(warmup + PATIENCE, "end of the warm-up")
            yield load

    def prefer(self, process, rank=2):
        """It goes before whatever else is on its core and has no higher rank."""
        if not all([go_first(task, rank) for _, task in process.tasks()]):
            self.note("load and origin could not go before whatever else is on their core: that needs "
                      "root")


def check_tls(load, result):
    """Every proxy is to have done the work that the case is about."""
    if "--tls" not in load:
        return
    version = load[load.index("--tls-version") + 1] if "--tls-version" in load else ""
    if not result["tls"].startswith("TLSv" + version) and result["tls"]:
        raise BenchError(f"the case wants TLS {version}, agreed was {result['tls']}")
    wanted = result["opened"] if "--resume" in load else 0
    if result["resumed"] != wanted:
        raise BenchError("of %d handshakes %d were resumed, not %d" % (
            result["opened"], result["resumed"], wanted))


def check_kept(result, load):
    """Connections that are closed and opened again would be another case's work."""
    if result["opened"] and "--close" not in load:
        raise BenchError("%d connections had to be opened again, %d were closed by the proxy" % (
            result["opened"], result["closed_by_peer"]))


def check_load(result, proxy):
    if result["failures"]:
        raise BenchError("%d failed requests %s, the first: %s; the proxy said: %s" % (
            result["failures"], result["failure_kinds"], result["first_failure"], proxy.said()))


def go(bench, load, proxy, seconds):
    """Opens the gate; the load's result, if every request went well and reached the origin."""
    before = bench.counters()
    load.write("\n")
    result = json.loads(load.line(seconds + PATIENCE, "result"))
    proxy.check_alive()
    after = bench.counters()
    origin = {key: after[key] - before[key] for key in after}
    check_load(result, proxy)
    if origin["refused"]:
        raise BenchError(f"the origin refused {origin['refused']} requests: {bench.origin.said()}")
    if origin["requests"] != result["requests"] or not result["requests"]:
        raise BenchError("the load counts %d requests, the origin %d" % (
            result["requests"], origin["requests"]))
    check_tls(bench.part.load, result)
    check_kept(result, bench.part.load)
    return result, origin


def cpu_of(bench, proxy, address, more=(), warmup=0, first=False):
    """A load against a running proxy: CPU per request, rate, latencies. `first`: the load goes
    before whatever else is on its core."""
    seconds = bench.options.seconds
    with bench.warm_load(address, [*more, "-t", f"{int(seconds * 1000)}ms"], warmup) as load:
        if first:
            bench.prefer(load)
        core_before, cpu_before = core_ticks(bench.proxy_core), proxy.cpu()
        result, origin = go(bench, load, proxy, seconds)
        cpu_after, core_after = proxy.cpu(), core_ticks(bench.proxy_core)
    n = origin["requests"]
    cpu = {key: cpu_after[key] - cpu_before[key] for key in cpu_after}
    core = {key: core_after[key] - core_before[key] for key in core_after}
    ticks = cpu["user_ticks"] + cpu["system_ticks"]
    cpu_us = cpu["ns"] / 1000 / n
    user_us = cpu_us * cpu["user_ticks"] / ticks if ticks else 0.0
    busy_ticks = cpu["ns"] / 1e9 * TICKS
    wall_ticks = result["seconds"] * TICKS
    return {
        "cpu_us": cpu_us, "user_us": user_us, "system_us": cpu_us - user_us,
        "requests": n, "rate": result["rate"],
        **{key: result["classes"][0][key] for key in ("p50_us", "p90_us", "p99_us", "p999_us")},
        "classes": result["classes"], "tls": result["tls"],
        "upstream_opened": origin["accepted"],
        "foreign": max(0.0, core["busy"] - busy_ticks) / wall_ticks,
        "steal": core["steal"] / wall_ticks,
    }


def measure_cpu(bench, name):
    with bench.proxy(name) as (proxy, address):
        return cpu_of(bench, proxy, address)


def measure_reuse(bench, name):
    """How many upstream connections 100,000 requests open. With several workers the load's core is
    theirs, too: what others take of the proxy's core cannot be told."""
    figures = measure_cpu(bench, name)
    figures["opened"] = figures["upstream_opened"] / figures["requests"] * 100000
    figures["reuse"] = 1 - figures["upstream_opened"] / figures["requests"]
    return {**figures, "foreign": 0}


def measure_uneven(bench, name):
    """Latency of the light requests beside the heavy ones. The load shares a core with a worker:
    what that computes does not keep it from sending. And who is woken for the proxy finds the core
    where nobody computes, as he would where there are more of them."""
    bench.prefer(bench.origin)
    with bench.proxy(name) as (proxy, address):
        bench.prefer(proxy, 1)
        figures = cpu_of(bench, proxy, address, first=True)
    light, heavy = figures["classes"]
    return {**figures, "light_p50_us": light["p50_us"], "light_p99_us": light["p99_us"],
            "heavy_p99_us": heavy["p99_us"], "foreign": 0}


def measure_busy(bench, name):
    """Time for each request of a load that keeps all workers busy."""
    figures = measure_cpu(bench, name)
    return {**figures, "each_us": 1e6 / figures["rate"], "foreign": 0}


def measure_open(bench, name):
    """The same work on few connections and on many, one after the other in one process. The floor
    needs two descriptors for each: where the limit does not allow that, all get fewer."""
    many = min(bench.part.connections, (bench.files - 1000) // 2)
    if many < bench.part.connections:
        bench.note(f"only {many} connections: the limit of descriptors is {bench.files}")
    with bench.proxy(name, many) as (proxy, address):
        few = cpu_of(bench, proxy, address, ["-c", "64"])
        all_ = cpu_of(bench, proxy, address, ["-c", str(many), "--busy", "64"],
                      OPEN_WARMUP)
    return {**all_, "few_cpu_us": few["cpu_us"], "growth": all_["cpu_us"] / few["cpu_us"],
            "open": many, "foreign": max(few["foreign"], all_["foreign"]),
            "steal": max(few["steal"], all_["steal"])}
