"""Leave incidents out of the calibration: few, long and certain ones.

Whatever recurs is normal for the stream, and stays in: trimming it would promise a stream calmer
than it is. Single windows are never left out; winsorising bounds their effect on the mean
(``noise``), and the tail map counts them (``tail_map``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.windows import CalibrationWindows
from tidegauge_probes.drift.tail_law import two_sided_mid_p
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

OFF_Z, SURE_Z = 4.0, 5.0
"""A window is off, or surely off, from this many standard deviations on, by its exact tail."""

GAP: Final = 4
"""Maximum number of windows in a gap inside a run."""

LEAST: Final = 3
"""Minimum number of windows that are off in a run."""

RUNS: Final = 2
"""Maximum number of runs, minor ones included, that are left out of one series."""

STRETCHES: Final = 3
"""Maximum number of stretches of time that are left out of a stream."""

OF_SERIES, OF_STREAM = 0.15, 0.20
"""Maximum share of the windows that may be left out."""

TOGETHER_P: Final = 1e-5
"""A series whose sum over a stretch is at least this unlikely belongs to the same incident."""


def left_out(windows: CalibrationWindows, expected: Floats, tau2: float) -> Mask:
    """Return what belongs to an incident, bool [K, S]. *tau2*: of a typical series."""
    chosen = np.zeros(windows.shape, dtype=np.bool_)
    found = _candidates(windows, expected, tau2)
    union = np.zeros(windows.shape[0], dtype=np.bool_)
    for spans in found.values():
        for begin, end in spans:
            union[begin:end] = True
    stretches = runs(union)
    if not found or len(stretches) > STRETCHES or union.mean() > OF_STREAM:
        return chosen
    for series, spans in found.items():
        for begin, end in spans:
            chosen[max(begin - 1, 0) : end + 1, series] = True
    for begin, end in stretches:
        chosen[begin:end] |= _off_as_a_whole(windows, expected, tau2, slice(begin, end))
    return chosen


def runs(marked: Mask) -> list[tuple[int, int]]:
    """Return the runs of marked windows, [begin, end), with gaps of up to GAP closed.

    >>> runs(np.array([1, 0, 1, 0, 0, 0, 0, 0, 1], dtype=bool))
    [(0, 3), (8, 9)]
    """
    places = np.flatnonzero(marked)
    if not len(places):
        return []
    last = np.flatnonzero(np.diff(places) > GAP)
    begins = places[np.append(0, last + 1)].tolist()
    ends = (places[np.append(last, len(places) - 1)] + 1).tolist()
    return list(zip(begins, ends, strict=True))


def _candidates(
    windows: CalibrationWindows, expected: Floats, tau2: float
) -> dict[int, Sequence[tuple[int, int]]]:
    """Return the runs of each series, if it has few enough of them."""
    p_value = _p_values(windows.x, windows.n, expected, tau2)
    seen = windows.n > 0
    off = seen & (p_value < 2 * special.ndtr(-OFF_Z))
    sure = seen & (p_value < 2 * special.ndtr(-SURE_Z))
    found: dict[int, Sequence[tuple[int, int]]] = {}
    for series in np.flatnonzero(sure.any(axis=0)).tolist():
        every = runs(off[:, series])
        long = [
            (begin, end)
            for begin, end in every
            if off[begin:end, series].sum() >= LEAST and sure[begin:end, series].any()
        ]
        covered = sum(end - begin for begin, end in long)
        few = 0 < len(long) <= RUNS and len(every) - len(long) <= RUNS
        if few and covered <= OF_SERIES * len(off):
            found[series] = long
    return found


def _off_as_a_whole(
    windows: CalibrationWindows, expected: Floats, tau2: float, stretch: slice
) -> Mask:
    """Return which series are off over a stretch, taken as one sum, bool [S]."""
    n, x = windows.n[stretch].sum(axis=0), windows.x[stretch].sum(axis=0)
    due = (windows.n[stretch] * expected[stretch]).sum(axis=0)
    p = np.clip(due / np.maximum(n, 1), 1e-12, 1 - 1e-12)
    length = stretch.stop - stretch.start
    return np.asarray((n > 0) & (_p_values(x, n, p, 2 * tau2 / length) < TOGETHER_P))


def _p_values(x: Floats, n: Floats, p: Floats, tau2: float) -> Floats:
    """Two-sided mid-p of Binomial(n_eff, p), by which a stretch or a window is measured."""
    n_eff = 1 / (1 / np.maximum(n, 1) + tau2 * p * (1 - p))
    return two_sided_mid_p(x / np.maximum(n, 1) * n_eff, n_eff, p)
