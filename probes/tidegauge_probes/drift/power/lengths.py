"""Other window lengths: the baseline's windows added up, and how soon a shift would be found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.power.future import Future
from tidegauge_probes.drift.power.reach import delay, found_at_all, futures
from tidegauge_probes.drift.season import DAY_MS
from tidegauge_probes.findings import ALL, SeriesKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR_MS: Final = 3_600_000
LENGTHS: Final = (HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 7 * DAY_MS)
"""Window lengths that are compared, with the stream's own."""

RATIOS: Final = (1.5, 2.0, 3.0, 5.0)
"""Shifts that are tried until some length finds one."""

WORTH_A_CHANGE: Final = 0.8
"""Another length is suggested if it takes at most this share of the time."""

MOST_SERIES: Final = 2_000
"""Series up to which all are calibrated for each length; of more, only those of all records are,
and false incidents are not foretold."""

OVER: Final = 2.0
"""Times the budget of false incidents from which a length is not suggested."""

Alpha = Callable[[int], float]
"""From the length of a window in ms to the detector's α."""


@dataclass(frozen=True)
class WindowLength:
    """A window length. ``windows``: of the baseline; ``learning``: whether they are too few.

    ``found``: LFs in which the shift is found at all, ``after_ms``: on average in the median LF,
    None if never. ``false_rate``: false incidents to expect a window, None if it is not known.
    """

    window_ms: int
    windows: int
    learning: bool
    found: int
    after_ms: float | None
    false_rate: float | None
    allowed: float

    @property
    def over_budget(self) -> bool:
        """Whether far more false incidents are to be expected than are allowed."""
        return self.false_rate is not None and self.false_rate > OVER * self.allowed


@dataclass(frozen=True)
class LengthComparison:
    """Window lengths by how soon they find ``ratio`` times the share of LF ``probe``.

    ``best``: the suggested one, in ms; None if none finds it that has windows enough to know what
    is normal, and keeps about to the budget.
    """

    probe: str
    share: float
    ratio: float
    lfs: int
    lengths: tuple[WindowLength, ...]
    best: int | None


def compare_lengths(
    baseline: Baseline, alpha: Alpha, own_ms: int, for_windows: int = 1
) -> LengthComparison | None:
    """Compare lengths that are multiples of the baseline's own windows; None without an LF.

    *own_ms*: the stream's length, which is kept unless another one is clearly better.
    """
    many = len(baseline.keys) > MOST_SERIES
    baseline = without_segments(baseline) if many else baseline
    series = _coverage(baseline)
    if not len(series):
        return None
    share = baseline.calibration.p[series]
    median = int(np.argsort(share)[(len(series) - 1) // 2])
    lengths = sorted(
        ms for ms in {*LENGTHS, own_ms} if ms >= baseline.window_ms and not ms % baseline.window_ms
    )
    tried = [_Tried.of(added(baseline, ms), alpha(ms), series) for ms in lengths]
    compared: tuple[WindowLength, ...] = ()
    ratio = RATIOS[0]
    for ratio in RATIOS:
        compared = tuple(one.length(ratio, median, for_windows, foretold=not many) for one in tried)
        if any(one.after_ms is not None and not one.learning for one in compared):
            break
    probe, best = baseline.keys[series[median]].probe, _best(compared, own_ms)
    return LengthComparison(probe, float(share[median]), ratio, len(series), compared, best)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A baseline of another length, and its future."""

    baseline: Baseline
    alpha: float
    futures: tuple[Future, ...]

    @classmethod
    def of(cls, baseline: Baseline, alpha: float, series: Ints) -> _Tried:
        return cls(baseline, alpha, futures(baseline, alpha, series))

    def length(
        self, ratio: float, median: int, for_windows: int, *, foretold: bool
    ) -> WindowLength:
        one = [future.select(np.array([median])) for future in self.futures]
        windows = float(delay(one, ratio)[0]) + for_windows - 1
        # A shift begins anywhere in a window, so on average half of one passes before it is whole.
        after = (windows + 0.5) * self.baseline.window_ms
        return WindowLength(
            self.baseline.window_ms,
            len(self.baseline.starts),
            self.baseline.learning,
            int(found_at_all(self.futures, ratio).sum()),
            after if math.isfinite(after) else None,
            self.baseline.forecast.per_window(self.alpha) if foretold else None,
            self.alpha,
        )


def added(baseline: Baseline, window_ms: int) -> Baseline:
    """Return the baseline of longer windows, a multiple of its own, that begin where live ones do.

    Calibration and forecast are learned anew; estimates (class shares) are added up, too.
    """
    if window_ms == baseline.window_ms:
        return baseline
    starts, first = np.unique(baseline.starts - baseline.starts % window_ms, return_index=True)
    x, n = (np.add.reduceat(part, first, axis=0) for part in (baseline.x, baseline.n))
    return replace(baseline, window_ms=window_ms, starts=starts, x=x, n=n, learned=None)


def without_segments(baseline: Baseline) -> Baseline:
    """Return the baseline with the series of all records alone."""
    kept = np.array([key.segment == ALL for key in baseline.keys])
    chosen = replace(baseline.plan, segments=(ALL,))
    return replace(
        baseline, plan=chosen, x=baseline.x[:, kept], n=baseline.n[:, kept], learned=None
    )


def _coverage(baseline: Baseline) -> Ints:
    keys = enumerate(baseline.keys)
    found = [s for s, k in keys if k.segment == ALL and k.series is SeriesKind.COVERAGE]
    return np.array(found, dtype=np.int64)


def _best(lengths: Sequence[WindowLength], own_ms: int) -> int | None:
    # One that is still learning only looks quick: it does not know yet what is normal.
    usable = [one for one in lengths if one.after_ms is not None and not one.learning]
    usable = [one for one in usable if not one.over_budget]
    if not usable:
        return None
    best = min(usable, key=lambda one: (one.after_ms or 0.0, -one.window_ms))
    own = next((one for one in usable if one.window_ms == own_ms), None)
    if own is None or (best.after_ms or 0.0) < WORTH_A_CHANGE * (own.after_ms or 0.0):
        return best.window_ms
    return own_ms
