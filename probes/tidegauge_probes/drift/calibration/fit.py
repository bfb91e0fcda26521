"""The order of calibration: what is learned from what, and how often.

1. Incidents are left out (``episodes``), in two passes, by a first mean and the typical noise.
2. Mean, season and noise are fitted to winsorised counts in five rounds, starting unclipped: an
   all-or-nothing series keeps its variance, while single clumps are clipped more in each round.
3. The variance–time curve, the error of the mean, and the degrees of freedom are estimated.
4. The tail maps are fitted to a scan of the calibration.

``forecast`` does the same with parts of the calibration held back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration import (
    episodes,
    noise,
    random_walk,
    tail_map,
    variance_time,
)
from tidegauge_probes.drift.calibration.forecast import NO_FORECAST, Forecast, incidents
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.sums import Sums
from tidegauge_probes.drift.calibration.tails import TailMaps
from tidegauge_probes.drift.calibration.variance_time import VarianceTime
from tidegauge_probes.drift.calibration.volume import VolumeWindows
from tidegauge_probes.drift.calibration.windows import (
    CalibrationWindows,
    SeriesLevel,
    level_of,
    smoothed,
)
from tidegauge_probes.drift.scales import GROSS_ODDS, MIN_LOGIT

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ROUNDS: Final = 5
LEAST_FREE: Final = 0.3
"""A window's pull on its own expected value leaves at least this share of it free."""

PRIOR_TAU: Final = 0.20
"""Between-window sd assumed if a baseline has no windows to learn it from."""

FOLDS: Final = 4
"""Number of stretches of the calibration that are held back in turn."""


@dataclass(frozen=True, eq=False)
class _Learned:
    """What windows teach before the tails are fitted; the parts of :class:`Calibration`."""

    level: SeriesLevel
    tau2: Floats
    error: Floats
    curve: VarianceTime
    wanders: Mask
    freedom: float


def uncalibrated(x: Ints, n: Ints, windows: int) -> Calibration:
    """Return the calibration for too few windows, or none: x of n [S] over all of them."""
    p = smoothed(x.astype(np.float64), n.astype(np.float64))
    tau2 = np.full(len(p), PRIOR_TAU**2)
    se2 = 1 / (np.maximum(n, 1.0) * p * (1 - p)) + tau2 / max(windows, 1)
    error = se2 * np.maximum(p, 1 - p) ** 2
    return Calibration(
        p,
        tau2,
        error,
        n.astype(np.float64),
        learning=True,
        curve=VarianceTime.independent(len(p)),
        wanders=np.zeros(len(p), dtype=np.bool_),
    )


def calibrate(windows: CalibrationWindows) -> Calibration:
    """Learn everything there is to know about each series."""
    incident = _incidents(windows)
    used = windows.without(incident)
    learned = _learn(used)
    return Calibration(
        p=learned.level.p,
        tau2=learned.tau2,
        error=learned.error,
        n=used.size.sum(axis=0),
        learning=False,
        curve=learned.curve,
        wanders=learned.wanders,
        season=learned.level.season,
        freedom=learned.freedom,
        tails=_tails(used, learned),
        left_out=_stretches(used, incident),
    )


def _tails(windows: CalibrationWindows, learned: _Learned) -> TailMaps:
    """Scan the windows from which the rest was learned."""
    pull = learned.level.season.leverage(windows.starts, windows.shape[1])
    return tail_map.fit(_sums(windows, learned, windows.size.sum(axis=0), pull))


def _incidents(windows: CalibrationWindows) -> Mask:
    # No weekly cycle: over two weeks, it would mistake an incident for half a cycle, and hide it.
    used, found = windows, np.zeros(windows.shape, dtype=np.bool_)
    for _ in range(2):
        level = level_of(used, weekly=False)
        typical = float(np.median(_noise(used, level, used.x).tau2))
        found = episodes.left_out(windows, level.expected, typical) & ~windows.kept[:, None]
        used = windows.without(found)
    return found


def _stretches(windows: CalibrationWindows, incident: Mask) -> tuple[tuple[int, int], ...]:
    spans = episodes.runs(np.asarray(incident.any(axis=1)))
    starts, length = windows.starts, windows.window_ms
    return tuple((int(starts[begin]), int(starts[end - 1]) + length) for begin, end in spans)


def _learn(windows: CalibrationWindows) -> _Learned:
    level = level_of(windows, weekly=True)
    noisy = _noise(windows, level, windows.x)
    for _ in range(ROUNDS - 1):
        seen = _clipped(windows, level, noisy.tau2)
        level = level_of(replace(windows, x=seen), weekly=True)
        noisy = _noise(windows, level, seen)
    _, e = noise.oriented(windows.x, windows.n, level.expected, level.flip)
    variance = np.where(windows.used, noise.variance(windows.n, e, noisy.tau2), 0.0)
    spread = np.sqrt(np.maximum(variance, 1e-12) * noisy.free)
    u = np.where(windows.used, noisy.off / spread, 0.0)
    events = (windows.size * e).sum(axis=0)
    counting = (windows.size * e * (1 - e)).sum(axis=0)
    share = 1 - np.minimum(counting / np.maximum(variance.sum(axis=0), 1e-12), 1.0)
    curve = variance_time.fit(u, windows.used, events, share)
    error = _error_of_mean(variance, events, curve.of_mean(windows.shape[0]))
    freedom = windows.shape[0] * variance_time.independent_series(u)
    persistence = variance_time.persistence(u, windows.used)
    wanders = random_walk.wanders(curve, persistence, events, windows.shape[0])
    return _Learned(level, noisy.tau2, error, curve, wanders, freedom)


@dataclass(frozen=True, eq=False)
class _Noise:
    """``off``: residuals, [K, S]; ``free``: 1 less the window's pull on its own expected value."""

    tau2: Floats
    off: Floats
    free: Floats


def _noise(windows: CalibrationWindows, level: SeriesLevel, seen: Floats) -> _Noise:
    """Return the noise of the counts *seen*, [K, S], around *level*."""
    size = windows.size
    y, e = noise.oriented(seen, windows.n, level.expected, level.flip)
    off = np.where(windows.used, y - windows.n * e, 0.0)
    pull = level.season.leverage(windows.starts, windows.shape[1])
    free = np.maximum(1 - size / np.maximum(size.sum(axis=0), 1) - pull, LEAST_FREE)
    return _Noise(noise.tau2_of(off, size, e, free), off, free)


def _clipped(windows: CalibrationWindows, level: SeriesLevel, tau2: Floats) -> Floats:
    """Return x of all windows, winsorised around what is expected, [K, S]."""
    y, e = noise.oriented(windows.x, windows.n, level.expected, level.flip)
    due = windows.n * e
    y = due + noise.winsorised(y - due, noise.variance(windows.n, e, tau2))
    return np.where(level.flip, windows.n - y, y)


def _error_of_mean(variance: Floats, events: Floats, growth: Floats) -> Floats:
    """Return the relative variance of the rarer outcome's expected share, [S]."""
    seen = np.maximum(events, 0.5)
    found = variance.sum(axis=0) * growth / seen**2
    return np.asarray(np.where(events < 1, np.maximum(found, 1 / seen), found))


def _sums(windows: CalibrationWindows, learned: _Learned, total: Floats, pull: Floats) -> Sums:
    return Sums(
        windows,
        learned.level,
        learned.tau2,
        learned.error,
        learned.curve,
        learned.freedom,
        learned_from=total,
        pull=pull,
    )


def forecast(windows: CalibrationWindows, calibration: Calibration, weights: Floats) -> Forecast:
    """Compare each quarter of the windows with what the other three teach.

    *weights*: of the series in the budget, [S], mean 1. A calibration that is still learning has
    no tails, and so no windows to compare.
    """
    if calibration.tails is None or len(windows.starts) < FOLDS:
        return NO_FORECAST
    used = windows.without(_incidents(windows))
    least = np.where(calibration.wanders, math.log(GROSS_ODDS), MIN_LOGIT)
    peaks = [incidents(evidence) for evidence in _held_back(used, weights, least)]
    return Forecast(np.concatenate(peaks), used.shape[0])


def calibrate_with(volume: VolumeWindows, others: CalibrationWindows) -> Calibration:
    """Learn of the *others* as if there were no volume, and of that by itself."""
    return volume.joined(calibrate(others), calibrate(volume.windows))


def forecast_with(
    volume: VolumeWindows, others: CalibrationWindows, calibration: Calibration, weights: Floats
) -> Forecast:
    """Return the false incidents to expect of all series. *weights*: of all, [S], mean 1."""
    series, place = len(weights), volume.place
    of_others = np.delete(weights, place) * (series - 1) / series
    own = weights[[place]] / series
    theirs = replace(calibration, wanders=np.delete(calibration.wanders, place))
    mine = replace(calibration, wanders=calibration.wanders[[place]])
    first = forecast(others, theirs, of_others)
    second = forecast(volume.windows, mine, own)
    return Forecast(np.concatenate([first.peaks, second.peaks]), first.windows)


def _held_back(windows: CalibrationWindows, weights: Floats, least: Floats) -> Iterator[Floats]:
    """Yield the evidence in each fold, with level, noise and tails learned from the others.

    *least*: the smallest shift worth an alert, in log odds, [S].
    """
    fold = np.arange(windows.shape[0]) * FOLDS // windows.shape[0]
    for which in range(FOLDS):
        others, held = windows[fold != which], windows[fold == which]
        learned = _learn(others)
        level = learned.level
        expected = level.season.expected(level.p, held.starts, held.came)
        here = replace(learned, level=replace(level, expected=expected))
        nothing = np.zeros(held.shape)
        sums = _sums(held, here, np.full(held.shape[1], math.inf), nothing)
        yield _evidence(replace(sums, least=least), _tails(others, learned), weights)


def _evidence(sums: Sums, tails: TailMaps, weights: Floats) -> Floats:
    """Return the evidence of each series in each window, [K, S], in nats relative to its level."""
    windows, series = sums.shape
    best = np.full(sums.shape, -np.inf)
    for j in tail_map.SCANNED:
        if j <= windows:
            counted = tails.through(sums.evidence(j), np.full((windows - j + 1, 1), j))
            best[j - 1 :] = np.maximum(best[j - 1 :], counted)
    return np.asarray(best + np.log(weights) - math.log(series))
