"""Ordinary requests while others are as slow as they can be.

In one process after the other: the ordinary load alone (open loop, so that its latency is that of
users who do not wait for each other), then attackers, then the same load again beside them, for a
second longer than the attackers' deadline. When they are cut is seen from outside, as connections
of the proxy's port that are no more established: an attacker that does not read would not learn it.
"""

import json
import os
import threading
import time

from lib import BenchError
from lib.measure import PATIENCE, check_load

SAMPLE_SECONDS = 0.1
GRACE_SECONDS = 3       # how much later than the deadline we still look
ESTABLISHED = "01"


def established(port):
    """How many connections the server on a port of 127.0.0.1 has that it did not close."""
    end, count = f":{port:04X}", 0
    with open("/proc/net/tcp") as f:
        for line in f:
            words = line.split(None, 4)
            if words[1].endswith(end) and words[3] == ESTABLISHED:
                count += 1
    return count


class Watch(threading.Thread):
    """Looks when the connections beyond `others` are gone: `gone` seconds after it was made. A look
    at some thousand connections takes milliseconds, which the load must not wait for: it has the
    lowest priority, and the first one is shortly before the `deadline`."""

    def __init__(self, address, others, deadline):
        super().__init__(daemon=True)
        self.first = deadline - 2 * SAMPLE_SECONDS
        self.port, self.others = int(address.rsplit(":", 1)[1]), others
        self.begin, self.gone, self.left = time.monotonic(), None, None
        self.over = False

    def run(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        time.sleep(self.first)
        while not self.over and self.gone is None:
            self.left = max(0, established(self.port) - self.others)
            if self.left == 0:
                self.gone = time.monotonic() - self.begin
            time.sleep(SAMPLE_SECONDS)


def ordinary(bench, proxy, address, seconds):
    """The 99th percentile in us; every request must have gone well."""
    with bench.warm_load(address, ["-t", f"{int(seconds * 1000)}ms"]) as load:
        load.write("\n")
        result = json.loads(load.line(seconds + PATIENCE, "result"))
    proxy.check_alive()
    check_load(result, proxy)
    return result["classes"][0]["p99_us"]


def measure_attack(bench, name):
    part = bench.part
    others = int(part.load[part.load.index("-c") + 1])
    argv = ["-c", str(part.connections), "-t", "2m", "--attack", part.attack]
    with bench.proxy(name) as (proxy, address):
        quiet = ordinary(bench, proxy, address, bench.options.seconds)
        with bench.tool("load", [*argv, address]) as attackers:
            # on the load's core, whose latency is what counts: it does not wait for them
            os.setpriority(os.PRIO_PROCESS, attackers.popen.pid, 19)
            attackers.line(PATIENCE, "attack")
            watch = Watch(address, others, part.deadline)
            watch.start()
            busy = ordinary(bench, proxy, address, part.deadline + 1)
            watch.join(max(0, watch.begin + part.deadline + GRACE_SECONDS - time.monotonic()))
            watch.over = True
            attackers.popen.stdin.close()
            told = json.loads(attackers.line(PATIENCE, "attackers"))
        proxy.check_alive()
    if told["begun"] != part.connections:
        raise BenchError(f"only {told['begun']} of {part.connections} attackers got in")
    return {
        "p99_ratio": busy / quiet, "quiet_p99_us": quiet, "p99_us": busy,
        "cut": 1 - watch.left / part.connections, "last_cut_s": watch.gone,
        "first_cut_s": told["first_cut_ms"] / 1000 if told["cut"] else None, "attackers": told,
    }
