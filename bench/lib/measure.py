"""One measurement: a proxy alone on its core, load and origin on the other.

The load warms up, stops, and says so; then the readings are taken while nothing moves, the
counted phase runs to its last response, and the readings are taken again. So the count of the
origin and the run time of the proxy belong to exactly the same requests.
"""

import contextlib
import json
import os
import re
import signal
import subprocess

from lib import BenchError
from lib.processes import TICKS, Process, core_ticks
from lib.proxies import PROXIES, Setup, has_strace

PATIENCE = 30           # seconds beyond what a phase should take
COUNTED_REQUESTS = 4000  # under strace


class Bench:
    """What stays the same over the rounds of one part: the origin, and the directory."""

    def __init__(self, part, options, directory, files):
        self.part, self.options, self.dir, self.files = part, options, directory, files
        self.proxy_core, self.load_core = options.cores
        self.origin = None

    def __enter__(self):
        self.origin = self.tool("origin", [*self.part.origin, "127.0.0.1:0"])
        try:
            self.origin_address = self.origin.wait_ready_line()
        except BaseException:
            self.origin.stop()
            raise
        return self

    def __exit__(self, *_):
        self.origin.stop()

    def tool(self, name, argv):
        path = os.path.join(self.options.build, "bench", name)
        return Process(name, [path, *argv], self.load_core, os.path.join(self.dir, f"{name}.log"))

    @contextlib.contextmanager
    def proxy(self, name):
        setup = Setup(self.options.build, self.dir, self.proxy_core, self.origin_address,
                      self.files, self.part.extra)
        process, address = PROXIES[name].launch(setup)
        with process:
            yield process, address

    def counters(self):
        """The origin's."""
        self.origin.check_alive()
        os.kill(self.origin.pid, signal.SIGUSR1)
        return json.loads(self.origin.line(PATIENCE, "counters"))

    @contextlib.contextmanager
    def warm_load(self, address, bounds):
        """A load that has warmed up and waits at its gate."""
        warmup = f"{int(self.options.warmup * 1000)}ms"
        argv = [*self.part.load, "--gate", "--warmup", warmup, *bounds, address]
        with self.tool("load", argv) as load:
            load.line(self.options.warmup + PATIENCE, "end of the warm-up")
            yield load


def go(bench, load, proxy, seconds):
    """Opens the gate; the load's result, if every request went well and reached the origin."""
    before = bench.counters()
    load.write("\n")
    result = json.loads(load.line(seconds + PATIENCE, "result"))
    proxy.check_alive()
    after = bench.counters()
    origin = {key: after[key] - before[key] for key in after}
    if result["failures"]:
        raise BenchError("%d failed requests %s, the first: %s; the proxy said: %s" % (
            result["failures"], result["failure_kinds"], result["first_failure"], proxy.said()))
    if origin["refused"]:
        raise BenchError(f"the origin refused {origin['refused']} requests: {bench.origin.said()}")
    if origin["requests"] != result["requests"] or not result["requests"]:
        raise BenchError("the load counts %d requests, the origin %d" % (
            result["requests"], origin["requests"]))
    return result, origin


def measure_cpu(bench, name):
    """One proxy in one round: CPU per request, rate, latencies."""
    seconds = bench.options.seconds
    with bench.proxy(name) as (proxy, address), \
            bench.warm_load(address, ["-t", f"{int(seconds * 1000)}ms"]) as load:
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
        "classes": result["classes"],
        "upstream_opened": origin["accepted"],
        "foreign": max(0.0, core["busy"] - busy_ticks) / wall_ticks,
        "steal": core["steal"] / wall_ticks,
    }


KINDS = {"cpu": measure_cpu}


def attach_strace(proxy, core, path):
    """strace -c on all of a proxy's processes; returns once it holds them."""
    pids = proxy.pids()
    argv = ["/usr/bin/strace", "-f", "-c", "-o", path]
    for pid in pids:
        argv += ["-p", str(pid)]
    strace = Process("strace", argv, core, path + ".log")

    def attached():
        with open(strace.log) as f:
            return len(re.findall(r"attached", f.read())) >= len(pids)
    try:
        strace.wait_until(attached, "did not attach")
    except BaseException:
        strace.stop()
        raise
    return strace


def read_summary(path, requests):
    """strace's table: name -> calls per request."""
    calls = {}
    with open(path) as f:
        for line in f:
            words = line.split()
            if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
                calls[words[-1]] = int(words[3]) / requests
    return calls


def count_calls(bench, name):
    """System calls per request, by name, over a short phase under strace. It slows the proxy down,
    so this phase yields nothing else."""
    if not has_strace():
        raise BenchError("strace is not installed: apt-get install --no-install-recommends strace")
    path = os.path.join(bench.dir, "strace.txt")
    with bench.proxy(name) as (proxy, address), \
            bench.warm_load(address, ["-n", str(COUNTED_REQUESTS)]) as load:
        with attach_strace(proxy, bench.load_core, path) as strace:
            _, origin = go(bench, load, proxy, 60)
            strace.popen.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                strace.popen.wait(PATIENCE)
    return read_summary(path, origin["requests"])
