"""Contestants take turns (A B C, A B C, …), so that a busy machine slows all of them alike."""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

QUICK = os.environ.get("QUICK", "") not in {"", "0"}

Contestant = Callable[[int], int]
"""Works on round *n*'s records; returns how many they were."""


@dataclass
class Seconds:
    """Seconds per record, one figure a round: of this process's CPU, and by the clock."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def race(
    contestants: Mapping[str, Contestant],
    rounds: int,
    before: Callable[[int], None] = lambda _: None,
    after: Callable[[int], None] = lambda _: None,
) -> dict[str, Seconds]:
    """Let each contestant work once a round; *before* and *after* each round are not timed.

    The garbage collector runs as it does for users, so rounds should prepare their records
    *before*: others lying about would be walked at the expense of whoever allocates.
    """
    results = {name: Seconds() for name in contestants}
    for n in range(rounds):
        before(n)
        for name, work in contestants.items():
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            records = work(n)
            results[name].wall.append((time.perf_counter() - wall) / records)
            results[name].cpu.append((time.process_time() - cpu) / records)
        after(n)
    return results


def rate(seconds: list[float]) -> int:
    """Return records a second, the median of the rounds."""
    return round(1 / statistics.median(seconds))


def faster(one: list[float], other: list[float]) -> float:
    """Return how many times *one*'s speed is *other*'s: the median of the ratios by round."""
    ratios = [theirs / ours for ours, theirs in zip(one, other, strict=True)]
    return round(statistics.median(ratios), 3)


def say(text: str) -> None:
    """Tell the progress; standard output is for the figures."""
    print(text, file=sys.stderr, flush=True)
