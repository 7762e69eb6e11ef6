#!/usr/bin/python3
"""bench/run.py -- measures weir against its peers on this machine. README.md tells the method."""

import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import BenchError                                                      # noqa: E402
from lib.cases import CASES                                                     # noqa: E402
from lib.figures import LEAST_ROUNDS                                            # noqa: E402
from lib.measure import KINDS, Bench, count_calls                               # noqa: E402
from lib.processes import check_cores, raise_file_limit                         # noqa: E402
from lib.proxies import PROXIES                                                 # noqa: E402
from lib.report import COLUMNS, keep, show, summarise                           # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CASE_SECONDS = 290      # a case ends below 5 minutes, whatever was asked


def list_cases():
    return "\n".join(f"  {c.name:<11} {c.about}" for c in CASES.values()) + \
        "\n  all         each of them; the results are appended to bench/results.jsonl"


def pair_of_cores(text):
    proxy, load = (int(core) for core in text.split(","))
    return proxy, load


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="./dev bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures weir against its peers.", epilog="cases:\n" + list_cases())
    parser.add_argument("case", nargs="?", default="help", metavar="CASE",
                        choices=[*CASES, "all", "help"], help="a case, all, or help")
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds (11; a verdict "
                        f"needs {LEAST_ROUNDS})")
    parser.add_argument("--seconds", type=float, default=2.0, help="counted time of a proxy in a "
                        "round (2)")
    parser.add_argument("--warmup", type=float, default=0.4, help="before it (0.4)")
    parser.add_argument("--only", metavar="NAMES", help="of " + ",".join(PROXIES))
    parser.add_argument("--no-calls", action="store_true", help="do not count system calls")
    parser.add_argument("--cores", type=pair_of_cores, default=(0, 1), metavar="P,L",
                        help="for the proxy, for load and origin (0,1)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"), metavar="DIR",
                        help="the build to measure (build/release)")
    parser.add_argument("--result", "--json", metavar="FILE", help="append the results to FILE, a "
                        "line of JSON for each load")
    options = parser.parse_args(argv)
    if options.case == "help":
        parser.print_help()
        sys.exit(0)
    if options.only:
        options.only = options.only.split(",")
        for name in options.only:
            if name not in PROXIES:
                parser.error(f"--only: {name} is none of {', '.join(PROXIES)}")
    if options.rounds < 1 or not 0.1 <= options.seconds <= 60:
        parser.error("at least 1 round, of 0.1 to 60 seconds")
    if options.case == "all" and not options.result:
        options.result = os.path.join(ROOT, "bench/results.jsonl")
    return options


def rotated(names, by):
    by %= len(names)
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
                figures[name] = KINDS[kind](bench, name)
            except BenchError as e:
                failed[name] = str(e)
        rounds.append(figures)
        longest = max(longest, time.monotonic() - start)
        compared = COLUMNS[kind][0][1]
        print(f"  round {i + 1}: " + "  ".join(f"{n} {figures[n][compared]:.2f}" for n in names
                                               if n in figures), file=sys.stderr)
    # A proxy that failed once has no figure at all.
    return [{n: f for n, f in r.items() if n not in failed} for r in rounds]


def run_calls(bench, names, failed):
    calls = {}
    for name in names:
        if name in failed:
            continue
        try:
            calls[name] = count_calls(bench, name)
        except BenchError as e:
            print(f"  calls of {name} were not counted: {e}", file=sys.stderr)
    return calls


def run_part(case, part, options, files, end):
    """Measures and shows one kind of load. True if every proxy has figures."""
    names = [n for n in (options.only or case.proxies)]
    failed, versions = {}, {}
    for name in names:
        try:
            versions[name] = PROXIES[name].version_text(options.build)
        except BenchError as e:
            failed[name] = str(e)
    print(f"{case.name}: {part.title}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory, \
            Bench(part, options, directory, files) as bench:
        calls = {} if options.no_calls else run_calls(bench, names, failed)
        rounds = run_rounds(bench, case.kind, names, options, end, failed)
    summary = summarise(case, part, names, options, versions, ROOT,
                        {"rounds": rounds, "calls": calls, "failed": failed})
    show(summary)
    if options.result:
        keep(options.result, summary)
    return not failed


def run_case(case, options, files):
    """Its parts share the case's time."""
    good, start = True, time.monotonic()
    for i, part in enumerate(case.parts):
        end = start + CASE_SECONDS * (i + 1) / len(case.parts)
        good = run_part(case, part, options, files, end) and good
    return good


def main(argv):
    options = parse(argv)
    files = raise_file_limit()
    good = True
    try:
        check_cores(options.cores)
        for case in CASES.values() if options.case == "all" else [CASES[options.case]]:
            good = run_case(case, options, files) and good
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
