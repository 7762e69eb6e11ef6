"""The kinds of case: how each is measured, and which of its figures are shown."""

from dataclasses import dataclass
from typing import Callable

from lib.attack import measure_attack
from lib.beside import measure_beside
from lib.flood import measure_flood
from lib.measure import measure_busy, measure_cpu, measure_open, measure_reuse, measure_uneven
from lib.memory import measure_memory


@dataclass
class Column:
    title: str
    metric: str
    width: int
    decimals: int
    scale: float = 1


@dataclass
class Kind:
    """The first column is the one that is compared."""
    measure: Callable
    columns: tuple
    references: tuple = ("nginx", "floor")


CPU = (Column("CPU us", "cpu_us", 8, 2), Column("user", "user_us", 7, 2),
       Column("system", "system_us", 8, 2), Column("req/s", "rate", 9, 0),
       Column("p50 us", "p50_us", 9, 0), Column("p99 us", "p99_us", 9, 0))

KINDS = {
    "cpu": Kind(measure_cpu, CPU, ("nginx", "floor", "weir-phases", "weir-before")),
    "memory": Kind(measure_memory, (
        Column("B each", "each_b", 9, 0), Column("base MiB", "base_mib", 10, 1),
        Column("peak MiB", "peak_mib", 10, 1), Column("after MiB", "after_mib", 11, 1),
        Column("back %", "given_back", 8, 1, 100))),
    "attack": Kind(measure_attack, (
        Column("p99 x", "p99_ratio", 8, 2), Column("alone us", "quiet_p99_us", 10, 0),
        Column("beside us", "p99_us", 10, 0), Column("sink x", "sink_ratio", 8, 2),
        Column("cut %", "cut", 8, 1, 100),
        Column("first s", "first_cut_s", 9, 2), Column("last s", "last_cut_s", 9, 2)), ()),
    "flood": Kind(measure_flood, (
        Column("p99 x", "p99_ratio", 8, 2), Column("alone us", "quiet_p99_us", 10, 0),
        Column("beside us", "p99_us", 10, 0), Column("frames", "frames", 9, 0),
        Column("cut", "cut", 6, 0), Column("GOAWAY %", "told", 10, 1, 100),
        Column("longest s", "longest_s", 11, 2)), ()),
    "uneven": Kind(measure_uneven, (
        Column("light p99", "light_p99_us", 10, 0), Column("light p50", "light_p50_us", 10, 0),
        Column("heavy p99", "heavy_p99_us", 10, 0), Column("CPU us", "cpu_us", 8, 2)),
        ("weir-nosteal", "nginx-lua")),
    "reuse": Kind(measure_reuse, (
        Column("opened", "opened", 8, 0), Column("reuse %", "reuse", 9, 2, 100),
        Column("CPU us", "cpu_us", 8, 2), Column("p50 us", "p50_us", 9, 0),
        Column("p99 us", "p99_us", 9, 0)), ()),
    "busy": Kind(measure_busy, (
        Column("us each", "each_us", 9, 1), Column("CPU us", "cpu_us", 9, 1),
        Column("p50 us", "p50_us", 9, 0), Column("p99 us", "p99_us", 9, 0)), ("weir-burn-1",)),
    "beside": Kind(measure_beside, (
        Column("added x", "added", 8, 3), Column("alone us", "cpu_us", 9, 2),
        Column("beside us", "beside_us", 10, 2), Column("waiting us", "wait_us", 11, 2),
        Column("waiting", "waiting", 8, 0), Column("core %", "busy", 7, 0, 100),
        Column("p99 us", "quiet_p99_us", 8, 0), Column("beside", "p99_us", 8, 0)), ()),
    "open": Kind(measure_open, (
        Column("growth", "growth", 8, 3), Column("CPU us, 64", "few_cpu_us", 11, 2),
        Column("all", "cpu_us", 8, 2), Column("p99 us", "p99_us", 9, 0)), ("floor",)),
}
