"""The parts of bench/run.py, in reading order: cases, proxies, measure, processes, figures, report."""


class BenchError(Exception):
    """Why a figure cannot be had, in words for the one who runs the benchmark."""
