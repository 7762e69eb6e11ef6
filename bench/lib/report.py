"""What is printed, and what is kept."""

import datetime
import json
import os
import platform
import ssl
import subprocess

from lib.figures import compare, judge, middle
from lib.kinds import KINDS, Column

CALLS = Column("calls", "calls", 7, 2)
NOISE = 0.05    # more of the core than this used by others spoils a round


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                     platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "openssl": ssl.OPENSSL_VERSION}


def commit(root):
    run = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"],
                         capture_output=True, text=True, timeout=10)
    return run.stdout.strip() or "unknown"


def summarise(case, part, names, options, versions, root, measured):
    """One part of one case as it is kept in the result file, all rounds included."""
    rounds = measured["rounds"]
    bounds = [b for b in part.bounds if b.subject in names]
    names = [name for name in names if any(name in r for r in rounds)]
    kind = KINDS[case.kind]
    compared = kind.columns[0].metric
    return {
        "case": case.name, "part": part.title, "kind": case.kind, "compared": compared,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(), "commit": commit(root), "versions": versions,
        "seconds": options.seconds, "rounds_done": len(rounds),
        "medians": {n: {c.metric: middle(rounds, c.metric, n) for c in kind.columns}
                    for n in names},
        "ratios": {n: {r: compare(rounds, compared, n, r) for r in kind.references if r in names}
                   for n in names},
        "bounds": [judge(rounds, b) for b in bounds],
        "calls": measured["calls"], "failed": measured["failed"], "notes": measured["notes"],
        "cannot": measured["cannot"],
        "rounds": rounds,
    }


def about_program(name, text, root):
    """The same for a program that measured by itself."""
    return {"case": name, "part": name, "kind": "program", "machine": machine(),
            "commit": commit(root), "text": text,
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def number(value, column):
    if value is None:
        return "-".rjust(column.width)
    return f"{value * column.scale:{column.width}.{column.decimals}f}"


def ratio_text(figure):
    if not figure:
        return f"{'-':>22}"
    return f"{figure['median']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]".rjust(22)


def print_table(summary):
    kind = KINDS[summary["kind"]]
    references = [r for r in kind.references if r in summary["medians"]]
    counted = summary["kind"] == "cpu"
    print(f"\n{summary['case']}: {summary['part']}; {summary['rounds_done']} interleaved rounds of "
          f"{summary['seconds']:g} s, medians; ratios of {kind.columns[0].title} with their 95 % "
          "interval")
    print(f"{'':13}" + "".join(f"{c.title:>{c.width}}" for c in kind.columns)
          + (f"{'calls':>7}" if counted else "")
          + "".join(f"   {'x ' + r:>22}" for r in references))
    for name, medians in summary["medians"].items():
        calls = summary["calls"].get(name)
        print(f"{name:13}" + "".join(number(medians[c.metric], c) for c in kind.columns)
              + (number(sum(calls.values()) if calls else None, CALLS) if counted else "")
              + "".join("   " + ratio_text(summary["ratios"][name][r]) for r in references))
    for name in summary["cannot"]:
        print(f"{name:13}" + "".join(number(None, c) for c in kind.columns)
              + (number(None, CALLS) if counted else "")
              + "".join("   " + ratio_text(None) for _ in references))
    for name, calls in summary["calls"].items():
        print(f"  calls of {name}: " + ", ".join(
            f"{call} {n:.2f}" for call, n in sorted(calls.items(), key=lambda c: -c[1])
            if n >= 0.005))


def spoilt(summary):
    """(what happened, in how many rounds) of what makes a round worth less."""
    for key, what in (("foreign", "others used"), ("steal", "the host took")):
        count = sum(any(p.get(key, 0) > NOISE for p in r.values()) for r in summary["rounds"])
        if count:
            yield f"{what} more than {NOISE:.0%} of the proxy's core", count


def print_notes(summary):
    """Whatever makes a figure worth less."""
    for note in summary["notes"]:
        print(f"  {note}")
    for name, why in (summary["failed"] | summary["cannot"]).items():
        print(f"  {name}: no figure: {why}")
    for what, count in spoilt(summary):
        print(f"  in {count} of {summary['rounds_done']} rounds {what}: the machine is not quiet")


MODES = {"times": "at most {most:g} x {reference}",
         "plus": "at most {most:g} more than {reference}",
         "alone": "at most {most:g}", "least": "at least {most:g}"}


def print_verdicts(summary):
    for b in summary["bounds"]:
        figure = f": {b['median']:.3f} [{b['low']:.3f}, {b['high']:.3f}] in {b['rounds']} rounds" \
            if "median" in b else ""
        print(f"  {b['subject']} {b['metric']} " + MODES[b["mode"]].format(**b)
              + f"{figure}: {b['verdict']}")


def show(summary):
    print_table(summary)
    print_notes(summary)
    print_verdicts(summary)


def keep(path, summary):
    """Appends to a result file: a JSON array with one object a line. Written anew and renamed, so
    that it is whole at any time."""
    lines = []
    if os.path.exists(path):
        with open(path) as f:
            lines = [json.dumps(kept) for kept in json.load(f)]
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w") as f:
        f.write("[\n" + ",\n".join([*lines, json.dumps(summary)]) + "\n]\n")
    os.replace(path + ".new", path)
