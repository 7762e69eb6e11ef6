"""System calls per request, counted by strace in a phase of their own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

from lib import BenchError
from lib.measure import PATIENCE, go
from lib.processes import Process


def attach_strace(proxy, core, path):
    """strace -c on all of a proxy's processes; returns once it holds them."""
    pids = proxy.pids()
    argv = ["/usr/bin/strace", "-f", "-c", "-o", path]
    for pid in pids:
        argv += ["-p", str(pid)]
    strace = Process("strace", argv, {core}, path + ".log")

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
    """By name, over a short phase under strace. It slows the proxy down, so this phase yields
    nothing else."""
    if shutil.which("strace", path="/usr/bin:/bin") is None:
        raise BenchError("strace is not installed: apt-get install --no-install-recommends strace")
    path = os.path.join(bench.dir, "strace.txt")
    with bench.proxy(name) as (proxy, address), \
            bench.warm_load(address, ["-n", str(bench.part.counted)]) as load:
        with attach_strace(proxy, bench.load_core, path) as strace:
            _, origin = go(bench, load, proxy, 60)
            strace.popen.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                strace.popen.wait(PATIENCE)
    return read_summary(path, origin["requests"])
