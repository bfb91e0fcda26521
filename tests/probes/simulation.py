"""Windows of a simulated stream, as fast as counting them allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.findings import Finding, SeriesKind, Verdict
from tidegauge_probes.model import ABSTAIN, Layout

Floats = npt.NDArray[np.float64]
HOUR_MS = 3_600_000


def layout_of(lfs: int) -> Layout:
    """Name unipolar LFs of two classes, ``lf0`` for class 0, ``lf1`` for class 1, and so on."""
    labels = tuple((j % 2,) for j in range(lfs))
    return Layout(tuple(f"lf{j}" for j in range(lfs)), ("HAM", "SPAM"), labels)


def wobbling(rng: np.random.Generator, rates: Sequence[float], windows: int, sd: float) -> Floats:
    """Draw each window's true rates, float64 [W, m]: beta with a relative deviation of *sd*."""
    p = np.array(rates)
    size = (1 - p) / (p * sd**2) - 1
    return rng.beta(p * size, (1 - p) * size, size=(windows, len(p)))


def count(rng: np.random.Generator, rates: Floats, records: int) -> PaneCounts:
    """Count one window of *records* on which LF j votes with chance ``rates[j]``."""
    lfs = len(rates)
    voted = rng.random((records, lfs), dtype=np.float32) < rates
    labels = np.arange(lfs, dtype=np.int8) % 2
    return counts.fold(matrix(np.where(voted, labels, np.int8(ABSTAIN))), 2, {})


def panes(rng: np.random.Generator, rates: Floats, records: int) -> Iterator[PaneCounts]:
    """Count one window for each row of *rates*."""
    return (count(rng, row, records) for row in rates)


def fit(windows: Sequence[PaneCounts]) -> Baseline:
    """Freeze a baseline from hourly windows."""
    return baselines.fit(
        {hour * HOUR_MS: pane for hour, pane in enumerate(windows)},
        layout=layout_of(windows[0].lfs),
        probe_set="simulated",
        window_ms=HOUR_MS,
        source={},
    )


def shifted(findings: Sequence[Finding], kind: SeriesKind = SeriesKind.COVERAGE) -> set[str]:
    """Name the LFs whose series of that kind is called."""
    return {f.key.probe for f in findings if f.key.series is kind and f.verdict is Verdict.SHIFTED}
