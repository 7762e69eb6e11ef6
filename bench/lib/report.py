"""What is printed, and what is kept."""

import datetime
import json
import os
import platform
import subprocess

from lib.figures import compare, judge, middle

# For each kind of case: heading, metric, width, decimals. The first is the one that is compared.
COLUMNS = {
    "cpu": (
        ("CPU us", "cpu_us", 8, 2),
        ("user", "user_us", 7, 2),
        ("system", "system_us", 8, 2),
        ("req/s", "rate", 9, 0),
        ("p50 us", "p50_us", 9, 0),
        ("p99 us", "p99_us", 9, 0),
    ),
}
REFERENCES = ("nginx", "floor")
NOISE = 0.05    # more of the core than this used by others spoils a round


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                     platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release()}


def commit(root):
    run = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"],
                         capture_output=True, text=True, timeout=10)
    return run.stdout.strip() or "unknown"


def summarise(case, part, names, options, versions, root, measured):
    """One part of one case as it is kept in the result file, all rounds included."""
    rounds = measured["rounds"]
    bounds = case.bounds if "weir" in names else ()
    names = [name for name in names if any(name in r for r in rounds)]
    columns = COLUMNS[case.kind]
    compared = columns[0][1]
    return {
        "case": case.name, "part": part.title, "kind": case.kind, "compared": compared,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(), "commit": commit(root), "versions": versions,
        "seconds": options.seconds, "rounds_done": len(rounds),
        "medians": {n: {m: middle(rounds, m, n) for _, m, _, _ in columns} for n in names},
        "ratios": {n: {r: compare(rounds, compared, n, r) for r in REFERENCES if r in names}
                   for n in names},
        "bounds": [judge(rounds, b) for b in bounds],
        "calls": measured["calls"], "failed": measured["failed"], "rounds": rounds,
    }


def number(value, width, decimals):
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.{decimals}f}"


def ratio_text(figure):
    if not figure:
        return f"{'-':>22}"
    return f"{figure['median']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]".rjust(22)


def print_table(summary):
    references = [r for r in REFERENCES if r in summary["medians"]]
    columns = COLUMNS[summary["kind"]]
    print(f"\n{summary['case']}: {summary['part']}; {summary['rounds_done']} interleaved rounds of "
          f"{summary['seconds']:g} s, medians; ratios of {columns[0][0]} with their 95 % "
          "interval")
    print(f"{'':9}" + "".join(f"{title:>{width}}" for title, _, width, _ in columns)
          + f"{'calls':>7}" + "".join(f"   {'x ' + r:>22}" for r in references))
    for name, medians in summary["medians"].items():
        calls = summary["calls"].get(name)
        print(f"{name:9}"
              + "".join(number(medians[m], width, dec) for _, m, width, dec in columns)
              + number(sum(calls.values()) if calls else None, 7, 2)
              + "".join("   " + ratio_text(summary["ratios"][name][r]) for r in references))
    for name, calls in summary["calls"].items():
        print(f"  calls of {name}: " + ", ".join(
            f"{call} {n:.2f}" for call, n in sorted(calls.items(), key=lambda c: -c[1])
            if n >= 0.005))


def print_notes(summary):
    """Whatever makes a figure worth less."""
    for name, why in summary["failed"].items():
        print(f"  {name}: no figure: {why}")
    for key, what in (("foreign", "others used"), ("steal", "the host took")):
        spoilt = sum(any(p.get(key, 0) > NOISE for p in r.values()) for r in summary["rounds"])
        if spoilt:
            print(f"  in {spoilt} of {summary['rounds_done']} rounds {what} more than "
                  f"{NOISE:.0%} of the proxy's core: the machine is not quiet")


def print_verdicts(summary):
    for b in summary["bounds"]:
        figure = f": {b['median']:.3f} [{b['low']:.3f}, {b['high']:.3f}] in {b['rounds']} rounds" \
            if "median" in b else ""
        print(f"  weir {b['metric']} at most {b['most']:g} x {b['reference']}{figure}: "
              f"{b['verdict']}")


def show(summary):
    print_table(summary)
    print_notes(summary)
    print_verdicts(summary)


def keep(path, summary):
    """Appends to a result file, one object a line."""
    with open(path, "a") as f:
        f.write(json.dumps(summary) + "\n")
