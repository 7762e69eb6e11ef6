"""The parts of bench/run.py; read them in this order: cases, proxies, measure, figures, report."""


class BenchError(Exception):
    """Why a figure cannot be had, in words for the one who runs the benchmark."""
