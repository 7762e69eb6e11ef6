"""Ordinary requests while others are as slow as they can be.

In one process after the other: the ordinary load alone (open loop, so that its latency is that of
users who do not wait for each other), then attackers, then the same load again beside them, for a
second longer than the attackers' deadline. When they are cut is seen from outside, as connections
of the proxy's port that are no more established: an attacker that does not read would not learn it.

Attackers have machines of their own; here they share a core with load and origin, whose latency is
what we look for. So load and origin go before whatever else is on their core, all the time, and the
attackers run when it has nothing else to do: what the ordinary requests wait for is then the proxy.
What is left of the attackers is measured: the same load beside attackers of whom the proxy knows
nothing, as they attack an origin of their own.
"""

import contextlib
import json
import threading
import time

from lib import BenchError
from lib.measure import PATIENCE, check_load
from lib.processes import go_last

SAMPLE_SECONDS = 0.1
SINK_SECONDS = 1
GRACE_SECONDS = 3       # how much later than the deadline we still look
ESTABLISHED = "01"


def established(port):
    """The clients, by address, of a server on a port of 127.0.0.1: of connections that neither side
    has closed."""
    end, clients = f":{port:04X}", set()
    with open("/proc/net/tcp") as f:
        for line in f:
            words = line.split(None, 4)
            if words[1].endswith(end) and words[3] == ESTABLISHED:
                clients.add(words[2])
    return clients


class Watch(threading.Thread):
    """Looks when the connections that are there now are gone: `gone` seconds after this. A look at
    some thousand connections takes milliseconds, which the load must not wait for: it is done
    when the core has nothing else to do, and the first one is shortly before the `deadline`."""

    def __init__(self, address, deadline):
        super().__init__(daemon=True)
        self.first = deadline - 2 * SAMPLE_SECONDS
        self.port = int(address.rsplit(":", 1)[1])
        self.all = established(self.port)
        self.begin, self.gone, self.left = time.monotonic(), None, None
        self.over = False

    def run(self):
        go_last(threading.get_native_id())
        time.sleep(self.first)
        while self.gone is None:
            self.left = len(self.all & established(self.port))
            if self.left == 0:
                self.gone = time.monotonic() - self.begin
            if self.over:
                break
            time.sleep(SAMPLE_SECONDS)


def ordinary(bench, proxy, address, seconds):
    """The 99th percentile in us; every request must have gone well."""
    with bench.warm_load(address, ["-t", f"{int(seconds * 1000)}ms"]) as load:
        bench.prefer(load)
        load.write("\n")
        result = json.loads(load.line(seconds + PATIENCE, "result"))
    proxy.check_alive()
    check_load(result, proxy)
    return result["classes"][0]["p99_us"]


@contextlib.contextmanager
def attackers_of(bench, address, how):
    """All of them, ready, on what is left of the load's core."""
    with bench.tool("load", ["-c", str(bench.part.connections), "-t", "2m", *how,
                             address]) as attackers:
        go_last(attackers.pid)
        attackers.line(PATIENCE, "attack")
        yield attackers


def beside_sink(bench, proxy, address, how):
    """The same percentile beside attackers that attack somebody else."""
    with bench.tool("origin", [*bench.part.origin, "127.0.0.1:0"]) as sink:
        go_last(sink.pid)
        with attackers_of(bench, sink.wait_ready_line(), how):
            return ordinary(bench, proxy, address, SINK_SECONDS)


def measure_attack(bench, name):
    part = bench.part
    how = ["--attack", part.attack]
    bench.prefer(bench.origin)
    with bench.proxy(name) as (proxy, address):
        quiet = ordinary(bench, proxy, address, bench.options.seconds)
        sink = beside_sink(bench, proxy, address, how)
        with attackers_of(bench, address, how) as attackers:
            watch = Watch(address, part.deadline)
            watch.start()
            busy = ordinary(bench, proxy, address, part.deadline + 1)
            watch.join(max(0, watch.begin + part.deadline + GRACE_SECONDS - time.monotonic()))
            watch.over = True
            watch.join()        # before the attackers leave by themselves
            attackers.popen.stdin.close()
            told = json.loads(attackers.line(PATIENCE, "attackers"))
        proxy.check_alive()
    if told["begun"] != part.connections:
        raise BenchError(f"only {told['begun']} of {part.connections} attackers got in")
    return {
        "p99_ratio": busy / quiet, "quiet_p99_us": quiet, "p99_us": busy,
        "sink_ratio": sink / quiet,
        "cut": 1 - watch.left / part.connections, "last_cut_s": watch.gone,
        "first_cut_s": told["first_cut_ms"] / 1000 if told["cut"] else None, "attackers": told,
    }
