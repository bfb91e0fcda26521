"""The smallest shift that is found within some windows, half of the time: by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.power.future import Future
from tidegauge_probes.drift.scales import LONGEST, SCALES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ONSETS: Final = 5
"""Windows of the baseline at which a shift is tried: by night and by day, if it knows of them."""

STEPS: Final = 12
"""Of the bisection: ratios are known to a 4,000th of their range on a logarithmic scale."""

LOOKS: Final = 4
"""Windows in which the scan is asked. It finds what it has summed longest, mostly the last."""


HASTE_UP: Final = 0.45
HASTE_DOWN: Final = 0.20
"""By how much longer expected counts take than real ones in half of the cases, at LONGEST windows.

Real counts vary, so the more windows there are, the likelier is one of 22 sums beyond the threshold
sooner. A rise varies more than a fall, and moves more series along with it, which loosens the
threshold of all. Chosen from planted shifts: benchmarks/plan.py.
"""

LATEST: Final = 45
"""Windows after which what will be found has been, in half of the cases."""

RISES, FALLS = float("inf"), 0.0
"""Ratios of the largest shifts: to all of the records, and to none of them."""

HALF: Final = 0.5
"""Share of the times tried at which a shift must be found."""


@dataclass(frozen=True, eq=False)
class SmallestRatios:
    """Ratios of the expected share, [S] each: ∞ where no rise is found, NaN where no fall is."""

    up: Floats
    down: Floats


def futures(baseline: Baseline, alpha: float, series: Ints) -> tuple[Future, ...]:
    """Return the times at which a shift is tried, of some series."""
    return tuple(Future.of(baseline, alpha, onset).select(series) for onset in _onsets(baseline))


def can_alarm(baseline: Baseline, alpha: float) -> Mask:
    """Mark the series of which some shift, however large, is found if it stays, bool [S]."""
    rises, falls = np.zeros((2, len(baseline.keys)))
    for onset in _onsets(baseline):  # one at a time: there may be 30,000 series
        future = Future.of(baseline, alpha, onset)
        rises += future.found(np.full(len(rises), RISES), LONGEST)
        falls += future.found(np.full(len(falls), FALLS), LONGEST)
    return np.asarray(np.maximum(rises, falls) > HALF * ONSETS)


def _onsets(baseline: Baseline) -> list[int]:
    places = (np.arange(ONSETS) + 0.5) * len(baseline.starts) / ONSETS
    return [int(place) for place in places]


def reach(tried: Sequence[Future], windows: int) -> SmallestRatios:
    """Return the smallest shifts found within *windows*, the medians over the times tried."""
    up = np.median([_rise(one, expected(windows, HASTE_UP)) for one in tried], axis=0)
    down = np.median([_fall(one, expected(windows, HASTE_DOWN)) for one in tried], axis=0)
    return SmallestRatios(up, np.where(down < FALLS, np.nan, down))


def delay(tried: Sequence[Future], ratio: float) -> Floats:
    """Return the windows after which shares *ratio* times as large are found, ∞ if never, [S]."""
    windows = np.median([_delay(one, ratio) for one in tried], axis=0)
    return np.asarray(windows / haste(windows, HASTE_UP if ratio > 1 else HASTE_DOWN))


def expected(windows: int, most: float) -> int:
    """Return how many windows of expected counts stand for so many of real ones."""
    longer: int = min(int(windows * haste(np.array(windows), most)), LONGEST)
    return longer


def haste(windows: Floats | Ints, most: float) -> Floats:
    """Return the factor for so many windows: 1 for one, 1 + *most* for LONGEST and more."""
    return np.asarray(1 + most * np.log(np.minimum(windows, LONGEST)) / np.log(LONGEST))


def found_at_all(tried: Sequence[Future], ratio: float) -> Mask:
    """Mark the series in which such a shift is found if it stays, bool [S]."""
    votes = [one.found(np.full(one.n.shape[1], ratio), LONGEST) for one in tried]
    return np.asarray(np.mean(votes, axis=0) > HALF)


def _rise(future: Future, windows: int) -> Floats:
    """Return the ratio of the smallest rise that is found, ∞ where none is."""
    # A rise may go to all of the records.
    most = -np.log(np.maximum(future.calibration.p, 1e-9))
    strength = _bisected(lambda s: _found(future, np.exp(s * most), windows), len(most))
    return np.where(strength <= 1, np.exp(strength * most), RISES)


def _fall(future: Future, windows: int) -> Floats:
    """Return the ratio of the smallest fall that is found, −1 where none is."""
    strength = _bisected(lambda s: _found(future, 1 - s, windows), future.n.shape[1])
    return np.where(strength <= 1, 1 - strength, -1.0)


def _bisected(found: Callable[[Floats], Mask], series: int) -> Floats:
    """Return the least strength in (0, 1] that is found; 2 where the greatest is not."""
    low, high = np.zeros(series), np.ones(series)
    ever = found(high)
    for _ in range(STEPS if ever.any() else 0):
        middle = (low + high) / 2
        here = found(middle)
        low, high = np.where(here, low, middle), np.where(here, middle, high)
    return np.where(ever, high, 2.0)


def _found(future: Future, ratio: Floats, windows: int) -> Mask:
    looks = {max(windows * k // LOOKS, 1) for k in range(1, LOOKS + 1)}
    return np.asarray(np.any([future.found(ratio, w) for w in looks], axis=0))


def _delay(future: Future, ratio: float) -> Floats:
    series = future.n.shape[1]
    ratios, first = np.full(series, ratio), np.full(series, np.inf)
    for w in SCALES if future.found(ratios, LONGEST).any() else ():
        first = np.where(future.found(ratios, w) & np.isinf(first), w, first)
        if np.isfinite(first).all():
            break
    return first
