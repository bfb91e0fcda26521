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
"""Shifts that are tried until some length finds one, as far as the LF can rise so much."""

LEAST_RATIO: Final = 1.1
"""An LF that cannot rise by even so much, because it votes on nearly all records, is not tried."""

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
    """A window length. ``windows``: whole ones in the baseline; ``learning``: they are too few.

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
    baseline: Baseline, alpha: Alpha, for_windows: int = 1, finest: Baseline | None = None
) -> LengthComparison | None:
    """Compare lengths that the windows of a baseline add up to; None without an LF to rise.

    *finest*: the same in shorter windows, from which lengths come that are no multiple of the
    baseline's own. That one is kept unless another is clearly better.
    """
    many = len(baseline.keys) > MOST_SERIES
    own, short = (without_segments(one) if many else one for one in (baseline, finest or baseline))
    series, own_ms = _coverage(own), baseline.window_ms
    if not len(series):
        return None
    share = own.calibration.p[series]
    median = int(np.argsort(share)[(len(series) - 1) // 2])
    ratios = _possible(float(share[median]))
    if not ratios:
        return None
    lengths = sorted(
        ms for ms in {*LENGTHS, own_ms} if ms >= short.window_ms and not ms % short.window_ms
    )
    sources = {ms: short if ms % own_ms else own for ms in lengths}
    tried = [_Tried.of(one, ms, alpha(ms)) for ms, one in sources.items()]
    compared: tuple[WindowLength, ...] = ()
    ratio = ratios[0]
    for ratio in ratios:
        compared = tuple(one.length(ratio, median, for_windows, foretold=not many) for one in tried)
        if any(one.after_ms is not None and not one.learning for one in compared):
            break
    probe, best = own.keys[series[median]].probe, _best(compared, own_ms)
    return LengthComparison(probe, float(share[median]), ratio, len(series), compared, best)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A baseline of another length, how many of its windows are whole, and its future."""

    baseline: Baseline
    whole: int
    alpha: float
    futures: tuple[Future, ...]

    @classmethod
    def of(cls, baseline: Baseline, window_ms: int, alpha: float) -> _Tried:
        longer = added(baseline, window_ms)
        since, until = int(baseline.starts[0]), int(baseline.starts[-1]) + baseline.window_ms
        whole = (longer.starts >= since) & (longer.starts + window_ms <= until)
        found = futures(longer, alpha, _coverage(longer))
        return cls(longer, int(whole.sum()), alpha, found)

    def length(
        self, ratio: float, median: int, for_windows: int, *, foretold: bool
    ) -> WindowLength:
        one = [future.select(np.array([median])) for future in self.futures]
        windows = float(delay(one, ratio)[0]) + for_windows - 1
        # A shift begins anywhere in a window, so on average half of one passes before it is whole.
        after = (windows + 0.5) * self.baseline.window_ms
        return WindowLength(
            self.baseline.window_ms,
            self.whole,
            self.baseline.learning,
            int(found_at_all(self.futures, ratio).sum()),
            after if math.isfinite(after) else None,
            self.baseline.forecast.per_window(self.alpha) if foretold else None,
            self.alpha,
        )


def added(baseline: Baseline, window_ms: int) -> Baseline:
    """Return the baseline of longer windows, a multiple of its own, that begin where live ones do.

    Calibration and forecast are learned anew; estimates (class shares) are added up, too. The
    volume is left out: longer windows of it have another n.
    """
    if window_ms == baseline.window_ms:
        return baseline
    baseline = baseline.without_volume()
    starts, first = np.unique(baseline.starts - baseline.starts % window_ms, return_index=True)
    x, n = (np.add.reduceat(part, first, axis=0) for part in (baseline.x, baseline.n))
    texts = baseline.texts and baseline.texts.added(first)
    longer = replace(baseline, window_ms=window_ms, starts=starts, x=x, n=n, texts=texts)
    return replace(longer, learned=None)


def without_segments(baseline: Baseline) -> Baseline:
    """Return the baseline with the series of all records alone."""
    kept = np.flatnonzero([key.segment == ALL for key in baseline.keys])
    return baseline.select(replace(baseline.plan, segments=(ALL,)), kept)


def _possible(share: float) -> tuple[float, ...]:
    """Return the shifts to try on an LF that votes on *share* of the records: to all, at most."""
    if share * LEAST_RATIO > 1:
        return ()
    return tuple(ratio for ratio in RATIOS if ratio * share <= 1) or (1 / share,)


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
