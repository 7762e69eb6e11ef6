"""What one load costs another: requests that wait in a filter, beside requests that do not.

In one process after the other, and then in the opposite order: the ordinary load alone, the waiting
one alone, both at once, each in open loop, so that all three have the same rates. Of the processor
time of both, what the waiting requests cost by themselves is taken off; the rest belongs to the
ordinary ones:

    added = (CPU of both - waiting requests * CPU of one of them alone) / ordinary requests
            / CPU of an ordinary request alone

Requests that are ready together share wake-ups, so below 1 is possible.
"""

import json

from lib import BenchError
from lib.measure import PATIENCE, check_kept, check_load
from lib.processes import TICKS, core_ticks


def readings(bench, proxy):
    return bench.counters()["requests"], core_ticks(bench.proxy_core), proxy.cpu()


def run_together(bench, proxy, address, loads):
    """The loads at once, each with its own gate: (their results, the proxy's CPU in us, its share
    of the core, what others took of it)."""
    seconds, running = bench.options.seconds, []
    span = ["-t", f"{int(seconds * 1000)}ms"]
    try:
        for argv in loads:
            running.append(bench.tool("load", [*argv, "--gate", "--warmup",
                                               f"{int(bench.options.warmup * 1000)}ms", *span,
                                               address]))
            running[-1].line(bench.options.warmup + PATIENCE, "end of the warm-up")
        count, core, cpu = readings(bench, proxy)
        for load in running:
            load.write("\n")
        results = [json.loads(load.line(seconds + PATIENCE, "result")) for load in running]
        proxy.check_alive()
        count_after, core_after, cpu_after = readings(bench, proxy)
    finally:
        for load in running:
            load.stop()
    for result, argv in zip(results, loads):
        check_load(result, proxy)
        check_kept(result, argv)
    sent = sum(result["requests"] for result in results)
    if count_after - count != sent:
        raise BenchError(f"the loads count {sent} requests, the origin {count_after - count}")
    used = (cpu_after["ns"] - cpu["ns"]) / 1e9
    took = max(result["seconds"] for result in results)
    busy = (core_after["busy"] - core["busy"]) / TICKS
    return {"results": results, "us": used * 1e6, "busy": used / took,
            "foreign": max(0.0, busy - used) / took,
            "steal": (core_after["steal"] - core["steal"]) / TICKS / took}


def measure_beside(bench, name):
    """There and back again, so that a drift of the host meets all three alike."""
    ordinary, waiting = bench.part.load, bench.part.beside
    phases = {"quiet": [ordinary], "alone": [waiting], "both": [ordinary, waiting]}
    runs = {key: [] for key in phases}
    with bench.proxy(name, bench.part.connections) as (proxy, address):
        for key in [*phases, *reversed(phases)]:
            runs[key].append(run_together(bench, proxy, address, phases[key]))
    for run in runs["both"]:
        check_rates(bench, run, (ordinary, waiting))
    return figures_of(runs)


def check_rates(bench, run, loads):
    """That the requests wait, and as many as were asked for."""
    took = run["results"][1]["classes"][0]["p50_us"]
    if took < bench.part.least_us:
        raise BenchError(f"the requests that should wait take {took} us")
    for result, argv in zip(run["results"], loads):
        wanted = int(argv[argv.index("--rate") + 1])
        if result["rate"] < 0.95 * wanted:
            bench.note(f"not all of {wanted} requests a second could be sent")


def total(runs, index):
    return sum(run["results"][index]["requests"] for run in runs)


def figures_of(runs):
    """`runs`: those of each phase."""
    us = {key: sum(run["us"] for run in of) for key, of in runs.items()}
    quiet_us, wait_us = (us[key] / total(runs[key], 0) for key in ("quiet", "alone"))
    beside_us = (us["both"] - total(runs["both"], 1) * wait_us) / total(runs["both"], 0)
    last = runs["both"][-1]["results"]
    return {
        "added": beside_us / quiet_us, "cpu_us": quiet_us, "beside_us": beside_us,
        "wait_us": wait_us, "waiting": last[1]["rate"] * last[1]["classes"][0]["p50_us"] / 1e6,
        "busy": runs["both"][-1]["busy"],
        "quiet_p99_us": runs["quiet"][-1]["results"][0]["classes"][0]["p99_us"],
        "p99_us": last[0]["classes"][0]["p99_us"],
        **{key: max(run[key] for of in runs.values() for run in of)
           for key in ("foreign", "steal")},
    }
