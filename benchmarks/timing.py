"""The clocks that benchmarks measure with."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

Clock = Callable[[], float]
# Where others use the machine, too, the core's time says more than the wall's.
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def add_clock_option(parser: argparse.ArgumentParser) -> None:
    """Adds --clock, a name of `CLOCKS`."""
    text = "cpu: where others use the machine (default: wall)"
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help=text)


def seconds(work: Callable[..., object], *arguments: object, clock: Clock = time.perf_counter) -> float:
    """How long `work(*arguments)` takes."""
    started = clock()
    work(*arguments)
    return clock() - started
