#!/usr/bin/python3
"""bench/run.py -- measures weir against its peers on this machine. README.md tells the method."""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import BenchError, pingora                                                      # noqa: E402
from lib.calls import count_calls                                               # noqa: E402
from lib.cases import CASES, PROGRAMS                                           # noqa: E402
from lib.figures import LEAST_ROUNDS                                            # noqa: E402
from lib.kinds import KINDS                                                     # noqa: E402
from lib.measure import Bench                                                   # noqa: E402
from lib.processes import check_cores, raise_file_limit                         # noqa: E402
from lib.proxies import PROXIES                                                 # noqa: E402
from lib.report import about_program, keep, show, summarise                     # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CASE_SECONDS = 290      # a case ends below 5 minutes, whatever was asked


def list_cases():
    about = {**{c.name: c.about for c in CASES.values()}, **PROGRAMS,
             "all": "each of them; the results are appended to bench/results/DATE.json"}
    return "\n".join(f"  {name:<11} {text}" for name, text in about.items())


def pair_of_cores(text):
    proxy, load = (int(core) for core in text.split(","))
    return proxy, load


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="./dev bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures weir against its peers.", epilog="cases:\n" + list_cases())
    parser.add_argument("case", nargs="?", default="help", metavar="CASE",
                        choices=[*CASES, *PROGRAMS, "all", "help"], help="a case, all, or help")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (9 to 11, by case; a "
                        f"verdict needs {LEAST_ROUNDS})")
    parser.add_argument("--seconds", type=float, help="counted time of a proxy in a round (1 to 5, "
                        "by case)")
    parser.add_argument("--warmup", type=float, default=0.4, help="before it (0.4)")
    parser.add_argument("--only", metavar="NAMES", help="of " + ",".join(PROXIES) + "; the first "
                        "part of a name stands for all that begin so")
    parser.add_argument("--no-calls", action="store_true", help="do not count system calls")
    parser.add_argument("--cores", type=pair_of_cores, default=(0, 1), metavar="P,L",
                        help="for the proxy, for load and origin (0,1)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"), metavar="DIR",
                        help="the build to measure (build/release)")
    parser.add_argument("--result", "--json", metavar="FILE", help="append the results to FILE, "
                        "a JSON array with an object for each load")
    options = parser.parse_args(argv)
    if options.case == "help":
        parser.print_help()
        sys.exit(0)
    if options.only:
        options.only = options.only.split(",")
        for name in options.only:
            if name not in PROXIES:
                parser.error(f"--only: {name} is none of {', '.join(PROXIES)}")
    if (options.rounds or 1) < 1 or not 0.1 <= (options.seconds or 1) <= 60:
        parser.error("at least 1 round, of 0.1 to 60 seconds")
    if options.case == "all" and not options.result:
        today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
        options.result = os.path.join(ROOT, "bench/results", today + ".json")
    return options


def rotated(names, by):
    by %= max(1, len(names))    # none is left where all that were asked for cannot do it
    return names[by:] + names[:by]


def run_rounds(bench, kind, names, options, end, failed):
    """A B C, B C A, C A B: a drift of the host meets everybody alike. A proxy that fails is out."""
    rounds, longest = [], 0.0
    for i in range(options.rounds):
        start = time.monotonic()
        if start + longest > end:
            print(f"  stopped after {i} rounds: the case's time is over", file=sys.stderr)
            break
        figures = {}
        for name in rotated(names, i):
            if name in failed:
                continue
            try:
                figures[name] = KINDS[kind].measure(bench, name)
            except BenchError as e:
                failed[name] = str(e)
        rounds.append(figures)
        longest = max(longest, time.monotonic() - start)
        compared = KINDS[kind].columns[0].metric
        print(f"  round {i + 1}: " + "  ".join(f"{n} {figures[n][compared]:.2f}" for n in names
                                               if n in figures), file=sys.stderr)
    bench.join()
    failed.update(bench.failed)
    # A proxy that failed once has no figure at all.
    return [{n: f for n, f in r.items() if n not in failed} for r in rounds]


def run_calls(bench, names, failed, end):
    """Until `end`: the rounds need their time."""
    calls = {}
    for name in names:
        if name in failed:
            continue
        if time.monotonic() > end:
            print(f"  calls of {name} were not counted: no time is left for it", file=sys.stderr)
            continue
        try:
            calls[name] = count_calls(bench, name)
        except BenchError as e:
            print(f"  calls of {name} were not counted: {e}", file=sys.stderr)
    return calls


def wanted(case, part, options):
    """`chosen`, without those that cannot be had everywhere where they cannot."""
    names, missing = chosen(case, part, options.only), {}
    if "pingora" in names:
        missing["pingora"] = pingora.make(ROOT, options.build)
    if "weir-before" in names and not os.path.exists(
            PROXIES["weir-before"].binary.format(build=options.build)):
        missing["weir-before"] = "no build/before"
    for name, why in missing.items():
        if why:
            print(f"SKIP {name}: {why}")
    return [n for n in names if not missing.get(n)]


def chosen(case, part, only):
    """The case's proxies that were asked for; others as well, if they were asked for by name."""
    proxies = part.proxies or case.proxies
    if not only:
        return list(proxies)
    named = [[n for n in proxies if n == asked or n.startswith(asked + "-")] or [asked]
             for asked in only]
    return list(dict.fromkeys(n for names in named for n in names))


def run_part(case, part, options, files, end):
    """Measures and shows one kind of load. True if every proxy has figures."""
    asked, begin = wanted(case, part, options), time.monotonic()
    names = [n for n in asked if n not in part.cannot]
    failed, versions = {}, {}
    for name in names:
        try:
            versions[name] = PROXIES[name].version_text(options.build)
        except BenchError as e:
            failed[name] = str(e)
    print(f"{case.name}: {part.title}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory, \
            Bench(part, options, directory, files) as bench:
        counted = case.kind == "cpu" and case.calls and not options.no_calls
        calls = run_calls(bench, names, failed, begin + (end - begin) / 4) if counted else {}
        rounds = run_rounds(bench, case.kind, names, options, end, failed)
    summary = summarise(case, part, names, options, versions, ROOT,
                        {"rounds": rounds, "calls": calls, "failed": failed,
                         "cannot": {n: part.cannot[n] for n in asked if n in part.cannot},
                         "notes": list(bench.notes)})
    show(summary)
    if options.result:
        keep(options.result, summary)
    return not failed


def run_case(case, options, files):
    """Its parts share the case's time."""
    good, end = True, time.monotonic() + CASE_SECONDS
    options = argparse.Namespace(**vars(options))
    options.rounds = options.rounds or case.rounds
    options.seconds = options.seconds or case.seconds
    for i, part in enumerate(case.parts):
        share = (end - time.monotonic()) / (len(case.parts) - i)
        good = run_part(case, part, options, files, time.monotonic() + share) and good
    return good


def run_program(name, options):
    """A program of ours that measures by itself, on the proxy's core; its words are the result."""
    path = os.path.join(options.build, "bench", name)
    if not os.access(path, os.X_OK):
        print(f"{name}: no figure: {path} is not there: build it: ./dev build")
        return False
    core = options.cores[0]
    try:
        run = subprocess.run([path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                             timeout=CASE_SECONDS,
                             preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    except subprocess.TimeoutExpired:
        print(f"{name}: no figure: it did not end within {CASE_SECONDS} s")
        return False
    print(run.stdout, end="")
    if options.result and run.returncode == 0:
        keep(options.result, about_program(name, run.stdout, ROOT))
    return run.returncode == 0


def main(argv):
    options = parse(argv)
    files = raise_file_limit()
    good = True
    try:
        check_cores(options.cores)
        os.sched_setaffinity(0, {options.cores[1]})     # what we do is no work for the proxy's core
        for name in [*CASES, *PROGRAMS] if options.case == "all" else [options.case]:
            if name in PROGRAMS:
                good = run_program(name, options) and good
            else:
                good = run_case(CASES[name], options, files) and good
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
