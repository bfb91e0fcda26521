"""A window, and those before it, against the baseline: the scan with false-alarm control.

Each series has the smallest p-value over its scales, multiplied by their price (``scan``); weighted
Benjamini–Hochberg over all series keeps the expected number of false incidents within a budget. The
stream, replays and trials all use this function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.drift.scan import Past, Scanned, effective, scan
from tidegauge_probes.drift.season import SeasonCounts
from tidegauge_probes.drift.series.distinct import moved
from tidegauge_probes.drift.significance import off, worth_a_page
from tidegauge_probes.findings import Finding, SeriesKind, TextCounts, Verdict
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BAND: Final = 0.99

MOST_COUNTED: Final = 1e8
"""Effective records from which the upper end of the band is that of a volume."""


@dataclass(frozen=True)
class Detector:
    """Settings of the detector. ``budget``: expected false incidents per 1,000 windows.

    The stream file gives it per period (``false_alarms.FalseAlarms``).
    """

    budget: float = 0.5

    @property
    def alpha(self) -> float:
        """Chance that a quiet window opens an episode: the threshold of a scan's ``adjusted``."""
        return self.budget / 1000


@dataclass(frozen=True)
class _Comparison:
    """The window itself (x … n_eff), and the most significant sum that ends with it.

    ``x``, ``n``: as they are compared, int64 [S].
    """

    x: Ints
    n: Ints
    expected: Floats
    low: Floats
    high: Floats
    n_eff: Floats
    scanned: Scanned


@dataclass(frozen=True)
class _Shares:
    """Shares of records, [S], as people see them.

    ``share``, ``due``: seen and expected over the windows that were summed.
    """

    expected: Floats
    low: Floats
    high: Floats
    share: Floats
    due: Floats

    @classmethod
    def of(cls, found: _Comparison, baseline: Baseline) -> _Shares:
        summed = found.scanned
        parts = (found.expected, found.low, found.high, summed.share, summed.expected)
        return cls(*(moved(part, baseline.off_texts) for part in parts))


def compare(
    window_start_ms: int,
    window: PaneCounts,
    baseline: Baseline,
    detector: Detector,
    past: Past | None = None,
    *,
    whole: bool = True,
) -> list[Finding]:
    """Return one finding per series of the baseline, in its order.

    *past*: the windows before this one; by default, this is the first. *whole*: whether all records
    of the window can have been seen; otherwise it has no volume. Finite for every input; the
    finding says if a series has no data or no volume.
    """
    baseline = _comparable(baseline, window)
    x, n = baseline.plan.extract(window, whole=whole)
    calibration = baseline.calibration
    counted = baseline.tested(window, whole=whole)
    before = past or Past.none(len(x))
    compared = _compare(window_start_ms, *counted, before, calibration)
    shown = _Shares.of(compared, baseline)
    tested = compared.scanned.enough & (compared.n > 0)
    shifted = _shifted(compared, baseline, tested, detector)
    verdicts = _verdicts(n, tested, shifted, calibration)
    return [
        _finding(
            baseline,
            window_start_ms,
            s,
            x=int(x[s]),
            n=int(n[s]),
            verdict=verdicts[s],
            compared=compared,
            shown=shown,
        )
        for s in range(len(x))
    ]


def describe(window_start_ms: int, window: PaneCounts, baseline: Baseline) -> list[Finding]:
    """Return the figures of a window that is part of the baseline: shown, never tested."""
    baseline = _comparable(baseline, window)
    whole = window_start_ms != baseline.starts[0]
    x, n = baseline.plan.extract(window, whole=whole)
    counted = baseline.tested(window, whole=whole)
    nothing = Past.none(len(x))
    compared = _compare(window_start_ms, *counted, nothing, baseline.calibration)
    shown = _Shares.of(compared, baseline)
    return [
        _finding(
            baseline,
            window_start_ms,
            s,
            x=int(x[s]),
            n=int(n[s]),
            verdict=Verdict.BASELINE if n[s] else Verdict.NO_DATA,
            compared=compared,
            shown=shown,
        )
        for s in range(len(x))
    ]


def _comparable(baseline: Baseline, window: PaneCounts) -> Baseline:
    """Return what a window can be compared with: without its distinct texts, records only."""
    known = window.distinct is not None or not window.records
    return baseline if known else baseline.of_records


def _compare(start: int, x: Ints, n: Ints, past: Past, calibration: Calibration) -> _Comparison:
    here = np.array([start])
    came = SeasonCounts(x[None].astype(np.float64), n[None].astype(np.float64))
    [p], [cycles] = calibration.expected(here, came), calibration.season_variance(here)
    size = np.maximum(n, 1).astype(np.float64)
    scanned = scan(start, x, n, past, calibration)
    if calibration.margins:
        # Of a pair, as far off the baseline as the coverages of its LFs explain.
        p = moved(p, scanned.explained)
    n_eff = effective(calibration, size, p, cycles)
    low, high = _band(n_eff, p)
    return _Comparison(x, n, p, low, high, n_eff, scanned)


def _band(n: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return the shares x/n beyond which Binomial(n, p) has (1 − BAND)/2 on either side."""
    tail = (1 - BAND) / 2
    fewest, fewest_others = special.bdtrik(tail, n, p), special.bdtrik(tail, n, 1 - p)
    # Of VOLUME_OF records, "not x" has too few digits left.
    most = np.where(n > MOST_COUNTED, special.bdtrik(1 - tail, n, p) + 1, n - fewest_others)
    return np.clip(fewest / n, 0, p), np.clip(most / n, p, 1)


def _shifted(compared: _Comparison, baseline: Baseline, tested: Mask, detector: Detector) -> Mask:
    found, known = compared.scanned, baseline.calibration
    worth = worth_a_page(found, known)
    if known.learning:
        # Nights and Sundays are not known yet; an odds ratio of 3 would be no news.
        worth = worth & [key.series is not SeriesKind.VOLUME for key in baseline.keys]
    return off(found.adjusted / baseline.weights, worth, tested, detector.alpha)


def _verdicts(n: Ints, tested: Mask, shifted: Mask, calibration: Calibration) -> list[Verdict]:
    quiet = Verdict.LEARNING if calibration.learning else Verdict.OK
    return [
        Verdict.NO_DATA
        if not volume
        else Verdict.LOW_VOLUME
        if not has_volume
        else Verdict.SHIFTED
        if moved
        else Verdict.WANDERS
        if wanders
        else quiet
        for volume, has_volume, moved, wanders in zip(
            n, tested, shifted, calibration.wanders, strict=True
        )
    ]


def _finding(
    baseline: Baseline,
    start: int,
    s: int,
    *,
    x: int,
    n: int,
    verdict: Verdict,
    compared: _Comparison,
    shown: _Shares,
) -> Finding:
    found, texts, expected = compared.scanned, None, float(shown.expected[s])
    if baseline.by_text[s]:
        due = float(compared.expected[s])
        texts = TextCounts(int(compared.x[s]), int(compared.n[s]), due)
    if verdict is Verdict.NO_DATA:
        return Finding(baseline.keys[s], start, x, n, verdict, expected=expected, texts=texts)
    return Finding(
        baseline.keys[s],
        start,
        x,
        n,
        verdict,
        observed=x / n,
        expected=expected,
        low=float(shown.low[s]),
        high=float(shown.high[s]),
        effect=float(found.effect[s]),
        p_value=float(found.p_value[s]),
        n_eff=float(compared.n_eff[s]),
        scale=int(found.scale[s]),
        share=float(shown.share[s]),
        due=float(shown.due[s]),
        rank=float(found.rank[s]),
        growth=float(baseline.calibration.curve.growth[LONGEST, s]),
        texts=texts,
    )
