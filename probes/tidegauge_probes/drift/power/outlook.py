"""What can be found in a stream: the smallest shifts of each LF, and what never can, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.compat import StrEnum
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.power.future import Future
from tidegauge_probes.drift.power.reach import (
    FALLS,
    HALF,
    LATEST,
    RISES,
    SmallestRatios,
    can_alarm,
    futures,
    reach,
)
from tidegauge_probes.drift.scales import LONGEST, MIN_RECORDS, price
from tidegauge_probes.drift.season import DAY_MS
from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

CHANCE: Final = HALF
"""How often the smallest shift is found in time."""

HORIZONS: Final[Mapping[str, int]] = {"1d": DAY_MS, "1w": 7 * DAY_MS}
FIRST: Final = "first"
"""By the first window."""
EVER: Final = "ever"
"""Within as many windows as the scan adds up. Smaller shifts are found only by luck."""

RISING: Final = 1.5
"""Growth of G(j) from 32 windows to 64 of a restless series: adding up twice as many windows makes
its mean hardly more certain. Independent windows have 1, a random walk has 2."""

FAR: Final = 4.0
"""Least G(64) of a restless series: below, it varies little more than independent windows."""


class Obstacle(StrEnum):
    """Why even the largest shift is not found."""

    FEW_RECORDS = "few_records"  # fewer than 20 in the longest sum
    FEW_VOTES = "few_votes"  # too few are expected to tell
    NOISE = "noise"  # windows vary more among themselves
    CALIBRATION = "calibration"  # windows of the calibration have been as far off, or are too few


@dataclass(frozen=True)
class Shift:
    """A share after a shift, and its ratio to the expected one."""

    share: float
    ratio: float


@dataclass(frozen=True)
class SmallestShifts:
    """The smallest shifts found within so many windows; None where not even the largest is."""

    windows: int
    up: Shift | None
    down: Shift | None


@dataclass(frozen=True)
class SeriesOutlook:
    """A series: its expected share of *volume* records a window, and its smallest shifts.

    ``within``: ``first`` (window), ``1d``, ``1w``, ``ever``; None where no window ends in that
    time. ``up``, ``down``: why a rise or a fall is never found; None where one is. ``restless``:
    its level moves for longer than the scan adds up, so that longer sums hardly help.
    """

    key: SeriesKey
    share: float
    volume: float
    within: Mapping[str, SmallestShifts | None]
    up: Obstacle | None
    down: Obstacle | None
    restless: bool

    @property
    def never(self) -> Obstacle | None:
        """Why it can never alarm; None where it can."""
        return self.up if self.down is not None else None


@dataclass(frozen=True)
class SegmentOutlook:
    """A segment: its records a window, its series, and how many of them can ever alarm."""

    segment: str
    records: float
    series: int
    telling: int
    blind_spot: SeriesOutlook


def of_all_records(baseline: Baseline, alpha: float, for_windows: int = 1) -> list[SeriesOutlook]:
    """Return the outlook of the blind spot and of each LF's coverage.

    *alpha*: the detector's; *for_windows*: shifted windows before an alert fires. BaselineError is
    for the caller: the baseline must have windows.
    """
    kinds = {SeriesKind.BLIND_SPOT, SeriesKind.COVERAGE}
    return _of_series(
        baseline,
        alpha,
        [s for s, key in enumerate(baseline.keys) if key.segment == ALL and key.series in kinds],
        for_windows,
    )


def of_segments(baseline: Baseline, alpha: float, for_windows: int = 1) -> list[SegmentOutlook]:
    """Return the outlook of each segment that has records."""
    keys = baseline.keys
    held = baseline.n.sum(axis=0)
    blind = [
        s
        for s, key in enumerate(keys)
        if key.segment != ALL and key.series is SeriesKind.BLIND_SPOT and held[s] > 0
    ]
    if not blind:
        return []
    telling = can_alarm(baseline, alpha)
    found = []
    for outlook in _of_series(baseline, alpha, blind, for_windows):
        name = outlook.key.segment
        mine = np.array([key.segment == name for key in keys])
        records, can = outlook.volume, int((mine & telling).sum())
        found.append(SegmentOutlook(name, records, int(mine.sum()), can, outlook))
    return found


def _of_series(
    baseline: Baseline, alpha: float, series: Sequence[int], for_windows: int
) -> list[SeriesOutlook]:
    columns = np.array(series, dtype=np.int64)
    tried = futures(baseline, alpha, columns)
    ahead = _ahead(baseline.window_ms, for_windows)
    reached = {n: reach(tried, n) for n in {*ahead.values()} if n is not None}
    found = _Found(
        ahead,
        reached,
        for_windows - 1,
        {side: _obstacles(tried[len(tried) // 2], side) for side in (RISES, FALLS)},
    )
    share, volume = baseline.calibration.p[columns], baseline.n[:, columns].mean(axis=0)
    restless = _restless(baseline, columns)
    return [
        found.outlook(i, baseline.keys[s], float(share[i]), float(volume[i]), bool(restless[i]))
        for i, s in enumerate(series)
    ]


def _ahead(window_ms: int, for_windows: int) -> dict[str, int | None]:
    """Return how many windows a shift may take to be found in time; None if there is no time."""
    spans = {name: span // window_ms - for_windows + 1 for name, span in HORIZONS.items()}
    ahead = {name: min(n, LATEST) if n > 0 else None for name, n in spans.items()}
    return {**ahead, FIRST: 1, EVER: LATEST}


@dataclass(frozen=True, eq=False)
class _Found:
    """What is found of some series. ``obstacles``: side → of each series."""

    ahead: Mapping[str, int | None]
    reached: Mapping[int, SmallestRatios]
    pending: int
    obstacles: Mapping[float, Sequence[Obstacle]]

    def outlook(
        self,
        i: int,
        key: SeriesKey,
        share: float,
        volume: float,
        restless: bool,  # noqa: FBT001
    ) -> SeriesOutlook:
        within = {
            name: None
            if windows is None
            else _shifts(self.reached[windows], i, share, windows + self.pending)
            for name, windows in self.ahead.items()
        }
        ever = self.reached[LATEST]
        up = None if math.isfinite(ever.up[i]) else self.obstacles[RISES][i]
        down = None if math.isfinite(ever.down[i]) else self.obstacles[FALLS][i]
        return SeriesOutlook(key, share, volume, within, up, down, restless)


def _shifts(found: SmallestRatios, i: int, share: float, windows: int) -> SmallestShifts:
    up, down = float(found.up[i]), float(found.down[i])
    return SmallestShifts(
        windows,
        Shift(min(share * up, 1.0), up) if math.isfinite(up) else None,
        Shift(share * down, down) if math.isfinite(down) else None,
    )


def _restless(baseline: Baseline, series: Ints) -> Mask:
    growth = baseline.calibration.curve.growth[:, series]
    rising: Mask = growth[LONGEST] >= RISING * growth[LONGEST // 2]
    return np.asarray(rising & (growth[LONGEST] >= FAR))


def _obstacles(future: Future, side: float) -> list[Obstacle]:
    """Return what would keep each series from being found, if it is not."""
    series = future.n.shape[1]
    seen = future.scanned(np.full(series, side), LONGEST)
    size = future.n[-LONGEST:].sum(axis=0)
    certain = seen.p_value * price(seen.scale) <= future.threshold
    noisy = seen.n_eff < seen.scale * future.n[-LONGEST:].mean(axis=0) / 2
    return [
        Obstacle.FEW_RECORDS
        if size[s] < MIN_RECORDS
        else Obstacle.FEW_VOTES
        if not seen.enough[s]
        else Obstacle.CALIBRATION
        if certain[s]
        else Obstacle.NOISE
        if noisy[s]
        else Obstacle.FEW_VOTES
        for s in range(series)
    ]
