"""Ordinary requests beside HTTP/2 clients that make work and bring nothing.

As in attack.py: the ordinary load alone, then the same beside the floods, which run on what load
and origin leave of their core. A client that is cut off comes back a tenth of a second later. How
long one can go on, and whether it is told why, is what the flooders see: GOAWAY with an error.
"""

import json

from lib import BenchError
from lib.attack import attackers_of, ordinary
from lib.measure import PATIENCE

MOST = 4000     # connections of a flood, in all


def measure_flood(bench, name):
    part = bench.part
    flood = ["-n", str(MOST), "--every", "10ms", "--flood", part.attack]
    bench.prefer(bench.origin)
    with bench.proxy(name) as (proxy, address):
        quiet = ordinary(bench, proxy, address, bench.options.seconds)
        with attackers_of(bench, address, flood) as flooders:
            busy = ordinary(bench, proxy, address, max(bench.options.seconds, part.deadline))
            flooders.popen.stdin.close()
            told = json.loads(flooders.line(PATIENCE, "flood"))
        proxy.check_alive()
    if told["refused"] or told["opened"] >= MOST:
        raise BenchError("%d of %d flooders were refused" % (told["refused"], told["opened"]))
    over = told["goaways"] + told["hangups"]
    return {
        "p99_ratio": busy / quiet, "quiet_p99_us": quiet, "p99_us": busy,
        "frames": told["frames"], "cut": over, "longest_s": told["longest_ms"] / 1000,
        "told": told["goaways"] / over if over else 0.0, "flooders": told,
    }
