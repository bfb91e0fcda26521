"""One window against its baseline: the overdispersed test with false-alarm control.

The variation between windows shrinks the sample (n → n_eff), so that a busy stream is not
flagged for being busy; Benjamini–Hochberg over all series holds the expected number of false
episodes per 1,000 windows to a budget. The same function serves the stream, replays and trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegauge_probes.baseline import Baseline, Calibration
from tidegauge_probes.counts import PaneCounts
from tidegauge_probes.findings import Finding, Verdict

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MIN_RECORDS: Final = 20
"""A share of fewer records than this is not compared."""

MIN_EXPECTED: Final = 13 / 64
"""Expected votes a window; below it not even the longest sum of 64 windows has 13."""

MIN_SEEN: Final = 13
"""Votes in one window that suffice whatever was expected."""

MIN_LOGIT: Final = 0.10
"""Shifts of logit p smaller than this are not worth a page, however sure."""

LEARNING_ODDS: Final = 3.0
"""While the baseline is learning, only shifts this large are called."""

BAND: Final = 0.99


@dataclass(frozen=True)
class Detector:
    """Settings of the detector. ``budget``: expected false episodes per 1,000 windows."""

    budget: float = 0.5

    @property
    def alpha(self) -> float:
        """Chance that a quiet window has any shifted series.

        One scale is tested, so no allowance for overlapping scales is needed here.
        """
        return self.budget / 1000


@dataclass(frozen=True)
class _Comparison:
    observed: Floats
    low: Floats
    high: Floats
    effect: Floats
    p_value: Floats
    n_eff: Floats
    rank: Floats


def compare(
    window_start_ms: int, window: PaneCounts, baseline: Baseline, detector: Detector
) -> list[Finding]:
    """Return one finding per series of the baseline, in its order.

    Finite for every input; series without data or volume are said to be so.
    """
    x, n = baseline.plan.extract(window)
    calibration = baseline.calibration
    enough = _enough(x, n, calibration)
    compared = _compare(x, n, calibration)
    shifted = _shifted(compared, calibration, enough, detector)
    verdicts = _verdicts(n, enough, shifted, learning=calibration.learning)
    return [
        _finding(
            baseline,
            window_start_ms,
            s,
            x=int(x[s]),
            n=int(n[s]),
            verdict=verdicts[s],
            compared=compared,
        )
        for s in range(len(x))
    ]


def describe(window_start_ms: int, window: PaneCounts, baseline: Baseline) -> list[Finding]:
    """Return the figures of a window that belongs to the baseline: shown, never tested."""
    x, n = baseline.plan.extract(window)
    compared = _compare(x, n, baseline.calibration)
    return [
        _finding(
            baseline,
            window_start_ms,
            s,
            x=int(x[s]),
            n=int(n[s]),
            verdict=Verdict.BASELINE if n[s] else Verdict.NO_DATA,
            compared=compared,
        )
        for s in range(len(x))
    ]


def _enough(x: Ints, n: Ints, calibration: Calibration) -> Mask:
    """Mark series with volume enough to tell: the rarer outcome was expected, or came often.

    An LF that never failed and now fails on every record has no expected failures at all.
    """
    rare = calibration.p <= 0.5  # noqa: PLR2004
    expected = n * np.where(rare, calibration.p, 1 - calibration.p)
    seen = np.where(rare, x, n - x)
    known = calibration.n >= MIN_RECORDS
    return np.asarray(
        (n >= MIN_RECORDS) & ((expected >= MIN_EXPECTED) | (seen >= MIN_SEEN)) & known
    )


def _compare(x: Ints, n: Ints, calibration: Calibration) -> _Comparison:
    p = calibration.p
    size = np.maximum(n, 1).astype(np.float64)
    n_eff = 1 / (1 / size + (calibration.tau2 + calibration.se2) * p * (1 - p))
    observed = x / size
    x_eff = observed * n_eff
    odds = (x_eff + 0.5) / (n_eff - x_eff + 0.5)
    effect = odds * (1 - p) / p
    low, high = _band(n_eff, p)
    rank = np.sign(observed - p) * 2 * n_eff * _divergence(observed, p)
    p_value = two_sided_mid_p(x_eff, n_eff, p)
    return _Comparison(observed, low, high, effect, p_value, n_eff, rank)


def _band(n: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return the shares x/n beyond which Binomial(n, p) has (1 − BAND)/2 on either side."""
    tail = (1 - BAND) / 2
    fewest, fewest_others = special.bdtrik(tail, n, p), special.bdtrik(tail, n, 1 - p)
    return np.clip(fewest / n, 0, p), np.clip(1 - fewest_others / n, p, 1)


def two_sided_mid_p(x: Floats, n: Floats, p: Floats) -> Floats:
    """Return the two-sided mid-p value of Binomial(n, p) at x, for real n and x.

    The tails are regularised incomplete beta functions: P(X ≥ x) = I_p(x, n − x + 1).
    Mid-p counts half of the observed outcome to each tail (Lancaster 1961).
    """
    x = np.clip(x, 0.0, n)
    at_least = np.where(x > 0, special.betainc(np.maximum(x, 1e-300), n - x + 1, p), 1.0)
    more = np.where(n - x > 0, special.betainc(x + 1, np.maximum(n - x, 1e-300), p), 0.0)
    at_most = np.where(n - x > 0, special.betainc(np.maximum(n - x, 1e-300), x + 1, 1 - p), 1.0)
    less = np.where(x > 0, special.betainc(n - x + 1, np.maximum(x, 1e-300), 1 - p), 0.0)
    upper, lower = (at_least + more) / 2, (at_most + less) / 2
    return np.asarray(np.minimum(1.0, 2 * np.minimum(upper, lower)))


def _divergence(observed: Floats, p: Floats) -> Floats:
    """KL(observed ‖ p) of two coins, in nats."""
    return np.asarray(special.rel_entr(observed, p) + special.rel_entr(1 - observed, 1 - p))


def _shifted(
    compared: _Comparison, calibration: Calibration, enough: Mask, detector: Detector
) -> Mask:
    worth = np.abs(np.log(compared.effect)) >= MIN_LOGIT
    if calibration.learning:
        worth &= np.abs(np.log(compared.effect)) >= np.log(LEARNING_ODDS)
    rejected = np.zeros(len(enough), dtype=np.bool_)
    rejected[enough] = benjamini_hochberg(compared.p_value[enough], detector.alpha)
    return np.asarray(rejected & worth)


def benjamini_hochberg(p_values: Floats, alpha: float) -> Mask:
    """Return which hypotheses are rejected at false-discovery rate *alpha* (1995, step-up).

    >>> benjamini_hochberg(np.array([.001, .9, .012, .03]), .05).tolist()
    [True, False, True, True]
    """
    m = len(p_values)
    if not m:
        return np.zeros(0, dtype=np.bool_)
    order = np.sort(p_values)
    passing = np.flatnonzero(order <= alpha * np.arange(1, m + 1) / m)
    threshold = order[passing[-1]] if len(passing) else -1.0
    return np.asarray(p_values <= threshold)


def _verdicts(n: Ints, enough: Mask, shifted: Mask, *, learning: bool) -> list[Verdict]:
    quiet = Verdict.LEARNING if learning else Verdict.OK
    return [
        Verdict.NO_DATA
        if not volume
        else Verdict.LOW_VOLUME
        if not tested
        else Verdict.SHIFTED
        if moved
        else quiet
        for volume, tested, moved in zip(n, enough, shifted, strict=True)
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
) -> Finding:
    expected = float(baseline.calibration.p[s])
    if verdict is Verdict.NO_DATA:
        return Finding(baseline.keys[s], start, x, n, verdict, expected=expected)
    figures = (
        float(getattr(compared, name)[s])
        for name in ("observed", "low", "high", "effect", "p_value", "n_eff", "rank")
    )
    observed, low, high, effect, p_value, n_eff, rank = figures
    return Finding(
        baseline.keys[s],
        start,
        x,
        n,
        verdict,
        observed,
        expected,
        low,
        high,
        effect,
        p_value,
        n_eff,
        rank=rank,
    )
