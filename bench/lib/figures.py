"""From rounds to figures: medians of per-round ratios, their interval, the verdict.

The host drifts by far more than what we look for, but hardly within one round; so a round's
ratio is the only thing that is compared, and never figures of two rounds.
"""

import random
from statistics import median

LEAST_ROUNDS = 9
RESAMPLES = 10000


def bootstrap(values):
    """The 95 % interval of the median, by resampling; seeded, so that it can be had again."""
    rng = random.Random(20261123)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]


def known(rounds, metric, name):
    return [r[name][metric] for r in rounds if name in r and r[name].get(metric) is not None]


def pairs(rounds, metric, subject, reference):
    """Of the rounds in which both were measured."""
    return [(r[subject][metric], r[reference][metric]) for r in rounds
            if subject in r and reference in r
            and r[subject].get(metric) is not None and r[reference].get(metric) is not None]


def interval(values):
    """{'median', 'low', 'high', 'rounds'}, or None without values."""
    if not values:
        return None
    low, high = bootstrap(values)
    return {"median": median(values), "low": low, "high": high, "rounds": len(values)}


def compare(rounds, metric, subject, reference):
    """The ratio as an interval, or None without a common round."""
    return interval([a / b for a, b in pairs(rounds, metric, subject, reference) if b])


def middle(rounds, metric, subject):
    values = known(rounds, metric, subject)
    return median(values) if values else None


def cheapest(rounds, metric, names):
    """Of those that were measured, the one with the lowest median."""
    found = [(value, name) for name in names
             if (value := middle(rounds, metric, name)) is not None]
    return min(found)[1] if found else None


def judge(rounds, bound):
    """The verdict on one bound: reached if the median is within it or the interval includes it."""
    reference = cheapest(rounds, bound.metric, bound.reference)
    result = {"subject": bound.subject, "metric": bound.metric, "mode": bound.mode,
              "reference": reference or " or ".join(bound.reference), "most": bound.most}
    if bound.mode in ("alone", "least"):
        figure = interval(known(rounds, bound.metric, bound.subject))
    elif not reference:
        figure = None
    elif bound.mode == "plus":
        figure = interval([a - b for a, b in pairs(rounds, bound.metric, bound.subject, reference)])
    else:
        figure = compare(rounds, bound.metric, bound.subject, reference)
    if not figure:
        return {**result, "verdict": "no figure"}
    sign = -1 if bound.mode == "least" else 1
    if figure["rounds"] < LEAST_ROUNDS:
        verdict = f"undecided: fewer than {LEAST_ROUNDS} rounds"
    elif sign * figure["median"] <= sign * bound.most or \
            figure["low"] <= bound.most <= figure["high"]:
        verdict = "reached"
    else:
        verdict = "NOT reached"
    return {**result, **figure, "verdict": verdict}
