#!/usr/bin/python3
"""bench/report.py [FILE]... [--out DIR] -- makes docs/performance.md and its pictures from result
files (all of bench/results/, if none is named). Of each kind of load the latest result counts.

What the figures cannot say, such as what was tried where one is not reached, stands in
bench/results/remarks.md, a heading `## CASE` for each case: it is taken over behind the case's
tables.
"""

import argparse
import glob
import json
import os
import re
import sys
from dataclasses import asdict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib.cases import CASES, PROGRAMS                                           # noqa: E402
from lib.figures import known, pairs                                            # noqa: E402
from lib.kinds import KINDS                                                     # noqa: E402
from lib.plot import bars                                                       # noqa: E402
from lib.report import MODES, spoilt                                            # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "bench/results")

# What a program says of its figures: name, ..., ratio, interval, bound, verdict.
VERDICT = re.compile(r"^(\S+) .*?([\d.]+) +([\d.]+) to ([\d.]+) +at most ([\d.]+): (.+)$",
                     re.MULTILINE)

HEAD = """\
# What Weir costs

`bench/report.py` made this page from what `./dev bench all` measured: do not edit it. How it is
measured, and what can be believed of it: [bench/README.md](../bench/README.md). In short: the proxy
is alone on a core with one worker, rounds are interleaved, figures are medians, and only ratios
*of the same round* are compared, with their 95 % interval in brackets. `floor` is a blind TCP
relay.
"""


def latest(paths):
    """(case, part) -> the newest result that has figures."""
    found = {}
    for path in paths:
        with open(path) as f:
            for summary in json.load(f):
                key = summary["case"], summary["part"]
                if key not in found or found[key]["when"] <= summary["when"]:
                    found[key] = summary
    return found


def in_order(found):
    """case -> its results, in the order of the table of cases; cases of old are left out."""
    ordered = {}
    for case in CASES.values():
        parts = [found[case.name, p.title] for p in case.parts if (case.name, p.title) in found]
        if parts:
            ordered[case.name] = parts
    for name in PROGRAMS:
        if (name, name) in found:
            ordered[name] = [found[name, name]]
    return ordered


def interval_text(figure):
    return f"{figure['median']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" if figure else "-"


def value_text(column, value):
    return "-" if value is None else f"{value * column.scale:,.{column.decimals}f}"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(summary):
    kind = KINDS[summary["kind"]]
    references = [r for r in kind.references if r in summary["medians"]]
    calls = summary["calls"]
    head = ["", *(c.title for c in kind.columns), *(["calls"] if calls else []),
            *(f"x {r}" for r in references)]
    text = row(head) + row(["---"] + ["---:"] * (len(head) - 1))
    for name, medians in summary["medians"].items():
        counted = [f"{sum(calls[name].values()):.2f}" if name in calls else "-"] if calls else []
        text += row([name, *(value_text(c, medians.get(c.metric)) for c in kind.columns), *counted,
                     *(interval_text(summary["ratios"][name][r]) for r in references)])
    for name in summary.get("cannot", ()):
        text += row([name, *["-"] * (len(head) - 1)])
    return text


def wanted(bound):
    return f"{bound['metric']} {MODES[bound['mode']].format(**bound)}"


def program_rows(case, summary):
    """The verdicts that a program has printed itself, with its interval."""
    return "".join(
        row([case, name, f"at most {most}", f"{ratio} [{low}, {high}]", verdict])
        for name, ratio, low, high, most, verdict in VERDICT.findall(summary["text"]))


def unmeasured_rows(case, part):
    bounds = [{**asdict(b), "reference": " or ".join(b.reference)} for b in part.bounds]
    return "".join(row([case, part.title, f"{b['subject']}: {wanted(b)}", "-", "not measured"])
                   for b in bounds)


def measured_rows(case, summary):
    if summary["kind"] == "program":
        return program_rows(case, summary)
    return "".join(row([case, summary["part"], f"{b['subject']}: {wanted(b)}",
                        interval_text(b if "median" in b else None), b["verdict"]])
                   for b in summary["bounds"])


def bound_rows(ordered):
    """Every aim there is, in the order of the cases."""
    text = ""
    for name, case in CASES.items():
        found = {summary["part"]: summary for summary in ordered.get(name, ())}
        for part in case.parts:
            text += measured_rows(name, found[part.title]) if part.title in found else \
                unmeasured_rows(name, part)
    return text + "".join(measured_rows(name, s) for name in PROGRAMS
                          for s in ordered.get(name, ()))


def ours_beside(name, summary):
    """Which of our figures the one of `name` is to be compared with; None: it is ours itself."""
    medians = summary["medians"]
    if name.startswith("weir") or name == "floor":
        return None
    alike = ["weir-" + name.partition("-")[2], "weir", *(b["subject"] for b in summary["bounds"])]
    return next((n for n in alike if n in medians), None)


def ahead(case, summary):
    """Where another proxy's median is lower than ours, and in how many rounds it was."""
    column = KINDS[summary["kind"]].columns[0]
    for name, medians in summary["medians"].items():
        ours = ours_beside(name, summary)
        if ours is None:
            continue
        we, they = summary["medians"][ours][column.metric], medians[column.metric]
        if None in (we, they) or we <= they:
            continue
        both = pairs(summary["rounds"], column.metric, ours, name)
        behind = sum(a > b for a, b in both)
        yield f"- {case}, {summary['part']}: {name} {value_text(column, they)} against " \
              f"{value_text(column, we)} ({column.title}), in {behind} of {len(both)} rounds.\n"


def missed(case, summary):
    """The aims that are not reached."""
    for b in summary["bounds"]:
        if b["verdict"].startswith("NOT"):
            yield f"- {case}, {summary['part']}: {b['subject']} {wanted(b)} is not reached: " \
                  f"{interval_text(b)}.\n"


def anchor(heading):
    """As a Markdown reader makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def losses(case, summaries, remarks):
    """What is not reached and who is ahead; the remark on the case tells why."""
    measured = [s for s in summaries if s["kind"] != "program"]
    text = "".join(line for s in measured for line in (*missed(case, s), *ahead(case, s)))
    if text and remarks.get(case):
        text += f"  [Why, and what was tried](#{anchor(heading(case))})\n"
    return text


def notes(summary):
    text = "".join(f"{note}. " for note in summary["notes"])
    none = summary["failed"] | summary.get("cannot", {})
    text += "".join(f"No figure for {name}: {why}. " for name, why in none.items())
    for what, count in spoilt(summary):
        text += f"In {count} of {summary['rounds_done']} rounds {what}. "
    return re.sub(r"\s+", " ", text).strip()


def picture(summary, path):
    column = KINDS[summary["kind"]].columns[0]
    rows = []
    for name, medians in summary["medians"].items():
        values = known(summary["rounds"], column.metric, name)
        if values and min(values) >= 0:
            figure = medians[column.metric]
            rows.append((name, figure, min(values), max(values), value_text(column, figure)))
    with open(path, "w") as f:
        f.write(bars(f"{summary['part']}: {column.title}", rows))


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def part_section(summary, out):
    name = f"{summary['case']}-{slug(summary['part'])}.svg"
    picture(summary, os.path.join(out, "performance", name))
    text = f"\n### {summary['part'][0].upper()}{summary['part'][1:]}\n\n" + table(summary)
    text += f"\n![{summary['part']}](performance/{name})\n"
    versions = ", ".join(f"{n} {v}" for n, v in summary["versions"].items()
                         if v and not n.startswith("weir"))
    text += f"\n{summary['rounds_done']} rounds of {summary['seconds']:g} s, {summary['when']}, " \
            f"commit {summary['commit']}{'; ' if versions else ''}{versions}.\n"
    if notes(summary):
        text += f"\n{notes(summary)}\n"
    return text


def heading(case):
    return f"{case}: {CASES[case].about if case in CASES else PROGRAMS[case]}"


def section(case, summaries, remarks, out):
    text = f"\n## {heading(case)}\n"
    for summary in summaries:
        if summary["kind"] == "program":
            text += f"\n```\n{summary['text'].rstrip()}\n```\n"
        else:
            text += part_section(summary, out)
    if remarks.get(case):
        text += f"\n{remarks[case]}\n"
    return text


def read_remarks(path):
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        _, *rest = re.split(r"^## +(\S+)\n", f.read(), flags=re.MULTILINE)
    return {case: text.strip() for case, text in zip(rest[::2], rest[1::2])}


def machines(ordered):
    seen = {json.dumps(s["machine"], sort_keys=True): s["machine"]
            for parts in ordered.values() for s in parts}
    return "; ".join(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, "
                     f"{m.get('openssl', 'OpenSSL unknown')}" for m in seen.values())


def page(ordered, remarks, out):
    text = HEAD + f"\nMachine: {machines(ordered)}.\n"
    text += "\n## What was to be reached\n\nReached: the median of the rounds' ratios is within " \
            "the bound,\nor its interval includes it.\n\n"
    text += row(["case", "load", "aim", "measured", ""]) + row(["---"] * 5) + bound_rows(ordered)
    lost = "".join(losses(case, parts, remarks) for case, parts in ordered.items())
    text += "\n## Where we lose\n\n" + (lost or "Nowhere in what was measured here.\n")
    for case, summaries in ordered.items():
        text += section(case, summaries, remarks, out)
    return text


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs"), metavar="DIR")
    parser.add_argument("--remarks", default=os.path.join(RESULTS, "remarks.md"), metavar="FILE")
    options = parser.parse_args(argv)
    files = options.files or sorted(glob.glob(os.path.join(RESULTS, "*.json")))
    ordered = in_order(latest(files))
    if not ordered:
        sys.exit(f"no results in {' '.join(files) or RESULTS}: ./dev bench all makes them")
    os.makedirs(os.path.join(options.out, "performance"), exist_ok=True)
    with open(os.path.join(options.out, "performance.md"), "w") as f:
        f.write(page(ordered, read_remarks(options.remarks), options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
