"""Memory for each connection: what a proxy's own pages grow by while many are held.

Counted is PSS of anonymous and shared memory (swap included) of all its processes: what the
program asked for, not its files, and not the kernel's sockets, which are the same for all. Before
the first reading a few connections are served and closed, so that what is allocated once and for
all is not divided among the connections.

What is still there ten seconds after the last connection was closed is read while other proxies are
measured: it costs time and no processor.
"""

import contextlib
import json
import time

from lib import BenchError
from lib.measure import PATIENCE, check_load, check_tls

GIVEN_BACK_AFTER = 10   # seconds
KINDS_OF_PAGES = ("Pss_Anon", "Pss_Shmem", "SwapPss")
WARM_REQUESTS = 2000
QUIET_KIB = 32          # readings that differ by less are the same
SETTLE_SECONDS = 3


def read_kib(proxy):
    total = 0
    for pid in proxy.pids():
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    name, _, rest = line.partition(":")
                    if name in KINDS_OF_PAGES:
                        total += int(rest.split()[0])
    if total == 0:
        raise BenchError(f"/proc tells nothing about the memory of {proxy.name}")
    return total


def settled_kib(proxy):
    """Once two readings, 200 ms apart, say the same; or the last of three seconds."""
    end, last = time.monotonic() + SETTLE_SECONDS, read_kib(proxy)
    while time.monotonic() < end:
        time.sleep(0.2)
        now = read_kib(proxy)
        if abs(now - last) < QUIET_KIB:
            return now
        last = now
    return last


def warm_up(bench, proxy, address):
    tls = (["--tls"] if bench.part.tls else []) + (["--h2"] if bench.part.h2 else [])
    with bench.tool("load", ["-c", "16", "-n", str(WARM_REQUESTS), *tls, address]) as load:
        check_load(json.loads(load.line(PATIENCE, "warm-up")), proxy)


def hold(bench, proxy, address):
    """All connections open; what the proxy takes then. They are closed on the way out."""
    part = bench.part
    argv = ["-c", str(part.connections), "--busy", "1000" if "waiting" in part.load else "64",
            "-t", "2m", *part.load, address]
    with bench.tool("load", argv) as holder:
        holder.line(2 * PATIENCE, "open connections")
        peak = settled_kib(proxy)
        holder.popen.stdin.close()
        result = json.loads(holder.line(PATIENCE, "result"))
    check_load(result, proxy)
    check_tls(part.load, result)
    if result["open"] != part.connections:
        raise BenchError(f"of {part.connections} connections only {result['open']} were held")
    return peak


def measure_memory(bench, name):
    with contextlib.ExitStack() as stack:
        proxy, address = stack.enter_context(bench.proxy(name))
        warm_up(bench, proxy, address)
        base = settled_kib(proxy)
        peak = hold(bench, proxy, address)
        figures = {"each_b": (peak - base) * 1024 / bench.part.connections,
                   "base_mib": base / 1024, "peak_mib": peak / 1024}
        running = stack.pop_all()

    def read_again():
        with running:
            after = read_kib(proxy)
            figures["after_mib"] = after / 1024
            if peak > base:
                figures["given_back"] = (peak - after) / (peak - base)
    bench.later(name, GIVEN_BACK_AFTER, read_again)
    return figures
