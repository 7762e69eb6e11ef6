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


def ratios(rounds, metric, subject, reference):
    """Of the rounds in which both were measured."""
    return [r[subject][metric] / r[reference][metric] for r in rounds
            if subject in r and reference in r and r[reference].get(metric)]


def compare(rounds, metric, subject, reference):
    """{'median', 'low', 'high', 'rounds'}, or None without a common round."""
    values = ratios(rounds, metric, subject, reference)
    if not values:
        return None
    low, high = bootstrap(values)
    return {"median": median(values), "low": low, "high": high, "rounds": len(values)}


def middle(rounds, metric, subject):
    values = [r[subject][metric] for r in rounds if subject in r and r[subject].get(metric)]
    return median(values) if values else None


def cheapest(rounds, metric, names):
    """Of those that were measured, the one with the lowest median."""
    known = [(value, name) for name in names
             if (value := middle(rounds, metric, name)) is not None]
    return min(known)[1] if known else None


def judge(rounds, bound, subject="weir"):
    """The verdict on one bound: reached if the median is within it or the interval includes it."""
    reference = cheapest(rounds, bound.metric, bound.reference)
    result = {"metric": bound.metric, "reference": reference, "most": bound.most}
    figure = reference and compare(rounds, bound.metric, subject, reference)
    if not figure:
        return {**result, "reference": " or ".join(bound.reference), "verdict": "no figure"}
    if figure["rounds"] < LEAST_ROUNDS:
        verdict = f"undecided: fewer than {LEAST_ROUNDS} rounds"
    elif figure["median"] <= bound.most or figure["low"] <= bound.most <= figure["high"]:
        verdict = "reached"
    else:
        verdict = "NOT reached"
    return {**result, **figure, "verdict": verdict}
