"""The clocks by which benchmarks measure, and functions that are measured taking turns."""

import statistics
import time
from collections.abc import Callable

# The wall's, or the CPU time of the own process.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def measure(functions: dict, rounds: int, clock: Callable[[], float]) -> dict:
    """Returns the median seconds of each, one after the other in every round, after one call."""
    for function in functions.values():
        function()
    rows = [[timed(function, clock) for function in functions.values()] for _ in range(rounds)]
    return {name: statistics.median(times) for name, *times in zip(functions, *rows, strict=True)}


def timed(function: Callable, clock: Callable[[], float]) -> float:
    start = clock()
    function()
    return clock() - start
